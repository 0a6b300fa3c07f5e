/* Some rows of the data, in the order that another sampler gives them. */
#ifndef FB_SUBSET_H
#define FB_SUBSET_H

#include "fb_sampler.h"

typedef struct fb_subset {
    fb_sampler sampler;      /* first: the contract is a pointer to it */
    const fb_sampler *inner; /* draws from positions in `rows`; kept by reference */
    const void *rows;        /* (inner->n_rows,) uint32, or uint64 when `wide`; kept by reference */
} fb_subset;

/* Fills the functions, `length` and `consecutive` of subset->sampler; n_rows, `wide` and the rest are the caller's. */
void fb_subset_init(fb_subset *subset);

#endif
