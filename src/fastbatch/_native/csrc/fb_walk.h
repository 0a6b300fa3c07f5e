/* Rows one after the other, in the order of a ticket, the next ones on their way from memory: for columns that do more
 * with a row than copy it. */
#ifndef FB_WALK_H
#define FB_WALK_H

#include "fb_column.h"
#include "fb_gather.h"

/* Bytes on their way at any time, rows that makes, and bytes of a row that are asked for: the hardware sees by itself that
 * a long row goes on. */
enum { FB_WALK_NBYTES = 8192, FB_WALK_MIN_ROWS = 2, FB_WALK_MAX_ROWS = 128, FB_WALK_ROW_NBYTES = 4096 };

typedef struct fb_walk {
    const fb_source *source;
    const fb_rows *rows;
    size_t ahead, n_known;
} fb_walk;

FB_INLINE const char *fb_walk_row(const fb_walk *walk, size_t i) {
    return walk->source->rows + (int64_t)fb_number_at(walk->rows->index, walk->rows->wide, i) * walk->source->stride;
}

FB_INLINE void fb_walk_prefetch(const fb_walk *walk, size_t i) {
    const size_t row_nbytes = walk->source->row_nbytes;
    const size_t nbytes = row_nbytes < FB_WALK_ROW_NBYTES ? row_nbytes : FB_WALK_ROW_NBYTES;
    if (i >= walk->n_known || nbytes == 0) return;
    const char *row = fb_walk_row(walk, i);
    for (size_t at = 0; at < nbytes; at += FB_CACHE_LINE) FB_PREFETCH_L2(row + at);
    FB_PREFETCH_L2(row + nbytes - 1);
}

FB_INLINE fb_walk fb_walk_begin(const fb_source *source, const fb_rows *rows) {
    const size_t fitting = FB_WALK_NBYTES / (source->row_nbytes + 1);
    const size_t most = fitting < FB_WALK_MAX_ROWS ? fitting : FB_WALK_MAX_ROWS;
    const size_t ahead = most > FB_WALK_MIN_ROWS ? most : FB_WALK_MIN_ROWS;
    const fb_walk walk = {source, rows, ahead, rows->n + rows->n_ahead};
    for (size_t i = 0; i < ahead; ++i) fb_walk_prefetch(&walk, i);
    return walk;
}

/* The address of row i; to be asked for in turn. */
FB_INLINE const char *fb_walk_next(const fb_walk *walk, size_t i) {
    fb_walk_prefetch(walk, i + walk->ahead);
    return fb_walk_row(walk, i);
}

#endif
