/* A keyed bijection of 0..n-1: a random order without memory, any place of it at once.
 *
 * A number below n is written as (left, right) in a grid of about sqrt(n) x sqrt(n) cells, and each half in turn is
 * shifted by a keyed function of the other: a Feistel network over two moduli, one of them a power of 2, because that is
 * cheaper. What falls on the few cells beyond n goes through once more, which keeps it a bijection.
 *
 *   Black & Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002. */
#ifndef FB_BIJECTION_H
#define FB_BIJECTION_H

#include "fb_random.h"
#include "fb_simd.h"

#define FB_BIJECTION_MIN_ROWS (UINT64_C(1) << 16)
#define FB_BIJECTION_ROWS_END (UINT64_C(1) << 62)

enum { FB_BIJECTION_ROUNDS = 12 }; /* even; part of the version of the orders */

typedef struct fb_bijection {
    uint64_t n;
    unsigned left_bits;
    uint32_t n_right; /* the grid: n <= 2^left_bits * n_right */
    uint32_t keys[FB_BIJECTION_ROUNDS], multipliers[FB_BIJECTION_ROUNDS];
} fb_bijection;

/* n is at least FB_BIJECTION_MIN_ROWS and below FB_BIJECTION_ROWS_END. */
fb_bijection fb_bijection_begin(uint64_t n, fb_key key, uint64_t epoch);

/* out, (count,): the images of first, first + 1, ...; all below n. `wide` is whether there are 2^32 rows or more: then they
 * are uint64, else uint32. */
void fb_bijection_map(const fb_bijection *bijection, enum fb_simd level, uint64_t first, int wide, void *out,
                      size_t count);

#endif
