#include "fb_image.h"

#include <string.h>

#include "fb_random.h"
#include "fb_walk.h"

/* Where pixels lie as the slot wants them, and are cast from while they are in the L1. */
enum { STAGE_NBYTES = 12 * 1024 };

/* Uniform in [0, n), but for a bias of n / 2^64; *word keeps what is left of its randomness. */
FB_INLINE size_t below(size_t n, uint64_t *word) { return (size_t)fb_multiply(n, *word, word); }

fb_view fb_draw_view(const fb_image_column *image, const fb_context *context, uint64_t position) {
    const fb_key key = {{context->key[0], context->key[1]}};
    fb_seed words = fb_derive(key, context->epoch, FB_STREAM_IMAGE, position, 0);
    fb_view drawn = {image->top, image->left, 0, 0, 0, 0, 0, 0};
    if (image->is_random) {
        drawn.top = below(image->height + 2 * image->padding - image->out_height + 1, &words.word[0]);
        drawn.left = below(image->width + 2 * image->padding - image->out_width + 1, &words.word[0]);
    }
    drawn.mirrored = words.word[1] < image->mirrored || image->mirrored == UINT64_MAX;
    drawn.upside_down = words.word[2] < image->upside_down || image->upside_down == UINT64_MAX;
    if (image->hole > 0) {
        /* Its middle is any pixel; what lies outside is cut off. */
        const size_t half = image->hole / 2;
        const size_t y = below(image->out_height, &words.word[3]), x = below(image->out_width, &words.word[3]);
        const size_t bottom = y + image->hole - half, right = x + image->hole - half;
        drawn.hole_top = y > half ? y - half : 0;
        drawn.hole_left = x > half ? x - half : 0;
        drawn.hole_bottom = bottom < image->out_height ? bottom : image->out_height;
        drawn.hole_right = right < image->out_width ? right : image->out_width;
    }
    return drawn;
}

/* Where the source has what lies at `place` of the padded image, along an axis of n; n: nowhere. */
FB_INLINE size_t source_of(size_t place, size_t padding, size_t n, enum fb_padding mode) {
    if (place >= padding && place - padding < n) return place - padding;
    if (mode == FB_PAD_ZERO) return n;
    if (place < padding) return padding - place;
    return 2 * (n - 1) - (place - padding);
}

/* The address of a source's pixel, in its first channel. */
FB_INLINE const char *pixel_at(const fb_image_column *image, const char *source, size_t y, size_t x) {
    const size_t step = image->is_planar ? 1 : image->n_channels;
    return source + (y * image->width + x) * step * image->cast.from_nbytes;
}

/* n pixels of a line of the source to pixel `at` of a stage whose planes are `plane` pixels apart. */
static void stage_pixels(const fb_image_column *image, const char *line, size_t n, char *stage, size_t plane, size_t at) {
    const size_t n_channels = image->n_channels, nbytes = image->cast.from_nbytes;
    const size_t source_plane = image->height * image->width;
    if (n_channels == 1 || (!image->is_planar && !image->to_planar))
        memcpy(stage + at * n_channels * nbytes, line, n * n_channels * nbytes);
    else if (!image->is_planar)
        image->pixels.split(line, n, n_channels, plane, stage + at * nbytes);
    else if (!image->to_planar)
        image->pixels.join(line, n, n_channels, source_plane, stage + at * n_channels * nbytes);
    else
        for (size_t c = 0; c < n_channels; ++c)
            memcpy(stage + (c * plane + at) * nbytes, line + c * source_plane * nbytes, n * nbytes);
}

/* Pixels [first, end) of line y of the window, as they are seen before they are mirrored. Those that the source does not
 * have are left as they are. */
static void stage_line(const fb_image_column *image, const fb_view *seen, const char *source, size_t y, size_t first,
                       size_t end, char *stage, size_t plane, size_t at) {
    const size_t line = seen->top + (seen->upside_down ? image->out_height - 1 - y : y);
    const size_t source_y = source_of(line, image->padding, image->height, image->padding_mode);
    if (source_y == image->height) return;
    for (size_t x = first, n; x < end; x += n) {
        const size_t place = seen->left + x;
        const size_t source_x = source_of(place, image->padding, image->width, image->padding_mode);
        const int is_inside = source_x < image->width && source_x + image->padding == place;
        const size_t there = is_inside ? image->width - source_x : 1; /* one by one where it is reflected */
        n = there < end - x ? there : end - x;
        if (source_x < image->width)
            stage_pixels(image, pixel_at(image, source, source_y, source_x), n, stage, plane, at + x - first);
    }
}

