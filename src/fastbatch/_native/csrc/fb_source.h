/* Rows of an array, wherever they lie. */
#ifndef FB_SOURCE_H
#define FB_SOURCE_H

#include "fb_base.h"

/* (n_rows, row_nbytes), `stride` bytes from row to row. */
typedef struct fb_source {
    const char *rows;
    int64_t stride;
    size_t row_nbytes;
    uint64_t n_rows;
} fb_source;

#endif
