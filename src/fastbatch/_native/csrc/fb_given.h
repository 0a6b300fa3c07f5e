/* Given rows in their given order, the same every epoch. */
#ifndef FB_GIVEN_H
#define FB_GIVEN_H

#include "fb_sampler.h"

typedef struct fb_given {
    fb_sampler sampler; /* first: the contract is a pointer to it */
    const void *rows;   /* (length,) uint32, or uint64 from 2^32 rows on; kept by reference */
} fb_given;

/* Fills the functions, `wide` and `consecutive` of given->sampler; n_rows, length and rows are the caller's. */
void fb_given_init(fb_given *given);

#endif
