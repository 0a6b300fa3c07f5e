#include "fb_memory.h" /* first: see there */

#include "fb_bucketed.h"

#include <string.h>

#include "fb_bijection.h"
#include "fb_shuffle.h"

typedef struct bucketed_order {
    const fb_bucketed *sampler;
    fb_key key;
    uint64_t epoch;
    fb_bijection bijection; /* of orders that are long enough; of others `scratch` has the shuffled rows */
    uint32_t *rows;         /* (n_rows,), written window by window */
    uint32_t *scratch;      /* (n_rows,) */
} bucketed_order;

static void end(void *state) {
    bucketed_order *order = (bucketed_order *)state;
    fb_free(order->rows);
    fb_free(order->scratch);
    free(order);
}

static bucketed_order *allocate(const fb_bucketed *bucketed) {
    bucketed_order *order = (bucketed_order *)calloc(1, sizeof *order);
    if (order == NULL) return NULL;
    const uint64_t n_rows = bucketed->sampler.n_rows;
    order->sampler = bucketed;
    if (n_rows <= SIZE_MAX / sizeof(uint32_t)) {
        order->rows = (uint32_t *)fb_allocate(n_rows > 0 ? (size_t)n_rows * sizeof(uint32_t) : 1);
        order->scratch = (uint32_t *)fb_allocate(n_rows > 0 ? (size_t)n_rows * sizeof(uint32_t) : 1);
    }
    if (order->rows != NULL && order->scratch != NULL) return order;
    end(order);
    return NULL;
}

static int is_long(const bucketed_order *order) {
    return order->sampler->sampler.n_rows >= FB_BIJECTION_MIN_ROWS;
}

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    bucketed_order *order = *state != NULL ? (bucketed_order *)*state : allocate((const fb_bucketed *)sampler);
    *state = order;
    if (order == NULL) return FB_NO_MEMORY;
    order->key = key;
    order->epoch = epoch;
    if (is_long(order)) {
        order->bijection = fb_bijection_begin(sampler->n_rows, key, epoch);
        return 0;
    }
    const fb_poll nobody = {NULL, NULL}; /* so few rows take microseconds */
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(key, epoch, FB_STREAM_BUCKET, 0, 0));
    (void)poll;
    (void)fb_count_up(0, 0, order->scratch, sampler->n_rows, nobody);
    (void)fb_shuffle_rows(&rng, order->scratch, sizeof *order->scratch, sampler->n_rows, 0, sampler->n_rows, nobody);
    return 0;
}

static uint64_t n_units(const void *state) {
    const fb_bucketed *bucketed = ((const bucketed_order *)state)->sampler;
    return bucketed->sampler.n_rows / bucketed->window + (bucketed->sampler.n_rows % bucketed->window != 0);
}

static uint64_t unit_of(const void *state, uint64_t position) {
    return position / ((const bucketed_order *)state)->sampler->window;
}

/* The block that is shorter than the others, any of them by its rank in length, goes behind them: so all begin at
 * multiples of their size. `scratch` has room for it. */
static void move_short_block(const bucketed_order *order, uint64_t unit, uint32_t *rows, uint32_t *scratch, uint64_t n) {
    const uint64_t block_rows = order->sampler->block_rows, n_short = n % block_rows;
    uint64_t rank;
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(order->key, order->epoch, FB_STREAM_LENGTHS, unit, 1));
    fb_draw_descending(&rng, n / block_rows + 1, 1, &rank);
    uint32_t *at = rows + rank * block_rows;
    memcpy(scratch, at, n_short * sizeof *rows);
    memmove(at, at + n_short, (n - n_short - rank * block_rows) * sizeof *rows);
    memcpy(rows + n - n_short, scratch, n_short * sizeof *rows);
}

static int prepare(void *state, uint64_t unit, fb_poll poll) {
    const bucketed_order *order = (const bucketed_order *)state;
    const fb_bucketed *bucketed = order->sampler;
    const uint64_t start = unit * bucketed->window, left = bucketed->sampler.n_rows - start;
    const uint64_t n = left < bucketed->window ? left : bucketed->window, n_blocks = n / bucketed->block_rows;
    uint32_t *rows = order->rows + start, *scratch = order->scratch + start;
    if (is_long(order)) fb_bijection_map(&order->bijection, bucketed->level, start, 0, scratch, (size_t)n);
    fb_sort_by_length(&bucketed->lengths, 0, scratch, rows, (size_t)n);
    if (n % bucketed->block_rows != 0) move_short_block(order, unit, rows, scratch, n);
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(order->key, order->epoch, FB_STREAM_LENGTHS, unit, 0));
    return fb_shuffle_rows(&rng, rows, (size_t)bucketed->block_rows * sizeof *rows, n_blocks, 0, n_blocks, poll);
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    memcpy(out, ((const bucketed_order *)state)->rows + position, n * sizeof(uint32_t));
}

void fb_bucketed_init(fb_bucketed *bucketed) {
    fb_sampler *sampler = &bucketed->sampler;
    sampler->length = sampler->n_rows;
    sampler->wide = 0;
    sampler->consecutive = 0;
    sampler->begin = begin;
    sampler->n_units = n_units;
    sampler->unit_of = unit_of;
    sampler->prepare = prepare;
    sampler->draw = draw;
    sampler->end = end;
}
