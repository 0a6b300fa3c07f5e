/* Rows by their weights, with replacement: every draw is independent of the others. */
#ifndef FB_WEIGHTED_H
#define FB_WEIGHTED_H

#include "fb_alias.h"
#include "fb_sampler.h"

typedef struct fb_weighted {
    fb_sampler sampler;         /* first: the contract is a pointer to it */
    const fb_alias_cell *cells; /* (n_rows,), kept by reference; n_rows is at least 1 and below FB_ALIAS_ROWS_END */
} fb_weighted;

/* Fills the functions, `wide` and `consecutive` of weighted->sampler; n_rows, length and cells are the caller's. */
void fb_weighted_init(fb_weighted *weighted);

#endif
