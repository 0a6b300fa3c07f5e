#include "fb_moments.h"

#include <math.h>
#include <string.h>

#include "fb_half.h"

/* Columns whose sums are in registers; bytes, and rows, that are summed before they are merged: a L2 has room for them,
 * and for the next ones, which come meanwhile. */
enum { TILE = 32, BLOCK_NBYTES = 256 * 1024, BLOCK_MIN_ROWS = 16, BLOCK_MAX_ROWS = 1024 };

/* What is added up of one tile, around `center`. */
typedef struct sums {
    double center[TILE], sum[TILE], squares[TILE], low[TILE], high[TILE];
} sums;

/* While it adds rows up, those `ahead` bytes further on are sent for, if there are any. */
typedef void (*add_function)(const char *rows, int64_t stride, uint64_t n_rows, size_t n_columns, uintptr_t ahead,
                             sums *added);

#define DEFINE_LOAD(type, element)                                \
    FB_INLINE element load_##type(const char *from, size_t i) {   \
        element loaded;                                           \
        memcpy(&loaded, from + i * sizeof loaded, sizeof loaded); \
        return loaded;                                            \
    }                                                             \
    enum { NBYTES_##type = sizeof(element) };
DEFINE_LOAD(u8, uint8_t)
DEFINE_LOAD(i8, int8_t)
DEFINE_LOAD(i16, int16_t)
DEFINE_LOAD(u16, uint16_t)
DEFINE_LOAD(i32, int32_t)
DEFINE_LOAD(f32, float)
DEFINE_LOAD(f64, double)
enum { NBYTES_f16 = 2, NBYTES_bf16 = 2 };
FB_INLINE float load_f16(const char *from, size_t i) { return fb_float_of_half(load_u16(from, i)); }
FB_INLINE float load_bf16(const char *from, size_t i) { return fb_float_of_bfloat(load_u16(from, i)); }

/* Two ways to the same bits. AVX-512 can have the second, which leaves more room where additions are done: these are
 * what there is most of. */
#define MINUS(x, center) ((x) - (center))
#define MINUS_FUSED(x, center) fma((x), 1.0, -(center))

/* There may be no array that both are in. */
#define FETCH(from, ahead) FB_PREFETCH_L2((const char *)((uintptr_t)(from) + (ahead)))

/* A whole tile has a constant number of columns, and its sums stay in registers. `number` holds elements exactly. */
#define ADD(type, number, count, LESS)                                                                  \
    number low[TILE], high[TILE];                                                                       \
    double sum[TILE], squares[TILE];                                                                    \
    for (size_t k = 0; k < (count); ++k) {                                                              \
        low[k] = (number)added->low[k];                                                                 \
        high[k] = (number)added->high[k];                                                               \
        sum[k] = squares[k] = 0;                                                                        \
    }                                                                                                   \
    for (uint64_t row = 0; row < n_rows; ++row) {                                                       \
        const char *from = rows + (int64_t)row * stride;                                                \
        for (size_t at = 0; at < (count) * NBYTES_##type; at += FB_CACHE_LINE) FETCH(from, ahead + at); \
        for (size_t k = 0; k < (count); ++k) {                                                          \
            const number x = (number)load_##type(from, k);                                              \
            const double deviation = LESS((double)x, added->center[k]);                                 \
            low[k] = x < low[k] ? x : low[k];                                                           \
            high[k] = x > high[k] ? x : high[k];                                                        \
            sum[k] += deviation;                                                                        \
            squares[k] += deviation * deviation;                                                        \
        }                                                                                               \
    }                                                                                                   \
    for (size_t k = 0; k < (count); ++k) {                                                              \
        added->low[k] = (double)low[k];                                                                 \
        added->high[k] = (double)high[k];                                                               \
        added->sum[k] = sum[k];                                                                         \
        added->squares[k] = squares[k];                                                                 \
    }

#define DEFINE_ADD(type, number, level, target, LESS)                                                            \
    target static void add_##type##_##level(const char *rows, int64_t stride, uint64_t n_rows, size_t n_columns, \
                                            uintptr_t ahead, sums *added) {                                      \
        (void)n_columns;                                                                                         \
        ADD(type, number, TILE, LESS)                                                                            \
    }
#define DEFINE_ADD_FEWER(type, number)                                                                \
    static void add_fewer_##type(const char *rows, int64_t stride, uint64_t n_rows, size_t n_columns, \
                                 uintptr_t ahead, sums *added) {                                      \
        ADD(type, number, n_columns, MINUS)                                                           \
    }
DEFINE_ADD_FEWER(u8, float)
DEFINE_ADD_FEWER(i8, float)
DEFINE_ADD_FEWER(i16, float)
DEFINE_ADD_FEWER(u16, float)
DEFINE_ADD_FEWER(i32, double)
DEFINE_ADD_FEWER(f16, float)
DEFINE_ADD_FEWER(bf16, float)
DEFINE_ADD_FEWER(f32, float)
DEFINE_ADD_FEWER(f64, double)
static const add_function adds_of_fewer[FB_TYPES] = {
    add_fewer_u8, add_fewer_i8, add_fewer_i16, add_fewer_u16, add_fewer_i32, add_fewer_f16, add_fewer_bf16,
    add_fewer_f32, add_fewer_f64};

