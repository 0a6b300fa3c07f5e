/* Columns of rows that several sequences share: their values, the place of each value in its sequence, and the number of
 * its sequence in the row. What is left of a row is padding. */
#ifndef FB_PACKED_ROWS_H
#define FB_PACKED_ROWS_H

#include "fb_ragged.h"

typedef struct fb_packed_rows {
    fb_column column;
    fb_ragged sequences;     /* in the order of the rows; with lengths, of which all counts */
    const uint64_t *starts;  /* (n_rows + 1,): where those of each row begin; kept by reference */
    uint64_t context;        /* elements of a row, at least as many as those of its sequences together */
    int is_even;             /* whether all bytes of the padding are the same */
    char pad[FB_PAD_NBYTES];
} fb_packed_rows;

/* The values, (n, context, element_nbytes). Those of the sequences that come next are prefetched. */
uint64_t fb_packed_values_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

/* The places, (n, context): from 0 on in each sequence, and 0 in the padding. */
uint64_t fb_packed_positions_fill_64(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);
uint64_t fb_packed_positions_fill_32(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

/* The numbers, (n, context): from 1 on in each row, and 0 in the padding. */
uint64_t fb_packed_segments_fill_64(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);
uint64_t fb_packed_segments_fill_32(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
