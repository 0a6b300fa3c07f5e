#include "fb_joined.h"

/* Rows that are looked up together. */
enum { BLOCK = 256 };

/* The last part that begins at `row` or before. */
static size_t part_of(const fb_joined_column *joined, uint64_t row) {
    size_t low = 0, n = joined->n_parts;
    while (n > 1) {
        const size_t half = n / 2;
        low += joined->starts[low + half] <= row ? half : 0;
        n -= half;
    }
    return low;
}

/* Rows that follow each other and lie in one part go to it together, as rows of its own. */
uint64_t fb_joined_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_joined_column *joined = (const fb_joined_column *)column;
    uint64_t own[BLOCK];
    fb_rows there = {own, 0, 0, 0, 1, 0, NULL};
    fb_context at = *context;
    size_t done = 0;
    while (done < rows->n) {
        const size_t part = part_of(joined, fb_number_at(rows->index, rows->wide, done));
        const uint64_t first = joined->starts[part], end = joined->starts[part + 1];
        size_t n = 0;
        for (; n < BLOCK && done + n < rows->n; ++n) {
            const uint64_t row = fb_number_at(rows->index, rows->wide, done + n);
            if (row < first || row >= end) break;
            own[n] = row - first;
        }
        there.n = n;
        at.position = context->position + done;
        const fb_column *filling = joined->parts[part];
        const uint64_t refused = filling->fill(filling, &there, (char *)slot + done * column->row_nbytes, &at);
        if (refused != 0) return refused + first;
        done += n;
    }
    return 0;
}
