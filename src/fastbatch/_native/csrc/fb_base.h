/* What every C file here shares: prefetch and spin hints, the 64x64->128 product and the poll that lets long calls be
 * interrupted. No Python.h. */
#ifndef FB_BASE_H
#define FB_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#if defined(_M_ARM64)
#define FB_RELAX() __yield()
#define FB_PREFETCH_L1(address) __prefetch(address)
#define FB_PREFETCH_L2(address) __prefetch(address)
#else
#define FB_RELAX() _mm_pause()
#define FB_PREFETCH_L1(address) _mm_prefetch((const char *)(address), _MM_HINT_T0)
#define FB_PREFETCH_L2(address) _mm_prefetch((const char *)(address), _MM_HINT_T1)
#endif
#define FB_INLINE static __forceinline
#define FB_UNLIKELY(condition) (condition)
#define FB_RESTRICT __restrict
#define FB_UNALIGNED(type) type
#else
#define FB_INLINE static inline __attribute__((always_inline, unused))
#define FB_PREFETCH_L1(address) __builtin_prefetch((address), 0, 3)
#define FB_PREFETCH_L2(address) __builtin_prefetch((address), 0, 2)
#define FB_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define FB_RESTRICT restrict
/* What may lie at any address, beside objects of other types. */
#define FB_UNALIGNED(type) type __attribute__((aligned(1), may_alias))
#if defined(__x86_64__) || defined(__i386__)
#define FB_RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define FB_RELAX() __asm__ __volatile__("yield")
#else
#define FB_RELAX() ((void)0)
#endif
#endif

#ifdef __cplusplus
#undef FB_RESTRICT
#define FB_RESTRICT
#endif

enum { FB_CACHE_LINE = 64 };

/* Bytes that are taken to fit the private caches. */
enum { FB_CACHE_NBYTES = 1024 * 1024 };

/* Whether random lines arrive faster through the L2 than straight into the L1: so on AMD's Zen, where the L1 keeps few
 * misses in flight (1.3-2x on a Zen 4), and not on Intel's (where it costs 1.2-1.6x). */
FB_INLINE int fb_prefetches_to_l2(void) {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    return __builtin_cpu_is("amd") != 0; /* looked up once, when the library is loaded */
#else
    return 0;
#endif
}

/* high word of a * b; *low receives the low word */
FB_INLINE uint64_t fb_multiply(uint64_t a, uint64_t b, uint64_t *low) {
#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_X64)
    uint64_t high;
    *low = _umul128(a, b, &high);
    return high;
#else
    *low = a * b;
    return __umulh(a, b);
#endif
#else
    __extension__ typedef unsigned __int128 fb_u128;
    const fb_u128 product = (fb_u128)a * b;
    *low = (uint64_t)product;
    return (uint64_t)(product >> 64);
#endif
}

/* Number i of (n,) row numbers: uint64 if `wide`, else uint32. */
FB_INLINE uint64_t fb_number_at(const void *numbers, int wide, size_t i) {
    return wide ? ((const uint64_t *)numbers)[i] : ((const uint32_t *)numbers)[i];
}

/* Asked every few milliseconds of a long call; an answer other than 0 ends the call, which returns that answer.
 * `function` may be NULL: then nobody is asked. */
typedef struct fb_poll {
    int (*function)(void *argument);
    void *argument;
} fb_poll;

FB_INLINE int fb_ask(fb_poll poll) { return poll.function != NULL ? poll.function(poll.argument) : 0; }

#endif
