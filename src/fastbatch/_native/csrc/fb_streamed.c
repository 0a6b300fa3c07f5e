#include "fb_streamed.h"

#include <stdlib.h>

typedef struct streamed_order {
    fb_bijection bijection;
    enum fb_simd level;
    int wide;
} streamed_order;

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    streamed_order *order = *state != NULL ? (streamed_order *)*state : (streamed_order *)malloc(sizeof *order);
    (void)poll;
    *state = order;
    if (order == NULL) return FB_NO_MEMORY;
    order->bijection = fb_bijection_begin(sampler->n_rows, key, epoch);
    order->level = ((const fb_streamed *)sampler)->level;
    order->wide = sampler->wide;
    return 0;
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    const streamed_order *order = (const streamed_order *)state;
    fb_bijection_map(&order->bijection, order->level, position, order->wide, out, n);
}

static void end(void *state) { free(state); }

fb_streamed fb_streamed_of(uint64_t n_rows, enum fb_simd level) {
    const fb_streamed streamed = {
        .sampler =
            {
                .n_rows = n_rows,
                .length = n_rows,
                .wide = n_rows >= FB_NARROW_ROWS,
                .consecutive = 0,
                .begin = begin,
                .draw = draw,
                .end = end,
            },
        .level = level,
    };
    return streamed;
}