/* Pixels [first, end) of each line of a window that the source has, from its pixel `from` on. */
typedef struct span {
    size_t first, end, from;
} span;

/* How far into a window of n pixels, that begins at `first`, what ends at `end` reaches. */
FB_INLINE size_t reached(size_t end, size_t first, size_t n) {
    if (end <= first) return 0;
    return end - first < n ? end - first : n;
}

FB_INLINE span span_of(const fb_image_column *image, const fb_view *seen) {
    const size_t padding = image->padding, width = image->out_width;
    const span found = {reached(padding, seen->left, width), reached(padding + image->width, seen->left, width),
                        seen->left > padding ? seen->left - padding : 0};
    return found;
}

/* The same as stage_line of whole lines, where nothing is reflected. */
FB_INLINE void stage_span(const fb_image_column *image, const fb_view *seen, const span *has, const char *source, size_t y,
                          char *stage, size_t plane, size_t at) {
    const size_t line = seen->top + (seen->upside_down ? image->out_height - 1 - y : y);
    if (line >= image->padding && line - image->padding < image->height && has->first < has->end)
        stage_pixels(image, pixel_at(image, source, line - image->padding, has->from), has->end - has->first, stage, plane,
                     at + has->first);
}

/* All that is staged: lines from the last to the first, and each of them. */
static void reverse_stage(const fb_image_column *image, char *stage, size_t plane, size_t n) {
    const size_t nbytes = image->cast.from_nbytes, n_channels = image->n_channels;
    if (!image->to_planar && n_channels > 1)
        fb_reverse_pixels(stage, n, n_channels * nbytes);
    else
        for (size_t c = 0; c < n_channels; ++c) image->pixels.reverse(stage + c * plane * nbytes, n);
}

/* The same element, or pixel, n times. */
FB_INLINE void repeat(char *FB_RESTRICT out, const char *FB_RESTRICT repeated, size_t n, size_t nbytes) {
    for (size_t i = 0; i < n; ++i) memcpy(out + i * nbytes, repeated, nbytes);
}

static void fill_with(char *out, const char *repeated, size_t n, size_t nbytes) {
    switch (nbytes) { /* a constant size makes each copy a move */
    case 1: repeat(out, repeated, n, 1); break;
    case 2: repeat(out, repeated, n, 2); break;
    case 4: repeat(out, repeated, n, 4); break;
    case 8: repeat(out, repeated, n, 8); break;
    case 12: repeat(out, repeated, n, 12); break;
    default: repeat(out, repeated, n, nbytes);
    }
}

/* A rectangle of the slot's image gets the same pixel everywhere. */
static void cover(const fb_image_column *image, char *out, size_t top, size_t bottom, size_t left, size_t right,
                  const char *pixel) {
    const size_t n_channels = image->n_channels, nbytes = image->cast.to_nbytes, width = image->out_width;
    const size_t n_planes = image->to_planar ? n_channels : 1, per_pixel = image->to_planar ? nbytes : n_channels * nbytes;
    const int is_whole = left == 0 && right == width; /* lines that follow each other are one */
    const size_t n_lines = is_whole && bottom > top ? bottom - top : 1;
    if (left >= right) return;
    for (size_t plane = 0; plane < n_planes; ++plane)
        for (size_t y = top; y < bottom; y += n_lines)
            fill_with(out + ((plane * image->out_height + y) * width + left) * per_pixel, pixel + plane * per_pixel,
                      n_lines * (right - left), per_pixel);
}

/* What the padding shows of itself: up to four rectangles around the source. */
static void cover_padding(const fb_image_column *image, const fb_view *seen, char *out) {
    const size_t height = image->out_height, width = image->out_width, padding = image->padding;
    size_t top = reached(padding, seen->top, height), bottom = reached(padding + image->height, seen->top, height);
    size_t left = reached(padding, seen->left, width), right = reached(padding + image->width, seen->left, width);
    if (seen->upside_down) {
        const size_t above = height - bottom;
        bottom = height - top;
        top = above;
    }
    if (seen->mirrored) {
        const size_t before = width - right;
        right = width - left;
        left = before;
    }
    cover(image, out, 0, top, 0, width, image->pad_pixel);
    cover(image, out, bottom, height, 0, width, image->pad_pixel);
    cover(image, out, top, bottom, 0, left, image->pad_pixel);
    cover(image, out, top, bottom, right, width, image->pad_pixel);
}

