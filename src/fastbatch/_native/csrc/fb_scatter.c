#include "fb_scatter.h"

#include "fb_swap.h"

/* A constant `bits` unrolls the loop over a word. */
FB_INLINE int count_labels(fb_sfc64 labels, unsigned bits, uint64_t n_rows, uint64_t *even, uint64_t *odd,
                           fb_poll poll) {
    enum { WORDS_PER_POLL = 1 << 20 };
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
    return 0;
}

int fb_count_labels(fb_sfc64 labels, unsigned bits, uint64_t n_rows, uint64_t *starts, fb_poll poll) {
    /* Two histograms, so that equal labels in a row do not wait for each other's store. */
    uint64_t even[1 << FB_SCATTER_MAX_BITS] = {0}, odd[1 << FB_SCATTER_MAX_BITS] = {0};
    int answer = 0;
    switch (bits) {
    case 6: answer = count_labels(labels, 6, n_rows, even, odd, poll); break;
    case 7: answer = count_labels(labels, 7, n_rows, even, odd, poll); break;
    case 8: answer = count_labels(labels, 8, n_rows, even, odd, poll); break;
    case 9: answer = count_labels(labels, 9, n_rows, even, odd, poll); break;
    case 10: answer = count_labels(labels, 10, n_rows, even, odd, poll); break;
    default: answer = count_labels(labels, bits, n_rows, even, odd, poll); break;
    }
    uint64_t start = 0;
    for (uint64_t bucket = 0; bucket < UINT64_C(1) << bits; ++bucket) {
        starts[bucket] = start;
        start += even[bucket] + odd[bucket];
    }
    starts[UINT64_C(1) << bits] = start;
    return answer;
}

/* The labels one by one, and a poll once in a while. */
typedef struct reader {
    fb_sfc64 labels;
    uint64_t word, mask, words, words_per_poll;
    unsigned bits, per_word, left;
} reader;

FB_INLINE int refill(reader *reader, fb_poll poll) {
    reader->word = fb_next(&reader->labels);
    reader->left = reader->per_word;
    return FB_UNLIKELY(++reader->words % reader->words_per_poll == 0) ? fb_ask(poll) : 0;
}

FB_INLINE uint64_t next_label(reader *reader) {
    const uint64_t label = reader->word & reader->mask;
    reader->word >>= reader->bits;
    --reader->left;
    return label;
}

/* The row in hand takes the next place of its bucket and lifts the row that was there, until a row belongs to the
 * place where the cycle began. A bucket's lines are fetched ahead of its writes: no hardware prefetcher follows so many
 * streams. */
#define DEFINE_SCATTER(name, type)                                                                                \
    static int name(reader reader, const uint64_t *starts, char *rows, fb_poll poll) {                            \
        char *next[1 << FB_SCATTER_MAX_BITS];                                                                     \
        for (uint64_t bucket = 0; bucket <= reader.mask; ++bucket)                                                \
            next[bucket] = rows + starts[bucket] * sizeof(type);                                                  \
        for (uint64_t bucket = 0; bucket <= reader.mask; ++bucket) {                                              \
            const char *end = rows + starts[bucket + 1] * sizeof(type);                                           \
            for (; next[bucket] < end; next[bucket] += sizeof(type)) {                                            \
                type row, lifted;                                                                                 \
                memcpy(&row, next[bucket], sizeof row);                                                           \
                for (;;) {                                                                                        \
                    const int answer = reader.left == 0 ? refill(&reader, poll) : 0;                              \
                    if (FB_UNLIKELY(answer != 0)) {                                                               \
                        memcpy(next[bucket], &row, sizeof row);                                                   \
                        return answer;                                                                            \
                    }                                                                                             \
                    const uint64_t label = next_label(&reader);                                                   \
                    if (label == bucket) break;                                                                   \
                    char *place = next[label];                                                                    \
                    next[label] = place + sizeof(type);                                                           \
                    FB_PREFETCH_L1(place + 2 * FB_CACHE_LINE);                                                    \
                    memcpy(&lifted, place, sizeof lifted);                                                        \
                    memcpy(place, &row, sizeof row);                                                              \
                    row = lifted;                                                                                 \
                }                                                                                                 \
                memcpy(next[bucket], &row, sizeof row);                                                           \
            }                                                                                                     \
        }                                                                                                         \
        return 0;                                                                                                 \
    }

DEFINE_SCATTER(scatter_1, uint8_t)
DEFINE_SCATTER(scatter_2, uint16_t)
DEFINE_SCATTER(scatter_4, uint32_t)
DEFINE_SCATTER(scatter_8, uint64_t)
DEFINE_SCATTER(scatter_16, fb_pair64)

/* The same cycles for rows too wide to hold in hand: the row waits at the place where its cycle began. */
static int scatter_wide(reader reader, const uint64_t *starts, char *rows, size_t row_nbytes, fb_poll poll) {
    uint64_t next[1 << FB_SCATTER_MAX_BITS];
    for (uint64_t bucket = 0; bucket <= reader.mask; ++bucket) next[bucket] = starts[bucket];
    for (uint64_t bucket = 0; bucket <= reader.mask; ++bucket) {
        while (next[bucket] < starts[bucket + 1]) {
            const int answer = reader.left == 0 ? refill(&reader, poll) : 0;
            if (answer != 0) return answer;
            const uint64_t label = next_label(&reader), place = next[label]++;
            FB_PREFETCH_L2(rows + (place + 1) * row_nbytes);
            if (label != bucket) fb_swap_rows(rows + next[bucket] * row_nbytes, rows + place * row_nbytes, row_nbytes);
        }
    }
    return 0;
}

int fb_scatter(fb_sfc64 labels, unsigned bits, const uint64_t *starts, void *rows, size_t row_nbytes, fb_poll poll) {
    reader reader = {.labels = labels, .bits = bits, .per_word = 64 / bits, .mask = (UINT64_C(1) << bits) - 1};
    reader.words_per_poll = 1 + fb_rows_per_poll(row_nbytes) / reader.per_word;
    switch (row_nbytes) {
    case 1: return scatter_1(reader, starts, rows, poll);
    case 2: return scatter_2(reader, starts, rows, poll);
    case 4: return scatter_4(reader, starts, rows, poll);
    case 8: return scatter_8(reader, starts, rows, poll);
    case 16: return scatter_16(reader, starts, rows, poll);
    default: return scatter_wide(reader, starts, rows, row_nbytes, poll);
    }
}
