#include "fb_length_sort.h"

#include <string.h>

/* Bits of a digit, for as many rows as make up for its counters, and for fewer. */
enum { MANY_BITS = 11, FEW_BITS = 6, MANY_ROWS = 512 };

/* So few rows are inserted one by one. */
enum { INSERTED_ROWS = 16 };

static void insert(const uint32_t *of_rows, uint32_t flip, const uint32_t *rows, uint32_t *sorted, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        const uint32_t key = of_rows[rows[i]] ^ flip;
        size_t at = i;
        for (; at > 0 && (of_rows[sorted[at - 1]] ^ flip) > key; --at) sorted[at] = sorted[at - 1];
        sorted[at] = rows[i];
    }
}

static void sort_by_digit(const uint32_t *of_rows, uint32_t flip, unsigned shift, unsigned bits,
                          const uint32_t *FB_RESTRICT rows, uint32_t *FB_RESTRICT sorted, size_t n) {
    uint32_t starts[1 << MANY_BITS], start = 0;
    const uint32_t mask = (UINT32_C(1) << bits) - 1;
    memset(starts, 0, sizeof starts[0] << bits);
    for (size_t i = 0; i < n; ++i) ++starts[(of_rows[rows[i]] ^ flip) >> shift & mask];
    for (uint32_t digit = 0; digit <= mask; ++digit) {
        const uint32_t count = starts[digit];
        starts[digit] = start;
        start += count;
    }
    for (size_t i = 0; i < n; ++i) sorted[starts[(of_rows[rows[i]] ^ flip) >> shift & mask]++] = rows[i];
}

void fb_sort_by_length(const fb_lengths *lengths, int longest_first, uint32_t *FB_RESTRICT rows,
                       uint32_t *FB_RESTRICT sorted, size_t n) {
    const uint32_t flip = longest_first ? UINT32_MAX >> (32 - (lengths->bits > 0 ? lengths->bits : 1)) : 0;
    const unsigned bits = n < MANY_ROWS ? FEW_BITS : MANY_BITS;
    if (n <= INSERTED_ROWS) {
        insert(lengths->of_rows, flip, rows, sorted, n);
        return;
    }
    unsigned n_digits = (lengths->bits + bits - 1) / bits;
    uint32_t *from = rows, *to = sorted;
    if (n_digits % 2 == 0) { /* so that the last digit's go to `sorted` */
        memcpy(sorted, rows, n * sizeof *rows);
        from = sorted;
        to = rows;
    }
    for (unsigned digit = 0; digit < n_digits; ++digit) {
        const unsigned shift = digit * bits;
        const unsigned width = lengths->bits - shift < bits ? lengths->bits - shift : bits;
        sort_by_digit(lengths->of_rows, flip, shift, width, from, to, n);
        uint32_t *next = from;
        from = to;
        to = next;
    }
}
