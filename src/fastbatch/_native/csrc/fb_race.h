/* Rows by their weights, without replacement: each next one drawn from those left, in proportion to its weight.
 *
 * Every row runs for an exponentially distributed time, at a speed of its weight, and they come in as they arrive:
 *
 *   Efraimidis & Spirakis, "Weighted random sampling with a reservoir", Information Processing Letters 97 (2006).
 *
 * Times are compared by their logarithms, so that neither tiny nor huge weights leave the range of a double, and these
 * come from operations that IEEE 754 defines to the bit. Rows are scattered to buckets of like times, each sorted when
 * the epoch gets there. */
#ifndef FB_RACE_H
#define FB_RACE_H

#include "fb_sampler.h"

typedef struct fb_race {
    fb_sampler sampler;        /* first: the contract is a pointer to it */
    uint64_t n_runners;        /* rows with a weight; at most 2^32 - 1, at least 1 */
    const double *log_weights; /* (n_runners,), kept by reference */
    const uint32_t *runners;   /* (n_runners,), their rows; NULL: all rows run */
} fb_race;

/* Fills the functions, `wide` and `consecutive` of race->sampler; n_rows, length and the rest are the caller's. */
void fb_race_init(fb_race *race);

/* out, (n,): natural logarithms of finite positive doubles. May be `values` itself. */
void fb_log_weights(const double *values, uint64_t n, double *out);

#endif
