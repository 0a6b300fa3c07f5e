/* An epoch cut into batches by their padded size: rows x the longest of them.
 *
 * The rows are shuffled, sorted by length within windows, in turn from short to long and from long to short, so that
 * batches go on from one window to the next, and cut as soon as one more row would be too much. The batches come in
 * random order. */
#ifndef FB_TOKEN_BUDGET_H
#define FB_TOKEN_BUDGET_H

#include "fb_length_sort.h"
#include "fb_random.h"

typedef struct fb_token_budget {
    uint64_t n_rows;    /* below 2^32 */
    fb_lengths lengths; /* each below 2^31 */
    uint64_t tokens;    /* that a batch may have; the longest row, rounded up, has no more */
    uint64_t max_rows;  /* that a batch may have, at least 1 */
    uint64_t multiple;  /* to which the width of a batch is rounded up, from 1 to 2^31 */
    uint64_t window;    /* rows that are sorted together, at least 1 */
} fb_token_budget;

/* rows, (n_rows,): in the order in which they were cut, batch after batch; ends, (n_batches,) of at most n_rows: where
 * each batch ends. `scratch`, (n_rows,), is overwritten. Returns 0, or what `poll` answered. O(n_rows). */
int fb_token_budget_cut(const fb_token_budget *budget, fb_key key, uint64_t epoch, uint32_t *FB_RESTRICT rows,
                        uint32_t *FB_RESTRICT scratch, uint32_t *FB_RESTRICT ends, uint64_t *n_batches, fb_poll poll);

/* out, (n_rows,): `rows` with the batches in random order; starts, (n_batches + 1,): where each begins there. `order`,
 * (n_batches,), is overwritten. Returns 0, or what `poll` answered. */
int fb_token_budget_deal(const fb_token_budget *budget, fb_key key, uint64_t epoch, const uint32_t *FB_RESTRICT rows,
                         const uint32_t *FB_RESTRICT ends, uint64_t n_batches, uint32_t *FB_RESTRICT order,
                         uint32_t *FB_RESTRICT out, uint64_t *FB_RESTRICT starts, fb_poll poll);

#endif
