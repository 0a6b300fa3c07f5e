#include "fb_memory.h" /* first: see there */

#include "fb_passes.h"

#include <string.h>

#include "fb_sampler.h"
#include "fb_shuffle.h"

/* No occurrence is in a pass that begins here. */
#define NO_PASS UINT64_MAX

static size_t row_nbytes(const fb_passes *passes) {
    return passes->classes.wide ? sizeof(uint64_t) : sizeof(uint32_t);
}

int fb_passes_begin(fb_passes *passes, fb_classes classes, uint64_t together, fb_key key, uint64_t epoch) {
    passes->classes = classes;
    passes->together = together;
    passes->key = key;
    passes->epoch = epoch;
    passes->rows = (char *)fb_allocate((size_t)classes.n_members * row_nbytes(passes));
    passes->passes = (fb_pass *)calloc(classes.n_classes, sizeof *passes->passes);
    if (passes->rows == NULL || passes->passes == NULL) {
        fb_passes_end(passes);
        return FB_NO_MEMORY;
    }
    for (uint32_t i = 0; i < classes.n_classes; ++i) passes->passes[i].number = passes->passes[i].first = NO_PASS;
    return 0;
}

void fb_passes_end(fb_passes *passes) {
    fb_free(passes->rows);
    free(passes->passes);
    passes->rows = NULL;
    passes->passes = NULL;
}

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    while (b > 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

void fb_passes_advance(fb_passes *passes, uint32_t class_, uint64_t occurrence) {
    const fb_poll nobody = {NULL, NULL};
    const fb_classes *classes = &passes->classes;
    fb_pass *pass = &passes->passes[class_];
    const size_t width = row_nbytes(passes);
    const uint64_t start = classes->starts[class_], n_rows = classes->starts[class_ + 1] - start;
    const uint64_t times = passes->together / common_divisor(n_rows, passes->together);
    const uint64_t number = occurrence / n_rows / times;
    char *rows = passes->rows + start * width;
    if (pass->number != number) {
        if (classes->members == NULL)
            (void)fb_count_up(classes->wide, start, rows, n_rows, nobody);
        else
            memcpy(rows, (const char *)classes->members + start * width, n_rows * width);
        pass->number = number;
        pass->done = 0;
        pass->rng = fb_sfc64_begin(fb_derive(passes->key, passes->epoch, FB_STREAM_PASS, class_, number));
    }
    pass->first = occurrence / n_rows * n_rows;
    const uint64_t wanted = occurrence - pass->first + 1, blocks = (wanted + FB_BLOCK - 1) / FB_BLOCK;
    const uint64_t to = blocks * FB_BLOCK < n_rows ? blocks * FB_BLOCK : n_rows;
    if (to <= pass->done) return;
    (void)fb_shuffle_rows(&pass->rng, rows, width, n_rows, pass->done, to, nobody);
    pass->done = to;
}
