/* A column whose filled batch is mixed: each row with the one that lies as far from the end, in a share that is drawn for
 * the batch from (key, epoch, position). Columns of one batch draw the same.
 *
 *   MixUp: Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018.
 *   CutMix: Yun, Han, Oh, Chun, Choe and Yoo, "CutMix: regularization strategy to train strong classifiers with
 *   localizable features", ICCV 2019. */
#ifndef FB_MIX_H
#define FB_MIX_H

#include "fb_cast.h"
#include "fb_column.h"
#include "fb_simd.h"

enum fb_mixing { FB_MIX_ROWS, FB_MIX_BOX, FB_MIX_BY_BOX };

/* Each of n elements of a row with that of another one, and the other way round: the share that stays, and the rest. */
typedef void (*fb_mix_pair)(char *FB_RESTRICT row, char *FB_RESTRICT with, size_t n, double share);

typedef struct fb_mix_column {
    fb_column column;
    const fb_column *inner;
    enum fb_mixing mixing; /* rows; a box of images; rows, in the share that the box leaves */
    double alpha;          /* the share is drawn from a beta distribution, (alpha, alpha) */
    uint64_t chance;       /* a batch is mixed where a random number of 64 bits is below it; all ones: always */
    fb_mix_pair pair;      /* where rows are mixed */
    size_t n_elements;     /* of a row */
    size_t height, width;  /* of the images, also of those that this column does not hold */
    size_t n_planes, pixel_nbytes;
} fb_mix_column;

/* For elements of FB_F16, FB_BF16, FB_F32 or FB_F64, aligned; of anything else, returns NULL. The arithmetic is
 * float32, or float64 for FB_F64. */
fb_mix_pair fb_mix_pair_of(enum fb_type type, enum fb_simd level);

uint64_t fb_mix_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context);

#endif
