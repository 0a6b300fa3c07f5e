/* Rows of different lengths: padded to one length, or one behind the other. */
#ifndef FB_RAGGED_H
#define FB_RAGGED_H

#include "fb_cast.h"
#include "fb_column.h"
#include "fb_simd.h"

/* Runs of elements of one array, or of several. */
typedef struct fb_ragged {
    const char *elements;   /* kept by reference; NULL where `starts` are addresses */
    size_t start_nbytes;    /* that starts count: those of an element, or 1 where they are addresses */
    size_t element_nbytes;
    const int64_t *starts;  /* (n_rows,), or (n_rows + 1,) where a row ends as the next begins; kept by reference */
    const int64_t *lengths; /* (n_rows,), kept by reference; or NULL */
    int64_t most;           /* elements of a row that count: those behind them are cut off */
    size_t n_lines; /* cache lines of a row that are sent for ahead of its copy; 0: rows are taken to be in a cache */
    size_t n_ahead; /* how many rows ahead */
} fb_ragged;

/* How far to look ahead where rows have so many bytes in all: for as many lines as most rows do not exceed. */
FB_INLINE void fb_ragged_look_ahead(fb_ragged *ragged, uint64_t n_rows, uint64_t nbytes) {
    enum { AHEAD_NBYTES = 8192, MIN_ROWS = 8, MAX_ROWS = 128, MAX_LINES = 16 };
    ragged->n_lines = 0;
    if (nbytes <= FB_CACHE_NBYTES) return;
    const uint64_t mean = nbytes / n_rows, lines = 1 + 2 * mean / FB_CACHE_LINE, rows = AHEAD_NBYTES / (mean + 1);
    ragged->n_lines = lines < MAX_LINES ? (size_t)lines : MAX_LINES;
    ragged->n_ahead = rows < MIN_ROWS ? MIN_ROWS : rows < MAX_ROWS ? (size_t)rows : MAX_ROWS;
}

/* What elements become, where they do not stay as they are. */
typedef struct fb_ragged_cast {
    fb_cast cast;
    size_t n_numbers; /* of an element */
    size_t nbytes;    /* of an element in the slot */
} fb_ragged_cast;

/* Of each row so many elements as it has, as int64, or all of one batch: see each function. */
typedef struct fb_ragged_column {
    fb_column column;
    fb_ragged ragged;
    fb_ragged_cast cast; /* for fb_packed_cast_fill */
} fb_ragged_column;

/* Items of padding, as often as they fit. */
enum { FB_PAD_NBYTES = 64 };

typedef struct fb_padded_column {
    fb_column column;
    fb_ragged ragged;
    size_t multiple; /* the width of a batch is that of its longest row, rounded up to a multiple of this */
    size_t width;    /* or this one, unless it is 0; then there is no extent */
    int is_left;     /* whether the padding is in front */
    int is_even;     /* whether all its bytes are the same */
    enum fb_simd level;
    char pad[FB_PAD_NBYTES]; /* as it is in the slot */
    fb_ragged_cast cast;     /* for fb_padded_cast_fill */
} fb_padded_column;

/* An fb_padded_column's values, (n, width, element_nbytes). Its extent is the width. Costs one cache miss per line of a
 * row, as many at once as the machine bears. */
uint64_t fb_padded_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

/* The same with elements that are cast while they are written; the padding is not. */
uint64_t fb_padded_cast_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

/* An fb_padded_column whose elements are 1 where the values have one of the row, and 0 where they have padding. */
uint64_t fb_mask_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

/* How many elements of each row count, as int64. */
uint64_t fb_lengths_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

/* The elements of all rows one behind the other, (total, element_nbytes). The extent is the total. */
uint64_t fb_packed_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

/* The same with elements that are cast while they are written. */
uint64_t fb_packed_cast_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

/* Where each row begins among those, and the end of all, as int32: the extent is n + 1. Refuses the first row that ends
 * beyond them. */
uint64_t fb_bounds_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
