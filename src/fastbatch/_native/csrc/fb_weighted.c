#include "fb_weighted.h"

#include <stdlib.h>

#include "fb_words.h"

/* Draws whose cells are on their way at once. */
enum { BLOCK = 64 };

typedef struct weighted_order {
    const fb_weighted *sampler;
    fb_words words;
} weighted_order;

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    weighted_order *order = *state != NULL ? (weighted_order *)*state : (weighted_order *)malloc(sizeof *order);
    (void)poll;
    *state = order;
    if (order == NULL) return FB_NO_MEMORY;
    order->sampler = (const fb_weighted *)sampler;
    fb_words_begin(&order->words, key, epoch, FB_STREAM_WEIGHTED);
    return 0;
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    weighted_order *order = (weighted_order *)state;
    const uint64_t n_rows = order->sampler->sampler.n_rows;
    const fb_alias_cell *cells = order->sampler->cells;
    uint32_t *rows = (uint32_t *)out, places[BLOCK], fractions[BLOCK];
    fb_words_seek(&order->words, position);
    while (n > 0) {
        const size_t count = fb_words_advance(&order->words, n, BLOCK);
        fb_sfc64 rng = order->words.rng;
        for (size_t i = 0; i < count; ++i) {
            places[i] = fb_alias_place(fb_next(&rng), n_rows, &fractions[i]);
            FB_PREFETCH_L1(&cells[places[i]]);
        }
        order->words.rng = rng;
        for (size_t i = 0; i < count; ++i) rows[i] = fb_alias_row(cells[places[i]], places[i], fractions[i]);
        rows += count;
        n -= count;
    }
}

static void end(void *state) { free(state); }

void fb_weighted_init(fb_weighted *weighted) {
    weighted->sampler.wide = 0;
    fb_sampler_without_units(&weighted->sampler, begin, draw, end);
}
