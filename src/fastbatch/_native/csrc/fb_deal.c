#include "fb_deal.h"

#include <stdlib.h>

/* A number that rises by the same fraction with every row of a class: whole + part / scale. */
typedef struct staircase {
    uint64_t whole, part;
} staircase;

typedef struct class_state {
    uint64_t dealt;               /* rows so far */
    uint64_t scale, step, spare;  /* a row later is `step` + `spare` / `scale` places later */
    staircase earliest, latest;   /* places of the class's next row */
    staircase first_earliest, first_latest;
} class_state;

/* A binary heap of classes, by (key of the class, rank of the class). */
typedef struct heap {
    uint32_t *classes;
    uint32_t size;
    int by_latest;
} heap;

struct fb_deal {
    const uint64_t *shares;
    const uint32_t *rank;
    uint64_t total, position;
    uint32_t n_classes;
    class_state *state; /* (n_classes,) */
    heap waiting;       /* classes whose next row may not come yet, by its earliest place */
    heap ready;         /* the others, by the latest place */
};

static uint64_t key_of(const fb_deal *deal, const heap *heap, uint32_t class_) {
    const class_state *state = &deal->state[class_];
    return heap->by_latest ? state->latest.whole : state->earliest.whole;
}

static int is_before(const fb_deal *deal, const heap *heap, uint32_t a, uint32_t b) {
    const uint64_t key_a = key_of(deal, heap, a), key_b = key_of(deal, heap, b);
    return key_a != key_b ? key_a < key_b : deal->rank[a] < deal->rank[b];
}

static void push(const fb_deal *deal, heap *heap, uint32_t class_) {
    uint32_t at = heap->size++;
    while (at > 0 && is_before(deal, heap, class_, heap->classes[(at - 1) / 2])) {
        heap->classes[at] = heap->classes[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->classes[at] = class_;
}

static uint32_t pop(const fb_deal *deal, heap *heap) {
    const uint32_t top = heap->classes[0], last = heap->classes[--heap->size];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->size) break;
        if (child + 1 < heap->size && is_before(deal, heap, heap->classes[child + 1], heap->classes[child])) ++child;
        if (!is_before(deal, heap, heap->classes[child], last)) break;
        heap->classes[at] = heap->classes[child];
        at = child;
    }
    if (heap->size > 0) heap->classes[at] = last;
    return top;
}

static void climb(const class_state *state, staircase *stairs) {
    stairs->whole += state->step;
    stairs->part += state->spare;
    if (stairs->part >= state->scale) {
        stairs->part -= state->scale;
        ++stairs->whole;
    }
}

/* Where the deal stands after `periods` times `total` places: every class has had exactly its share. */
static void restart(fb_deal *deal, uint64_t periods) {
    deal->position = periods * deal->total;
    deal->waiting.size = deal->ready.size = 0;
    for (uint32_t class_ = 0; class_ < deal->n_classes; ++class_) {
        if (deal->shares[class_] == 0) continue;
        class_state *state = &deal->state[class_];
        state->dealt = periods * deal->shares[class_];
        state->earliest = state->first_earliest;
        state->latest = state->first_latest;
        state->earliest.whole += deal->position;
        state->latest.whole += deal->position;
        push(deal, &deal->waiting, class_);
    }
}

fb_deal *fb_deal_begin(const uint64_t *shares, uint64_t total, uint32_t n_classes, const uint32_t *rank) {
    fb_deal *deal = (fb_deal *)calloc(1, sizeof *deal);
    if (deal == NULL) return NULL;
    deal->shares = shares;
    deal->rank = rank;
    deal->total = total;
    deal->n_classes = n_classes;
    deal->state = (class_state *)calloc(n_classes, sizeof *deal->state);
    deal->waiting.classes = (uint32_t *)calloc(n_classes, sizeof *deal->waiting.classes);
    deal->ready.classes = (uint32_t *)calloc(n_classes, sizeof *deal->ready.classes);
    deal->ready.by_latest = 1;
    if (deal->state == NULL || deal->waiting.classes == NULL || deal->ready.classes == NULL) {
        fb_deal_end(deal);
        return NULL;
    }
    uint64_t dealt_classes = 0;
    for (uint32_t class_ = 0; class_ < n_classes; ++class_) dealt_classes += shares[class_] > 0;
    /* With s = 2k - 2 and deviation 1 - 1/s, row j of a class of share w / W comes at
     * place ceil((s j + 1) W / (s w)) - 1 at the earliest, floor((s j + s - 1) W / (s w)) at the latest. */
    const uint64_t s = 2 * dealt_classes - 2;
    for (uint32_t class_ = 0; class_ < n_classes; ++class_) {
        if (shares[class_] == 0) continue;
        class_state *state = &deal->state[class_];
        const uint64_t scale = s * shares[class_], earliest = total - 1, latest = (s - 1) * total;
        state->scale = scale;
        state->step = s * total / scale;
        state->spare = s * total % scale;
        state->first_earliest.whole = earliest / scale;
        state->first_earliest.part = earliest % scale;
        state->first_latest.whole = latest / scale;
        state->first_latest.part = latest % scale;
    }
    restart(deal, 0);
    return deal;
}

uint32_t fb_deal_next(fb_deal *deal, uint64_t *occurrence) {
    while (deal->waiting.size > 0 &&
           key_of(deal, &deal->waiting, deal->waiting.classes[0]) <= deal->position)
        push(deal, &deal->ready, pop(deal, &deal->waiting));
    const uint32_t class_ = pop(deal, &deal->ready);
    class_state *state = &deal->state[class_];
    *occurrence = state->dealt++;
    climb(state, &state->earliest);
    climb(state, &state->latest);
    push(deal, &deal->waiting, class_);
    ++deal->position;
    return class_;
}

void fb_deal_seek(fb_deal *deal, uint64_t position) {
    uint64_t occurrence;
    if (position < deal->position || position - deal->position >= deal->total) restart(deal, position / deal->total);
    while (deal->position < position) (void)fb_deal_next(deal, &occurrence);
}

void fb_deal_end(fb_deal *deal) {
    free(deal->state);
    free(deal->waiting.classes);
    free(deal->ready.classes);
    free(deal);
}
