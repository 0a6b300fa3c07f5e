/* A column whose rows are read as numbers, shifted and scaled, and written as another type. */
#ifndef FB_CAST_COLUMN_H
#define FB_CAST_COLUMN_H

#include "fb_cast.h"
#include "fb_column.h"
#include "fb_source.h"

typedef struct fb_cast_column {
    fb_column column;
    fb_source source;
    fb_cast cast;
    size_t n_elements; /* of a row */
} fb_cast_column;

uint64_t fb_cast_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
