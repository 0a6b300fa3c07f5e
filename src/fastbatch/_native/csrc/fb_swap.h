/* Rows that trade places, at any address. */
#ifndef FB_SWAP_H
#define FB_SWAP_H

#include <string.h>

#include "fb_base.h"

typedef struct fb_pair64 {
    uint64_t low, high;
} fb_pair64;

/* A constant nbytes of up to 16 makes this a few moves. The rows must not be the same. */
FB_INLINE void fb_swap_rows(char *a, char *b, size_t nbytes) {
    enum { PIECE = 256 };
    char piece[PIECE];
    for (size_t done = 0; done < nbytes; done += PIECE) {
        const size_t size = nbytes - done < PIECE ? nbytes - done : PIECE;
        memcpy(piece, a + done, size);
        memcpy(a + done, b + done, size);
        memcpy(b + done, piece, size);
    }
}

/* How many rows are moved between two polls: some milliseconds' work, at 100 ns for a row that misses every cache. */
FB_INLINE uint64_t fb_rows_per_poll(size_t row_nbytes) {
    const uint64_t most = UINT64_C(1) << 16, rows = (UINT64_C(1) << 24) / row_nbytes;
    return rows == 0 ? 1 : (rows < most ? rows : most);
}

#endif
