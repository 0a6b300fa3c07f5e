/* float16 and bfloat16 by integer operations: the same bits everywhere, in loops that vectorise. Rounding is to the
 * nearest, ties to even; a NaN stays one. */
#ifndef FB_HALF_H
#define FB_HALF_H

#include <string.h>

#include "fb_base.h"

FB_INLINE uint32_t fb_bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

FB_INLINE float fb_float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* `chosen` where the condition (0 or 1) holds, else `other`. Without a branch: a compiler does not vectorise loops in which
 * floating point, which might trap, depends on one. */
FB_INLINE uint32_t fb_select(uint32_t condition, uint32_t chosen, uint32_t other) {
    return other ^ ((other ^ chosen) & (0 - condition));
}

FB_INLINE float fb_float_of_bfloat(uint16_t half) { return fb_float_of_bits((uint32_t)half << 16); }

FB_INLINE uint16_t fb_bfloat_of_float(float x) {
    const uint32_t bits = fb_bits_of_float(x), is_nan = (bits & UINT32_C(0x7fffffff)) > UINT32_C(0x7f800000);
    const uint32_t rounded = (bits + UINT32_C(0x7fff) + ((bits >> 16) & 1)) >> 16;
    return (uint16_t)fb_select(is_nan, (bits >> 16) | UINT32_C(0x40), rounded);
}

FB_INLINE float fb_float_of_half(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7fff;
    const uint32_t rebias = UINT32_C(112) << 23;
    const uint32_t normal = (magnitude << 13) + rebias + fb_select(magnitude >= 0x7c00, rebias, 0);
    /* Subnormal: a multiple of 2^-24, which a float32 holds as a normal number. */
    const uint32_t small = fb_bits_of_float((float)(int32_t)magnitude * 0x1p-24f);
    return fb_float_of_bits(sign | fb_select(magnitude < 0x400, small, normal));
}

FB_INLINE uint16_t fb_half_of_float(float x) {
    const uint32_t bits = fb_bits_of_float(x), sign = (bits >> 16) & 0x8000, magnitude = bits & UINT32_C(0x7fffffff);
    const uint32_t rebias = UINT32_C(112) << 23;
    const uint32_t rounded = (magnitude - rebias + UINT32_C(0xfff) + ((magnitude >> 13) & 1)) >> 13;
    /* Below 2^-14: 0.5 has an ulp of 2^-24, the step of subnormal results, and the sum is rounded to it. */
    const uint32_t small = fb_bits_of_float(fb_float_of_bits(magnitude) + 0.5f) - (UINT32_C(126) << 23);
    uint32_t half = fb_select(magnitude < UINT32_C(113) << 23, small, rounded);
    half = fb_select(magnitude >= UINT32_C(0x47800000), UINT32_C(0x7c00), half); /* 2^16 and more */
    half = fb_select(magnitude > UINT32_C(0x7f800000), UINT32_C(0x7e00), half);
    return (uint16_t)(sign | half);
}

/* Rounded to odd: rounding the result once more, to fewer bits, is as if x had been rounded once. (Boldo and Melquiond,
 * "Emulation of FMA and correctly rounded sums", IEEE Transactions on Computers 57 (4), 2008.) */
FB_INLINE float fb_odd_float_of_double(double x) {
    const float nearest = (float)x;
    const double back = (double)nearest;
    const uint32_t bits = fb_bits_of_float(nearest);
    const uint32_t is_even = ~bits & 1, is_positive = x > 0, is_above = back > x, is_below = back < x;
    /* Of two floats around x the odd one, where x is neither: towards 0 is one less, in sign and magnitude. */
    const uint32_t is_too_large = fb_select(is_positive, is_above, is_below);
    const uint32_t is_too_small = fb_select(is_positive, is_below, is_above);
    return fb_float_of_bits(bits + (is_even & is_too_small) - (is_even & is_too_large));
}

#endif