static void cast_stage(const fb_image_column *image, const char *stage, size_t plane, size_t first, size_t n, char *out) {
    const fb_cast *cast = &image->cast;
    if (!image->to_planar) {
        const size_t at = first * image->n_channels;
        fb_cast_elements(cast, stage, at, n * image->n_channels, out + at * cast->to_nbytes);
        return;
    }
    for (size_t c = 0; c < image->n_channels; ++c) {
        const size_t at = c * image->out_height * image->out_width + first;
        fb_cast_elements(cast, stage + c * plane * cast->from_nbytes, at, n, out + at * cast->to_nbytes);
    }
}

/* By way of a stage that holds some lines, or part of one. */
static void write_staged(const fb_image_column *image, const fb_view *seen, const char *source, char *staged, char *out) {
    const size_t width = image->out_width, pixel_nbytes = image->n_channels * image->cast.from_nbytes;
    const size_t fitting = STAGE_NBYTES / pixel_nbytes, n_lines = fitting / width;
    if (n_lines == 0) {
        for (size_t y = 0; y < image->out_height; ++y)
            for (size_t x = 0; x < width; x += fitting) {
                const size_t n = width - x < fitting ? width - x : fitting;
                if (image->pads_with_zeros) memset(staged, 0, n * pixel_nbytes);
                const size_t first = seen->mirrored ? width - x - n : x;
                stage_line(image, seen, source, y, first, first + n, staged, n, 0);
                if (seen->mirrored) reverse_stage(image, staged, n, n);
                cast_stage(image, staged, n, y * width + x, n, out);
            }
        return;
    }
    const int reflects = image->padding > 0 && image->padding_mode == FB_PAD_REFLECT;
    const span has = span_of(image, seen);
    for (size_t y = 0; y < image->out_height; y += n_lines) {
        const size_t n = image->out_height - y < n_lines ? image->out_height - y : n_lines;
        if (image->pads_with_zeros) memset(staged, 0, n * width * pixel_nbytes);
        for (size_t i = 0; i < n; ++i) {
            const size_t line = seen->mirrored ? n - 1 - i : i; /* what is reversed is staged the other way round */
            if (reflects)
                stage_line(image, seen, source, y + i, 0, width, staged, n * width, line * width);
            else
                stage_span(image, seen, &has, source, y + i, staged, n * width, line * width);
        }
        if (seen->mirrored) reverse_stage(image, staged, n * width, n * width);
        cast_stage(image, staged, n * width, y * width, n * width, out);
    }
}

/* Lines that lie in the slot as they lie in the source: nothing is to be staged. */
static void write_lines(const fb_image_column *image, const fb_view *seen, const char *source, char *out) {
    const size_t n_planes = image->is_planar ? image->n_channels : 1;
    const size_t per_pixel = image->is_planar ? 1 : image->n_channels;
    const size_t n_lines = image->out_width == image->width && !seen->upside_down ? image->out_height : 1;
    for (size_t plane = 0; plane < n_planes; ++plane)
        for (size_t y = 0; y < image->out_height; y += n_lines) {
            const size_t line = seen->top + (seen->upside_down ? image->out_height - 1 - y : y);
            const char *from = pixel_at(image, source, plane * image->height + line, seen->left);
            const size_t at = (plane * image->out_height + y) * image->out_width * per_pixel;
            fb_cast_elements(&image->cast, from, at, n_lines * image->out_width * per_pixel,
                             out + at * image->cast.to_nbytes);
        }
}

void fb_cover_hole(const fb_image_column *image, const fb_view *seen, char *out) {
    if (image->hole > 0)
        cover(image, out, seen->hole_top, seen->hole_bottom, seen->hole_left, seen->hole_right, image->hole_pixel);
}

uint64_t fb_image_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_image_column *image = (const fb_image_column *)column;
    fb_walk walk = fb_walk_begin(&image->source, rows);
    double stage[STAGE_NBYTES / sizeof(double)];
    memset(stage, 0, sizeof stage); /* what a source does not have is cast, too, unless it is of zeros covered then */
    const int is_alike = image->is_planar == image->to_planar || image->n_channels == 1;
    for (size_t i = 0; i < rows->n; ++i) {
        const char *source = fb_walk_next(&walk, i);
        char *out = (char *)slot + i * column->row_nbytes;
        const fb_view seen = fb_draw_view(image, context, context->position + i);
        if (is_alike && !seen.mirrored && image->padding == 0)
            write_lines(image, &seen, source, out);
        else
            write_staged(image, &seen, source, (char *)stage, out);
        if (image->padding > 0 && image->padding_mode == FB_PAD_ZERO && !image->pads_with_zeros)
            cover_padding(image, &seen, out);
        fb_cover_hole(image, &seen, out);
    }
    return 0;
}
