/* A column of some rows of another one: row i of it is row rows[i] there. Nothing is copied. */
#ifndef FB_INDEXED_H
#define FB_INDEXED_H

#include "fb_column.h"

typedef struct fb_indexed_column {
    fb_column column;
    const fb_column *inner; /* kept by reference */
    const void *rows;       /* uint32, or uint64 when `inner_wide`; kept by reference */
    int inner_wide;
} fb_indexed_column;

uint64_t fb_indexed_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
