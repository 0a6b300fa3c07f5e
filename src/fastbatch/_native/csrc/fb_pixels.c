#include "fb_pixels.h"


typedef uint8_t bytes;
typedef FB_UNALIGNED(uint16_t) pairs;
typedef FB_UNALIGNED(uint32_t) fours;
typedef FB_UNALIGNED(uint64_t) eights;

/* Pixels that are moved together; the last ones once more with some before them, because single ones cost most. */
enum { BLOCK = 16 };

/* Constant numbers of channels, and of pixels, become shuffles. Elements may lie at any address. */
#define SPLIT(first, count, channels)                                                                         \
    for (size_t i = (first); i < (first) + (count); ++i)                                                      \
        for (size_t c = 0; c < (channels); ++c) to[c * plane + i] = from[i * (channels) + c];
#define JOIN(first, count, channels)                                                                          \
    for (size_t i = (first); i < (first) + (count); ++i)                                                      \
        for (size_t c = 0; c < (channels); ++c) to[i * (channels) + c] = from[c * plane + i];
#define IN_BLOCKS(MOVE, channels)                                                                             \
    if (n < BLOCK) {                                                                                          \
        MOVE(0, n, channels)                                                                                  \
    } else {                                                                                                  \
        for (size_t at = 0; at + BLOCK <= n; at += BLOCK) {                                                   \
            MOVE(at, BLOCK, channels)                                                                         \
        }                                                                                                     \
        if (n % BLOCK > 0) {                                                                                  \
            MOVE(n - BLOCK, BLOCK, channels)                                                                  \
        }                                                                                                     \
    }

#define DEFINE_LEVEL_OF(type, level, target)                                                                  \
    target static void split_##type##_##level(const char *FB_RESTRICT pixels, size_t n, size_t n_channels,    \
                                              size_t plane, char *FB_RESTRICT out) {                          \
        const type *FB_RESTRICT from = (const type *)(const void *)pixels;                                    \
        type *FB_RESTRICT to = (type *)(void *)out;                                                           \
        if (n_channels == 3) {                                                                                \
            IN_BLOCKS(SPLIT, 3)                                                                               \
        } else if (n_channels == 4) {                                                                         \
            IN_BLOCKS(SPLIT, 4)                                                                               \
        } else {                                                                                              \
            SPLIT(0, n, n_channels)                                                                           \
        }                                                                                                     \
    }                                                                                                         \
    target static void join_##type##_##level(const char *FB_RESTRICT pixels, size_t n, size_t n_channels,     \
                                             size_t plane, char *FB_RESTRICT out) {                           \
        const type *FB_RESTRICT from = (const type *)(const void *)pixels;                                    \
        type *FB_RESTRICT to = (type *)(void *)out;                                                           \
        if (n_channels == 3) {                                                                                \
            IN_BLOCKS(JOIN, 3)                                                                                \
        } else {                                                                                              \
            JOIN(0, n, n_channels)                                                                            \
        }                                                                                                     \
    }                                                                                                         \
    target static void reverse_##type##_##level(char *elements, size_t n) {                                   \
        type *in = (type *)(void *)elements;                                                                  \
        for (size_t i = 0; i < n / 2; ++i) {                                                                  \
            const type low = in[i];                                                                           \
            in[i] = in[n - 1 - i];                                                                            \
            in[n - 1 - i] = low;                                                                              \
        }                                                                                                     \
    }

#define DEFINE_LEVEL(level, target)                                                                           \
    DEFINE_LEVEL_OF(bytes, level, target)                                                                     \
    DEFINE_LEVEL_OF(pairs, level, target)                                                                     \
    DEFINE_LEVEL_OF(fours, level, target)                                                                     \
    DEFINE_LEVEL_OF(eights, level, target)
DEFINE_LEVEL(baseline, FB_TARGET_BASELINE)
DEFINE_LEVEL(avx2, FB_TARGET_AVX2)
DEFINE_LEVEL(avx512, FB_TARGET_AVX512)

#define PIXELS(type, level) {split_##type##_##level, join_##type##_##level, reverse_##type##_##level}
#define LEVELS(type) {PIXELS(type, baseline), PIXELS(type, avx2), PIXELS(type, avx512)}

static const fb_pixels by_size[4][FB_SIMD_LEVELS] = {LEVELS(bytes), LEVELS(pairs), LEVELS(fours),
                                                     LEVELS(eights)};

int fb_pixels_begin(fb_pixels *pixels, size_t item_nbytes, enum fb_simd level) {
    switch (item_nbytes) {
    case 1: *pixels = by_size[0][level]; return 1;
    case 2: *pixels = by_size[1][level]; return 1;
    case 4: *pixels = by_size[2][level]; return 1;
    case 8: *pixels = by_size[3][level]; return 1;
    default: return 0;
    }
}

FB_INLINE void reverse_of(char *pixels, size_t n, size_t nbytes) {
    for (size_t i = 0; i < n / 2; ++i) {
        char *low = pixels + i * nbytes, *high = pixels + (n - 1 - i) * nbytes;
        for (size_t k = 0; k < nbytes; ++k) {
            const char swapped = low[k];
            low[k] = high[k];
            high[k] = swapped;
        }
    }
}

void fb_reverse_pixels(char *pixels, size_t n, size_t nbytes) {
    switch (nbytes) { /* a constant size makes each swap a few moves */
    case 3: reverse_of(pixels, n, 3); break;
    case 6: reverse_of(pixels, n, 6); break;
    case 12: reverse_of(pixels, n, 12); break;
    default: reverse_of(pixels, n, nbytes);
    }
}
