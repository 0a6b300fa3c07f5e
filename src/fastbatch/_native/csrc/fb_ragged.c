#include "fb_ragged.h"

/* Rows whose places are looked up ahead, a line or two each. */
enum { PLACES_AHEAD = 16 };

typedef struct run {
    const char *elements;
    size_t n;
} run;

FB_INLINE run run_of(const fb_ragged *ragged, uint64_t row) {
    const int64_t start = ragged->starts[row];
    const int64_t n = ragged->lengths != NULL ? ragged->lengths[row] : ragged->starts[row + 1] - start;
    /* Not by pointer arithmetic, because there may be no array that all of it is in. */
    const uintptr_t address = (uintptr_t)ragged->elements + (uintptr_t)start * ragged->start_nbytes;
    const run found = {(const char *)address, (size_t)(n < ragged->most ? n : ragged->most)};
    return found;
}

FB_INLINE run run_at(const fb_ragged *ragged, const fb_rows *rows, size_t i) {
    return run_of(ragged, fb_number_at(rows->index, rows->wide, i));
}

FB_INLINE void prefetch_place(const fb_ragged *ragged, const fb_rows *rows, size_t i) {
    const uint64_t row = fb_number_at(rows->index, rows->wide, i);
    FB_PREFETCH_L1(ragged->starts + row);
    if (ragged->lengths != NULL) FB_PREFETCH_L1(ragged->lengths + row);
}

