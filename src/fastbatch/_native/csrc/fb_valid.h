/* A column that tells rows of the epoch from those that fill up the last batches of ranks. */
#ifndef FB_VALID_H
#define FB_VALID_H

#include "fb_column.h"

typedef struct fb_valid_column {
    fb_column column;
    uint64_t length; /* rows of an epoch: those at a position beyond it came before */
} fb_valid_column;

/* Writes a bool for each row. */
uint64_t fb_valid_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
