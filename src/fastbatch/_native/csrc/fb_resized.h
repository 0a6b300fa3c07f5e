/* A column of images of which a random rectangle each, of random size and proportions, becomes as large as all others;
 * then it is mirrored, covered and laid out as by fb_image.
 *
 *   Szegedy et al., "Going deeper with convolutions", CVPR 2015: how the rectangles are drawn. */
#ifndef FB_RESIZED_H
#define FB_RESIZED_H

#include "fb_image.h"
#include "fb_resize.h"

enum { FB_RESIZED_RATIOS = 1024 };

typedef struct fb_resized_column {
    fb_image_column image; /* the window: what a rectangle becomes; its cast reads uint8, or else float32 */
    enum fb_pixel pixel;   /* elements of the source */
    enum fb_simd level;
    double least_area, most_area; /* of the rectangle, of all of the image */
    const float *ratios;          /* (FB_RESIZED_RATIOS,) of width to height, of which each is as likely; rising */
} fb_resized_column;

/* Of elements that are aligned. */
uint64_t fb_resized_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
