/* Rows to random buckets, in place: the first half of a shuffle that outgrows the cache.
 *
 * Every row gets an independent uniform label, and moves to the bucket of that name; a Fisher-Yates inside every bucket
 * then makes the order exactly uniform (Rao 1961; Sandelius 1962; Sanders 1998). A first run over the labels counts
 * them, so that bucket bounds are known; a second run over the same labels moves the rows along cycles. A label meets
 * its row when the row is lifted, and which row is lifted next depends on earlier labels only, so the labels of rows
 * are independent and uniform whatever the cycles. */
#ifndef FB_SCATTER_H
#define FB_SCATTER_H

#include "fb_base.h"
#include "fb_random.h"

/* Bounds the tables on the stack (32 KB) and the lines written to at a time (64 KB). */
enum { FB_SCATTER_MAX_BITS = 10 };

/* starts, (2^bits + 1,): where the bucket of every label begins when n_rows labels of `bits` bits come from `labels`.
 * Returns 0, or what `poll` answered. */
int fb_count_labels(fb_sfc64 labels, unsigned bits, uint64_t n_rows, uint64_t *starts, fb_poll poll);

/* Moves `rows`, (starts[2^bits], row_nbytes), to the buckets that `labels` names. Needs `starts` from the same labels
 * and row_nbytes > 0. Returns 0, or what `poll` answered; `rows` holds the same rows at any time. */
int fb_scatter(fb_sfc64 labels, unsigned bits, const uint64_t *starts, void *rows, size_t row_nbytes, fb_poll poll);

#endif
