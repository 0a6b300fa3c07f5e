/* Every row once, in uniformly random order: fb_permutation over the row numbers. 4 bytes per row below 2^32 rows. */
#ifndef FB_SHUFFLED_H
#define FB_SHUFFLED_H

#include "fb_sampler.h"

fb_sampler fb_shuffled(uint64_t n_rows);

#endif
