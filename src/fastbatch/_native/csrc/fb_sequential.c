#include "fb_sequential.h"

int fb_count_up(int wide, uint64_t first, void *out, uint64_t n, fb_poll poll) {
    enum { ROWS_PER_POLL = 1 << 22 };
    for (uint64_t done = 0; done < n;) {
        const uint64_t end = n - done < ROWS_PER_POLL ? n : done + ROWS_PER_POLL;
        if (wide)
            for (uint64_t *rows = (uint64_t *)out; done < end; ++done) rows[done] = first + done;
        else
            for (uint32_t *rows = (uint32_t *)out; done < end; ++done) rows[done] = (uint32_t)(first + done);
        const int answer = done < n ? fb_ask(poll) : 0;
        if (answer != 0) return answer;
    }
    return 0;
}

/* An order without state: its handle says how wide the row numbers are. */
static int width_of_rows[2] = {0, 1};

static int begin(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) {
    (void)key;
    (void)epoch;
    (void)poll;
    *state = &width_of_rows[sampler->wide != 0];
    return 0;
}

static void draw(void *state, uint64_t position, void *out, size_t n) {
    const fb_poll nobody = {NULL, NULL};
    (void)fb_count_up(*(const int *)state, position, out, n, nobody);
}

static void end(void *state) { (void)state; }

fb_sampler fb_sequential(uint64_t n_rows) {
    const fb_sampler sampler = {
        .n_rows = n_rows,
        .length = n_rows,
        .wide = n_rows >= FB_NARROW_ROWS,
        .consecutive = 1,
        .begin = begin,
        .draw = draw,
        .end = end,
    };
    return sampler;
}
