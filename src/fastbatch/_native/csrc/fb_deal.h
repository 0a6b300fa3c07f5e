/* Classes dealt by given shares: every prefix of the deal holds each class to within one of its share.
 *
 * Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980): with k classes a deviation of at most
 * 1 - 1/(2k - 2) can be kept. That bound gives the j-th row of a class an earliest and a latest place; taking the row
 * with the earliest latest place among those that may come is the assignment. All of it is integer work. */
#ifndef FB_DEAL_H
#define FB_DEAL_H

#include "fb_base.h"

typedef struct fb_deal fb_deal;

/* shares, (n_classes,): integers with sum `total`; those of 0 are never dealt. rank, (n_classes,): decides between
 * classes that are equally urgent. Both are kept by reference. Needs two positive shares at least, total <= 2^40 and
 * n_classes <= 2^20. NULL: no memory. */
fb_deal *fb_deal_begin(const uint64_t *shares, uint64_t total, uint32_t n_classes, const uint32_t *rank);

/* Moves to `position`: at most `total` steps, nothing when it is where the deal stands. */
void fb_deal_seek(fb_deal *deal, uint64_t position);

/* The class at the next position; *occurrence: how many of that class came before. O(log n_classes). */
uint32_t fb_deal_next(fb_deal *deal, uint64_t *occurrence);

void fb_deal_end(fb_deal *deal);

#endif
