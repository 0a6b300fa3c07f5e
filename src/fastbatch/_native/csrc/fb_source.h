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

/* Sends for a row, of a byte at least: first and last line without a branch, which would mispredict; long rows line by
 * line. */
#define FB_DEFINE_SEND_FOR(level)                                                                        \
    FB_INLINE void fb_send_for_##level(const char *row, size_t nbytes) {                                 \
        for (size_t at = FB_CACHE_LINE; at < nbytes; at += FB_CACHE_LINE) FB_PREFETCH_##level(row + at); \
        FB_PREFETCH_##level(row);                                                                        \
        FB_PREFETCH_##level(row + nbytes - 1);                                                           \
    }
FB_DEFINE_SEND_FOR(L1)
FB_DEFINE_SEND_FOR(L2)

#endif
