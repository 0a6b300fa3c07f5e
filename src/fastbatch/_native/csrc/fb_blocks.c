#include "fb_memory.h" /* first: see there */

#include "fb_blocks.h"

#include <string.h>

#include "fb_shuffle.h"

typedef struct blocks_order {
    const fb_blocks *sampler;
    fb_key key;
    uint64_t epoch;
    size_t row_nbytes;
    uint64_t n_blocks;
    uint64_t missing;   /* rows that the last block of the data has less than the others */
    uint64_t short_at;  /* where that block stands in `blocks` */
    void *blocks;       /* (n_blocks, row_nbytes), in their order */
    void *rows;         /* (n_rows, row_nbytes), written window by window */
} blocks_order;

static uint64_t n_blocks_of(const fb_blocks *blocks) {
    return blocks->sampler.n_rows / blocks->block_rows + (blocks->sampler.n_rows % blocks->block_rows != 0);
}

static void end(void *state) {
    blocks_order *order = (blocks_order *)state;
    fb_free(order->blocks);
    fb_free(order->rows);
    free(order);
}

static blocks_order *allocate(const fb_blocks *sampler) {
    blocks_order *order = (blocks_order *)calloc(1, sizeof *order);
    if (order == NULL) return NULL;
    const uint64_t n_rows = sampler->sampler.n_rows;
    order->sampler = sampler;
    order->row_nbytes = sampler->sampler.wide ? sizeof(uint64_t) : sizeof(uint32_t);
    order->n_blocks = n_blocks_of(sampler);
    order->missing = order->n_blocks * sampler->block_rows - n_rows;
    if (n_rows <= SIZE_MAX / sizeof(uint64_t)) {
        order->blocks = fb_allocate(n_rows > 0 ? (size_t)order->n_blocks * order->row_nbytes : 1);
        order->rows = fb_allocate(n_rows > 0 ? (size_t)n_rows * order->row_nbytes : 1);
    }
    if (order->blocks != NULL && order->rows != NULL) return order;
    end(order);
    return NULL;
}

static uint64_t block_at(const blocks_order *order, uint64_t place) {
    return fb_number_at(order->blocks, order->sampler->sampler.wide, (size_t)place);
}

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    blocks_order *order = *state != NULL ? (blocks_order *)*state : allocate((const fb_blocks *)sampler);
    *state = NULL;
    if (order == NULL) return FB_NO_MEMORY;
    order->key = key;
    order->epoch = epoch;
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(key, epoch, FB_STREAM_BLOCKS, 0, 0));
    int answer = fb_count_up(sampler->wide, 0, order->blocks, order->n_blocks, poll);
    if (answer == 0)
        answer = fb_shuffle_rows(&rng, order->blocks, order->row_nbytes, order->n_blocks, 0, order->n_blocks, poll);
    if (answer != 0) {
        end(order);
        return answer;
    }
    for (order->short_at = 0; order->short_at + 1 < order->n_blocks; ++order->short_at)
        if (block_at(order, order->short_at) == order->n_blocks - 1) break;
    *state = order;
    return 0;
}

/* Where the rows of a block begin; of the one behind the last, where all end. */
static uint64_t start_of(const blocks_order *order, uint64_t place) {
    return place * order->sampler->block_rows - (place > order->short_at ? order->missing : 0);
}

static uint64_t n_units(const void *state) {
    const blocks_order *order = (const blocks_order *)state;
    return (order->n_blocks + order->sampler->window - 1) / order->sampler->window;
}

static uint64_t unit_of(const void *state, uint64_t position) {
    const blocks_order *order = (const blocks_order *)state;
    const uint64_t behind_short = start_of(order, order->short_at + 1);
    const uint64_t shifted = position < behind_short ? position : position + order->missing;
    return shifted / order->sampler->block_rows / order->sampler->window;
}

static int prepare(void *state, uint64_t unit, fb_poll poll) {
    const blocks_order *order = (const blocks_order *)state;
    const fb_blocks *blocks = order->sampler;
    const fb_poll nobody = {NULL, NULL};
    const uint64_t first = unit * blocks->window;
    const uint64_t end = order->n_blocks - first < blocks->window ? order->n_blocks : first + blocks->window;
    const uint64_t start = start_of(order, first), n_rows = start_of(order, end) - start;
    char *rows = (char *)order->rows + start * order->row_nbytes;
    for (uint64_t place = first; place < end; ++place) {
        const uint64_t at = start_of(order, place);
        (void)fb_count_up(blocks->sampler.wide, block_at(order, place) * blocks->block_rows,
                          (char *)order->rows + at * order->row_nbytes, start_of(order, place + 1) - at, nobody);
    }
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(order->key, order->epoch, FB_STREAM_WINDOW, unit, 0));
    return fb_shuffle_rows(&rng, rows, order->row_nbytes, n_rows, 0, n_rows, poll);
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    const blocks_order *order = (const blocks_order *)state;
    memcpy(out, (const char *)order->rows + position * order->row_nbytes, n * order->row_nbytes);
}

fb_blocks fb_blocks_of(uint64_t n_rows, uint64_t block_rows, uint64_t window) {
    const fb_blocks blocks = {
        .sampler =
            {
                .n_rows = n_rows,
                .length = n_rows,
                .wide = n_rows >= FB_NARROW_ROWS,
                .consecutive = 0,
                .begin = begin,
                .n_units = n_units,
                .unit_of = unit_of,
                .prepare = prepare,
                .draw = draw,
                .end = end,
            },
        .block_rows = block_rows,
        .window = window,
    };
    return blocks;
}
