/* Every row once, in blocks of neighbours: the blocks in random order, and the rows of a few blocks that follow each
 * other in it mixed. */
#ifndef FB_BLOCKS_H
#define FB_BLOCKS_H

#include "fb_sampler.h"

typedef struct fb_blocks {
    fb_sampler sampler;   /* first: the contract is a pointer to it */
    uint64_t block_rows;  /* at least 1 */
    uint64_t window;      /* blocks whose rows are mixed, at least 1 */
} fb_blocks;

fb_blocks fb_blocks_of(uint64_t n_rows, uint64_t block_rows, uint64_t window);

#endif
