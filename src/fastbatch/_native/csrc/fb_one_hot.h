/* A column of class numbers, each written as a row with one value at its place and another one elsewhere. */
#ifndef FB_ONE_HOT_H
#define FB_ONE_HOT_H

#include "fb_column.h"
#include "fb_source.h"

typedef struct fb_one_hot_column {
    fb_column column;
    fb_source source;   /* one integer for each row */
    size_t item_nbytes; /* of one: 1, 2, 4 or 8 */
    int is_signed;
    uint64_t n_classes;
    size_t value_nbytes; /* 2, 4 or 8 */
    char on[8], off[8];  /* (value_nbytes,) of each */
} fb_one_hot_column;

/* Refuses a row whose number is no class. */
uint64_t fb_one_hot_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
