#include "fb_random.h"

fb_seed fb_derive(fb_key root, uint64_t epoch, uint64_t stream, uint64_t unit, uint64_t pass) {
    uint64_t x0 = epoch, x1 = stream, x2 = unit, x3 = pass;
    uint64_t k0 = root.word[0], k1 = root.word[1];
    for (int round = 0; round < 10; ++round) {
        uint64_t low0, low1;
        const uint64_t high0 = fb_multiply(UINT64_C(0xD2E7470EE14C6C93), x0, &low0);
        const uint64_t high1 = fb_multiply(UINT64_C(0xCA5A826395121157), x2, &low1);
        x0 = high1 ^ x1 ^ k0;
        x1 = low1;
        x2 = high0 ^ x3 ^ k1;
        x3 = low0;
        k0 += UINT64_C(0x9E3779B97F4A7C15);
        k1 += UINT64_C(0xBB67AE8584CAA73B);
    }
    const fb_seed seed = {{x0, x1, x2, x3}};
    return seed;
}

fb_sfc64 fb_sfc64_begin(fb_seed seed) {
    fb_sfc64 rng = {seed.word[0], seed.word[1], seed.word[2], 1};
    for (int i = 0; i < 12; ++i) (void)fb_next(&rng);
    return rng;
}

/* out[d] = uniform in [0, bound - d) for d < k, from one word; returns what is left of the word, which decides whether
 * the draws stand. */
FB_INLINE uint64_t split_word(uint64_t word, uint64_t bound, unsigned k, uint64_t *FB_RESTRICT out) {
    for (unsigned d = 0; d < k; ++d) out[d] = fb_multiply(bound - d, word, &word);
    return word;
}

/* Draws k at a time while the bound exceeds `above`; returns how many draws stand in `out`. */
FB_INLINE size_t draw_above(fb_sfc64 *rng, uint64_t bound, size_t t, size_t count, unsigned k, uint64_t above,
                            uint64_t *FB_RESTRICT out) {
    if (bound - t <= above) return t;
    const uint64_t fits = (count - t) / k, wanted = (bound - t - above - 1) / k + 1;
    const size_t end = t + k * (size_t)(fits < wanted ? fits : wanted);
    uint64_t at_most = bound - t; /* no product of k bounds from here on exceeds it */
    for (unsigned d = 1; d < k; ++d) at_most *= bound - t;
    for (; t < end; t += k) {
        uint64_t rest = split_word(fb_next(rng), bound - t, k, out + t);
        if (FB_UNLIKELY(rest < at_most)) { /* rare: only now are the product and its remainder worth their cost */
            uint64_t product = bound - t;
            for (unsigned d = 1; d < k; ++d) product *= bound - t - d;
            const uint64_t threshold = (0 - product) % product;
            while (FB_UNLIKELY(rest < threshold)) rest = split_word(fb_next(rng), bound - t, k, out + t);
        }
    }
    return t;
}

void fb_draw_descending(fb_sfc64 *stream, uint64_t bound, size_t count, uint64_t *FB_RESTRICT out) {
    fb_sfc64 local = *stream, *rng = &local; /* in registers, whatever `out` may alias */
    /* How many draws fit one word with a small chance of rejection, by bound: table 1 of the paper. */
    size_t t = draw_above(rng, bound, 0, count, 1, UINT64_C(1) << 30, out);
    t = draw_above(rng, bound, t, count, 2, UINT64_C(1) << 19, out);
    t = draw_above(rng, bound, t, count, 3, UINT64_C(1) << 14, out);
    t = draw_above(rng, bound, t, count, 4, UINT64_C(1) << 11, out);
    t = draw_above(rng, bound, t, count, 5, UINT64_C(1) << 9, out);
    t = draw_above(rng, bound, t, count, 6, 0, out);
    (void)draw_above(rng, bound, t, count, 1, 0, out); /* what is left of the block */
    *stream = local;
}
