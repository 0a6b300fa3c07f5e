/* A column that a function of the user's writes: see include/fastbatch.h for what the function is told. */
#ifndef FB_NATIVE_H
#define FB_NATIVE_H

#include "../../include/fastbatch.h"
#include "fb_column.h"

typedef struct fb_native_column {
    fb_column column;
    fastbatch_fill function;
    const void *state;
} fb_native_column;

/* Also refuses a row where the function says that it has written other than what it was asked for. */
uint64_t fb_native_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
