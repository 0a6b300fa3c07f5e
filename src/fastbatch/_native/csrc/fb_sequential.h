/* Every row once, in the order of the data. */
#ifndef FB_SEQUENTIAL_H
#define FB_SEQUENTIAL_H

#include "fb_sampler.h"

fb_sampler fb_sequential(uint64_t n_rows);

#endif
