/* Rows one after the other, in the order of a ticket, the next ones on their way from memory.
 *
 * They are sent for in groups, and one group is worked on while the next is on its way: many lines at once keep the memory
 * busier than as many one by one, which wait for what is done with rows in between. */
#ifndef FB_WALK_H
#define FB_WALK_H

#include "fb_column.h"
#include "fb_source.h"

/* Bytes of a group, and rows. Longer rows go one by one, because the hardware sees by itself that they go on; it is told
 * of so many bytes of each. */
enum { FB_WALK_NBYTES = 12288, FB_WALK_MAX_ROWS = 128, FB_WALK_LONG_NBYTES = 3072, FB_WALK_SENT_NBYTES = 4096 };

typedef struct fb_walk {
    const fb_source *source;
    const fb_rows *rows;
    size_t group, n_known, n_sent;
} fb_walk;

FB_INLINE const char *fb_walk_row(const fb_walk *walk, size_t i) {
    return walk->source->rows + (int64_t)fb_number_at(walk->rows->index, walk->rows->wide, i) * walk->source->stride;
}

/* Sends for the next group. */
FB_INLINE void fb_walk_send(fb_walk *walk) {
    const size_t row_nbytes = walk->source->row_nbytes;
    const size_t nbytes = row_nbytes < FB_WALK_SENT_NBYTES ? row_nbytes : FB_WALK_SENT_NBYTES;
    const size_t end = walk->n_sent + walk->group < walk->n_known ? walk->n_sent + walk->group : walk->n_known;
    for (size_t i = walk->n_sent; i < end; ++i) fb_send_for_L2(fb_walk_row(walk, i), nbytes);
    walk->n_sent += walk->group;
}

FB_INLINE fb_walk fb_walk_begin(const fb_source *source, const fb_rows *rows) {
    const size_t row_nbytes = source->row_nbytes, fitting = FB_WALK_NBYTES / (row_nbytes + 1);
    const size_t most = rows->n < FB_WALK_MAX_ROWS ? rows->n : FB_WALK_MAX_ROWS, n = fitting < most ? fitting : most;
    fb_walk walk = {source, rows, row_nbytes >= FB_WALK_LONG_NBYTES || n == 0 ? 1 : n, rows->n + rows->n_ahead, 0};
    if (row_nbytes == 0) walk.n_known = 0;
    if (rows->n_warm >= walk.group)
        walk.n_sent = walk.group; /* by the fill before, unless that was a shorter one */
    else
        fb_walk_send(&walk);
    return walk;
}

/* The address of row i; to be asked for in turn. */
FB_INLINE const char *fb_walk_next(fb_walk *walk, size_t i) {
    if (i + walk->group == walk->n_sent) fb_walk_send(walk);
    return fb_walk_row(walk, i);
}

#endif
