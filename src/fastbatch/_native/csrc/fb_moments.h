/* Mean, sum of squared deviations, smallest and largest of each column of a table, in one pass.
 *
 * Blocks that fit a cache are summed in float64 around the mean so far and merged: Chan, Golub and LeVeque, "Algorithms
 * for computing the sample variance: analysis and recommendations", The American Statistician 37 (3), 1983. */
#ifndef FB_MOMENTS_H
#define FB_MOMENTS_H

#include "fb_cast.h"

/* Each (n_columns,), of `n` rows. The mean is center + offset: with a center among the numbers, which is finite and stays
 * the same, the offset keeps digits that the mean has no room for. */
typedef struct fb_moments {
    const double *center;
    double *offset, *deviations, *low, *high;
    uint64_t n;
} fb_moments;

/* Adds n_rows rows, `stride` bytes apart, of n_columns elements each. The same bits on every path. */
void fb_moments_add(fb_moments *moments, enum fb_type type, enum fb_simd level, const char *rows, int64_t stride,
                    uint64_t n_rows, size_t n_columns);

#endif
