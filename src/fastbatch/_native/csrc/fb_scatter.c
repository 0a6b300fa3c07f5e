#include "fb_scatter.h"

/* Random words between two polls: some milliseconds. */
enum { WORDS_PER_POLL = 1 << 17 };

typedef struct pair64 {
    uint64_t low, high;
} pair64;

int fb_count_labels(fb_sfc64 labels, unsigned bits, uint64_t n_rows, uint64_t *starts, fb_poll poll) {
    /* Two histograms, so that equal labels in a row do not wait for each other's store. */
    uint64_t even[1 << FB_SCATTER_MAX_BITS] = {0}, odd[1 << FB_SCATTER_MAX_BITS] = {0};
    const unsigned per_word = 64 / bits;
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    uint64_t words = 0, left = n_rows;
    for (; left >= per_word; left -= per_word) {
        uint64_t word = fb_next(&labels);
        for (unsigned i = 0; i + 1 < per_word; i += 2) {
            ++even[word & mask];
            word >>= bits;
            ++odd[word & mask];
            word >>= bits;
        }
        if (per_word % 2 == 1) ++even[word & mask];
        if (FB_UNLIKELY(++words % WORDS_PER_POLL == 0)) {
            const int answer = fb_ask(poll);
            if (answer != 0) return answer;
        }
    }
    for (uint64_t word = left > 0 ? fb_next(&labels) : 0; left > 0; --left, word >>= bits) ++even[word & mask];

    uint64_t start = 0;
    for (uint64_t bucket = 0; bucket <= mask; ++bucket) {
        starts[bucket] = start;
        start += even[bucket] + odd[bucket];
    }
    starts[mask + 1] = start;
    return 0;
}

/* The row in hand takes the next place of its bucket and lifts the row that was there, until a row belongs to the
 * place where the cycle began. The next line of a bucket is fetched as this one is written: no hardware prefetcher
 * follows so many streams. */
#define DEFINE_SCATTER(name, type)                                                                              \
    static int name(fb_sfc64 labels, unsigned bits, const uint64_t *starts, type *rows, fb_poll poll) {        \
        type *next[1 << FB_SCATTER_MAX_BITS];                                                                   \
        const unsigned per_word = 64 / bits;                                                                    \
        const uint64_t mask = (UINT64_C(1) << bits) - 1;                                                        \
        uint64_t word = 0, words = 0;                                                                           \
        unsigned left = 0;                                                                                      \
        for (uint64_t bucket = 0; bucket <= mask; ++bucket) next[bucket] = rows + starts[bucket];               \
        for (uint64_t bucket = 0; bucket <= mask; ++bucket) {                                                   \
            for (const type *end = rows + starts[bucket + 1]; next[bucket] < end; ++next[bucket]) {             \
                type row = *next[bucket];                                                                       \
                for (;;) {                                                                                      \
                    if (left == 0) {                                                                            \
                        if (FB_UNLIKELY(++words % WORDS_PER_POLL == 0)) {                                       \
                            const int answer = fb_ask(poll);                                                    \
                            if (answer != 0) {                                                                  \
                                *next[bucket] = row;                                                            \
                                return answer;                                                                  \
                            }                                                                                   \
                        }                                                                                       \
                        word = fb_next(&labels);                                                                \
                        left = per_word;                                                                        \
                    }                                                                                           \
                    const uint64_t label = word & mask;                                                         \
                    word >>= bits;                                                                              \
                    --left;                                                                                     \
                    if (label == bucket) break;                                                                 \
                    type *place = next[label]++;                                                                \
                    FB_PREFETCH_L1((char *)place + 2 * FB_CACHE_LINE);                                          \
                    const type lifted = *place;                                                                 \
                    *place = row;                                                                               \
                    row = lifted;                                                                               \
                }                                                                                               \
                *next[bucket] = row;                                                                            \
            }                                                                                                   \
        }                                                                                                       \
        return 0;                                                                                               \
    }

DEFINE_SCATTER(scatter_1, uint8_t)
DEFINE_SCATTER(scatter_2, uint16_t)
DEFINE_SCATTER(scatter_4, uint32_t)
DEFINE_SCATTER(scatter_8, uint64_t)
DEFINE_SCATTER(scatter_16, pair64)

int fb_scatter(fb_sfc64 labels, unsigned bits, const uint64_t *starts, void *rows, size_t row_nbytes, fb_poll poll) {
    switch (row_nbytes) {
    case 1: return scatter_1(labels, bits, starts, rows, poll);
    case 2: return scatter_2(labels, bits, starts, rows, poll);
    case 4: return scatter_4(labels, bits, starts, rows, poll);
    case 8: return scatter_8(labels, bits, starts, rows, poll);
    default: return scatter_16(labels, bits, starts, rows, poll);
    }
}
