/* Every row once, neighbours of like length: windows of a random order, each sorted by length, then cut into blocks that
 * come in random order. */
#ifndef FB_BUCKETED_H
#define FB_BUCKETED_H

#include "fb_length_sort.h"
#include "fb_sampler.h"
#include "fb_simd.h"

typedef struct fb_bucketed {
    fb_sampler sampler;  /* first: the contract is a pointer to it */
    fb_lengths lengths;  /* kept by reference */
    uint64_t window;     /* rows that are sorted together, a multiple of block_rows */
    uint64_t block_rows; /* rows that stay together, at least 1 */
    enum fb_simd level;
} fb_bucketed;

/* Fills bucketed->sampler, but for n_rows, which is below FB_NARROW_ROWS; the rest is the caller's. */
void fb_bucketed_init(fb_bucketed *bucketed);

#endif
