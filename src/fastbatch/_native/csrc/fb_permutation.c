#include "fb_permutation.h"

#include "fb_shuffle.h"

static unsigned bits_for(uint64_t n_rows) {
    if (n_rows <= FB_ONE_UNIT_ROWS) return 0;
    unsigned bits = 1;
    while (bits < FB_SCATTER_MAX_BITS && (FB_BUCKET_ROWS << bits) < n_rows) ++bits;
    return bits;
}

int fb_permutation_begin(fb_permutation *permutation, void *rows, size_t row_nbytes, uint64_t n_rows, fb_key key,
                         uint64_t epoch, fb_poll poll) {
    permutation->rows = rows;
    permutation->n_rows = n_rows;
    permutation->row_nbytes = row_nbytes;
    permutation->key = key;
    permutation->epoch = epoch;
    permutation->bits = bits_for(n_rows);
    permutation->starts[0] = 0;
    permutation->starts[1] = n_rows;
    if (permutation->bits == 0) return 0;
    const fb_sfc64 labels = fb_sfc64_begin(fb_derive(key, epoch, FB_STREAM_LABELS, 0, 0));
    const int answer = fb_count_labels(labels, permutation->bits, n_rows, permutation->starts, poll);
    return answer != 0 ? answer : fb_scatter(labels, permutation->bits, permutation->starts, rows, row_nbytes, poll);
}

uint64_t fb_permutation_unit_of(const fb_permutation *permutation, uint64_t position) {
    uint64_t low = 0, high = fb_permutation_n_units(permutation);
    while (high - low > 1) { /* starts[low] <= position < starts[high] */
        const uint64_t middle = low + (high - low) / 2;
        if (permutation->starts[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Reads every line in sequence: the hardware streams a bucket into the cache faster than prefetch hints do. */
static void warm(const volatile char *memory, uint64_t nbytes) {
    for (uint64_t at = 0; at < nbytes; at += FB_CACHE_LINE) (void)memory[at];
}

int fb_permutation_prepare(const fb_permutation *permutation, uint64_t unit, fb_poll poll) {
    const uint64_t start = permutation->starts[unit], n_rows = permutation->starts[unit + 1] - start;
    char *rows = (char *)permutation->rows + start * permutation->row_nbytes;
    const uint64_t nbytes = n_rows * permutation->row_nbytes;
    if (permutation->bits > 0 && nbytes <= FB_CACHE_NBYTES) warm(rows, nbytes);
    fb_sfc64 rng = fb_sfc64_begin(fb_derive(permutation->key, permutation->epoch, FB_STREAM_BUCKET, unit, 0));
    return fb_shuffle_rows(&rng, rows, permutation->row_nbytes, n_rows, 0, n_rows, poll);
}
