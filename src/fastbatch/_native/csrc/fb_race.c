#include "fb_memory.h" /* first: see there */

#include "fb_race.h"

#include <math.h>
#include <string.h>

#include "fb_log.h"

/* Rows of a bucket, on average: as many as are sorted within a cache. */
enum { BUCKET_ROWS = 4096 };

/* Times are told apart so finely when rows are scattered. */
enum { MAX_BINS = 1 << 16, ROWS_PER_BIN = 16 };

enum { ROWS_PER_POLL = 1 << 18 };

typedef struct runner {
    uint64_t time; /* ordered as the logarithms are */
    uint32_t row;
} runner;

typedef struct race_order {
    const fb_race *sampler;
    runner *runners;  /* (n_runners,), in buckets that follow each other in time */
    double *times;    /* (n_runners,), before they are scattered */
    uint64_t *starts; /* (n_buckets + 1,) */
    uint32_t *bins;   /* (MAX_BINS,): the bucket of each */
    uint64_t n_buckets;
} race_order;

void fb_log_weights(const double *values, uint64_t n, double *out) {
    for (uint64_t i = 0; i < n; ++i) out[i] = fb_log(values[i]);
}

/* ------------------------------------------------------------------------------------------------------------ sorting */

FB_INLINE int is_before(runner a, runner b) { return a.time != b.time ? a.time < b.time : a.row < b.row; }

static void insertion_sort(runner *runners, size_t n) {
    for (size_t i = 1; i < n; ++i) {
        const runner moved = runners[i];
        size_t at = i;
        for (; at > 0 && is_before(moved, runners[at - 1]); --at) runners[at] = runners[at - 1];
        runners[at] = moved;
    }
}

static void swap(runner *a, runner *b) {
    const runner kept = *a;
    *a = *b;
    *b = kept;
}

/* Quicksort: the times are random, so that the middle one of three halves them well enough. No two runners are equal. */
static void sort(runner *runners, size_t n) {
    while (n > 24) {
        runner *middle = &runners[n / 2], *last = &runners[n - 1];
        if (is_before(*middle, *runners)) swap(middle, runners);
        if (is_before(*last, *runners)) swap(last, runners);
        if (is_before(*last, *middle)) swap(last, middle);
        const runner pivot = *middle;
        size_t low = 0, high = n - 1;
        for (;;) {
            while (is_before(runners[low], pivot)) ++low;
            while (is_before(pivot, runners[high])) --high;
            if (low >= high) break;
            swap(&runners[low++], &runners[high--]);
        }
        const size_t below = low; /* [0, below) is before what follows */
        if (below < n - below) { /* the smaller part by itself: the stack stays shallow */
            sort(runners, below);
            runners += below;
            n -= below;
        } else {
            sort(runners + below, n - below);
            n = below;
        }
    }
    insertion_sort(runners, n);
}

/* -------------------------------------------------------------------------------------------------------------- order */

static uint64_t ordered(double time) {
    uint64_t bits;
    memcpy(&bits, &time, sizeof bits);
    return bits >> 63 != 0 ? ~bits : bits | UINT64_C(1) << 63;
}

static void end(void *state) {
    race_order *order = (race_order *)state;
    fb_free(order->runners);
    fb_free(order->times);
    free(order->starts);
    free(order->bins);
    free(order);
}

static uint64_t bucket_count(uint64_t n_runners) { return (n_runners + BUCKET_ROWS - 1) / BUCKET_ROWS; }

static race_order *allocate(const fb_race *race) {
    const uint64_t n = race->n_runners;
    race_order *order = (race_order *)calloc(1, sizeof *order);
    if (order == NULL) return NULL;
    order->sampler = race;
    order->runners = (runner *)fb_allocate((size_t)n * sizeof *order->runners);
    order->times = (double *)fb_allocate((size_t)n * sizeof *order->times);
    order->starts = (uint64_t *)calloc((size_t)bucket_count(n) + 2, sizeof *order->starts);
    order->bins = (uint32_t *)calloc(MAX_BINS, sizeof *order->bins);
    if (order->runners != NULL && order->times != NULL && order->starts != NULL && order->bins != NULL) return order;
    end(order);
    return NULL;
}

