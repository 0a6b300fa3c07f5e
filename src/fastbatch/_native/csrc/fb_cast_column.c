#include "fb_cast_column.h"

#include "fb_walk.h"

uint64_t fb_cast_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_cast_column *casting = (const fb_cast_column *)column;
    fb_walk walk = fb_walk_begin(&casting->source, rows);
    char *out = (char *)slot;
    (void)context;
    for (size_t i = 0; i < rows->n; ++i)
        fb_cast_elements(&casting->cast, fb_walk_next(&walk, i), 0, casting->n_elements, out + i * column->row_nbytes);
    return 0;
}
