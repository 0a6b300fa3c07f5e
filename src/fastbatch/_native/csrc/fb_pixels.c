#include "fb_pixels.h"

#include <string.h>

/* Elements come from rows of any alignment, and go to buffers of our own. */
#define DEFINE_LOAD(type)                                                  \
    FB_INLINE type load_##type(const char *from, size_t i) {               \
        type loaded;                                                       \
        memcpy(&loaded, from + i * sizeof loaded, sizeof loaded);          \
        return loaded;                                                     \
    }                                                                      \
    FB_INLINE void store_##type(char *to, size_t i, type stored) {         \
        memcpy(to + i * sizeof stored, &stored, sizeof stored);            \
    }
DEFINE_LOAD(uint8_t)
DEFINE_LOAD(uint16_t)
DEFINE_LOAD(uint32_t)
DEFINE_LOAD(uint64_t)

/* Constant numbers of channels become shuffles. */
#define SPLIT(type, channels)                                                              \
    for (size_t i = 0; i < n; ++i)                                                         \
        for (size_t c = 0; c < (channels); ++c)                                            \
            store_##type(out, c * plane + i, load_##type(pixels, i * (channels) + c));
#define JOIN(type, channels)                                                               \
    for (size_t i = 0; i < n; ++i)                                                         \
        for (size_t c = 0; c < (channels); ++c)                                            \
            store_##type(out, i * (channels) + c, load_##type(pixels, c * plane + i));

#define DEFINE_LEVEL_OF(type, level, target)                                                                    \
    target static void split_##type##_##level(const char *FB_RESTRICT pixels, size_t n, size_t n_channels,      \
                                              size_t plane, char *FB_RESTRICT out) {                            \
        if (n_channels == 3) {                                                                                  \
            SPLIT(type, 3)                                                                                      \
        } else if (n_channels == 4) {                                                                           \
            SPLIT(type, 4)                                                                                      \
        } else {                                                                                                \
            SPLIT(type, n_channels)                                                                             \
        }                                                                                                       \
    }                                                                                                           \
    target static void join_##type##_##level(const char *FB_RESTRICT pixels, size_t n, size_t n_channels,       \
                                             size_t plane, char *FB_RESTRICT out) {                             \
        if (n_channels == 3) {                                                                                  \
            JOIN(type, 3)                                                                                       \
        } else {                                                                                                \
            JOIN(type, n_channels)                                                                              \
        }                                                                                                       \
    }                                                                                                           \
    target static void reverse_##type##_##level(char *elements, size_t n) {                                     \
        for (size_t i = 0; i < n / 2; ++i) {                                                                    \
            const type low = load_##type(elements, i), high = load_##type(elements, n - 1 - i);                 \
            store_##type(elements, i, high);                                                                    \
            store_##type(elements, n - 1 - i, low);                                                             \
        }                                                                                                       \
    }

#define DEFINE_LEVEL(level, target)           \
    DEFINE_LEVEL_OF(uint8_t, level, target)   \
    DEFINE_LEVEL_OF(uint16_t, level, target)  \
    DEFINE_LEVEL_OF(uint32_t, level, target)  \
    DEFINE_LEVEL_OF(uint64_t, level, target)
DEFINE_LEVEL(baseline, FB_TARGET_BASELINE)
DEFINE_LEVEL(avx2, FB_TARGET_AVX2)
DEFINE_LEVEL(avx512, FB_TARGET_AVX512)

#define PIXELS(type, level) {split_##type##_##level, join_##type##_##level, reverse_##type##_##level}
#define LEVELS(type) {PIXELS(type, baseline), PIXELS(type, avx2), PIXELS(type, avx512)}

static const fb_pixels by_size[4][FB_SIMD_LEVELS] = {LEVELS(uint8_t), LEVELS(uint16_t), LEVELS(uint32_t),
                                                     LEVELS(uint64_t)};

int fb_pixels_begin(fb_pixels *pixels, size_t item_nbytes, enum fb_simd level) {
    switch (item_nbytes) {
    case 1: *pixels = by_size[0][level]; return 1;
    case 2: *pixels = by_size[1][level]; return 1;
    case 4: *pixels = by_size[2][level]; return 1;
    case 8: *pixels = by_size[3][level]; return 1;
    default: return 0;
    }
}

FB_INLINE void reverse_of(const char *FB_RESTRICT pixels, size_t n, size_t nbytes, char *FB_RESTRICT out) {
    for (size_t i = 0; i < n; ++i) memcpy(out + i * nbytes, pixels + (n - 1 - i) * nbytes, nbytes);
}

void fb_reverse_pixels(const char *FB_RESTRICT pixels, size_t n, size_t nbytes, char *FB_RESTRICT out) {
    switch (nbytes) { /* a constant size makes each copy a move or two */
    case 1: reverse_of(pixels, n, 1, out); break;
    case 3: reverse_of(pixels, n, 3, out); break;
    case 4: reverse_of(pixels, n, 4, out); break;
    case 12: reverse_of(pixels, n, 12, out); break;
    default: reverse_of(pixels, n, nbytes, out);
    }
}
