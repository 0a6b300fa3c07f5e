/* Rows of an array, gathered into a contiguous buffer, the next ones on their way. */
#ifndef FB_GATHER_H
#define FB_GATHER_H

#include "fb_column.h"
#include "fb_source.h"

/* Copies row rows->index[i] of the source to row i of `out`, (n, row_nbytes). Needs every index in range; `out` must
 * not overlap the source. Costs one cache miss per line, as many at once as the machine bears. */
void fb_gather(const fb_source *source, const fb_rows *rows, char *FB_RESTRICT out);

/* What is fetched ahead, in words. */
const char *fb_prefetching(const fb_source *source);

/* A column whose rows are copied as they are. */
typedef struct fb_gather_column {
    fb_column column;
    fb_source source;
} fb_gather_column;

uint64_t fb_gather_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

/* A column that writes the row numbers themselves, as int64. */
uint64_t fb_row_number_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
