#include "fb_concat.h"

#include <string.h>

/* Rows that are on their way at once. */
enum { BLOCK = 64 };

/* The last part that begins at `row` or before. */
static size_t part_of(const fb_concat_column *concat, uint64_t row) {
    size_t low = 0, n = concat->n_parts;
    while (n > 1) { /* no branch on the outcome, which is random */
        const size_t half = n / 2;
        low += concat->starts[low + half] <= row ? half : 0;
        n -= half;
    }
    return low;
}

static const char *address_of(const fb_concat_column *concat, uint64_t row) {
    const size_t part = part_of(concat, row);
    return concat->parts[part].rows + (int64_t)(row - concat->starts[part]) * concat->parts[part].stride;
}

uint64_t fb_concat_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_concat_column *concat = (const fb_concat_column *)column;
    const size_t nbytes = column->row_nbytes;
    char *out = (char *)slot;
    const char *addresses[BLOCK];
    (void)context;
    if (nbytes == 0) return 0;
    for (size_t done = 0; done < rows->n; done += BLOCK) {
        const size_t n = rows->n - done < BLOCK ? rows->n - done : BLOCK;
        for (size_t i = 0; i < n; ++i) {
            addresses[i] = address_of(concat, fb_number_at(rows->index, rows->wide, done + i));
            for (size_t at = 0; at < nbytes; at += FB_CACHE_LINE) FB_PREFETCH_L2(addresses[i] + at);
        }
        for (size_t i = 0; i < n; ++i) memcpy(out + (done + i) * nbytes, addresses[i], nbytes);
    }
    return 0;
}
