#include "fb_native.h"

#include "fb_random.h"

uint64_t fb_native_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_native_column *native = (const fb_native_column *)column;
    const fb_key key = {{context->key[0], context->key[1]}};
    const uint64_t seed = fb_derive(key, context->epoch, FB_STREAM_NATIVE, 0, 0).word[0];
    int64_t block[FASTBATCH_FILL_MAX_ROWS];
    for (size_t done = 0; done < rows->n; done += FASTBATCH_FILL_MAX_ROWS) {
        const size_t left = rows->n - done;
        const size_t n = left < FASTBATCH_FILL_MAX_ROWS ? left : FASTBATCH_FILL_MAX_ROWS;
        for (size_t i = 0; i < n; ++i) block[i] = (int64_t)fb_number_at(rows->index, rows->wide, done + i);
        char *out = (char *)slot + done * column->row_nbytes;
        const int64_t written = native->function(native->state, block, (int64_t)n, out, seed, context->epoch,
                                                 context->position + done);
        if (written == (int64_t)n) continue;
        const size_t refused = written > 0 && written < (int64_t)n ? (size_t)written : 0;
        return 1 + fb_number_at(rows->index, rows->wide, done + refused);
    }
    return 0;
}
