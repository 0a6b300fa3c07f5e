/* A column of several arrays, one behind the other, none of them copied. */
#ifndef FB_CONCAT_H
#define FB_CONCAT_H

#include "fb_column.h"
#include "fb_source.h"

typedef struct fb_concat_column {
    fb_column column;
    const fb_source *parts; /* (n_parts,), kept by reference; none is empty */
    const uint64_t *starts; /* (n_parts + 1,): the row at which each begins, and the end of all; kept by reference */
    size_t n_parts;         /* at least 1 */
} fb_concat_column;

uint64_t fb_concat_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
