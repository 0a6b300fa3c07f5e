#include "fb_memory.h" /* first: see there */

#include "fb_balanced.h"

#include <string.h>

#include "fb_deal.h"
#include "fb_shuffle.h"

typedef struct balanced_order {
    const fb_balanced *sampler;
    fb_passes passes;
    uint32_t *dealt; /* (n_classes,): classes in the order they are dealt; their ranks where shares are given */
    fb_deal *deal;   /* NULL: round-robin */
} balanced_order;

static void end(void *state) {
    balanced_order *order = (balanced_order *)state;
    if (order->deal != NULL) fb_deal_end(order->deal);
    fb_passes_end(&order->passes);
    free(order->dealt);
    free(order);
}

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    const fb_balanced *balanced = (const fb_balanced *)sampler;
    const uint32_t n_classes = balanced->classes.n_classes;
    (void)poll;
    if (*state != NULL) end(*state);
    *state = NULL;
    balanced_order *order = (balanced_order *)calloc(1, sizeof *order);
    if (order == NULL) return FB_NO_MEMORY;
    order->sampler = balanced;
    order->dealt = (uint32_t *)calloc(n_classes, sizeof *order->dealt);
    if (order->dealt == NULL || fb_passes_begin(&order->passes, balanced->classes, 1, key, epoch) != 0) {
        end(order);
        return FB_NO_MEMORY;
    }
    for (uint32_t i = 0; i < n_classes; ++i) order->dealt[i] = i;
    const fb_poll nobody = {NULL, NULL};
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(key, epoch, FB_STREAM_CLASSES, 0, 0));
    (void)fb_shuffle_rows(&rng, order->dealt, sizeof *order->dealt, n_classes, 0, n_classes, nobody);
    if (balanced->shares != NULL) {
        order->deal = fb_deal_begin(balanced->shares, balanced->total_share, n_classes, order->dealt);
        if (order->deal == NULL) {
            end(order);
            return FB_NO_MEMORY;
        }
    }
    *state = order;
    return 0;
}

FB_INLINE void deal_rows(balanced_order *order, int wide, uint64_t position, void *out, size_t n) {
    if (order->deal != NULL) {
        fb_deal_seek(order->deal, position);
        for (size_t i = 0; i < n; ++i) {
            uint64_t occurrence;
            const uint32_t class_ = fb_deal_next(order->deal, &occurrence);
            fb_passes_put(&order->passes, wide, class_, occurrence, out, i);
        }
        return;
    }
    const uint32_t n_classes = order->sampler->classes.n_classes;
    uint64_t round = position / n_classes;
    uint32_t turn = (uint32_t)(position % n_classes);
    for (size_t i = 0; i < n; ++i) {
        fb_passes_put(&order->passes, wide, order->dealt[turn], round, out, i);
        if (++turn == n_classes) {
            turn = 0;
            ++round;
        }
    }
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    balanced_order *order = (balanced_order *)state;
    if (order->sampler->sampler.wide)
        deal_rows(order, 1, position, out, n);
    else
        deal_rows(order, 0, position, out, n);
}

void fb_balanced_init(fb_balanced *balanced) {
    balanced->sampler.wide = balanced->classes.wide;
    fb_sampler_without_units(&balanced->sampler, begin, draw, end);
}

void fb_group_rows(const uint32_t *codes, uint64_t n_rows, uint32_t n_classes, int wide, uint64_t *starts,
                   void *members) {
    /* starts[c + 1] counts class c, then holds where its next row goes, and ends as where the next class begins. */
    memset(starts, 0, ((size_t)n_classes + 1) * sizeof *starts);
    for (uint64_t row = 0; row < n_rows; ++row)
        if (codes[row] + 1 < n_classes) ++starts[codes[row] + 2];
    for (uint32_t class_ = 1; class_ < n_classes; ++class_) starts[class_ + 1] += starts[class_];
    for (uint64_t row = 0; row < n_rows; ++row) {
        const uint64_t at = starts[codes[row] + 1]++;
        if (wide)
            ((uint64_t *)members)[at] = row;
        else
            ((uint32_t *)members)[at] = (uint32_t)row;
    }
}