#define DEFINE_LEVEL(level, target, LESS)        \
    DEFINE_ADD(u8, float, level, target, LESS)   \
    DEFINE_ADD(i8, float, level, target, LESS)   \
    DEFINE_ADD(i16, float, level, target, LESS)  \
    DEFINE_ADD(u16, float, level, target, LESS)  \
    DEFINE_ADD(i32, double, level, target, LESS) \
    DEFINE_ADD(f16, float, level, target, LESS)  \
    DEFINE_ADD(bf16, float, level, target, LESS) \
    DEFINE_ADD(f32, float, level, target, LESS)  \
    DEFINE_ADD(f64, double, level, target, LESS)
DEFINE_LEVEL(baseline, FB_TARGET_BASELINE, MINUS)
DEFINE_LEVEL(avx2, FB_TARGET_AVX2, MINUS)
DEFINE_LEVEL(avx512, FB_TARGET_AVX512, MINUS_FUSED)

#define ADDS(level)                                                                        \
    {add_u8_##level,  add_i8_##level,   add_i16_##level, add_u16_##level, add_i32_##level, \
     add_f16_##level, add_bf16_##level, add_f32_##level, add_f64_##level}
static const add_function adds[FB_SIMD_LEVELS][FB_TYPES] = {ADDS(baseline), ADDS(avx2), ADDS(avx512)};
static const size_t type_nbytes[FB_TYPES] = {NBYTES_u8,  NBYTES_i8,   NBYTES_i16, NBYTES_u16, NBYTES_i32,
                                             NBYTES_f16, NBYTES_bf16, NBYTES_f32, NBYTES_f64};

static double number_at(enum fb_type type, const char *at) {
    switch (type) {
    case FB_U8: return load_u8(at, 0);
    case FB_I8: return load_i8(at, 0);
    case FB_I16: return load_i16(at, 0);
    case FB_U16: return load_u16(at, 0);
    case FB_I32: return load_i32(at, 0);
    case FB_F16: return (double)load_f16(at, 0);
    case FB_BF16: return (double)load_bf16(at, 0);
    case FB_F32: return (double)load_f32(at, 0);
    default: return load_f64(at, 0);
    }
}

/* Sums of n rows, around the mean of those before, become part of the whole. */
static void merge(const sums *added, uint64_t n, size_t n_columns, size_t first, fb_moments *moments) {
    const double n_new = (double)n, n_all = (double)(moments->n + n), part = n_new / n_all;
    const double both = (double)moments->n * part;
    for (size_t k = 0; k < n_columns; ++k) {
        const double within = added->sum[k] / n_new, own = added->squares[k] - added->sum[k] * within;
        /* The block's center less the fixed one is exact, or as good as the offset that it was made of. */
        const double shift = (added->center[k] - moments->center[first + k]) + within - moments->offset[first + k];
        moments->offset[first + k] += shift * part;
        moments->deviations[first + k] += (own > 0 || own != own ? own : 0) + shift * shift * both;
        moments->low[first + k] = added->low[k];
        moments->high[first + k] = added->high[k];
    }
}

static void add_block(fb_moments *moments, enum fb_type type, add_function add, const char *rows, int64_t stride,
                      uint64_t n_rows, size_t n_columns, uintptr_t ahead) {
    sums added;
    for (size_t first = 0; first < n_columns; first += TILE) {
        const size_t n = n_columns - first < TILE ? n_columns - first : TILE;
        for (size_t k = 0; k < n; ++k) {
            const double begin = number_at(type, rows + (first + k) * type_nbytes[type]);
            const double mean = moments->center[first + k] + moments->offset[first + k];
            added.center[k] = isfinite(mean) ? mean : 0;
            added.low[k] = moments->n == 0 ? begin : moments->low[first + k];
            added.high[k] = moments->n == 0 ? begin : moments->high[first + k];
        }
        (n == TILE ? add : adds_of_fewer[type])(rows + first * type_nbytes[type], stride, n_rows, n, ahead, &added);
        merge(&added, n_rows, n, first, moments);
    }
    moments->n += n_rows;
}

void fb_moments_add(fb_moments *moments, enum fb_type type, enum fb_simd level, const char *rows, int64_t stride,
                    uint64_t n_rows, size_t n_columns) {
    const size_t fitting = BLOCK_NBYTES / (n_columns * type_nbytes[type] + 1);
    const size_t most = fitting < BLOCK_MAX_ROWS ? fitting : BLOCK_MAX_ROWS;
    const size_t block = most > BLOCK_MIN_ROWS ? most : BLOCK_MIN_ROWS;
    for (uint64_t done = 0; done < n_rows; done += block) {
        const uint64_t n = n_rows - done < block ? n_rows - done : block;
        const uintptr_t ahead = (uintptr_t)block * (uintptr_t)stride; /* behind the last one, too: more may follow */
        add_block(moments, type, adds[level][type], rows + (int64_t)done * stride, stride, n, n_columns, ahead);
    }
}
