#include "fb_mix.h"

#include <math.h>
#include <string.h>

#include "fb_half.h"
#include "fb_log.h"
#include "fb_random.h"

/* Uniform in (0, 1). */
static double unit(fb_sfc64 *rng) { return ((double)(fb_next(rng) >> 12) + 0.5) * 0x1p-52; }

/* The logarithm of a gamma variate: Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26
 * (3), 2000; below 1 by a uniform one more, in logarithms, because the variate itself would become 0. */
static double log_gamma_variate(double shape, fb_sfc64 *rng) {
    const double raised = shape < 1 ? shape + 1 : shape, d = raised - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x, y, square;
        do { /* a normal variate: Marsaglia's polar method */
            x = 2 * unit(rng) - 1;
            y = 2 * unit(rng) - 1;
            square = x * x + y * y;
        } while (square >= 1);
        const double normal = x * sqrt(-2 * fb_log(square) / square), root = 1 + c * normal;
        if (root <= 0) continue;
        const double v = root * root * root;
        if (fb_log(unit(rng)) >= normal * normal / 2 + d - d * v + d * fb_log(v)) continue;
        return fb_log(d * v) + (shape < 1 ? fb_log(unit(rng)) / shape : 0);
    }
}

/* What was drawn for a batch. */
typedef struct mix {
    int is_mixed;
    double share; /* that each row keeps */
    size_t top, bottom, left, right;
} mix;

static mix draw_mix(const fb_mix_column *mixing, const fb_context *context) {
    const fb_key key = {{context->key[0], context->key[1]}};
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(key, context->epoch, FB_STREAM_MIX, context->position, 0));
    mix drawn = {0, 1, 0, 0, 0, 0};
    drawn.is_mixed = fb_next(&rng) < mixing->chance || mixing->chance == UINT64_MAX;
    if (!drawn.is_mixed) return drawn;
    const double one = log_gamma_variate(mixing->alpha, &rng), other = log_gamma_variate(mixing->alpha, &rng);
    drawn.share = 1 / (1 + fb_exp(other - one));
    if (mixing->mixing == FB_MIX_ROWS) return drawn;
    /* A box of the other's share of the area, around any pixel; what lies outside is cut off. */
    const double side = sqrt(1 - drawn.share);
    const size_t height = (size_t)((double)mixing->height * side), width = (size_t)((double)mixing->width * side);
    uint64_t low;
    const size_t y = (size_t)fb_multiply(mixing->height, fb_next(&rng), &low);
    const size_t x = (size_t)fb_multiply(mixing->width, fb_next(&rng), &low);
    drawn.top = y > height / 2 ? y - height / 2 : 0;
    drawn.left = x > width / 2 ? x - width / 2 : 0;
    drawn.bottom = y + (height - height / 2) < mixing->height ? y + (height - height / 2) : mixing->height;
    drawn.right = x + (width - width / 2) < mixing->width ? x + (width - width / 2) : mixing->width;
    const double area = (double)(drawn.bottom - drawn.top) * (double)(drawn.right - drawn.left);
    drawn.share = 1 - area / ((double)mixing->height * (double)mixing->width);
    return drawn;
}

#define AS_IT_IS(x) (x)

#define DEFINE_MIX(type, element, real, read, written, level, target)                                                \
    target static void mix_##type##_##level(char *FB_RESTRICT row, char *FB_RESTRICT with, size_t n, double share) { \
        element *FB_RESTRICT one = (element *)(void *)row, *FB_RESTRICT other = (element *)(void *)with;             \
        const real kept = (real)share, rest = 1 - kept;                                                              \
        for (size_t i = 0; i < n; ++i) {                                                                             \
            const real a = read(one[i]), b = read(other[i]);                                                         \
            one[i] = written(a * kept + b * rest);                                                                   \
            other[i] = written(b * kept + a * rest);                                                                 \
        }                                                                                                            \
    }

#define DEFINE_LEVEL(level, target)                                                          \
    DEFINE_MIX(f16, uint16_t, float, fb_float_of_half, fb_half_of_float, level, target)      \
    DEFINE_MIX(bf16, uint16_t, float, fb_float_of_bfloat, fb_bfloat_of_float, level, target) \
    DEFINE_MIX(f32, float, float, AS_IT_IS, AS_IT_IS, level, target)                         \
    DEFINE_MIX(f64, double, double, AS_IT_IS, AS_IT_IS, level, target)
DEFINE_LEVEL(baseline, FB_TARGET_BASELINE)
DEFINE_LEVEL(avx2, FB_TARGET_AVX2)
DEFINE_LEVEL(avx512, FB_TARGET_AVX512)

/* By type, from FB_F16 on. */
#define LEVEL(level) {mix_f16_##level, mix_bf16_##level, mix_f32_##level, mix_f64_##level}

static const fb_mix_pair by_level[FB_SIMD_LEVELS][4] = {LEVEL(baseline), LEVEL(avx2), LEVEL(avx512)};

fb_mix_pair fb_mix_pair_of(enum fb_type type, enum fb_simd level) {
    return type < FB_F16 ? NULL : by_level[level][type - FB_F16];
}

static void swap_bytes(char *FB_RESTRICT one, char *FB_RESTRICT other, size_t nbytes) {
    char held[256];
    for (size_t at = 0; at < nbytes; at += sizeof held) {
        const size_t n = nbytes - at < sizeof held ? nbytes - at : sizeof held;
        memcpy(held, one + at, n);
        memcpy(one + at, other + at, n);
        memcpy(other + at, held, n);
    }
}

/* Two images change what lies in the box. */
static void swap_box(const fb_mix_column *mixing, const mix *drawn, char *one, char *other) {
    const size_t line = mixing->width * mixing->pixel_nbytes;
    if (drawn->right <= drawn->left) return;
    for (size_t plane = 0; plane < mixing->n_planes; ++plane)
        for (size_t y = drawn->top; y < drawn->bottom; ++y) {
            const size_t at = (plane * mixing->height + y) * line + drawn->left * mixing->pixel_nbytes;
            swap_bytes(one + at, other + at, (drawn->right - drawn->left) * mixing->pixel_nbytes);
        }
}

uint64_t fb_mix_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_mix_column *mixing = (const fb_mix_column *)column;
    const uint64_t refused = mixing->inner->fill(mixing->inner, rows, slot, context);
    if (refused != 0) return refused;
    const mix drawn = draw_mix(mixing, context);
    for (size_t i = 0; i < rows->n / 2 && drawn.is_mixed; ++i) {
        char *one = (char *)slot + i * column->row_nbytes, *other = (char *)slot + (rows->n - 1 - i) * column->row_nbytes;
        if (mixing->mixing == FB_MIX_BOX)
            swap_box(mixing, &drawn, one, other);
        else
            mixing->pair(one, other, mixing->n_elements, drawn.share);
    }
    return 0;
}
