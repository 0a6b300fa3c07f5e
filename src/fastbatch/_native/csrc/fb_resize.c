#include "fb_resize.h"

#include <string.h>

#include "fb_half.h"

/* A mean is p0 + w1 * (p1 - p0) + w2 * (p2 - p0) + ..., which is exact where all of them are equal.
 *
 * First come the lines that are means of lines of the image, then the pixels that are means of theirs. For these the
 * elements of several lines stand together, so that vectors are full however few channels there are. */

enum { LINES = FB_RESIZE_LINES, ELEMENTS = FB_RESIZE_ELEMENTS, TOGETHER = FB_TAPS_TOGETHER };

enum { VECTOR = 16 }; /* elements of a line that are read at once */

size_t fb_pixel_nbytes(enum fb_pixel kind) {
    static const size_t nbytes[] = {1, 4, 2, 2, 8}; /* by fb_pixel */
    return nbytes[kind];
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* The size of parts that are at most `most`, and about equal. */
static size_t even_part(size_t n, size_t most) {
    const size_t n_parts = (n + most - 1) / most;
    return (n + n_parts - 1) / n_parts;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Tiles
 * ------------------------------------------------------------------------------------------------------------------ */

void fb_resize_begin(fb_resize_tile *tile, const fb_resize *resize) {
    tile->resize = resize;
    tile->across = fb_axis_of(resize->left, resize->right, resize->out_width, resize->width);
    tile->down = fb_axis_of(resize->top, resize->bottom, resize->out_height, resize->height);
    tile->x = tile->n_pixels = tile->channel = 0;
    const size_t n_taps = fb_max_taps(&tile->across);
    tile->n_channels = tile->max_channels = even_part(resize->channels, ELEMENTS / n_taps);
    const size_t room = ELEMENTS / tile->max_channels; /* pixels of the image */
    size_t most = smaller(smaller(room, FB_RESIZE_PIXELS), FB_RESIZE_WEIGHTS / fb_n_weights(n_taps));
    /* One pixel of the result fits. Of more, the first taps lie this far apart, and the last one's may be filled up. */
    const double apart = room > n_taps + 1 ? (double)(room - n_taps - 1) : 0;
    if (apart < (double)(most - 1) * tile->across.scale) most = (size_t)(apart / tile->across.scale) + 1;
    tile->max_pixels = even_part(resize->out_width, most);
}

static int has_all_channels(const fb_resize_tile *tile) { return tile->n_channels == tile->resize->channels; }

/* The elements of a line of the image that the tile looks at: those of n pixels. */
static void place_elements(fb_resize_tile *tile, size_t pixel, size_t n) {
    const size_t channels = tile->resize->channels, n_line = tile->resize->width * channels;
    tile->begin = pixel * channels + tile->channel;
    tile->n_runs = n;
    tile->run = tile->n_channels;
    if (!has_all_channels(tile)) return;
    tile->n_runs = 1;
    tile->run = n * channels;
    /* Whole vectors where the line has them, so that loops need no remainder. */
    const size_t whole = (tile->run + VECTOR - 1) / VECTOR * VECTOR;
    if (whole > n_line || whole + tile->n_taps * channels > ELEMENTS) return;
    tile->run = whole;
    tile->begin = smaller(tile->begin, n_line - whole);
}

static size_t place_of(const fb_resize_tile *tile, size_t i) {
    return tile->resize->flip ? tile->resize->out_width - 1 - (tile->x + i) : tile->x + i;
}

static void place_taps(fb_resize_tile *tile) {
    const fb_axis *axis = &tile->across;
    size_t first, begin = SIZE_MAX, end = 0;
    tile->n_taps = 1;
    for (size_t i = 0; i < tile->n_pixels; ++i) {
        const size_t n_taps = fb_taps_of(axis, place_of(tile, i), &first);
        tile->n_taps = larger(tile->n_taps, n_taps);
        begin = smaller(begin, first);
        end = larger(end, first + n_taps);
    }
    place_elements(tile, begin, end - begin);
    const size_t wanted = fb_n_weights(tile->n_taps), step = tile->n_channels;
    const size_t shift = has_all_channels(tile) ? tile->begin : begin * step;
    tile->end = tile->n_runs * tile->run;
    for (size_t i = 0; i < tile->n_pixels; ++i) {
        const size_t n_taps = fb_taps_of(axis, place_of(tile, i), &first);
        float *weights = tile->columns; /* nothing else is there yet */
        fb_weigh(axis, place_of(tile, i), first, n_taps, weights);
        for (size_t tap = 1; tap <= wanted; ++tap)
            tile->weights[(tap - 1) * tile->n_pixels + i] = tap < n_taps ? weights[tap] : 0;
        tile->first[i] = (uint32_t)(first * step - shift);
        tile->end = larger(tile->end, tile->first[i] + tile->n_taps * step);
    }
}

int fb_resize_next(fb_resize_tile *tile) {
    const fb_resize *resize = tile->resize;
    tile->x += tile->n_pixels;
    if (tile->x == resize->out_width) {
        tile->x = 0;
        tile->channel += tile->n_channels;
        if (tile->channel == resize->channels) return 0;
    }
    tile->n_channels = smaller(tile->max_channels, resize->channels - tile->channel);
    tile->n_pixels = smaller(tile->max_pixels, resize->out_width - tile->x);
    place_taps(tile);
    return 1;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Lines
 * ------------------------------------------------------------------------------------------------------------------ */

FB_INLINE float element(enum fb_pixel kind, const void *line, size_t i) {
    switch (kind) {
    case FB_PIXEL_U8: return (float)((const uint8_t *)line)[i];
    case FB_PIXEL_F16: return fb_float_of_half(((const uint16_t *)line)[i]);
    case FB_PIXEL_BF16: return fb_float_of_bfloat(((const uint16_t *)line)[i]);
    case FB_PIXEL_F64: return (float)((const double *)line)[i];
    default: return ((const float *)line)[i];
    }
}

/* Differences of bytes are exact either way; as integers they take one conversion. */
FB_INLINE float difference(enum fb_pixel kind, const void *line, const void *base, size_t i) {
    if (kind == FB_PIXEL_U8) return (float)((int)((const uint8_t *)line)[i] - (int)((const uint8_t *)base)[i]);
    return element(kind, line, i) - element(kind, base, i);
}

/* Taps first, ..., first + n - 1 of a mean of lines, and before them the one that is the base if first is 1. */
FB_INLINE void add_lines(enum fb_pixel kind, const char *base, int64_t stride, size_t n_taps, const float *weights,
                         size_t first, size_t n, size_t count, float *FB_RESTRICT out) {
    const char *lines[TOGETHER];
    float w[TOGETHER];
    for (size_t i = 0; i < n; ++i) {
        lines[i] = first + i < n_taps ? base + (int64_t)(first + i) * stride : base;
        w[i] = weights[first + i];
    }
    for (size_t i = 0; i < count; ++i) {
        float mean = first == 1 ? element(kind, base, i) : out[i];
        for (size_t tap = 0; tap < n; ++tap) mean += w[tap] * difference(kind, lines[tap], base, i);
        out[i] = mean;
    }
}

FB_INLINE void mix_lines(enum fb_pixel kind, const char *base, int64_t stride, size_t n_taps, const float *weights,
                         size_t count, float *FB_RESTRICT out) {
    switch (n_taps) {
    case 1:
    case 2: add_lines(kind, base, stride, n_taps, weights, 1, 1, count, out); break;
    case 3: add_lines(kind, base, stride, n_taps, weights, 1, 2, count, out); break;
    default: add_lines(kind, base, stride, n_taps, weights, 1, TOGETHER, count, out); break;
    }
    for (size_t first = 1 + TOGETHER; first < n_taps; first += TOGETHER)
        add_lines(kind, base, stride, n_taps, weights, first, TOGETHER, count, out);
}

/* What line y of the result is made of: still as wide as the image. */
FB_INLINE void fill_line(fb_resize_tile *tile, enum fb_pixel kind, const char *image, size_t y,
                         float *FB_RESTRICT out) {
    const fb_resize *resize = tile->resize;
    const size_t item = fb_pixel_nbytes(kind);
    float *weights = tile->columns; /* nothing else is there yet */
    size_t first;
    const size_t n_taps = fb_taps_of(&tile->down, y, &first);
    fb_weigh(&tile->down, y, first, n_taps, weights);
    const char *base = image + (int64_t)first * resize->stride + tile->begin * item;
    for (size_t i = 0; i < tile->n_runs; ++i)
        mix_lines(kind, base + i * resize->channels * item, resize->stride, n_taps, weights, tile->run,
                  out + i * tile->run);
}

/* columns, (n, LINES), of lines, (LINES, ELEMENTS). */
FB_INLINE void transpose(const float *FB_RESTRICT lines, size_t n, float *FB_RESTRICT columns) {
    for (size_t i = 0; i < n; ++i)
        for (size_t line = 0; line < LINES; ++line) columns[i * LINES + line] = lines[line * ELEMENTS + i];
}

/* One element of several lines: a vector where the compiler has them. */
#if defined(__GNUC__)
typedef float lanes __attribute__((vector_size(LINES * sizeof(float))));
FB_INLINE lanes mix(lanes mean, float weight, lanes other, lanes base) { return mean + weight * (other - base); }
#else
typedef struct lanes {
    float line[LINES];
} lanes;
FB_INLINE lanes mix(lanes mean, float weight, lanes other, lanes base) {
    for (int i = 0; i < LINES; ++i) mean.line[i] += weight * (other.line[i] - base.line[i]);
    return mean;
}
#endif

FB_INLINE lanes lanes_at(const float *columns) {
    lanes values;
    memcpy(&values, columns, sizeof values);
    return values;
}

/* As add_lines, of pixels. */
FB_INLINE void add_pixels(const fb_resize_tile *tile, size_t first, size_t n, const float *FB_RESTRICT columns,
                          float *FB_RESTRICT out) {
    const size_t n_pixels = tile->n_pixels, n_channels = tile->n_channels;
    const size_t to_pixel = LINES * (tile->resize->planar ? 1 : n_channels);
    const size_t to_channel = LINES * (tile->resize->planar ? n_pixels : 1);
    const float *weights = tile->weights + (first - 1) * n_pixels;
    size_t away[TOGETHER];
    for (size_t tap = 0; tap < n; ++tap)
        away[tap] = first + tap < tile->n_taps ? (first + tap) * n_channels * LINES : 0;
    for (size_t channel = 0; channel < n_channels; ++channel) {
        float *at = out + channel * to_channel;
        for (size_t x = 0; x < n_pixels; ++x, at += to_pixel) {
            const float *taps = columns + (tile->first[x] + channel) * LINES;
            const lanes base = lanes_at(taps);
            lanes mean = first == 1 ? base : lanes_at(at);
            for (size_t tap = 0; tap < n; ++tap)
                mean = mix(mean, weights[tap * n_pixels + x], lanes_at(taps + away[tap]), base);
            memcpy(at, &mean, sizeof mean);
        }
    }
}

FB_INLINE void mix_pixels(const fb_resize_tile *tile, const float *columns, float *out) {
    switch (tile->n_taps) {
    case 1:
    case 2: add_pixels(tile, 1, 1, columns, out); break;
    case 3: add_pixels(tile, 1, 2, columns, out); break;
    default: add_pixels(tile, 1, TOGETHER, columns, out); break;
    }
    for (size_t first = 1 + TOGETHER; first < tile->n_taps; first += TOGETHER)
        add_pixels(tile, first, TOGETHER, columns, out);
}

FB_INLINE void round_all(const float *FB_RESTRICT means, size_t n, uint8_t *FB_RESTRICT out) {
    for (size_t i = 0; i < n; ++i) out[i] = (uint8_t)(int)(means[i] + 0.5f);
}

/* The lines, one behind the other. */
#define DEFINE_SEPARATE(name, type)                                                                    \
    FB_INLINE void name(const type *FB_RESTRICT columns, size_t n, type *FB_RESTRICT out) {            \
        for (size_t i = 0; i < n; ++i)                                                                 \
            for (size_t line = 0; line < LINES; ++line) out[line * n + i] = columns[i * LINES + line]; \
    }
DEFINE_SEPARATE(separate_u8, uint8_t)
DEFINE_SEPARATE(separate_f32, float)

FB_INLINE const void *fill_lines(fb_resize_tile *tile, const char *image, size_t y) {
    const fb_resize *resize = tile->resize;
    const size_t n = tile->n_runs * tile->run, n_out = tile->n_pixels * tile->n_channels;
    float *lines = tile->lines, *columns = tile->columns;
    for (size_t line = 0; line < LINES; ++line) {
        const size_t place = smaller(y + line, resize->out_height - 1);
        float *out = lines + line * ELEMENTS;
        switch (resize->source) { /* a loop of each, by a constant */
        case FB_PIXEL_U8: fill_line(tile, FB_PIXEL_U8, image, place, out); break;
        case FB_PIXEL_F16: fill_line(tile, FB_PIXEL_F16, image, place, out); break;
        case FB_PIXEL_BF16: fill_line(tile, FB_PIXEL_BF16, image, place, out); break;
        case FB_PIXEL_F64: fill_line(tile, FB_PIXEL_F64, image, place, out); break;
        default: fill_line(tile, FB_PIXEL_F32, image, place, out);
        }
    }
    transpose(lines, n, columns);
    for (size_t i = n * LINES; i < tile->end * LINES; ++i) columns[i] = 0;
    mix_pixels(tile, columns, lines);
    if (resize->result == FB_PIXEL_F32) {
        separate_f32(lines, n_out, columns);
        return columns;
    }
    round_all(lines, n_out * LINES, (uint8_t *)columns);
    separate_u8((const uint8_t *)columns, n_out, (uint8_t *)lines);
    return lines;
}

#define DEFINE_LINES(name, target)                                                          \
    target static const void *name(fb_resize_tile *tile, const char *image, size_t y) {     \
        return fill_lines(tile, image, y);                                                  \
    }
DEFINE_LINES(lines_baseline, )
DEFINE_LINES(lines_avx2, FB_TARGET_AVX2)
DEFINE_LINES(lines_avx512, FB_TARGET_AVX512)

const void *fb_resize_lines(fb_resize_tile *tile, enum fb_simd level, const void *image, size_t y) {
    static const void *(*const lines[FB_SIMD_LEVELS])(fb_resize_tile *, const char *, size_t) = {
        lines_baseline, lines_avx2, lines_avx512};
    return lines[level](tile, (const char *)image, y);
}
