/* Logarithm and exponential of our own, from operations that IEEE 754 defines to the bit: the same on every machine,
 * where the last bits of libm's differ. They want -ffp-contract=off. Relative errors are below 4e-16.
 *
 * Both reduce the argument by a multiple of ln(2), which is held in two parts, and sum a series: Cody & Waite, "Software
 * Manual for the Elementary Functions", 1980. */
#ifndef FB_LOG_H
#define FB_LOG_H

#include <math.h>
#include <string.h>

#include "fb_base.h"

/* ln(2) in two parts: the product of an exponent with the first is exact. */
static const double FB_LN2_HIGH = 0x1.62e42fee00000p-1, FB_LN2_LOW = 0x1.a39ef35793c76p-33;

/* The natural logarithm of a finite positive double. */
FB_INLINE double fb_log(double x) {
    const double subnormal = 0x1p-1022;
    int64_t exponent = 0;
    if (FB_UNLIKELY(x < subnormal)) {
        x *= 0x1p54;
        exponent = -54;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* x = 2^exponent m with m in [sqrt(1/2), sqrt(2)) */
    const uint64_t root_half = UINT64_C(0x3fe6a09e667f3bcd);
    const uint64_t shifted = bits - root_half;
    exponent += (int64_t)shifted >> 52;
    bits = (shifted & UINT64_C(0x000fffffffffffff)) + root_half;
    double m;
    memcpy(&m, &bits, sizeof m);
    /* ln m = 2 atanh(s) with s = (m - 1) / (m + 1): |s| < 0.172 */
    const double s = (m - 1) / (m + 1), z = s * s;
    double series = 1.0 / 23;
    series = series * z + 1.0 / 21;
    series = series * z + 1.0 / 19;
    series = series * z + 1.0 / 17;
    series = series * z + 1.0 / 15;
    series = series * z + 1.0 / 13;
    series = series * z + 1.0 / 11;
    series = series * z + 1.0 / 9;
    series = series * z + 1.0 / 7;
    series = series * z + 1.0 / 5;
    series = series * z + 1.0 / 3;
    const double log_m = 2 * s + 2 * s * (z * series), e = (double)exponent;
    return e * FB_LN2_HIGH + (e * FB_LN2_LOW + log_m);
}

/* 2^exponent, a normal double. */
FB_INLINE double fb_power_of_2(int64_t exponent) {
    const uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* e to the power of x, which is no NaN. */
FB_INLINE double fb_exp(double x) {
    /* Far out of a double's range; what is only just out of it becomes so below. */
    if (x > 710) return INFINITY;
    if (x < -746) return 0;
    const double inverse_ln2 = 0x1.71547652b82fep+0;
    const int64_t exponent = (int64_t)(x * inverse_ln2 + (x < 0 ? -0.5 : 0.5));
    /* x = exponent ln(2) + r: |r| < 0.347 */
    const double e = (double)exponent, r = (x - e * FB_LN2_HIGH) - e * FB_LN2_LOW;
    double series = 1.0 / 6227020800;
    series = series * r + 1.0 / 479001600;
    series = series * r + 1.0 / 39916800;
    series = series * r + 1.0 / 3628800;
    series = series * r + 1.0 / 362880;
    series = series * r + 1.0 / 40320;
    series = series * r + 1.0 / 5040;
    series = series * r + 1.0 / 720;
    series = series * r + 1.0 / 120;
    series = series * r + 1.0 / 24;
    series = series * r + 1.0 / 6;
    series = series * r + 1.0 / 2;
    const double power = 1 + (r + r * r * series);
    /* In two steps: 2^1024 and 2^-1074 are no normal doubles. */
    return power * fb_power_of_2(exponent / 2) * fb_power_of_2(exponent - exponent / 2);
}

#endif
