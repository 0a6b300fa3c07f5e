/* Rows from easy to hard, of which more and more may be drawn: by their weights, or all alike. */
#ifndef FB_CURRICULUM_H
#define FB_CURRICULUM_H

#include "fb_sampler.h"

typedef struct fb_curriculum {
    fb_sampler sampler;          /* first: the contract is a pointer to it */
    const uint32_t *rows;        /* (n_rows,), from easy to hard */
    const uint64_t *sums;        /* (n_rows,): of the weights up to each of `rows`, the last is n_rows * 2^32; or NULL */
    const uint32_t *guide;       /* (n_rows,): the first of `rows` whose sum is above i * 2^32; with sums */
    const float *importances;    /* (n_rows,): 1 / (N P) of each row of the data when all are eligible; with sums */
    const uint64_t *starts;      /* (n_steps,): positions, rising from 0 */
    const uint64_t *eligible;    /* (n_steps,): of `rows`, how many from each start on; some weight among them */
    const double *scales;        /* (n_steps,): N P of the same row when all are eligible, over N P then; with sums */
    size_t n_steps;
} fb_curriculum;

/* Fills the functions, `wide`, `consecutive` and `is_of_one_epoch` of curriculum->sampler; the rest is the caller's. */
void fb_curriculum_init(fb_curriculum *curriculum);

/* guide, (n,), of sums. */
void fb_curriculum_guide(const uint64_t *sums, uint64_t n, uint32_t *guide);

#endif
