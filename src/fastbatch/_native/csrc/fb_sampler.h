/* The contract of a sampler: WHICH rows, in which order. It knows nothing of data, buffers or threads.
 *
 * An order is a pure function of (key, epoch), whatever the batch size, the ranks, the threads or the machine. Row
 * numbers are uint32 when the sampler draws from fewer than 2^32 rows, else uint64 (`wide`). Nothing here takes the
 * GIL. Several epochs may be alive at once. */
#ifndef FB_SAMPLER_H
#define FB_SAMPLER_H

#include "fb_base.h"
#include "fb_random.h"

/* What a call answers when there is no memory; any other answer but 0 is the poll's. */
enum { FB_NO_MEMORY = -12 };

#define FB_NARROW_ROWS (UINT64_C(1) << 32)

typedef struct fb_sampler fb_sampler;
struct fb_sampler {
    uint64_t n_rows; /* rows it draws from */
    uint64_t length; /* rows of an epoch */
    int wide;
    int consecutive; /* the row at position p is p */

    /* *state becomes one epoch's order. It is NULL, or an order of this sampler that is over, whose memory is used
     * again: clearing fresh pages would cost as much as shuffling. Returns 0, FB_NO_MEMORY or what `poll` answered; then
     * *state is NULL. */
    int (*begin)(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state);
    /* Independent pieces of work: any thread may prepare any unit, once, ahead of need. All NULL: there are none. */
    uint64_t (*n_units)(const void *state);
    uint64_t (*unit_of)(const void *state, uint64_t position);
    int (*prepare)(void *state, uint64_t unit, fb_poll poll);
    /* out, (n,): the rows at [position, position + n) of the epoch's global order, whose units are prepared. One thread
     * at a time; O(n) when positions rise. */
    void (*draw)(void *state, uint64_t position, void *out, size_t n);
    void (*end)(void *state);

    /* What follows is 0 or NULL in most samplers. */

    /* It draws one epoch only: the next one has a sampler of its own, or depends on how this one went. */
    int is_of_one_epoch;
    /* out, (n,): what undoes the weights of rows that were drawn at [position, position + n): 1 / (N P), where N rows
     * can be drawn and P is the probability of this one. NULL: all rows are alike. */
    void (*weigh)(void *state, uint64_t position, const void *rows, float *out, size_t n);

    /* A live sampler: updates change what it draws, while it does. Its tickets are counted, so that each update applies
     * from the same ticket on, whatever the timing. At most `lag` are drawn ahead of those that are asked for, and of
     * tickets that are put back rows are drawn anew. */
    size_t lag;
    /* The next draws are for ticket number `ticket`; until rest() no update comes in between. Returns 0, or why nothing can
     * be drawn; then there is no rest(). Only with `waits` it waits for updates that are being made. */
    int (*turn)(void *state, uint64_t ticket, int waits);
    void (*rest)(void *state);
    /* So many tickets are delivered now. Waits for nobody. Returns 0, or FB_SUPERSEDED: they must not be. */
    int (*delivered)(void *state, uint64_t n_tickets);
};

/* What turn() answers: all weights are 0; a later epoch has begun, and this one is over; an update is being made. */
enum { FB_ALL_ZERO = 1, FB_SUPERSEDED = 2, FB_BUSY = 3 };

/* Fills the functions of a sampler that has no units, and `consecutive`. */
FB_INLINE void fb_sampler_without_units(fb_sampler *sampler,
                                        int (*begin)(const fb_sampler *, fb_key, uint64_t, fb_poll, void **),
                                        void (*draw)(void *, uint64_t, void *, size_t), void (*end)(void *)) {
    sampler->consecutive = 0;
    sampler->begin = begin;
    sampler->n_units = NULL;
    sampler->unit_of = NULL;
    sampler->prepare = NULL;
    sampler->draw = draw;
    sampler->end = end;
}

/* out[i] = first + i. Returns 0, or what `poll` answered. */
int fb_count_up(int wide, uint64_t first, void *out, uint64_t n, fb_poll poll);

#endif
