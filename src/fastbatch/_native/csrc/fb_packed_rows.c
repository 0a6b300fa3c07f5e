#include "fb_packed_rows.h"

/* Bytes of values that are on their way at once, and of each sequence: the hardware follows a long one by itself. */
enum { AHEAD_NBYTES = 8192, AHEAD_OF_EACH = 4096 };

/* Where the prefetching has got to: in the rows to be written, and in those that are known to be wanted next. */
typedef struct scout {
    size_t place; /* of the row behind the one at hand */
    uint64_t sequence, end;
} scout;

FB_INLINE const char *values_of(const fb_ragged *sequences, uint64_t sequence) {
    /* Not by pointer arithmetic, because there may be no array that all of it is in. */
    return (const char *)((uintptr_t)sequences->elements + (uintptr_t)sequences->starts[sequence] * sequences->start_nbytes);
}

FB_INLINE size_t nbytes_of(const fb_ragged *sequences, uint64_t sequence) {
    return (size_t)sequences->lengths[sequence] * sequences->element_nbytes;
}

/* Prefetches the next sequence. Returns its bytes, or 0 when there is none. */
static size_t prefetch_next(const fb_packed_rows *packed, const fb_rows *rows, scout *scout) {
    while (scout->sequence == scout->end) {
        if (scout->place == rows->n + rows->n_ahead) return 0;
        const uint64_t row = fb_number_at(rows->index, rows->wide, scout->place++);
        scout->sequence = packed->starts[row];
        scout->end = packed->starts[row + 1];
    }
    const uint64_t sequence = scout->sequence++;
    const char *values = values_of(&packed->sequences, sequence);
    const size_t nbytes = nbytes_of(&packed->sequences, sequence), head = nbytes < AHEAD_OF_EACH ? nbytes : AHEAD_OF_EACH;
    if (fb_prefetches_to_l2())
        for (size_t at = 0; at < head; at += FB_CACHE_LINE) FB_PREFETCH_L2(values + at);
    else
        for (size_t at = 0; at < head; at += FB_CACHE_LINE) FB_PREFETCH_L1(values + at);
    return nbytes;
}

static void fill_up(const fb_packed_rows *packed, char *out, size_t nbytes) {
    if (packed->is_even) {
        memset(out, packed->pad[0], nbytes);
        return;
    }
    size_t at = 0;
    for (; at + FB_PAD_NBYTES <= nbytes; at += FB_PAD_NBYTES) memcpy(out + at, packed->pad, FB_PAD_NBYTES);
    memcpy(out + at, packed->pad, nbytes - at);
}

uint64_t fb_packed_values_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_packed_rows *packed = (const fb_packed_rows *)column;
    scout scout = {0, 0, 0};
    size_t ahead = 0; /* bytes */
    char *out = (char *)slot;
    (void)context;
    for (size_t i = 0; i < rows->n; ++i) {
        const uint64_t row = fb_number_at(rows->index, rows->wide, i);
        const char *end = out + column->row_nbytes;
        for (uint64_t sequence = packed->starts[row]; sequence < packed->starts[row + 1]; ++sequence) {
            const size_t nbytes = nbytes_of(&packed->sequences, sequence);
            for (size_t more = 1; more > 0 && ahead < nbytes + AHEAD_NBYTES; ahead += more)
                more = prefetch_next(packed, rows, &scout);
            memcpy(out, values_of(&packed->sequences, sequence), nbytes);
            ahead -= nbytes;
            out += nbytes;
        }
        fill_up(packed, out, (size_t)(end - out));
        out += end - out;
    }
    return 0;
}

/* Numbers of one type, 0 in the padding: places in the sequence, or the sequence's number in the row, from 1 on. */
#define DEFINE_FILLS(bits, type)                                                                                       \
    FB_INLINE void number_##bits(const fb_packed_rows *packed, const fb_rows *rows, type *FB_RESTRICT out,             \
                                 int by_place) {                                                                       \
        for (size_t i = 0; i < rows->n; ++i) {                                                                         \
            const uint64_t row = fb_number_at(rows->index, rows->wide, i), first = packed->starts[row];                \
            uint64_t left = packed->context;                                                                           \
            for (uint64_t sequence = first; sequence < packed->starts[row + 1]; ++sequence) {                          \
                const uint32_t length = (uint32_t)packed->sequences.lengths[sequence];                                 \
                const type number = (type)(sequence - first + 1);                                                      \
                for (uint32_t place = 0; place < length; ++place) out[place] = by_place ? (type)place : number;        \
                out += length;                                                                                         \
                left -= length;                                                                                        \
            }                                                                                                          \
            memset(out, 0, (size_t)left * sizeof *out);                                                                \
            out += left;                                                                                               \
        }                                                                                                              \
    }                                                                                                                  \
    uint64_t fb_packed_positions_fill_##bits(const fb_column *column, const fb_rows *rows, void *slot,                 \
                                             const fb_context *context) {                                              \
        (void)context;                                                                                                 \
        number_##bits((const fb_packed_rows *)column, rows, (type *)slot, 1);                                          \
        return 0;                                                                                                      \
    }                                                                                                                  \
    uint64_t fb_packed_segments_fill_##bits(const fb_column *column, const fb_rows *rows, void *slot,                  \
                                            const fb_context *context) {                                               \
        (void)context;                                                                                                 \
        number_##bits((const fb_packed_rows *)column, rows, (type *)slot, 0);                                          \
        return 0;                                                                                                      \
    }

DEFINE_FILLS(64, int64_t)
DEFINE_FILLS(32, int32_t)
