#include "fb_alias.h"

#include <float.h>
#include <math.h>
#include <string.h>

static double weight_at(const void *weights, uint64_t row) {
    double weight;
    memcpy(&weight, (const char *)weights + row * sizeof weight, sizeof weight);
    return weight;
}

static void put(void *weights, uint64_t row, uint64_t integer) {
    memcpy((char *)weights + row * sizeof integer, &integer, sizeof integer);
}

/* A sum and what rounding has left out of it so far. */
typedef struct exact_sum {
    double sum, rest;
} exact_sum;

/* Knuth's TwoSum. */
static void add(exact_sum *total, double term) {
    const double sum = total->sum + term, shadow = sum - total->sum;
    total->rest += (total->sum - (sum - shadow)) + (term - shadow);
    total->sum = sum;
}

/* Right to the last bit or so for any number of rows. Lanes hide the latency. */
static double sum_of(const void *weights, uint64_t n_rows) {
    enum { LANES = 4 };
    exact_sum lanes[LANES] = {{0, 0}}, total = {0, 0};
    uint64_t row = 0;
    for (; row + LANES <= n_rows; row += LANES)
        for (int lane = 0; lane < LANES; ++lane)
            add(&lanes[lane], weight_at(weights, row + (uint64_t)lane));
    for (; row < n_rows; ++row) add(&lanes[0], weight_at(weights, row));
    for (int lane = 0; lane < LANES; ++lane) add(&total, lanes[lane].sum);
    for (int lane = 0; lane < LANES; ++lane) add(&total, lanes[lane].rest);
    return total.sum + total.rest;
}

int fb_check_weights(const void *weights, uint64_t n_rows, uint64_t *bad_row) {
    double largest = 0;
    for (uint64_t row = 0; row < n_rows; ++row) {
        const double weight = weight_at(weights, row);
        if (!(weight >= 0 && weight <= DBL_MAX)) {
            *bad_row = row;
            return FB_BAD_WEIGHT;
        }
        if (weight > largest) largest = weight;
    }
    return largest > 0 ? 0 : FB_NO_WEIGHT;
}

void fb_quantise_weights(void *weights, uint64_t n_rows) {
    double largest = 0;
    for (uint64_t row = 0; row < n_rows; ++row)
        if (weight_at(weights, row) > largest) largest = weight_at(weights, row);
    /* The largest weight comes between 1/2 and 1, so that no sum overflows. In two steps: one may not be a double. */
    int exponent;
    (void)frexp(largest, &exponent);
    const double half = ldexp(1, -(exponent / 2)), scale = ldexp(1, exponent / 2 - exponent);
    for (uint64_t row = 0; row < n_rows; ++row) {
        const double weight = weight_at(weights, row);
        double scaled = weight * half * scale;
        if (scaled == 0 && weight > 0) scaled = DBL_MIN;
        memcpy((char *)weights + row * sizeof scaled, &scaled, sizeof scaled);
    }

    const double whole = 4294967296.0 * (double)n_rows, factor = whole / sum_of(weights, n_rows);
    uint64_t missing = n_rows << 32; /* modulo 2^64 */
    for (uint64_t row = 0; row < n_rows; ++row) {
        const double weight = weight_at(weights, row), exact = weight * factor + 0.5;
        uint64_t integer = exact >= whole ? n_rows << 32 : (uint64_t)exact;
        if (integer == 0 && weight > 0) integer = 1;
        missing -= integer;
        put(weights, row, integer);
    }
    /* What rounding has left, a few units for each row at most. */
    const int lack = missing >> 63 == 0;
    uint64_t left = lack ? missing : 0 - missing;
    while (left > 0)
        for (uint64_t row = 0; row < n_rows && left > 0; ++row) {
            uint64_t integer;
            memcpy(&integer, (const char *)weights + row * sizeof integer, sizeof integer);
            if (lack ? integer == 0 : integer <= 1) continue;
            put(weights, row, lack ? integer + 1 : integer - 1);
            --left;
        }
}

static fb_alias_cell cell_of(uint64_t own, uint64_t row, uint64_t other) {
    return own >> 32 != 0 ? row : own << 32 | other; /* a full cell is its row's alone */
}

int fb_alias_build(const uint64_t *weights, uint64_t n_rows, fb_alias_cell *cells, fb_poll poll) {
    enum { ROWS_PER_POLL = 1 << 20 };
    const uint64_t full = UINT64_C(1) << 32;
    uint64_t polled = 0;
    uint64_t small = 0, large = 0;
    while (large < n_rows && weights[large] <= full) ++large;
    uint64_t left = large < n_rows ? weights[large] : 0; /* of the large row's weight */
    while (large < n_rows) {
        if (small + large - polled >= ROWS_PER_POLL) {
            polled = small + large;
            const int answer = fb_ask(poll);
            if (answer != 0) return answer;
        }
        if (left > full) { /* it fills up the next small row's cell */
            while (weights[small] > full) ++small;
            cells[small] = cell_of(weights[small], small, large);
            left -= full - weights[small++];
        } else { /* its own cell is filled up by the next large row */
            const uint64_t row = large++, own = left;
            while (large < n_rows && weights[large] <= full) ++large;
            cells[row] = cell_of(own, row, large);
            if (large < n_rows) left = weights[large] - (full - own);
        }
    }
    for (; small < n_rows; ++small)
        if (weights[small] <= full) cells[small] = cell_of(weights[small], small, small);
    return 0;
}

void fb_alias_weights(const fb_alias_cell *cells, uint64_t n_rows, uint64_t *weights) {
    for (uint64_t row = 0; row < n_rows; ++row) {
        const uint64_t own = cells[row] >> 32;
        weights[row] += own;
        weights[(uint32_t)cells[row]] += (UINT64_C(1) << 32) - own;
    }
}
