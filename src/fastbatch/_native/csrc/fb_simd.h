/* Which vector instructions the kernels may use: chosen once, by what the CPU has.
 *
 * A kernel is one FB_INLINE body, from which the compiler makes a function for each level: all give the same bits. */
#ifndef FB_SIMD_H
#define FB_SIMD_H

#include "fb_base.h"

enum fb_simd { FB_SIMD_BASELINE, FB_SIMD_AVX2, FB_SIMD_AVX512, FB_SIMD_LEVELS };

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define FB_TARGET_BASELINE __attribute__((target("ssse3,sse4.1,sse4.2,popcnt"))) /* x86-64-v2 */
#define FB_TARGET_AVX2 __attribute__((target("avx2")))
#if defined(__clang__)
#define FB_TARGET_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl")))
#else
#define FB_TARGET_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")))
#endif
FB_INLINE enum fb_simd fb_simd_supported(void) {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return FB_SIMD_AVX512;
    return __builtin_cpu_supports("avx2") ? FB_SIMD_AVX2 : FB_SIMD_BASELINE;
}
#define FB_SIMD_LOWEST "baseline"
#else
#if defined(__aarch64__) || defined(_M_ARM64)
#define FB_SIMD_LOWEST "neon" /* which every such CPU has, and the compiler uses */
#else
#define FB_SIMD_LOWEST "baseline"
#endif
#define FB_TARGET_BASELINE
#define FB_TARGET_AVX2
#define FB_TARGET_AVX512
FB_INLINE enum fb_simd fb_simd_supported(void) { return FB_SIMD_BASELINE; }
#endif

#endif
