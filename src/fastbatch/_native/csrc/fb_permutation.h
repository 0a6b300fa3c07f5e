/* A uniformly random order of rows, made lazily: units that any thread may finish, in any order, ahead of need.
 *
 * The number of rows alone decides how (and FB_ORDER_VERSION, which changes with these constants): up to
 * FB_ONE_UNIT_ROWS one Fisher-Yates; above it the rows are scattered to 2^bits buckets, and each is a unit. */
#ifndef FB_PERMUTATION_H
#define FB_PERMUTATION_H

#include "fb_base.h"
#include "fb_random.h"
#include "fb_scatter.h"

#define FB_ONE_UNIT_ROWS (UINT64_C(1) << 22)
#define FB_BUCKET_ROWS (UINT64_C(1) << 17) /* at most, on average, while 2^FB_SCATTER_MAX_BITS buckets suffice */

typedef struct fb_permutation {
    void *rows; /* (n_rows, row_nbytes), not owned */
    uint64_t n_rows;
    size_t row_nbytes;
    fb_key key;
    uint64_t epoch;
    unsigned bits; /* of a bucket's label; 0: one unit */
    uint64_t starts[(1 << FB_SCATTER_MAX_BITS) + 1];
} fb_permutation;

/* Sorts the rows, of any width but 0, into units: O(n_rows) above FB_ONE_UNIT_ROWS, nothing below. Returns 0, or what
 * `poll` answered. */
int fb_permutation_begin(fb_permutation *permutation, void *rows, size_t row_nbytes, uint64_t n_rows, fb_key key,
                         uint64_t epoch, fb_poll poll);

FB_INLINE uint64_t fb_permutation_n_units(const fb_permutation *permutation) {
    return UINT64_C(1) << permutation->bits;
}

/* The unit that decides which row stands at `position`. */
uint64_t fb_permutation_unit_of(const fb_permutation *permutation, uint64_t position);

/* Shuffles one unit: rows [starts[unit], starts[unit + 1]) are final afterwards. To be called once for each. */
int fb_permutation_prepare(const fb_permutation *permutation, uint64_t unit, fb_poll poll);

#endif
