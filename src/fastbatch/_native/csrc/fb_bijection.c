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

/* right + bits * n_right / 2^32, modulo n_right, which is at most 2^31. */
FB_INLINE uint32_t shifted(uint32_t right, uint32_t bits, uint32_t n_right) {
    const uint32_t sum = right + (uint32_t)((uint64_t)bits * n_right >> 32), less = sum - n_right;
    return sum < less ? sum : less; /* less wraps around where sum < n_right */
}

/* Two rounds. */
FB_INLINE void shift_both(const fb_bijection *bijection, unsigned round, uint32_t *left, uint32_t *right) {
    *left ^= mixed(*right, bijection->keys[round], bijection->multipliers[round]) >> (32 - bijection->left_bits);
    *right = shifted(*right, mixed(*left, bijection->keys[round + 1], bijection->multipliers[round + 1]),
                     bijection->n_right);
}

static uint64_t map_again(const fb_bijection *bijection, uint64_t number) {
    while (number >= bijection->n) {
        uint32_t left = (uint32_t)(number / bijection->n_right), right = (uint32_t)(number % bijection->n_right);
        for (unsigned round = 0; round < FB_BIJECTION_ROUNDS; round += 2) shift_both(bijection, round, &left, &right);
        number = (uint64_t)left * bijection->n_right + right;
    }
    return number;
}

/* The images of BLOCK numbers. */
FB_INLINE void map_block(const fb_bijection *bijection, uint64_t first, uint64_t *FB_RESTRICT out) {
    const fb_bijection rounds = *bijection; /* in registers: out may not change it */
    const uint32_t n_right = rounds.n_right;
    const uint32_t first_left = (uint32_t)(first / n_right), first_right = (uint32_t)(first % n_right);
    uint32_t left[BLOCK], right[BLOCK];
    for (uint32_t i = 0; i < BLOCK; ++i) {
        const uint32_t place = first_right + i, is_over = place >= n_right;
        left[i] = first_left + is_over;
        right[i] = place - (is_over ? n_right : 0);
    }
    for (unsigned round = 0; round < FB_BIJECTION_ROUNDS; round += 2)
        for (int i = 0; i < BLOCK; ++i) shift_both(&rounds, round, &left[i], &right[i]);
    for (int i = 0; i < BLOCK; ++i) out[i] = (uint64_t)left[i] * n_right + right[i];
}

FB_INLINE void map_all(const fb_bijection *bijection, uint64_t first, int wide, void *out, size_t count) {
    uint64_t images[BLOCK];
    for (size_t done = 0; done < count; done += BLOCK) {
        const size_t n = count - done < BLOCK ? count - done : BLOCK;
        map_block(bijection, first + done, images);
        uint64_t largest = 0;
        for (size_t i = 0; i < n; ++i) largest = images[i] > largest ? images[i] : largest;
        if (FB_UNLIKELY(largest >= bijection->n))
            for (size_t i = 0; i < n; ++i) images[i] = map_again(bijection, images[i]);
        if (wide)
            for (size_t i = 0; i < n; ++i) ((uint64_t *)out)[done + i] = images[i];
        else
            for (size_t i = 0; i < n; ++i) ((uint32_t *)out)[done + i] = (uint32_t)images[i];
    }
}

#define DEFINE_MAP(name, target)                                                                                       \
    target static void name(const fb_bijection *bijection, uint64_t first, int wide, void *out, size_t count) {        \
        map_all(bijection, first, wide, out, count);                                                                   \
    }
DEFINE_MAP(map_baseline, )
DEFINE_MAP(map_avx2, FB_TARGET_AVX2)
DEFINE_MAP(map_avx512, FB_TARGET_AVX512)

void fb_bijection_map(const fb_bijection *bijection, enum fb_simd level, uint64_t first, int wide, void *out,
                      size_t count) {
    static void (*const maps[FB_SIMD_LEVELS])(const fb_bijection *, uint64_t, int, void *, size_t) = {
        map_baseline, map_avx2, map_avx512};
    maps[level](bijection, first, wide, out, count);
}
