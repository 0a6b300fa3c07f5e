/* Classes dealt round-robin, or by given shares; inside a class its own shuffled passes. */
#ifndef FB_BALANCED_H
#define FB_BALANCED_H

#include "fb_passes.h"
#include "fb_sampler.h"

typedef struct fb_balanced {
    fb_sampler sampler; /* first: the contract is a pointer to it */
    fb_classes classes;
    const uint64_t *shares; /* (n_classes,) with sum total_share as fb_deal wants them; NULL: round-robin */
    uint64_t total_share;
} fb_balanced;

/* Fills the functions, `wide` and `consecutive` of balanced->sampler; n_rows, length and the rest are the caller's. */
void fb_balanced_init(fb_balanced *balanced);

/* Rows sorted by class, by counting: codes, (n_rows,), are below n_classes. starts, (n_classes + 1,), and members,
 * (n_rows,) uint32 or uint64 when `wide`, are written; rows of a class ascend. */
void fb_group_rows(const uint32_t *codes, uint64_t n_rows, uint32_t n_classes, int wide, uint64_t *starts,
                   void *members);

#endif
