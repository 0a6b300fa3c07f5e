/* Sequences packed into rows of one size: the longest first, each into the first row that has room for it.
 *
 * First-fit decreasing: Johnson, "Near-optimal bin packing algorithms", PhD thesis, MIT 1973. It needs at most 11/9 of
 * the fewest rows, and 6/9 of one (Dosa 2007). The rows' rooms are the leaves of a tree in which each node has the most
 * of its children, so that the first of enough room is found in log(n) steps; sequences of one length are placed
 * together. */
#ifndef FB_FIRST_FIT_H
#define FB_FIRST_FIT_H

#include "fb_length_sort.h"

/* So many rows suffice: no two of them could be one, so that they are more than half full on average, but for the last. */
FB_INLINE uint64_t fb_first_fit_most_rows(uint64_t n, uint64_t total, uint64_t context) {
    const uint64_t half_full = 2 * (total / context + 1);
    return n < half_full ? n : half_full;
}

/* Nodes of the tree over so many rows. */
FB_INLINE uint64_t fb_first_fit_n_nodes(uint64_t n_rows) {
    uint64_t n_leaves = 1;
    while (n_leaves < n_rows) n_leaves *= 2;
    return 2 * n_leaves;
}

/* row_of, (n,): the row of each sequence; the return value is how many rows there are. `order`, (n,): the sequences,
 * the longest first, as fb_sort_by_length leaves them. No length is above `context`, which is below 2^32. `tree`,
 * (fb_first_fit_n_nodes(fb_first_fit_most_rows(...)),), is overwritten. O(n log n). */
uint64_t fb_first_fit(const fb_lengths *lengths, const uint32_t *order, uint64_t n, uint32_t context, uint64_t n_nodes,
                      uint32_t *FB_RESTRICT tree, uint32_t *FB_RESTRICT row_of);

/* sequences, (n,): those of each row, the longest first; starts, (n_rows + 1,): where each row begins in them. */
void fb_first_fit_group(const uint32_t *order, const uint32_t *row_of, uint64_t n, uint64_t n_rows,
                        uint64_t *FB_RESTRICT starts, uint32_t *FB_RESTRICT sequences);

#endif