/* The most elements that one of the rows has. Their places are in the cache then. */
static size_t find_longest(const fb_ragged *given, const fb_rows *rows) {
    const fb_ragged ragged = *given;
    const size_t known = rows->n + rows->n_ahead, first = PLACES_AHEAD < known ? PLACES_AHEAD : known;
    size_t longest = 0;
    for (size_t i = rows->n_warm; i < first; ++i) prefetch_place(&ragged, rows, i);
    for (size_t i = 0; i < rows->n; ++i) {
        if (i + first < known) prefetch_place(&ragged, rows, i + first);
        const size_t n = run_at(&ragged, rows, i).n;
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* Sends for the first lines of a row: always for as many, because a branch on its length would mispredict. */
FB_INLINE void send_for(const fb_ragged *ragged, const fb_rows *rows, size_t i, int to_l2) {
    const run run = run_at(ragged, rows, i);
    const size_t nbytes = run.n * ragged->element_nbytes, last = nbytes > 0 ? nbytes - 1 : 0;
    for (size_t line = 0; line < ragged->n_lines; ++line) {
        const char *address = run.elements + (line * FB_CACHE_LINE < last ? line * FB_CACHE_LINE : last);
        if (to_l2)
            FB_PREFETCH_L2(address);
        else
            FB_PREFETCH_L1(address);
    }
}

/* Of rows that are copied one after the other. */
typedef struct look_ahead {
    size_t n;   /* rows from the one that is copied to the one that is sent for */
    size_t end; /* no row is sent for at this one's copy, or later ones' */
    int to_l2;
} look_ahead;

/* Sends for the first rows, unless the fill before has. */
FB_INLINE look_ahead begin_look_ahead(const fb_ragged *ragged, const fb_rows *rows) {
    const size_t known = ragged->n_lines > 0 ? rows->n + rows->n_ahead : 0;
    const size_t n = ragged->n_ahead < known ? ragged->n_ahead : known;
    const look_ahead ahead = {n, known - n, fb_prefetches_to_l2()};
    for (size_t i = rows->n_warm; i < n; ++i) send_for(ragged, rows, i, ahead.to_l2);
    return ahead;
}

FB_INLINE void write_padding(char *padding, size_t n_padding, const fb_padded_column *padded) {
    if (padded->is_even) {
        memset(padding, padded->pad[0], n_padding);
    } else {
        size_t at = 0;
        for (; at + FB_PAD_NBYTES <= n_padding; at += FB_PAD_NBYTES) memcpy(padding + at, padded->pad, FB_PAD_NBYTES);
        memcpy(padding + at, padded->pad, n_padding - at);
    }
}

/* A row in pieces: of any length. */
FB_INLINE void write_row(char *out, size_t row_nbytes, run run, size_t nbytes, const fb_padded_column *padded) {
    char *padding = padded->is_left ? out : out + nbytes;
    const size_t n_padding = row_nbytes - nbytes;
    memcpy(padded->is_left ? out + n_padding : out, run.elements, nbytes);
    write_padding(padding, n_padding, padded);
}

/* The same by the line, each from the row or from the padding: so often as the row is wide, because a branch on the length
 * would mispredict. The line with the edge comes last. Needs a line of the row at least. */
FB_TARGET_AVX512 static void write_row_by_line(char *out, size_t row_nbytes, run run, size_t nbytes,
                                               const fb_padded_column *padded) {
    enum { LINE = FB_PAD_NBYTES };
    const size_t n_padding = row_nbytes - nbytes;
    const char *elements = run.elements, *pad = padded->pad;
    if (padded->is_left) {
        memcpy(out, pad, LINE);
        for (size_t at = row_nbytes % LINE; at < row_nbytes; at += LINE)
            memcpy(out + at, at >= n_padding ? elements + (at - n_padding) : pad, LINE);
        memcpy(out + n_padding, elements, LINE);
    } else {
        memcpy(out + row_nbytes - LINE, pad, LINE);
        for (size_t at = 0; at + LINE <= row_nbytes; at += LINE)
            memcpy(out + at, at + LINE <= nbytes ? elements + at : pad, LINE);
        memcpy(out + nbytes - LINE, elements + nbytes - LINE, LINE);
    }
}

static size_t width_of(const fb_padded_column *padded, const fb_rows *rows) {
    const size_t longest = find_longest(&padded->ragged, rows); /* also of a given width: places are looked up */
    return padded->width > 0 ? padded->width : (longest + padded->multiple - 1) / padded->multiple * padded->multiple;
}

static void end_fill(const fb_padded_column *padded, const fb_rows *rows, void *slot, size_t width, size_t nbytes) {
    const fb_extent extent = {(int64_t)width, nbytes};
    if (padded->column.tail_nbytes > 0) fb_store_extent(&padded->column, slot, rows->n, extent);
}

uint64_t fb_padded_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_padded_column *padded = (const fb_padded_column *)column;
    const fb_ragged ragged = padded->ragged;
    const size_t width = width_of(padded, rows), row_nbytes = width * ragged.element_nbytes;
    const size_t by_line = padded->level == FB_SIMD_AVX512 ? FB_PAD_NBYTES : SIZE_MAX; /* from so many bytes on */
    char *out = (char *)slot;
    const look_ahead ahead = begin_look_ahead(&ragged, rows);
    (void)context;
    for (size_t i = 0; i < rows->n; ++i, out += row_nbytes) {
        if (i < ahead.end) send_for(&ragged, rows, i + ahead.n, ahead.to_l2);
        const run run = run_at(&ragged, rows, i);
        const size_t nbytes = run.n * ragged.element_nbytes;
        if (nbytes >= by_line)
            write_row_by_line(out, row_nbytes, run, nbytes, padded);
        else
            write_row(out, row_nbytes, run, nbytes, padded);
    }
    end_fill(padded, rows, slot, width, rows->n * row_nbytes);
    return 0;
}

/* Centers and scales are counted from the first number of an element: a row begins with that of one, on either side. */
FB_INLINE void cast_run(const fb_ragged_cast *cast, run run, char *out) {
    fb_cast_elements(&cast->cast, run.elements, 0, run.n * cast->n_numbers, out);
}

uint64_t fb_padded_cast_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_padded_column *padded = (const fb_padded_column *)column;
    const fb_ragged ragged = padded->ragged;
    const size_t width = width_of(padded, rows), row_nbytes = width * padded->cast.nbytes;
    char *out = (char *)slot;
    const look_ahead ahead = begin_look_ahead(&ragged, rows);
    (void)context;
    for (size_t i = 0; i < rows->n; ++i, out += row_nbytes) {
        if (i < ahead.end) send_for(&ragged, rows, i + ahead.n, ahead.to_l2);
        const run run = run_at(&ragged, rows, i);
        const size_t nbytes = run.n * padded->cast.nbytes, n_padding = row_nbytes - nbytes;
        cast_run(&padded->cast, run, padded->is_left ? out + n_padding : out);
        write_padding(padded->is_left ? out : out + nbytes, n_padding, padded);
    }
    end_fill(padded, rows, slot, width, rows->n * row_nbytes);
    return 0;
}

