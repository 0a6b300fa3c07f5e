/* The limit: what one core, or several, need to bring given rows together when nothing else is done.
 *
 * No checks, no Python, no allocation, no order to draw. Every row is asked for `ahead` rows before it is copied, and
 * that look-ahead runs on across batch edges. Which cache the rows should be fetched into differs between processors
 * (by up to 2x, in either direction), so there is one loop for each, and the faster of the two is the limit.
 *
 * The caller guarantees that every entry of `order` is a row, and that `out` holds n_slots batches.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef void (*keep_fn)(const char *x_batch, const int64_t *y_batch, size_t n_rows);

#define LINE 64
#define L1 3 /* the locality argument of __builtin_prefetch */
#define L2 2

/* Inlined with constant row_nbytes and locality, so that copies and prefetches are straight lines of code. */
static inline __attribute__((always_inline)) void
gather(const char *x, const size_t row_nbytes, const int64_t *y, const uint32_t *order, size_t n, size_t batch,
       size_t n_slots, const int locality, keep_fn keep, char *out_x, int64_t *out_y)
{
    /* 8 KB under way: measured flat from half to twice of it on AMD Zen 4. */
    const size_t ahead = row_nbytes <= LINE ? 128 : row_nbytes >= 1024 ? 8 : 8192 / row_nbytes;
    size_t slot = 0;

    for (size_t start = 0; start < n; start += batch) {
        const size_t n_batch = n - start < batch ? n - start : batch;
        const size_t n_left = n - start > ahead ? n - start - ahead : 0;
        const size_t n_prefetching = n_left < n_batch ? n_left : n_batch;
        const uint32_t *rows = order + start;
        char *x_batch = out_x + slot * batch * row_nbytes;
        int64_t *y_batch = out_y + slot * batch;

        for (size_t k = 0; k < n_batch; k++) {
            if (k < n_prefetching) {
                const char *next = x + (size_t)rows[k + ahead] * row_nbytes;
                for (size_t byte = 0; byte < row_nbytes; byte += LINE)
                    __builtin_prefetch(next + byte, 0, locality);
                /* NumPy's large arrays begin 16 bytes into a line: a row of n lines touches n + 1. */
                __builtin_prefetch(next + row_nbytes - 1, 0, locality);
                if (y != NULL)
                    __builtin_prefetch(y + rows[k + ahead], 0, locality);
            }
            memcpy(x_batch + k * row_nbytes, x + (size_t)rows[k] * row_nbytes, row_nbytes);
            if (y != NULL)
                y_batch[k] = y[rows[k]];
        }
        if (keep != NULL)
            keep(x_batch, y_batch, n_batch);
        slot = slot + 1 < n_slots ? slot + 1 : 0;
    }
}

#define WIDTH(nbytes)                                                                                                  \
    case nbytes:                                                                                                       \
        if (in_l2)                                                                                                     \
            gather(x, nbytes, y, order, n, batch, n_slots, L2, keep, out_x, out_y);                                    \
        else                                                                                                           \
            gather(x, nbytes, y, order, n, batch, n_slots, L1, keep, out_x, out_y);                                    \
        return 0;

/* Copies rows order[0..n) of x (and of y, unless NULL) batch by batch into out_x (n_slots, batch, row_nbytes) and
 * out_y (n_slots, batch), taking the slots in turn. -1 for a width that it was not compiled for. */
int roofline_gather(const char *x, size_t row_nbytes, const int64_t *y, const uint32_t *order, size_t n, size_t batch,
                    size_t n_slots, int in_l2, keep_fn keep, char *out_x, int64_t *out_y)
{
    switch (row_nbytes) {
        WIDTH(40)
        WIDTH(64)
        WIDTH(256)
        WIDTH(1024)
        WIDTH(4096)
    default:
        return -1;
    }
}

#define MAX_THREADS 64

struct work {
    const char *x;
    size_t row_nbytes;
    const int64_t *y;
    const uint32_t *order;
    size_t n, batch, n_slots;
    int in_l2;
    keep_fn keep;
    atomic_size_t taken; /* rows of the order, a whole batch at a time */
};

struct ring {
    struct work *work;
    char *out_x;
    int64_t *out_y;
};

static void *fill_ring(void *argument)
{
    const struct ring *ring = argument;
    struct work *w = ring->work;
    size_t slot = 0;

    for (;;) {
        const size_t start = atomic_fetch_add(&w->taken, w->batch);
        if (start >= w->n)
            return NULL;
        const size_t n_batch = w->n - start < w->batch ? w->n - start : w->batch;
        char *x_batch = ring->out_x + slot * w->batch * w->row_nbytes;
        int64_t *y_batch = w->y != NULL ? ring->out_y + slot * w->batch : NULL;
        roofline_gather(w->x, w->row_nbytes, w->y, w->order + start, n_batch, w->batch, 1, w->in_l2, w->keep, x_batch,
                        y_batch);
        slot = slot + 1 < w->n_slots ? slot + 1 : 0;
    }
}

/* The same by n_threads threads, the caller among them: each takes the next batch that nobody has and copies it into
 * a ring of its own, so out_x and out_y hold n_threads * n_slots batches. Nobody waits for anybody, and batches come
 * in any order. keep is called by all of them. -1 as above, -2 when there is no thread to be had. */
int roofline_gather_threads(const char *x, size_t row_nbytes, const int64_t *y, const uint32_t *order, size_t n,
                            size_t batch, size_t n_slots, size_t n_threads, int in_l2, keep_fn keep, char *out_x,
                            int64_t *out_y)
{
    struct work work = {x, row_nbytes, y, order, n, batch, n_slots, in_l2, keep, 0};
    struct ring rings[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    size_t n_started = 1;

    /* Of no rows: is there a loop for this width? */
    if (roofline_gather(x, row_nbytes, y, order, 0, batch, 1, in_l2, NULL, out_x, out_y) != 0)
        return -1;
    if (n_threads < 1 || n_threads > MAX_THREADS)
        return -2;
    for (size_t i = 0; i < n_threads; i++) {
        const size_t first = i * n_slots * batch;
        rings[i] = (struct ring){&work, out_x + first * row_nbytes, y != NULL ? out_y + first : NULL};
    }
    while (n_started < n_threads && pthread_create(&threads[n_started], NULL, fill_ring, &rings[n_started]) == 0)
        n_started++;
    fill_ring(&rings[0]);
    for (size_t i = 1; i < n_started; i++)
        pthread_join(threads[i], NULL);
    return n_started == n_threads ? 0 : -2;
}

/* Copies x (n_bytes) piece by piece into one reused buffer out (piece_nbytes). */
void roofline_memcpy(const char *x, size_t n_bytes, size_t piece_nbytes, char *out)
{
    for (size_t done = 0; done < n_bytes; done += piece_nbytes) {
        const size_t n_piece = n_bytes - done < piece_nbytes ? n_bytes - done : piece_nbytes;
        memcpy(out, x + done, n_piece);
        __asm__ volatile("" : : "r"(out) : "memory"); /* every piece counts, also those that are overwritten */
    }
}
