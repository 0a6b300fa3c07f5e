#include "fb_resized.h"

#include <math.h>

#include "fb_random.h"
#include "fb_walk.h"

/* Rectangles that are drawn before the largest one in the middle is taken. */
enum { ATTEMPTS = 10 };

typedef struct rectangle {
    size_t top, left, height, width;
} rectangle;

/* Half up. */
FB_INLINE size_t rounded(double x) { return (size_t)(x + 0.5); }

FB_INLINE size_t below(size_t n, uint64_t word) {
    uint64_t low;
    return (size_t)fb_multiply(n, word, &low);
}

/* The largest in the middle whose proportions are allowed. */
static rectangle in_the_middle(const fb_resized_column *resized) {
    const double height = (double)resized->image.height, width = (double)resized->image.width;
    const double least = (double)resized->ratios[0], most = (double)resized->ratios[FB_RESIZED_RATIOS - 1];
    rectangle drawn = {0, 0, resized->image.height, resized->image.width};
    if (width < height * least) drawn.height = rounded(width / least);
    if (width > height * most) drawn.width = rounded(height * most);
    if (drawn.height == 0) drawn.height = 1;
    if (drawn.width == 0) drawn.width = 1;
    drawn.top = (resized->image.height - drawn.height) / 2;
    drawn.left = (resized->image.width - drawn.width) / 2;
    return drawn;
}

static rectangle draw_rectangle(const fb_resized_column *resized, const fb_context *context, uint64_t position) {
    const size_t height = resized->image.height, width = resized->image.width;
    const fb_key key = {{context->key[0], context->key[1]}};
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(key, context->epoch, FB_STREAM_IMAGE, position, 1));
    for (int attempt = 0; attempt < ATTEMPTS; ++attempt) {
        const double share = (double)(fb_next(&rng) >> 11) * 0x1p-53;
        const double ratio = (double)resized->ratios[fb_next(&rng) % FB_RESIZED_RATIOS];
        const double area =
            (double)height * (double)width * (resized->least_area + share * (resized->most_area - resized->least_area));
        rectangle drawn = {0, 0, rounded(sqrt(area / ratio)), rounded(sqrt(area * ratio))};
        if (drawn.height == 0 || drawn.width == 0 || drawn.height > height || drawn.width > width) continue;
        drawn.top = below(height - drawn.height + 1, fb_next(&rng));
        drawn.left = below(width - drawn.width + 1, fb_next(&rng));
        return drawn;
    }
    return in_the_middle(resized);
}

/* Lines of a tile, to where they belong in the slot. */
static void write_lines(const fb_resized_column *resized, const fb_view *seen, const fb_resize_tile *tile, size_t plane,
                        size_t y, const char *lines, char *out) {
    const fb_image_column *image = &resized->image;
    const fb_cast *cast = &image->cast;
    const size_t height = image->out_height, width = image->out_width;
    const size_t n_lines = height - y < FB_RESIZE_LINES ? height - y : FB_RESIZE_LINES;
    for (size_t line = y; line < y + n_lines; ++line) {
        const size_t to_line = seen->upside_down ? height - 1 - line : line;
        if (image->to_planar) {
            for (size_t c = 0; c < tile->n_channels; ++c) {
                const size_t at = ((plane + tile->channel + c) * height + to_line) * width + tile->x;
                fb_cast_elements(cast, lines, at, tile->n_pixels, out + at * cast->to_nbytes);
                lines += tile->n_pixels * cast->from_nbytes;
            }
        } else {
            const int is_whole = tile->n_channels == image->n_channels;
            const size_t n_runs = is_whole ? 1 : tile->n_pixels;
            const size_t run = is_whole ? tile->n_pixels * tile->n_channels : tile->n_channels;
            for (size_t i = 0; i < n_runs; ++i) {
                const size_t at = (to_line * width + tile->x + i) * image->n_channels + plane + tile->channel;
                fb_cast_elements(cast, lines, at, run, out + at * cast->to_nbytes);
                lines += run * cast->from_nbytes;
            }
        }
    }
}

static void write_image(const fb_resized_column *resized, const fb_view *seen, const rectangle *from, const char *source,
                        char *out) {
    const fb_image_column *image = &resized->image;
    const size_t nbytes = fb_pixel_nbytes(resized->pixel);
    const size_t step = image->is_planar ? nbytes : image->n_channels * nbytes, line = image->width * step;
    fb_resize resize;
    /* The rectangle is cut out first: nothing beside it counts. */
    resize.height = from->height;
    resize.width = from->width;
    resize.channels = image->is_planar ? 1 : image->n_channels;
    resize.stride = (int64_t)line;
    resize.left = resize.top = 0;
    resize.right = (double)from->width;
    resize.bottom = (double)from->height;
    resize.out_height = image->out_height;
    resize.out_width = image->out_width;
    resize.flip = seen->mirrored;
    resize.planar = image->to_planar;
    resize.source = resized->pixel;
    resize.result = resized->pixel == FB_PIXEL_U8 ? FB_PIXEL_U8 : FB_PIXEL_F32;
    const char *corner = source + from->top * line + from->left * step;
    const size_t n_planes = image->is_planar ? image->n_channels : 1;
    fb_resize_tile tile;
    fb_resize_begin(&tile, &resize);
    while (fb_resize_next(&tile))
        for (size_t y = 0; y < image->out_height; y += FB_RESIZE_LINES)
            for (size_t plane = 0; plane < n_planes; ++plane) {
                const char *of_plane = corner + plane * image->height * line;
                const char *lines = (const char *)fb_resize_lines(&tile, resized->level, of_plane, y);
                write_lines(resized, seen, &tile, plane, y, lines, out);
            }
}

uint64_t fb_resized_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_resized_column *resized = (const fb_resized_column *)column;
    fb_walk walk = fb_walk_begin(&resized->image.source, rows);
    for (size_t i = 0; i < rows->n; ++i) {
        const char *source = fb_walk_next(&walk, i);
        char *out = (char *)slot + i * column->row_nbytes;
        const fb_view seen = fb_draw_view(&resized->image, context, context->position + i);
        const rectangle from = draw_rectangle(resized, context, context->position + i);
        write_image(resized, &seen, &from, source, out);
        fb_cover_hole(&resized->image, &seen, out);
    }
    return 0;
}
