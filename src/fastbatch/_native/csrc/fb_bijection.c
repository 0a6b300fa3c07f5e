#include "fb_bijection.h"

/* Numbers that go through the rounds together; at most FB_BIJECTION_MIN_ROWS / sqrt of it, so that one of them at most
 * begins a new row of the grid. */
enum { BLOCK = 128 };

fb_bijection fb_bijection_begin(uint64_t n, fb_key key, uint64_t epoch) {
    fb_bijection bijection;
    bijection.n = n;
    bijection.left_bits = 8;
    while (bijection.left_bits < 31 && UINT64_C(1) << 2 * bijection.left_bits < n) ++bijection.left_bits;
    bijection.n_right = (uint32_t)(((n - 1) >> bijection.left_bits) + 1);
    for (unsigned round = 0; round < FB_BIJECTION_ROUNDS; ++round) {
        const fb_seed seed = fb_derive(key, epoch, FB_STREAM_BIJECTION, round, 0);
        bijection.keys[round] = (uint32_t)(seed.word[0] >> 32);
        bijection.multipliers[round] = (uint32_t)(seed.word[1] >> 32) | 1;
    }
    return bijection;
}

/* 32 bits from one half; the high ones depend on all of it. */
FB_INLINE uint32_t mixed(uint32_t half, uint32_t key, uint32_t multiplier) {
    uint32_t bits = (half + key) * multiplier;
    bits ^= bits >> 15;
    return bits * UINT32_C(0x9e3779b1);
}

/* right + bits * n_right / 2^32, modulo n_right. Below 2^32 rows n_right is at most 2^16, and a product of float32 does, of
 * which vector units make as many at once as they have lanes: it is rounded, the same everywhere, and below n_right. */
FB_INLINE uint32_t shifted(uint32_t right, uint32_t bits, uint32_t n_right, int wide) {
    const float product = (float)(int32_t)(bits >> 9) * ((float)n_right * 0x1p-23f);
    const uint32_t by = wide ? (uint32_t)((uint64_t)bits * n_right >> 32) : (uint32_t)(int32_t)product;
    const uint32_t sum = right + by, less = sum - n_right;
    return sum < less ? sum : less; /* less wraps around where sum < n_right */
}

/* Two rounds. */
FB_INLINE void shift_both(const fb_bijection *bijection, unsigned round, int wide, uint32_t *left, uint32_t *right) {
    *left ^= mixed(*right, bijection->keys[round], bijection->multipliers[round]) >> (32 - bijection->left_bits);
    *right = shifted(*right, mixed(*left, bijection->keys[round + 1], bijection->multipliers[round + 1]),
                     bijection->n_right, wide);
}

static uint64_t map_again(const fb_bijection *bijection, int wide, uint64_t number) {
    while (number >= bijection->n) {
        uint32_t left = (uint32_t)(number / bijection->n_right), right = (uint32_t)(number % bijection->n_right);
        for (unsigned round = 0; round < FB_BIJECTION_ROUNDS; round += 2)
            shift_both(bijection, round, wide, &left, &right);
        number = (uint64_t)left * bijection->n_right + right;
    }
    return number;
}

/* left and right, (BLOCK,), of the images of BLOCK numbers. */
FB_INLINE void map_block(const fb_bijection *bijection, uint64_t first, int wide, uint32_t *FB_RESTRICT left,
                         uint32_t *FB_RESTRICT right) {
    const fb_bijection rounds = *bijection; /* in registers: the halves may not change it */
    const uint32_t n_right = rounds.n_right;
    const uint32_t first_left = (uint32_t)(first / n_right), first_right = (uint32_t)(first % n_right);
    for (uint32_t i = 0; i < BLOCK; ++i) {
        const uint32_t place = first_right + i, is_over = place >= n_right;
        left[i] = first_left + is_over;
        right[i] = place - (is_over ? n_right : 0);
    }
    for (unsigned round = 0; round < FB_BIJECTION_ROUNDS; round += 2)
        for (int i = 0; i < BLOCK; ++i) shift_both(&rounds, round, wide, &left[i], &right[i]);
}

/* The grid has at most 2^32 cells. */
FB_INLINE void map_narrow(const fb_bijection *bijection, uint64_t first, uint32_t *FB_RESTRICT out, size_t count) {
    uint32_t left[BLOCK], right[BLOCK], images[BLOCK];
    for (size_t done = 0; done < count; done += BLOCK) {
        const size_t n = count - done < BLOCK ? count - done : BLOCK;
        map_block(bijection, first + done, 0, left, right);
        uint32_t largest = 0;
        for (size_t i = 0; i < BLOCK; ++i) {
            images[i] = left[i] * bijection->n_right + right[i];
            largest = images[i] > largest ? images[i] : largest;
        }
        if (FB_UNLIKELY(largest >= bijection->n))
            for (size_t i = 0; i < n; ++i) images[i] = (uint32_t)map_again(bijection, 0, images[i]);
        for (size_t i = 0; i < n; ++i) out[done + i] = images[i];
    }
}

FB_INLINE void map_wide(const fb_bijection *bijection, uint64_t first, uint64_t *FB_RESTRICT out, size_t count) {
    uint32_t left[BLOCK], right[BLOCK];
    for (size_t done = 0; done < count; done += BLOCK) {
        const size_t n = count - done < BLOCK ? count - done : BLOCK;
        map_block(bijection, first + done, 1, left, right);
        for (size_t i = 0; i < n; ++i)
            out[done + i] = map_again(bijection, 1, (uint64_t)left[i] * bijection->n_right + right[i]);
    }
}

FB_INLINE void map_all(const fb_bijection *bijection, uint64_t first, int wide, void *out, size_t count) {
    if (wide)
        map_wide(bijection, first, (uint64_t *)out, count);
    else
        map_narrow(bijection, first, (uint32_t *)out, count);
}

#define DEFINE_MAP(name, target)                                                                                       \
    target static void name(const fb_bijection *bijection, uint64_t first, int wide, void *out, size_t count) {        \
        map_all(bijection, first, wide, out, count);                                                                   \
    }
DEFINE_MAP(map_baseline, FB_TARGET_BASELINE)
DEFINE_MAP(map_avx2, FB_TARGET_AVX2)
DEFINE_MAP(map_avx512, FB_TARGET_AVX512)

void fb_bijection_map(const fb_bijection *bijection, enum fb_simd level, uint64_t first, int wide, void *out,
                      size_t count) {
    static void (*const maps[FB_SIMD_LEVELS])(const fb_bijection *, uint64_t, int, void *, size_t) = {
        map_baseline, map_avx2, map_avx512};
    maps[level](bijection, first, wide, out, count);
}
