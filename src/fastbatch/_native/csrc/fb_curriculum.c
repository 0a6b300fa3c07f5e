#include "fb_curriculum.h"

#include <stdlib.h>

#include "fb_words.h"

/* Draws whose lines are on their way at once. */
enum { BLOCK = 64 };

typedef struct curriculum_order {
    const fb_curriculum *sampler;
    fb_words words;
} curriculum_order;

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    curriculum_order *order = (curriculum_order *)(*state != NULL ? *state : malloc(sizeof *order));
    (void)poll;
    *state = order;
    if (order == NULL) return FB_NO_MEMORY;
    order->sampler = (const fb_curriculum *)sampler;
    fb_words_begin(&order->words, key, epoch, FB_STREAM_CURRICULUM);
    return 0;
}

/* The step that a position lies in. */
static size_t step_at(const fb_curriculum *curriculum, uint64_t position) {
    size_t low = 0, high = curriculum->n_steps - 1;
    while (low < high) {
        const size_t middle = low + (high - low + 1) / 2;
        if (curriculum->starts[middle] <= position)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static uint64_t end_of(const fb_curriculum *curriculum, size_t step) {
    return step + 1 < curriculum->n_steps ? curriculum->starts[step + 1] : UINT64_MAX;
}

static void draw_alike(const fb_curriculum *curriculum, uint64_t n_eligible, fb_sfc64 *rng, uint32_t *out, size_t n) {
    uint32_t places[BLOCK];
    uint64_t low;
    for (size_t i = 0; i < n; ++i) {
        places[i] = (uint32_t)fb_multiply(fb_next(rng), n_eligible, &low);
        FB_PREFETCH_L1(&curriculum->rows[places[i]]);
    }
    for (size_t i = 0; i < n; ++i) out[i] = curriculum->rows[places[i]];
}

/* The first row whose sum is above the target: from the guide on it is a few steps, on average at most two. A run of tiny
 * weights is halved. */
static uint32_t find(const fb_curriculum *curriculum, uint64_t target, uint64_t n_eligible) {
    const uint64_t *sums = curriculum->sums;
    const uint64_t cell = target >> 32;
    uint64_t low = curriculum->guide[cell];
    uint64_t high = cell + 1 < curriculum->sampler.n_rows ? curriculum->guide[cell + 1] : n_eligible - 1;
    if (high > n_eligible - 1) high = n_eligible - 1; /* sums[high] > target */
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (sums[middle] > target)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint32_t)low;
}

static void draw_weighted(const fb_curriculum *curriculum, uint64_t n_eligible, fb_sfc64 *rng, uint32_t *out, size_t n) {
    const uint64_t total = curriculum->sums[n_eligible - 1];
    uint64_t targets[BLOCK], low;
    for (size_t i = 0; i < n; ++i) {
        targets[i] = fb_multiply(fb_next(rng), total, &low);
        FB_PREFETCH_L1(&curriculum->guide[targets[i] >> 32]);
    }
    for (size_t i = 0; i < n; ++i) FB_PREFETCH_L1(&curriculum->sums[curriculum->guide[targets[i] >> 32]]);
    for (size_t i = 0; i < n; ++i) {
        out[i] = find(curriculum, targets[i], n_eligible);
        FB_PREFETCH_L1(&curriculum->rows[out[i]]);
    }
    for (size_t i = 0; i < n; ++i) out[i] = curriculum->rows[out[i]];
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    curriculum_order *order = (curriculum_order *)state;
    const fb_curriculum *curriculum = order->sampler;
    uint32_t *rows = (uint32_t *)out;
    fb_words_seek(&order->words, position);
    for (size_t step = step_at(curriculum, position); n > 0; ++step) {
        const uint64_t left = end_of(curriculum, step) - position;
        for (size_t in_step = n < left ? n : (size_t)left; in_step > 0;) {
            const size_t count = fb_words_advance(&order->words, in_step, BLOCK);
            if (curriculum->sums == NULL)
                draw_alike(curriculum, curriculum->eligible[step], &order->words.rng, rows, count);
            else
                draw_weighted(curriculum, curriculum->eligible[step], &order->words.rng, rows, count);
            position += count;
            rows += count;
            in_step -= count;
            n -= count;
        }
    }
}

static void weigh(void *state, uint64_t position, const void *rows, float *out, size_t n) {
    const fb_curriculum *curriculum = ((const curriculum_order *)state)->sampler;
    for (size_t i = 0; i < n;) {
        const uint64_t there = (position + i) % curriculum->sampler.length; /* behind the last row comes the first */
        const size_t step = step_at(curriculum, there);
        uint64_t end = end_of(curriculum, step);
        if (end > curriculum->sampler.length) end = curriculum->sampler.length;
        for (uint64_t left = end - there; left > 0 && i < n; --left, ++i)
            out[i] = (float)(curriculum->importances[((const uint32_t *)rows)[i]] * curriculum->scales[step]);
    }
}

static void end(void *state) { free(state); }

void fb_curriculum_init(fb_curriculum *curriculum) {
    fb_sampler *sampler = &curriculum->sampler;
    sampler->wide = 0;
    fb_sampler_without_units(sampler, begin, draw, end);
    sampler->is_of_one_epoch = 1;
    sampler->weigh = curriculum->sums != NULL ? weigh : NULL;
}

void fb_curriculum_guide(const uint64_t *sums, uint64_t n, uint32_t *guide) {
    uint64_t row = 0;
    for (uint64_t cell = 0; cell < n; ++cell) {
        while (sums[row] <= cell << 32) ++row;
        guide[cell] = (uint32_t)row;
    }
}
