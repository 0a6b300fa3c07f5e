#include "fb_token_budget.h"

#include <string.h>

#include "fb_permutation.h"
#include "fb_sampler.h"
#include "fb_shuffle.h"

/* Rows between two polls. */
enum { ROWS_PER_POLL = 1 << 20 };

/* The batch that is being filled. */
typedef struct cutter {
    uint64_t n_batches, n, longest, width; /* batches before it, its rows, the longest of them and that rounded up */
} cutter;

static int shuffle(uint32_t *rows, uint64_t n_rows, fb_key key, uint64_t epoch, fb_poll poll) {
    fb_permutation permutation;
    int answer = fb_count_up(0, 0, rows, n_rows, poll);
    if (answer == 0) answer = fb_permutation_begin(&permutation, rows, sizeof *rows, n_rows, key, epoch, poll);
    if (answer != 0) return answer;
    const uint64_t n_units = fb_permutation_n_units(&permutation);
    for (uint64_t unit = 0; unit < n_units && answer == 0; ++unit)
        answer = fb_permutation_prepare(&permutation, unit, poll);
    return answer;
}

/* rows[first, end) go to the batch at hand and to further ones. */
static void cut(const fb_token_budget *budget, cutter *batch, const uint32_t *rows, uint64_t first, uint64_t end,
                uint32_t *ends) {
    cutter at = *batch;
    for (uint64_t i = first; i < end; ++i) {
        const uint64_t length = budget->lengths.of_rows[rows[i]];
        uint64_t longest = at.longest, width = at.width;
        if (length > longest) {
            longest = length;
            width = (length + budget->multiple - 1) / budget->multiple * budget->multiple;
        }
        if (at.n > 0 && ((at.n + 1) * width > budget->tokens || at.n >= budget->max_rows)) {
            ends[at.n_batches++] = (uint32_t)i;
            at.n = 0;
            longest = length;
            width = (length + budget->multiple - 1) / budget->multiple * budget->multiple;
        }
        at.longest = longest;
        at.width = width;
        ++at.n;
    }
    *batch = at;
}

int fb_token_budget_cut(const fb_token_budget *budget, fb_key key, uint64_t epoch, uint32_t *FB_RESTRICT rows,
                        uint32_t *FB_RESTRICT scratch, uint32_t *FB_RESTRICT ends, uint64_t *n_batches, fb_poll poll) {
    cutter batch = {0, 0, 0, 0};
    uint64_t unasked = 0;
    int answer = shuffle(scratch, budget->n_rows, key, epoch, poll), longest_first = 0;
    for (uint64_t first = 0; first < budget->n_rows && answer == 0; first += budget->window) {
        const uint64_t left = budget->n_rows - first, n = left < budget->window ? left : budget->window;
        fb_sort_by_length(&budget->lengths, longest_first, scratch + first, rows + first, (size_t)n);
        cut(budget, &batch, rows, first, first + n, ends);
        longest_first = !longest_first;
        unasked += n;
        if (unasked >= ROWS_PER_POLL) {
            unasked = 0;
            answer = fb_ask(poll);
        }
    }
    if (batch.n > 0) ends[batch.n_batches++] = (uint32_t)budget->n_rows;
    *n_batches = batch.n_batches;
    return answer;
}

int fb_token_budget_deal(const fb_token_budget *budget, fb_key key, uint64_t epoch, const uint32_t *FB_RESTRICT rows,
                         const uint32_t *FB_RESTRICT ends, uint64_t n_batches, uint32_t *FB_RESTRICT order,
                         uint32_t *FB_RESTRICT out, uint64_t *FB_RESTRICT starts, fb_poll poll) {
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(key, epoch, FB_STREAM_BATCHES, 0, 0));
    int answer = fb_count_up(0, 0, order, n_batches, poll);
    if (answer == 0) answer = fb_shuffle_rows(&rng, order, sizeof *order, n_batches, 0, n_batches, poll);
    if (answer != 0) return answer; /* the order holds anything */
    uint64_t start = 0;
    for (uint64_t i = 0; i < n_batches; ++i) {
        const uint32_t batch = order[i];
        const uint32_t first = batch > 0 ? ends[batch - 1] : 0, n = ends[batch] - first;
        memcpy(out + start, rows + first, n * sizeof *rows);
        starts[i] = start;
        start += n;
    }
    starts[n_batches] = budget->n_rows;
    return 0;
}
