/* Pixels between layouts: channels of a pixel beside each other, or planes of one channel each. */
#ifndef FB_PIXELS_H
#define FB_PIXELS_H

#include "fb_base.h"
#include "fb_simd.h"

/* n pixels of `n_channels` elements each become the same number of planes, `plane` elements apart. */
typedef void (*fb_split)(const char *FB_RESTRICT pixels, size_t n, size_t n_channels, size_t plane,
                         char *FB_RESTRICT out);

typedef struct fb_pixels {
    fb_split split, join; /* join: from planes, `plane` elements apart, to pixels */
    void (*reverse)(char *elements, size_t n); /* in place */
} fb_pixels;

/* For elements of 1, 2, 4 or 8 bytes; of any other size, returns 0. */
int fb_pixels_begin(fb_pixels *pixels, size_t item_nbytes, enum fb_simd level);

/* n pixels of `nbytes` each, in place. */
void fb_reverse_pixels(char *pixels, size_t n, size_t nbytes);

#endif
