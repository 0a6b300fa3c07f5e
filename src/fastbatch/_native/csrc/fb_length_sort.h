/* Rows sorted by their lengths: stable counting sorts by a few bits at a time, from the lowest on. */
#ifndef FB_LENGTH_SORT_H
#define FB_LENGTH_SORT_H

#include "fb_base.h"

typedef struct fb_lengths {
    const uint32_t *of_rows; /* (n_rows,) */
    unsigned bits;           /* every length is below 2^bits; at most 32 */
} fb_lengths;

/* Sorts `rows`, (n,), into `sorted`, (n,), which must not overlap; `rows` is overwritten. Rows of one length stay in
 * their order, also where it is the longest that come first. n < 2^32. Costs a pass over the rows, and reads their
 * lengths twice, for each 11 bits. */
void fb_sort_by_length(const fb_lengths *lengths, int longest_first, uint32_t *FB_RESTRICT rows,
                       uint32_t *FB_RESTRICT sorted, size_t n);

#endif