/* Elements of the mask that are copied at once. */
enum { STRETCH = 1024 };

/* Those before the edge, of a stretch that begins at `at`. */
FB_INLINE size_t within_stretch(size_t edge, size_t at) {
    const size_t n = edge > at ? edge - at : 0;
    return n < STRETCH ? n : STRETCH;
}

uint64_t fb_mask_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_padded_column *padded = (const fb_padded_column *)column;
    const size_t width = width_of(padded, rows);
    char *out = (char *)slot, step[2 * STRETCH]; /* all of one kind, all of the other: a row is a part of it */
    (void)context;
    memset(step, !padded->is_left, STRETCH);
    memset(step + STRETCH, padded->is_left, STRETCH);
    for (size_t i = 0; i < rows->n; ++i, out += width) {
        const size_t n = run_at(&padded->ragged, rows, i).n, edge = padded->is_left ? width - n : n;
        for (size_t at = 0; at < width; at += STRETCH) {
            const size_t n_written = width - at < STRETCH ? width - at : STRETCH;
            memcpy(out + at, step + STRETCH - within_stretch(edge, at), n_written);
        }
    }
    end_fill(padded, rows, slot, width, rows->n * width);
    return 0;
}

uint64_t fb_lengths_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_ragged *ragged = &((const fb_ragged_column *)column)->ragged;
    (void)context;
    for (size_t i = 0; i < rows->n; ++i) ((int64_t *)slot)[i] = (int64_t)run_at(ragged, rows, i).n;
    return 0;
}

/* One loop for both: a constant `is_cast` leaves one of them. */
FB_INLINE uint64_t fill_packed(const fb_column *column, const fb_rows *rows, void *slot, int is_cast) {
    const fb_ragged_column *packed = (const fb_ragged_column *)column;
    const fb_ragged ragged = packed->ragged;
    const size_t element_nbytes = is_cast ? packed->cast.nbytes : ragged.element_nbytes;
    char *out = (char *)slot;
    size_t total = 0;
    (void)find_longest(&ragged, rows);
    const look_ahead ahead = begin_look_ahead(&ragged, rows);
    for (size_t i = 0; i < rows->n; ++i) {
        if (i < ahead.end) send_for(&ragged, rows, i + ahead.n, ahead.to_l2);
        const run run = run_at(&ragged, rows, i);
        if (is_cast)
            cast_run(&packed->cast, run, out);
        else
            memcpy(out, run.elements, run.n * element_nbytes);
        out += run.n * element_nbytes;
        total += run.n;
    }
    const fb_extent extent = {(int64_t)total, total * element_nbytes};
    fb_store_extent(column, slot, rows->n, extent);
    return 0;
}

uint64_t fb_packed_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    (void)context;
    return fill_packed(column, rows, slot, 0);
}

uint64_t fb_packed_cast_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    (void)context;
    return fill_packed(column, rows, slot, 1);
}

uint64_t fb_bounds_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context) {
    const fb_ragged *ragged = &((const fb_ragged_column *)column)->ragged;
    int32_t *out = (int32_t *)slot;
    uint64_t total = 0;
    (void)context;
    out[0] = 0;
    for (size_t i = 0; i < rows->n; ++i) {
        total += run_at(ragged, rows, i).n;
        if (total > INT32_MAX) return 1 + fb_number_at(rows->index, rows->wide, i);
        out[i + 1] = (int32_t)total;
    }
    const fb_extent extent = {(int64_t)rows->n + 1, (rows->n + 1) * sizeof(*out)};
    fb_store_extent(column, slot, rows->n, extent);
    return 0;
}
