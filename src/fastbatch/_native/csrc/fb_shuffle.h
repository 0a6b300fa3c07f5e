/* Fisher-Yates from the front: after a call, rows [0, to) are final, so that an order can be made as it is needed.
 * (Fisher & Yates 1938; Durstenfeld 1964.) */
#ifndef FB_SHUFFLE_H
#define FB_SHUFFLE_H

#include "fb_base.h"
#include "fb_random.h"

/* Advances the shuffle of `rows`, (n_rows, row_nbytes), from row `from` to row `to`.
 * Needs from a multiple of FB_BLOCK, and `to` another one or n_rows: then the order does not depend on how the work was
 * cut. Returns 0, or what `poll` answered; `rows` holds the same rows at any time. Memory: a block of targets. */
int fb_shuffle_rows(fb_sfc64 *rng, void *rows, size_t row_nbytes, uint64_t n_rows, uint64_t from, uint64_t to,
                    fb_poll poll);

#endif
