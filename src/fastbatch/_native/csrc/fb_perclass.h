/* Groups of some rows of each of some classes. */
#ifndef FB_PERCLASS_H
#define FB_PERCLASS_H

#include "fb_passes.h"
#include "fb_sampler.h"

typedef struct fb_perclass {
    fb_sampler sampler; /* first: the contract is a pointer to it */
    fb_classes classes;
    uint64_t n_together;   /* classes of a group, at most as many as there are */
    uint64_t rows_of_each; /* rows of each of them */
} fb_perclass;

/* Fills the functions, `wide` and `consecutive` of perclass->sampler; n_rows, length and the rest are the caller's. */
void fb_perclass_init(fb_perclass *perclass);

#endif
