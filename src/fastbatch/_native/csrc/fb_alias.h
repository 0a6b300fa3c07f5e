/* Walker's alias table in integers: a row by its weight, from one random word and one line of memory.
 *
 *   Walker, "An efficient method for generating discrete random variables with general distributions", ACM TOMS 3 (1977).
 *   The table is made by sweeping two cursors over the rows: Huebschle-Schneider & Sanders, "Parallel weighted random
 *   sampling", ESA 2019. */
#ifndef FB_ALIAS_H
#define FB_ALIAS_H

#include "fb_base.h"

/* There are fewer rows than that. */
#define FB_ALIAS_ROWS_END (UINT64_C(1) << 32)

/* Of a cell: its row's part of it, in units of 2^-32, above the row that has the rest. */
typedef uint64_t fb_alias_cell;

enum { FB_NO_WEIGHT = 1, FB_BAD_WEIGHT = 2 };

/* weights, (n_rows,) float64. Returns 0, FB_NO_WEIGHT if all are zero, or FB_BAD_WEIGHT if one is negative, infinite or
 * NaN: *bad_row is the first. */
int fb_check_weights(const void *weights, uint64_t n_rows, uint64_t *bad_row);

/* Checked weights become integers whose sum is n_rows * 2^32, in their own memory: (n_rows,) float64 in, uint64 out.
 * Zero stays zero and nothing else becomes zero. */
void fb_quantise_weights(void *weights, uint64_t n_rows);

/* cells, (n_rows,), from such integers. O(n_rows). Returns 0, or what `poll` answered. */
int fb_alias_build(const uint64_t *weights, uint64_t n_rows, fb_alias_cell *cells, fb_poll poll);

/* Adds to weights, (n_rows,), what each row has of the cells. */
void fb_alias_weights(const fb_alias_cell *cells, uint64_t n_rows, uint64_t *weights);

/* Which cell a random word falls into, and where in it. */
FB_INLINE uint32_t fb_alias_place(uint64_t word, uint64_t n_rows, uint32_t *fraction) {
    uint64_t low;
    const uint64_t cell = fb_multiply(word, n_rows, &low);
    *fraction = (uint32_t)(low >> 32);
    return (uint32_t)cell;
}

/* The row there. */
FB_INLINE uint32_t fb_alias_row(fb_alias_cell cell, uint32_t place, uint32_t fraction) {
    return fraction < (uint32_t)(cell >> 32) ? place : (uint32_t)cell;
}

#endif
