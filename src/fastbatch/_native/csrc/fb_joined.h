/* Columns one behind the other, as one: each fills the rows that are its own. */
#ifndef FB_JOINED_H
#define FB_JOINED_H

#include "fb_column.h"

typedef struct fb_joined_column {
    fb_column column;
    const fb_column *const *parts; /* (n_parts,) that write rows of one kind */
    const uint64_t *starts;        /* (n_parts + 1,) first row of each; rising */
    size_t n_parts;
} fb_joined_column;

uint64_t fb_joined_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
