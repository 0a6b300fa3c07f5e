#include "fb_memory.h" /* first: see there */

#include "fb_perclass.h"

typedef struct perclass_order {
    const fb_perclass *sampler;
    fb_passes turns; /* whose turn it is: the classes are the rows of one class */
    fb_passes passes;
    uint64_t turn_starts[2];
} perclass_order;

static void end(void *state) {
    perclass_order *order = (perclass_order *)state;
    fb_passes_end(&order->turns);
    fb_passes_end(&order->passes);
    free(order);
}

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    const fb_perclass *perclass = (const fb_perclass *)sampler;
    (void)poll;
    if (*state != NULL) end(*state);
    *state = NULL;
    perclass_order *order = (perclass_order *)calloc(1, sizeof *order);
    if (order == NULL) return FB_NO_MEMORY;
    order->sampler = perclass;
    order->turn_starts[1] = perclass->classes.n_classes;
    const fb_classes turns = {1, 0, perclass->classes.n_classes, NULL, order->turn_starts};
    /* A key of its own, so that the turns share no stream with the rows of class 0. */
    const fb_seed seed = fb_derive(key, epoch, FB_STREAM_CLASSES, 0, 0);
    const fb_key turn_key = {{seed.word[0], seed.word[1]}};
    if (fb_passes_begin(&order->turns, turns, perclass->n_together, turn_key, epoch) != 0 ||
        fb_passes_begin(&order->passes, perclass->classes, perclass->rows_of_each, key, epoch) != 0) {
        end(order);
        return FB_NO_MEMORY;
    }
    *state = order;
    return 0;
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    perclass_order *order = (perclass_order *)state;
    const fb_perclass *perclass = order->sampler;
    const uint64_t of_each = perclass->rows_of_each;
    const int wide = perclass->classes.wide;
    uint64_t turn = position / of_each, row = position % of_each;
    for (size_t i = 0; i < n; ++turn, row = 0) {
        uint32_t class_ = 0;
        fb_passes_put(&order->turns, 0, 0, turn, &class_, 0);
        /* Each class has one turn in every so many. */
        const uint64_t first = turn / perclass->classes.n_classes * of_each;
        for (; row < of_each && i < n; ++row, ++i) fb_passes_put(&order->passes, wide, class_, first + row, out, i);
    }
}

void fb_perclass_init(fb_perclass *perclass) {
    perclass->sampler.wide = perclass->classes.wide;
    fb_sampler_without_units(&perclass->sampler, begin, draw, end);
}
