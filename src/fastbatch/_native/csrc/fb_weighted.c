#include "fb_weighted.h"

#include <stdlib.h>

/* Positions that share a stream: whoever begins between two of them skips fewer draws than that. Part of the version of
 * the orders. */
enum { STREAM_ROWS = 4096 };

/* Draws whose cells are on their way at once. */
enum { BLOCK = 64 };

typedef struct weighted_order {
    const fb_weighted *sampler;
    fb_key key;
    uint64_t epoch;
    uint64_t position; /* that `rng` stands at; a multiple of STREAM_ROWS: its stream has not begun */
    fb_sfc64 rng;
} weighted_order;

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    weighted_order *order = *state != NULL ? (weighted_order *)*state : (weighted_order *)malloc(sizeof *order);
    (void)poll;
    *state = order;
    if (order == NULL) return FB_NO_MEMORY;
    order->sampler = (const fb_weighted *)sampler;
    order->key = key;
    order->epoch = epoch;
    order->position = 0;
    return 0;
}

static void begin_stream(weighted_order *order, uint64_t position) {
    order->rng = fb_sfc64_begin(fb_derive(order->key, order->epoch, FB_STREAM_WEIGHTED, position / STREAM_ROWS, 0));
    order->position = position;
}

static void seek(weighted_order *order, uint64_t position) {
    if (position == order->position) return;
    begin_stream(order, position - position % STREAM_ROWS);
    for (; order->position < position; ++order->position) (void)fb_next(&order->rng);
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    weighted_order *order = (weighted_order *)state;
    const uint64_t n_rows = order->sampler->sampler.n_rows;
    const fb_alias_cell *cells = order->sampler->cells;
    uint32_t *rows = (uint32_t *)out, places[BLOCK], fractions[BLOCK];
    seek(order, position);
    while (n > 0) {
        const uint64_t reached = order->position % STREAM_ROWS;
        if (reached == 0) begin_stream(order, order->position);
        size_t count = n < BLOCK ? n : BLOCK;
        if (count > STREAM_ROWS - reached) count = (size_t)(STREAM_ROWS - reached);
        fb_sfc64 rng = order->rng;
        for (size_t i = 0; i < count; ++i) {
            places[i] = fb_alias_place(fb_next(&rng), n_rows, &fractions[i]);
            FB_PREFETCH_L1(&cells[places[i]]);
        }
        order->rng = rng;
        for (size_t i = 0; i < count; ++i) rows[i] = fb_alias_row(cells[places[i]], places[i], fractions[i]);
        order->position += count;
        rows += count;
        n -= count;
    }
}

static void end(void *state) { free(state); }

void fb_weighted_init(fb_weighted *weighted) {
    weighted->sampler.wide = 0;
    fb_sampler_without_units(&weighted->sampler, begin, draw, end);
}
