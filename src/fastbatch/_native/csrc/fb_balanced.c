#include "fb_memory.h" /* first: see there */

#include "fb_balanced.h"

#include <string.h>

#include "fb_deal.h"
#include "fb_shuffle.h"

/* A class's rows in the order of its present pass; the first `done` are final. */
typedef struct pass {
    uint64_t first; /* occurrences of the class in the passes before */
    uint64_t done;
    fb_sfc64 rng;
} pass;

typedef struct balanced_order {
    const fb_balanced *sampler;
    fb_key key;
    uint64_t epoch;
    size_t row_nbytes;
    char *rows;       /* (n_members, row_nbytes): each class's present pass, where the class stands in `members` */
    pass *passes;     /* (n_classes,) */
    uint32_t *dealt;  /* (n_classes,): classes in the order they are dealt; their ranks where shares are given */
    fb_deal *deal;    /* NULL: round-robin */
} balanced_order;

/* No occurrence is in a pass that begins here. */
#define NO_PASS UINT64_MAX

static void end(void *state) {
    balanced_order *order = (balanced_order *)state;
    if (order->deal != NULL) fb_deal_end(order->deal);
    fb_free(order->rows);
    free(order->passes);
    free(order->dealt);
    free(order);
}

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    const fb_balanced *balanced = (const fb_balanced *)sampler;
    const uint32_t n_classes = balanced->n_classes;
    (void)poll;
    if (*state != NULL) end(*state);
    *state = NULL;
    balanced_order *order = (balanced_order *)calloc(1, sizeof *order);
    if (order == NULL) return FB_NO_MEMORY;
    order->sampler = balanced;
    order->key = key;
    order->epoch = epoch;
    order->row_nbytes = sampler->wide ? sizeof(uint64_t) : sizeof(uint32_t);
    order->rows = (char *)fb_allocate((size_t)balanced->n_members * order->row_nbytes);
    order->passes = (pass *)calloc(n_classes, sizeof *order->passes);
    order->dealt = (uint32_t *)calloc(n_classes, sizeof *order->dealt);
    if (order->rows == NULL || order->passes == NULL || order->dealt == NULL) {
        end(order);
        return FB_NO_MEMORY;
    }
    for (uint32_t i = 0; i < n_classes; ++i) {
        order->dealt[i] = i;
        order->passes[i].first = NO_PASS;
    }
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

/* Brings `occurrence` of a class within the final part of its present pass. Once in FB_BLOCK rows. */
static void advance(balanced_order *order, uint32_t class_, uint64_t occurrence) {
    const fb_poll nobody = {NULL, NULL};
    pass *pass = &order->passes[class_];
    const uint64_t start = order->sampler->starts[class_], n_rows = order->sampler->starts[class_ + 1] - start;
    char *rows = order->rows + start * order->row_nbytes;
    const uint64_t number = occurrence / n_rows;
    if (pass->first != number * n_rows) {
        if (order->sampler->members == NULL)
            (void)fb_count_up(order->sampler->sampler.wide, start, rows, n_rows, nobody);
        else
            memcpy(rows, (const char *)order->sampler->members + start * order->row_nbytes, n_rows * order->row_nbytes);
        pass->first = number * n_rows;
        pass->done = 0;
        pass->rng = fb_sfc64_begin(fb_derive(order->key, order->epoch, FB_STREAM_PASS, class_, number));
    }
    const uint64_t wanted = occurrence - pass->first + 1, blocks = (wanted + FB_BLOCK - 1) / FB_BLOCK;
    const uint64_t to = blocks * FB_BLOCK < n_rows ? blocks * FB_BLOCK : n_rows;
    (void)fb_shuffle_rows(&pass->rng, rows, order->row_nbytes, n_rows, pass->done, to, nobody);
    pass->done = to;
}

FB_INLINE void put_row(balanced_order *order, int wide, uint32_t class_, uint64_t occurrence, void *out, size_t i) {
    const pass *pass = &order->passes[class_];
    if (FB_UNLIKELY(occurrence - pass->first >= pass->done)) advance(order, class_, occurrence);
    const uint64_t at = order->sampler->starts[class_] + (occurrence - pass->first);
    if (wide)
        ((uint64_t *)out)[i] = ((const uint64_t *)(const void *)order->rows)[at];
    else
        ((uint32_t *)out)[i] = ((const uint32_t *)(const void *)order->rows)[at];
}

FB_INLINE void deal_rows(balanced_order *order, int wide, uint64_t position, void *out, size_t n) {
    if (order->deal != NULL) {
        fb_deal_seek(order->deal, position);
        for (size_t i = 0; i < n; ++i) {
            uint64_t occurrence;
            const uint32_t class_ = fb_deal_next(order->deal, &occurrence);
            put_row(order, wide, class_, occurrence, out, i);
        }
        return;
    }
    const uint32_t n_classes = order->sampler->n_classes;
    uint64_t round = position / n_classes;
    uint32_t turn = (uint32_t)(position % n_classes);
    for (size_t i = 0; i < n; ++i) {
        put_row(order, wide, order->dealt[turn], round, out, i);
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
    fb_sampler *sampler = &balanced->sampler;
    sampler->wide = sampler->n_rows >= FB_NARROW_ROWS;
    sampler->consecutive = 0;
    sampler->begin = begin;
    sampler->n_units = NULL;
    sampler->unit_of = NULL;
    sampler->prepare = NULL;
    sampler->draw = draw;
    sampler->end = end;
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
