/* A rectangle of an image resampled to another size: bilinear, with antialiasing. Each pixel of the result is the mean of
 * the pixels around its place, weighted by a triangle that reaches one pixel to each side, or one pixel of the result
 * where that is larger. Pixels beside the rectangle count too where the image has them.
 *
 * The result comes in tiles, and of each tile a few lines at a time, for the caller to write them where they belong while
 * they are in the cache. Nothing is allocated: what is needed lies in the tile, on the caller's stack. */
#ifndef FB_RESIZE_H
#define FB_RESIZE_H

#include "fb_simd.h"
#include "fb_taps.h"

enum { FB_RESIZE_LINES = 4 }; /* that come together */

/* What a tile holds at most: elements of a line of the image, or of the result; pixels of the result; weights. */
enum { FB_RESIZE_ELEMENTS = 1024, FB_RESIZE_PIXELS = 512, FB_RESIZE_WEIGHTS = 1024 };

/* How many times smaller the result may be along each axis: each of its pixels is made of at most 2 * 511 + 1. */
enum { FB_RESIZE_MAX_SHRINK = 511 };

enum fb_pixel { FB_PIXEL_U8, FB_PIXEL_F32, FB_PIXEL_F16, FB_PIXEL_BF16, FB_PIXEL_F64 };

size_t fb_pixel_nbytes(enum fb_pixel kind);

typedef struct fb_resize {
    size_t height, width, channels;  /* of the image, (height, width, channels); none is 0 */
    int64_t stride;                  /* bytes from line to line; inside a line there are no gaps */
    double left, top, right, bottom; /* the rectangle: not empty, inside the image */
    size_t out_height, out_width;    /* of the result; not 0 */
    int flip;                        /* whether it is mirrored, left to right */
    int planar;                      /* whether its lines are (channels, pixels), not (pixels, channels) */
    /* Elements of image and result. The result is float32, of whatever image: what that holds is made float32 as it is
     * read. Or uint8, rounded half up, of uint8 only. */
    enum fb_pixel source, result;
} fb_resize;

/* 39 KB. */
typedef struct fb_resize_tile {
    size_t x, n_pixels, channel, n_channels; /* the part of each line of the result */

    const fb_resize *resize;
    fb_axis across, down;
    size_t max_pixels, max_channels;
    size_t begin, n_runs, run;        /* elements of a line of the image: those of n_runs pixels, or all in one run */
    size_t end;                       /* of these elements and what of them is filled up */
    size_t n_taps;                    /* of the pixel that has most */
    uint32_t first[FB_RESIZE_PIXELS]; /* among these elements, the first tap of each pixel */
    float weights[FB_RESIZE_WEIGHTS]; /* (taps but the first, n_pixels) */
    float lines[FB_RESIZE_LINES * FB_RESIZE_ELEMENTS], columns[FB_RESIZE_ELEMENTS * FB_RESIZE_LINES];
} fb_resize_tile;

/* `resize` must outlive the tile. */
void fb_resize_begin(fb_resize_tile *tile, const fb_resize *resize);

/* Goes to the first tile, then to the next one; 0 when there is none. Together they cover the result once. */
int fb_resize_next(fb_resize_tile *tile);

/* Lines y, y + 1, ... of the tile, as many as there are up to FB_RESIZE_LINES, each right behind the one before:
 * (lines, n_pixels, n_channels), or (lines, n_channels, n_pixels) where planar. They lie in the tile until the next call.
 * `image` may be another one at each call: the planes of one take turns. It is aligned, and finite in float32 where it is float.
 *
 * The bits are the same at every level, and mirrored exactly in a mirrored result; where all pixels are equal they stay
 * what they are. */
const void *fb_resize_lines(fb_resize_tile *tile, enum fb_simd level, const void *image, size_t y);

#endif
