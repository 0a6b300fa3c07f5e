/* Which pixels along one axis of an image a pixel of its resampling is made of, and in what shares.
 *
 * The shares are those of a triangle around the pixel's place, which reaches one pixel of the image to each side, or one
 * of the result where that is larger. At the ends of the axis they are shared out among the pixels that there are. */
#ifndef FB_TAPS_H
#define FB_TAPS_H

#include "fb_base.h"

enum { FB_TAPS_TOGETHER = 3 }; /* taps that are added at once to the first one */

/* From the result to the image: place 0 begins at `start`, each is `scale` pixels of the image wide. */
typedef struct fb_axis {
    double start, scale, reach, fall; /* fall is 1 / reach */
    size_t n;                         /* pixels of the image, below 2^53 */
} fb_axis;

/* What of the image lies from start to end becomes n_out pixels: 0 <= start < end <= n. */
fb_axis fb_axis_of(double start, double end, size_t n_out, size_t n);

/* No place has more taps than that. */
size_t fb_max_taps(const fb_axis *axis);

/* The weights that n_taps taps take: of all but the first one, filled up to whole groups. */
FB_INLINE size_t fb_n_weights(size_t n_taps) {
    const size_t together = FB_TAPS_TOGETHER;
    if (n_taps <= 2) return 1;
    return n_taps <= 1 + together ? n_taps - 1 : (n_taps - 2) / together * together + together;
}

FB_INLINE double fb_centre_of(const fb_axis *axis, size_t place) {
    return axis->start + ((double)(int64_t)place + 0.5) * axis->scale;
}

/* How many taps a place has, from *first on: the pixels whose centres are within reach. */
FB_INLINE size_t fb_taps_of(const fb_axis *axis, size_t place, size_t *first) {
    const double centre = fb_centre_of(axis, place), n = (double)(int64_t)axis->n;
    const double begin = centre - axis->reach + 0.5, end = centre + axis->reach + 0.5;
    *first = (size_t)(int64_t)(begin > 0 ? begin : 0);
    return (size_t)(int64_t)(end < n ? end : n) - *first;
}

/* weights, (1 + fb_n_weights(n_taps),), of these taps: their sum is 1, and what is filled up is 0. */
void fb_weigh(const fb_axis *axis, size_t place, size_t first, size_t n_taps, float *weights);

#endif
