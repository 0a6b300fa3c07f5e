/* Random words by position in an epoch's order: the word of a position is the same, wherever one begins to draw. */
#ifndef FB_WORDS_H
#define FB_WORDS_H

#include "fb_random.h"

/* Positions that share a stream: whoever begins between two of them skips fewer draws than that. Part of the version of
 * the orders. */
enum { FB_WORDS_STREAM = 4096 };

typedef struct fb_words {
    fb_key key;
    uint64_t epoch, stream;
    uint64_t position; /* that `rng` stands at; a multiple of FB_WORDS_STREAM: its stream has not begun */
    fb_sfc64 rng;
} fb_words;

FB_INLINE void fb_words_begin(fb_words *words, fb_key key, uint64_t epoch, enum fb_stream stream) {
    words->key = key;
    words->epoch = epoch;
    words->stream = stream;
    words->position = 0;
}

FB_INLINE void fb_words_begin_stream(fb_words *words, uint64_t position) {
    words->rng = fb_sfc64_begin(fb_derive(words->key, words->epoch, words->stream, position / FB_WORDS_STREAM, 0));
    words->position = position;
}

FB_INLINE void fb_words_seek(fb_words *words, uint64_t position) {
    if (position == words->position) return;
    fb_words_begin_stream(words, position - position % FB_WORDS_STREAM);
    for (; words->position < position; ++words->position) (void)fb_next(&words->rng);
}

/* How many of the next n words come from one stream, up to `n_most`. They may be drawn from words->rng. */
FB_INLINE size_t fb_words_advance(fb_words *words, size_t n, size_t n_most) {
    const size_t reached = (size_t)(words->position % FB_WORDS_STREAM);
    if (reached == 0) fb_words_begin_stream(words, words->position);
    if (n > n_most) n = n_most;
    if (n > FB_WORDS_STREAM - reached) n = FB_WORDS_STREAM - reached;
    words->position += n;
    return n;
}

#endif
