#include "fb_shuffle.h"

#include <string.h>

/* Rows swapped between two polls: at 100 ns for a row that misses every cache, 7 ms. */
enum { ROWS_PER_POLL = 1 << 16, NBYTES_PER_POLL = 1 << 24 };

typedef struct pair64 {
    uint64_t low, high;
} pair64;

/* How rows of one width trade places. targets[t] counts from row t of the block: it is the row that comes there. */
typedef struct width {
    void (*prefetch)(const char *block, size_t row_nbytes, size_t count, const uint64_t *targets);
    void (*swap)(char *block, size_t row_nbytes, size_t count, const uint64_t *targets);
} width;

#define DEFINE_WIDTH(name, type)                                                                         \
    static void prefetch_##name(const char *block, size_t row_nbytes, size_t count, const uint64_t *targets) { \
        const type *rows = (const type *)(const void *)block;                                            \
        (void)row_nbytes;                                                                                \
        if (fb_prefetches_to_l2())                                                                       \
            for (size_t t = 0; t < count; ++t) FB_PREFETCH_L2(rows + t + targets[t]);                    \
        else                                                                                             \
            for (size_t t = 0; t < count; ++t) FB_PREFETCH_L1(rows + t + targets[t]);                    \
    }                                                                                                    \
    static void swap_##name(char *block, size_t row_nbytes, size_t count, const uint64_t *targets) {     \
        type *rows = (type *)(void *)block;                                                              \
        (void)row_nbytes;                                                                                \
        for (size_t t = 0; t < count; ++t) {                                                             \
            type *other = rows + t + targets[t];                                                         \
            const type row = rows[t];                                                                    \
            rows[t] = *other;                                                                            \
            *other = row;                                                                                \
        }                                                                                                \
    }                                                                                                    \
    static const width width_##name = {prefetch_##name, swap_##name};

DEFINE_WIDTH(1, uint8_t)
DEFINE_WIDTH(2, uint16_t)
DEFINE_WIDTH(4, uint32_t)
DEFINE_WIDTH(8, uint64_t)
DEFINE_WIDTH(16, pair64)

static void prefetch_wide(const char *block, size_t row_nbytes, size_t count, const uint64_t *targets) {
    /* Of a very wide row the first lines: the hardware follows from there. */
    const size_t head = row_nbytes < 256 ? row_nbytes : 256;
    for (size_t t = 0; t < count; ++t) {
        const char *other = block + (t + targets[t]) * row_nbytes;
        for (size_t at = 0; at < head; at += FB_CACHE_LINE) FB_PREFETCH_L2(other + at);
        FB_PREFETCH_L2(other + head - 1);
    }
}

static void swap_wide(char *block, size_t row_nbytes, size_t count, const uint64_t *targets) {
    enum { PIECE = 256 };
    char piece[PIECE];
    for (size_t t = 0; t < count; ++t) {
        if (targets[t] == 0) continue; /* memcpy must not be given a row twice */
        char *row = block + t * row_nbytes, *other = row + targets[t] * row_nbytes;
        for (size_t done = 0; done < row_nbytes; done += PIECE) {
            const size_t size = row_nbytes - done < PIECE ? row_nbytes - done : PIECE;
            memcpy(piece, row + done, size);
            memcpy(row + done, other + done, size);
            memcpy(other + done, piece, size);
        }
    }
}

static const width width_wide = {prefetch_wide, swap_wide};

static width width_of(const void *rows, size_t row_nbytes) {
    const uintptr_t address = (uintptr_t)rows;
    if (row_nbytes == 1) return width_1;
    if (row_nbytes == 2 && address % 2 == 0) return width_2;
    if (row_nbytes == 4 && address % 4 == 0) return width_4;
    if (row_nbytes == 8 && address % 8 == 0) return width_8;
    if (row_nbytes == 16 && address % 8 == 0) return width_16;
    return width_wide;
}

int fb_shuffle_rows(fb_sfc64 *rng, void *rows, size_t row_nbytes, uint64_t n_rows, uint64_t from, uint64_t to,
                    fb_poll poll) {
    if (row_nbytes == 0 || from >= to) return 0;
    const width width = width_of(rows, row_nbytes);
    const int prefetches = n_rows > FB_CACHE_NBYTES / row_nbytes;
    const uint64_t wide = NBYTES_PER_POLL / row_nbytes;
    const uint64_t rows_per_poll = wide == 0 ? 1 : (wide < ROWS_PER_POLL ? wide : ROWS_PER_POLL);
    uint64_t targets[2][FB_BLOCK], asked = from;

    /* Draw and prefetch one block while the block before is swapped: its lines have arrived by then. */
    size_t drawn = 0, pending = 0;
    uint64_t begin = from, pending_begin = from;
    int turn = 0;
    for (;;) {
        drawn = to - begin < FB_BLOCK ? (size_t)(to - begin) : FB_BLOCK;
        if (drawn > 0) {
            fb_draw_descending(rng, n_rows - begin, drawn, targets[turn]);
            if (prefetches) width.prefetch((char *)rows + begin * row_nbytes, row_nbytes, drawn, targets[turn]);
        }
        if (pending > 0) width.swap((char *)rows + pending_begin * row_nbytes, row_nbytes, pending, targets[turn ^ 1]);
        if (drawn == 0) return 0;
        pending = drawn;
        pending_begin = begin;
        begin += drawn;
        turn ^= 1;
        if (FB_UNLIKELY(begin - asked >= rows_per_poll)) {
            asked = begin;
            const int answer = fb_ask(poll);
            if (answer != 0) return answer;
        }
    }
}
