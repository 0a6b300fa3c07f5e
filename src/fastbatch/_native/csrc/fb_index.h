/* Row numbers that come from users: checked, counted from the front, and narrowed, in one vectorised pass. */
#ifndef FB_INDEX_H
#define FB_INDEX_H

#include "fb_base.h"

/* index, (n,): integers of `item_nbytes` bytes. Negative ones count from the end, as NumPy's do. out, (n,), becomes
 * uint32, or uint64 when `wide`. Returns n, or the place of the first index that is out of range; then `out` is
 * undefined. Needs n_rows < 2^63, and below 2^32 unless `wide`. */
size_t fb_check_rows(const void *index, size_t item_nbytes, int is_signed, size_t n, uint64_t n_rows, int wide,
                     void *out);

#endif
