/* A column of images: each is cropped, mirrored, partly covered and laid out anew while its elements are cast.
 *
 * What is random is drawn from (key, epoch, position): whoever fills, in whatever parts, gives the same, and columns that
 * ask for the same, as images and their masks do, get the same. */
#ifndef FB_IMAGE_H
#define FB_IMAGE_H

#include "fb_cast.h"
#include "fb_column.h"
#include "fb_source.h"
#include "fb_pixels.h"

enum fb_padding { FB_PAD_ZERO, FB_PAD_REFLECT };

typedef struct fb_image_column {
    fb_column column;
    fb_source source;
    fb_cast cast; /* of the elements, as they lie in the slot */
    fb_pixels pixels;
    size_t height, width, n_channels; /* of a source */
    int is_planar, to_planar;         /* planes of one channel each, in the source and in the slot */

    /* The window that is written, in the source with `padding` pixels around it; random, or at a place. */
    size_t out_height, out_width, padding;
    enum fb_padding padding_mode;
    int is_random;
    size_t top, left;

    /* Mirrored where a random number of 64 bits is below these; all ones: always. */
    uint64_t mirrored, upside_down;
    size_t hole;           /* side of the square that is covered; 0: none */
    int pads_with_zeros;   /* whether pad_pixel is what zeros of the source are cast to */
    const char *pad_pixel; /* (n_channels,) elements as they are written */
    const char *hole_pixel;
} fb_image_column;

/* What was drawn for one image. */
typedef struct fb_view {
    size_t top, left; /* of the window, in the padded image */
    int mirrored, upside_down;
    size_t hole_top, hole_left, hole_bottom, hole_right; /* in the window */
} fb_view;

fb_view fb_draw_view(const fb_image_column *image, const fb_context *context, uint64_t position);

/* What is hidden of an image that is written. */
void fb_cover_hole(const fb_image_column *image, const fb_view *seen, char *out);

/* The most channels: a pixel has to fit the stage. */
enum { FB_MAX_CHANNELS = 1024 };

uint64_t fb_image_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
