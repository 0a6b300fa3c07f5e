#include "fb_subset.h"

#include <stdlib.h>
#include <string.h>

typedef struct subset_order {
    const fb_subset *sampler;
    void *inner; /* its order */
} subset_order;

static void end(void *state) {
    subset_order *order = (subset_order *)state;
    order->sampler->inner->end(order->inner);
    free(order);
}

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    const fb_subset *subset = (const fb_subset *)sampler;
    subset_order *order = (subset_order *)*state;
    void *inner = order != NULL ? order->inner : NULL;
    *state = NULL;
    if (order == NULL) order = (subset_order *)malloc(sizeof *order);
    const int answer = order == NULL ? FB_NO_MEMORY : subset->inner->begin(subset->inner, key, epoch, poll, &inner);
    if (answer != 0) {
        free(order);
        return answer;
    }
    order->sampler = subset;
    order->inner = inner;
    *state = order;
    return 0;
}

static uint64_t n_units(const void *state) {
    const subset_order *order = (const subset_order *)state;
    return order->sampler->inner->n_units(order->inner);
}

static uint64_t unit_of(const void *state, uint64_t position) {
    const subset_order *order = (const subset_order *)state;
    return order->sampler->inner->unit_of(order->inner, position);
}

static int prepare(void *state, uint64_t unit, fb_poll poll) {
    const subset_order *order = (const subset_order *)state;
    return order->sampler->inner->prepare(order->inner, unit, poll);
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    const subset_order *order = (const subset_order *)state;
    const fb_subset *subset = order->sampler;
    const fb_sampler *inner = subset->inner;
    if (!subset->sampler.wide) {
        uint32_t *places = (uint32_t *)out;
        inner->draw(order->inner, position, places, n);
        for (size_t i = 0; i < n; ++i) places[i] = ((const uint32_t *)subset->rows)[places[i]];
        return;
    }
    uint64_t *rows = (uint64_t *)out;
    if (inner->wide) {
        inner->draw(order->inner, position, rows, n);
        for (size_t i = 0; i < n; ++i) rows[i] = ((const uint64_t *)subset->rows)[rows[i]];
        return;
    }
    /* Narrow places go to the upper half: each is read before the row that takes its room is written. */
    char *places = (char *)out + n * sizeof(uint32_t);
    inner->draw(order->inner, position, places, n);
    for (size_t i = 0; i < n; ++i) {
        uint32_t place;
        memcpy(&place, places + i * sizeof place, sizeof place);
        rows[i] = ((const uint64_t *)subset->rows)[place];
    }
}

void fb_subset_init(fb_subset *subset) {
    fb_sampler *sampler = &subset->sampler;
    const fb_sampler *inner = subset->inner;
    sampler->length = inner->length;
    sampler->consecutive = 0;
    sampler->begin = begin;
    sampler->n_units = inner->n_units != NULL ? n_units : NULL;
    sampler->unit_of = inner->unit_of != NULL ? unit_of : NULL;
    sampler->prepare = inner->prepare != NULL ? prepare : NULL;
    sampler->draw = draw;
    sampler->end = end;
}
