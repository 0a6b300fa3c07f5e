#include "fb_indexed.h"

/* Rows that are looked up together, and those behind them that the inner column is told of. */
enum { BLOCK = 512, AHEAD = 128 };

uint64_t fb_indexed_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_indexed_column *indexed = (const fb_indexed_column *)column;
    const size_t n_known = rows->n + rows->n_ahead;
    uint64_t found[BLOCK + AHEAD];
    fb_rows there = {found, 0, 0, 0, indexed->inner_wide, 0, NULL};
    fb_context at = *context;
    for (size_t done = 0; done < rows->n; done += BLOCK) {
        there.n = rows->n - done < BLOCK ? rows->n - done : BLOCK;
        const size_t n = n_known - done < BLOCK + AHEAD ? n_known - done : BLOCK + AHEAD;
        for (size_t i = 0; i < n; ++i) {
            const uint64_t picked = fb_number_at(rows->index, rows->wide, done + i);
            const uint64_t row = fb_number_at(indexed->rows, indexed->inner_wide, picked);
            if (indexed->inner_wide)
                found[i] = row;
            else
                ((uint32_t *)found)[i] = (uint32_t)row;
        }
        there.n_ahead = n - there.n;
        at.position = context->position + done;
        const uint64_t refused =
            indexed->inner->fill(indexed->inner, &there, (char *)slot + done * column->row_nbytes, &at);
        if (refused != 0) {
            size_t i = 0; /* the row of this column that the inner one's stands for */
            while (i + 1 < there.n && fb_number_at(found, indexed->inner_wide, i) != refused - 1) ++i;
            return 1 + fb_number_at(rows->index, rows->wide, done + i);
        }
        there.n_warm = there.n_ahead;
    }
    return 0;
}
