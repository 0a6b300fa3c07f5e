#include "fb_memory.h" /* first: see there */

#include "fb_shuffled.h"

#include <string.h>

#include "fb_permutation.h"

static void end(void *state) {
    fb_permutation *permutation = (fb_permutation *)state;
    fb_free(permutation->rows);
    free(permutation);
}

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    const size_t row_nbytes = sampler->wide ? sizeof(uint64_t) : sizeof(uint32_t);
    fb_permutation *permutation = (fb_permutation *)*state;
    void *rows = permutation != NULL ? permutation->rows : NULL;
    *state = NULL;
    if (sampler->n_rows > SIZE_MAX / sizeof(uint64_t)) return FB_NO_MEMORY;
    if (permutation == NULL) {
        permutation = (fb_permutation *)malloc(sizeof *permutation);
        rows = fb_allocate(sampler->n_rows > 0 ? (size_t)sampler->n_rows * row_nbytes : 1);
    }
    int answer = permutation == NULL || rows == NULL ? FB_NO_MEMORY : 0;
    if (answer == 0) answer = fb_count_up(sampler->wide, 0, rows, sampler->n_rows, poll);
    if (answer == 0) answer = fb_permutation_begin(permutation, rows, row_nbytes, sampler->n_rows, key, epoch, poll);
    if (answer != 0) {
        fb_free(rows);
        free(permutation);
        return answer;
    }
    *state = permutation;
    return 0;
}

static uint64_t n_units(const void *state) { return fb_permutation_n_units((const fb_permutation *)state); }

static uint64_t unit_of(const void *state, uint64_t position) {
    return fb_permutation_unit_of((const fb_permutation *)state, position);
}

static int prepare(void *state, uint64_t unit, fb_poll poll) {
    return fb_permutation_prepare((const fb_permutation *)state, unit, poll);
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    const fb_permutation *permutation = (const fb_permutation *)state;
    const size_t row_nbytes = permutation->row_nbytes;
    memcpy(out, (const char *)permutation->rows + position * row_nbytes, n * row_nbytes);
}

fb_sampler fb_shuffled(uint64_t n_rows) {
    const fb_sampler sampler = {
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
    };
    return sampler;
}
