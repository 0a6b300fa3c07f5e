/* Every row once, in the order of a keyed bijection: no order in memory. */
#ifndef FB_STREAMED_H
#define FB_STREAMED_H

#include "fb_bijection.h"
#include "fb_sampler.h"

typedef struct fb_streamed {
    fb_sampler sampler; /* first: the contract is a pointer to it */
    enum fb_simd level;
} fb_streamed;

/* n_rows is at least FB_BIJECTION_MIN_ROWS and below FB_BIJECTION_ROWS_END. */
fb_streamed fb_streamed_of(uint64_t n_rows, enum fb_simd level);

#endif
