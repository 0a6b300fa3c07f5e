#include "fb_shuffle.h"

#include "fb_swap.h"

/* Up to this size overlapping swaps hide the last-level cache by themselves: prefetching costs more than it gains. */
enum { PREFETCH_NBYTES = 4 * 1024 * 1024 };

/* How rows of one width trade places. targets[t] counts from row t of the block: it is the row that comes there. */
typedef struct width {
    void (*prefetch)(const char *block, size_t row_nbytes, size_t count, const uint64_t *targets);
    void (*swap)(char *block, size_t row_nbytes, size_t count, const uint64_t *targets);
} width;

/* memcpy, because an array may lie at any address: it compiles to plain moves. */
#define DEFINE_WIDTH(name, type)                                                                              \
    static void prefetch_##name(const char *block, size_t row_nbytes, size_t count, const uint64_t *targets) { \
        (void)row_nbytes;                                                                                     \
        if (fb_prefetches_to_l2())                                                                            \
            for (size_t t = 0; t < count; ++t) FB_PREFETCH_L2(block + (t + targets[t]) * sizeof(type));       \
        else                                                                                                  \
            for (size_t t = 0; t < count; ++t) FB_PREFETCH_L1(block + (t + targets[t]) * sizeof(type));       \
    }                                                                                                         \
    static void swap_##name(char *block, size_t row_nbytes, size_t count, const uint64_t *targets) {          \
        (void)row_nbytes;                                                                                     \
        for (size_t t = 0; t < count; ++t) {                                                                  \
            char *at = block + t * sizeof(type), *from = at + targets[t] * sizeof(type);                      \
            type row, other;                                                                                  \
            memcpy(&row, at, sizeof row);                                                                     \
            memcpy(&other, from, sizeof other);                                                               \
            memcpy(at, &other, sizeof other);                                                                 \
            memcpy(from, &row, sizeof row);                                                                   \
        }                                                                                                     \
    }                                                                                                         \
    static const width width_##name = {prefetch_##name, swap_##name};

DEFINE_WIDTH(1, uint8_t)
DEFINE_WIDTH(2, uint16_t)
DEFINE_WIDTH(4, uint32_t)
DEFINE_WIDTH(8, uint64_t)
DEFINE_WIDTH(16, fb_pair64)

static void prefetch_wide(const char *block, size_t row_nbytes, size_t count, const uint64_t *targets) {
    /* Of a very wide row the first lines: the hardware follows from there. */
    const size_t head = row_nbytes < 256 ? row_nbytes : 256;
    for (size_t t = 0; t < count; ++t) {
        const char *from = block + (t + targets[t]) * row_nbytes;
        for (size_t at = 0; at < head; at += FB_CACHE_LINE) FB_PREFETCH_L2(from + at);
        FB_PREFETCH_L2(from + head - 1);
    }
}

static void swap_wide(char *block, size_t row_nbytes, size_t count, const uint64_t *targets) {
    for (size_t t = 0; t < count; ++t) {
        char *at = block + t * row_nbytes;
        if (targets[t] > 0) fb_swap_rows(at, at + targets[t] * row_nbytes, row_nbytes);
    }
}

static const width width_wide = {prefetch_wide, swap_wide};

static width width_of(size_t row_nbytes) {
    switch (row_nbytes) {
    case 1: return width_1;
    case 2: return width_2;
    case 4: return width_4;
    case 8: return width_8;
    case 16: return width_16;
    default: return width_wide;
    }
}

int fb_shuffle_rows(fb_sfc64 *rng, void *rows, size_t row_nbytes, uint64_t n_rows, uint64_t from, uint64_t to,
                    fb_poll poll) {
    if (row_nbytes == 0 || from >= to) return 0;
    const width width = width_of(row_nbytes);
    const int prefetches = n_rows > PREFETCH_NBYTES / row_nbytes;
    const uint64_t rows_per_poll = fb_rows_per_poll(row_nbytes);
    const size_t slice = rows_per_poll < FB_BLOCK ? (size_t)rows_per_poll : FB_BLOCK;
    uint64_t targets[2][FB_BLOCK], next = from, swapped = from, unasked = 0;
    size_t pending = 0;
    int turn = 0;

    /* Draw and prefetch one block while the block before is swapped: its lines have arrived by then. */
    while (swapped < to) {
        const size_t drawn = to - next < FB_BLOCK ? (size_t)(to - next) : FB_BLOCK;
        if (drawn > 0) {
            fb_draw_descending(rng, n_rows - next, drawn, targets[turn]);
            if (prefetches) width.prefetch((char *)rows + next * row_nbytes, row_nbytes, drawn, targets[turn]);
        }
        for (size_t done = 0; done < pending; done += slice) {
            const size_t count = pending - done < slice ? pending - done : slice;
            width.swap((char *)rows + swapped * row_nbytes, row_nbytes, count, targets[turn ^ 1] + done);
            swapped += count;
            unasked += count;
            if (FB_UNLIKELY(unasked >= rows_per_poll)) {
                const int answer = fb_ask(poll);
                if (answer != 0) return answer;
                unasked = 0;
            }
        }
        next += drawn;
        pending = drawn;
        turn ^= 1;
    }
    return 0;
}
