#include "fb_valid.h"

uint64_t fb_valid_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const uint64_t length = ((const fb_valid_column *)column)->length;
    for (size_t i = 0; i < rows->n; ++i) ((unsigned char *)slot)[i] = context->position + i < length;
    return 0;
}
