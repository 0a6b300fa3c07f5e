/* A column of the weights that a sampler gives with its rows: what undoes that some come more often. */
#ifndef FB_IMPORTANCE_H
#define FB_IMPORTANCE_H

#include "fb_column.h"

/* Writes a float32 for each row. */
uint64_t fb_importance_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
