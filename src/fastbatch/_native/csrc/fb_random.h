/* Randomness: keys by Philox, streams by sfc64, unbiased bounded draws in batches.
 *
 * One root key per Loader. The key of any piece of work is a function of (root, epoch, stream, unit), so that any
 * thread can do any piece at any time and the order does not change.
 *
 *   Philox4x64-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 *   sfc64: Chris Doty-Humphrey, PractRand; also numpy.random.SFC64.
 *   Batched draws: Brackett-Rozinsky & Lemire, "Batched ranged random integer generation", arXiv:2408.06213. */
#ifndef FB_RANDOM_H
#define FB_RANDOM_H

#include "fb_base.h"

/* The version of every order made here: it changes when any order does. */
enum { FB_ORDER_VERSION = 1 };

typedef struct fb_key {
    uint64_t word[2];
} fb_key;

typedef struct fb_seed {
    uint64_t word[4];
} fb_seed;

typedef struct fb_sfc64 {
    uint64_t a, b, c, counter;
} fb_sfc64;

/* What a derived key is for: two streams of one epoch never share draws. */
enum fb_stream {
    FB_STREAM_LABELS = 1,  /* which bucket a row goes to */
    FB_STREAM_BUCKET = 2,  /* the order inside a bucket; unit = the bucket */
    FB_STREAM_CLASSES = 3, /* the order in which classes are dealt */
    FB_STREAM_PASS = 4,    /* the order inside a class; unit = the class, the pass in the fourth word */
    FB_STREAM_WEIGHTED = 5, /* weighted draws; unit = thousands of positions */
    FB_STREAM_RACE = 6,     /* the times of a weighted order without replacement */
    FB_STREAM_BIJECTION = 7, /* the rounds of an order without memory; unit = the round */
    FB_STREAM_BLOCKS = 8,    /* the order of blocks */
    FB_STREAM_WINDOW = 9,    /* the order inside a window of blocks; unit = the window */
    FB_STREAM_CURRICULUM = 10, /* draws from the rows that are eligible; unit = thousands of positions */
    FB_STREAM_PRIORITIZED = 11, /* draws by weights that follow the model; unit = thousands of positions */
    FB_STREAM_IMAGE = 12, /* how an image is changed; unit = the position */
    FB_STREAM_NATIVE = 13, /* what a column of the user's draws from; it is told the first word */
    FB_STREAM_MIX = 14, /* how the rows of a batch are mixed; unit = the position of the first */
    FB_STREAM_LENGTHS = 20, /* the order of blocks of like length; unit = the window */
    FB_STREAM_BATCHES = 21  /* the order of batches that were cut by their size */
};

/* Philox4x64-10 of the counter (epoch, stream, unit, pass) under `root`. */
fb_seed fb_derive(fb_key root, uint64_t epoch, uint64_t stream, uint64_t unit, uint64_t pass);

/* The stream that `seed` begins: 12 draws are discarded, as its author advises. */
fb_sfc64 fb_sfc64_begin(fb_seed seed);

FB_INLINE uint64_t fb_next(fb_sfc64 *rng) {
    const uint64_t result = rng->a + rng->b + rng->counter++;
    rng->a = rng->b ^ (rng->b >> 11);
    rng->b = rng->c + (rng->c << 3);
    rng->c = ((rng->c << 24) | (rng->c >> 40)) + result;
    return result;
}

/* Rows are shuffled in blocks: the targets of one block are drawn and prefetched before the block before is swapped.
 * The size is part of the order's version, because the batches of draws start anew with every block. */
enum { FB_BLOCK = 256 };

/* out[t] = uniform in [0, bound - t) for t in [0, count). Needs count <= bound and count <= FB_BLOCK.
 * Costs one product per draw and one random word per 1-6 draws, by the size of the bound. */
void fb_draw_descending(fb_sfc64 *rng, uint64_t bound, size_t count, uint64_t *FB_RESTRICT out);

#endif
