/* The contract of a column: HOW to write rows of one array into a slot. It knows nothing of order, threads or
 * frameworks. A column is read-only while batches are filled, so that any number of threads may fill different slots
 * at once; `fill` takes no GIL and allocates nothing. */
#ifndef FB_COLUMN_H
#define FB_COLUMN_H

#include <string.h>

#include "fb_base.h"

/* The rows of one ticket. */
typedef struct fb_rows {
    const void *index; /* (n + n_ahead,) uint32, or uint64 when `wide` */
    size_t n;          /* rows to write */
    size_t n_ahead;    /* rows known to be wanted next: may be prefetched, are never written */
    size_t n_warm;     /* of the n + n_ahead, the first that were `ahead` of the fill before this one, by this thread */
    int wide;
    int consecutive; /* the n rows follow each other in the source */
    const float *weights; /* (n,), where the sampler has weights and a column wants them; else NULL */
} fb_rows;

/* What random augmentation draws from: the same whoever fills. */
typedef struct fb_context {
    uint64_t key[2];
    uint64_t epoch;
    uint64_t position; /* of the first row, in the epoch's global order */
} fb_context;

/* What is known of a batch only once it is filled. */
typedef struct fb_extent {
    int64_t size;    /* along one axis */
    uint64_t nbytes; /* that were written for whoever gets the batch */
} fb_extent;

typedef struct fb_column fb_column;
struct fb_column {
    /* Writes rows->n rows of row_nbytes bytes into `slot`; returns 0, or 1 + the first row that cannot be written. */
    uint64_t (*fill)(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);
    size_t row_nbytes; /* of one row in the slot */
    int wants_weights; /* whether it reads rows->weights */
    int whole;         /* whether what it writes depends on all rows of the batch: it is filled in one piece */
    /* Of a slot, behind its n x row_nbytes bytes, which are then as many as may be needed. The last of them hold an
     * fb_extent, which `fill` writes: such a column is `whole`. 0: there is none. */
    size_t tail_nbytes;
};

/* Where the extent of n rows is, in any alignment. */
FB_INLINE char *fb_extent_at(const fb_column *column, void *slot, size_t n) {
    return (char *)slot + n * column->row_nbytes + column->tail_nbytes - sizeof(fb_extent);
}

FB_INLINE void fb_store_extent(const fb_column *column, void *slot, size_t n, fb_extent extent) {
    memcpy(fb_extent_at(column, slot, n), &extent, sizeof(extent));
}

FB_INLINE fb_extent fb_load_extent(const fb_column *column, void *slot, size_t n) {
    fb_extent extent;
    memcpy(&extent, fb_extent_at(column, slot, n), sizeof(extent));
    return extent;
}

#endif
