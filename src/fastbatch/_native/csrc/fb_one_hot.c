#include "fb_one_hot.h"

#include <string.h>

#include "fb_walk.h"

#define DEFINE_CLASS_OF(type)                           \
    FB_INLINE uint64_t class_of_##type(const char *row) { \
        type number;                                    \
        memcpy(&number, row, sizeof number);            \
        return (uint64_t)number; /* negative: beyond all classes */ \
    }
DEFINE_CLASS_OF(int8_t)
DEFINE_CLASS_OF(int16_t)
DEFINE_CLASS_OF(int32_t)
DEFINE_CLASS_OF(int64_t)
DEFINE_CLASS_OF(uint8_t)
DEFINE_CLASS_OF(uint16_t)
DEFINE_CLASS_OF(uint32_t)
DEFINE_CLASS_OF(uint64_t)

static uint64_t class_of(const fb_one_hot_column *column, const char *row) {
    switch (column->item_nbytes) {
    case 1: return column->is_signed ? class_of_int8_t(row) : class_of_uint8_t(row);
    case 2: return column->is_signed ? class_of_int16_t(row) : class_of_uint16_t(row);
    case 4: return column->is_signed ? class_of_int32_t(row) : class_of_uint32_t(row);
    default: return column->is_signed ? class_of_int64_t(row) : class_of_uint64_t(row);
    }
}

#define DEFINE_FILL(type)                                                                   \
    static void fill_##type(char *out, const char *value, size_t n) {                       \
        type *elements = (type *)(void *)out, element;                                      \
        memcpy(&element, value, sizeof element);                                            \
        for (size_t i = 0; i < n; ++i) elements[i] = element;                               \
    }
DEFINE_FILL(uint16_t)
DEFINE_FILL(uint32_t)
DEFINE_FILL(uint64_t)

uint64_t fb_one_hot_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_one_hot_column *one_hot = (const fb_one_hot_column *)column;
    fb_walk walk = fb_walk_begin(&one_hot->source, rows);
    const size_t nbytes = one_hot->value_nbytes, n = rows->n * (size_t)one_hot->n_classes;
    char *out = (char *)slot;
    (void)context;
    if (nbytes == 2)
        fill_uint16_t(out, one_hot->off, n);
    else if (nbytes == 4)
        fill_uint32_t(out, one_hot->off, n);
    else
        fill_uint64_t(out, one_hot->off, n);
    for (size_t i = 0; i < rows->n; ++i) {
        const uint64_t number = class_of(one_hot, fb_walk_next(&walk, i));
        if (number >= one_hot->n_classes) return 1 + fb_number_at(rows->index, rows->wide, i);
        memcpy(out + i * column->row_nbytes + (size_t)number * nbytes, one_hot->on, nbytes);
    }
    return 0;
}