/* When each comes in; the first and the last of all. */
static int run(race_order *order, fb_key key, uint64_t epoch, fb_poll poll, double *first, double *last) {
    const fb_race *race = order->sampler;
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(key, epoch, FB_STREAM_RACE, 0, 0));
    *first = INFINITY;
    *last = -INFINITY;
    for (uint64_t done = 0; done < race->n_runners;) {
        const uint64_t to = race->n_runners - done < ROWS_PER_POLL ? race->n_runners : done + ROWS_PER_POLL;
        for (; done < to; ++done) {
            /* uniform between 0 and 1, neither of them */
            const double uniform = ((double)(fb_next(&rng) >> 12) + 0.5) * 0x1p-52;
            const double time = fb_log(-fb_log(uniform)) - race->log_weights[done];
            order->times[done] = time;
            if (time < *first) *first = time;
            if (time > *last) *last = time;
        }
        const int answer = fb_ask(poll);
        if (answer != 0) return answer;
    }
    return 0;
}

/* Scatters runners to buckets that follow each other in time. */
static int scatter(race_order *order, fb_poll poll, double first, double last) {
    const fb_race *race = order->sampler;
    const uint64_t n = race->n_runners;
    const uint64_t n_bins = n / ROWS_PER_BIN < 1 ? 1 : n / ROWS_PER_BIN > MAX_BINS ? MAX_BINS : n / ROWS_PER_BIN;
    const double bins_per_time = last > first ? (double)(n_bins - 1) / (last - first) : 0;
    memset(order->bins, 0, n_bins * sizeof *order->bins);
    for (uint64_t i = 0; i < n; ++i) ++order->bins[(size_t)((order->times[i] - first) * bins_per_time)];
    int answer = fb_ask(poll);
    if (answer != 0) return answer;

    /* Bins become buckets of at least BUCKET_ROWS, but for the last. starts[b + 1] is where the next row of bucket b goes,
     * and ends as where the next bucket begins. */
    uint64_t in_bucket = 0, n_buckets = 0, placed = 0;
    order->starts[0] = order->starts[1] = 0;
    for (uint64_t bin = 0; bin < n_bins; ++bin) {
        if (in_bucket >= BUCKET_ROWS) {
            ++n_buckets;
            in_bucket = 0;
            order->starts[n_buckets + 1] = placed;
        }
        in_bucket += order->bins[bin];
        placed += order->bins[bin];
        order->bins[bin] = (uint32_t)n_buckets;
    }
    order->n_buckets = n_buckets + 1;
    for (uint64_t done = 0; done < n;) {
        const uint64_t to = n - done < ROWS_PER_POLL ? n : done + ROWS_PER_POLL;
        for (; done < to; ++done) {
            const double time = order->times[done];
            const uint32_t bucket = order->bins[(size_t)((time - first) * bins_per_time)];
            runner *place = &order->runners[order->starts[bucket + 1]++];
            place->time = ordered(time);
            place->row = race->runners != NULL ? race->runners[done] : (uint32_t)done;
        }
        answer = fb_ask(poll);
        if (answer != 0) return answer;
    }
    return 0;
}

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    race_order *order = *state != NULL ? (race_order *)*state : allocate((const fb_race *)sampler);
    double first, last;
    *state = NULL;
    if (order == NULL) return FB_NO_MEMORY;
    int answer = run(order, key, epoch, poll, &first, &last);
    if (answer == 0) answer = scatter(order, poll, first, last);
    if (answer != 0) {
        end(order);
        return answer;
    }
    *state = order;
    return 0;
}

static uint64_t n_units(const void *state) { return ((const race_order *)state)->n_buckets; }

/* starts[b] <= position < starts[b + 1] */
static uint64_t unit_of(const void *state, uint64_t position) {
    const race_order *order = (const race_order *)state;
    uint64_t low = 0, high = order->n_buckets - 1;
    while (low < high) {
        const uint64_t middle = low + (high - low + 1) / 2;
        if (order->starts[middle] <= position)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static int prepare(void *state, uint64_t unit, fb_poll poll) {
    const race_order *order = (const race_order *)state;
    (void)poll;
    sort(order->runners + order->starts[unit], (size_t)(order->starts[unit + 1] - order->starts[unit]));
    return 0;
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    const race_order *order = (const race_order *)state;
    for (size_t i = 0; i < n; ++i) ((uint32_t *)out)[i] = order->runners[position + i].row;
}

void fb_race_init(fb_race *race) {
    fb_sampler *sampler = &race->sampler;
    sampler->wide = 0;
    sampler->consecutive = 0;
    sampler->begin = begin;
    sampler->n_units = n_units;
    sampler->unit_of = unit_of;
    sampler->prepare = prepare;
    sampler->draw = draw;
    sampler->end = end;
}
