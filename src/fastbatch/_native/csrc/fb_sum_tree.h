/* Weights that change, and rows drawn by them: a tree of sums, 16 children to a node.
 *
 * A node is the sum of its children, always added in the same order: what the tree is depends on the weights it has, not
 * on how they came to be, and no error grows with the updates. A draw and an update both go through log16(n) nodes of two
 * cache lines. Sum trees for this use: Schaul et al., "Prioritized experience replay", ICLR 2016. */
#ifndef FB_SUM_TREE_H
#define FB_SUM_TREE_H

#include "fb_base.h"

/* There are fewer rows than that, and weights are below that: then no sum is infinite. */
#define FB_SUM_TREE_ROWS_END (UINT64_C(1) << 32)
#define FB_SUM_TREE_WEIGHTS_END 0x1p990

enum { FB_SUM_TREE_LEVELS = 8, FB_SUM_TREE_FAN = 16 };

typedef struct fb_sum_tree {
    uint64_t n_rows;
    double *levels[FB_SUM_TREE_LEVELS]; /* the weights; the sums of each 16 of them; ... up to at most 16. 0 behind the last */
    size_t n_levels;
    double total;
    uint64_t n_positive; /* weights above 0 */
    void *memory;
} fb_sum_tree;

/* From (n_rows,) weights, finite, not negative, and below FB_SUM_TREE_WEIGHTS_END. n_rows > 0. False: no memory. */
int fb_sum_tree_init(fb_sum_tree *tree, const double *weights, uint64_t n_rows);
void fb_sum_tree_free(fb_sum_tree *tree);

FB_INLINE const double *fb_sum_tree_weights(const fb_sum_tree *tree) { return tree->levels[0]; }

/* One more weight; the one it was. */
double fb_sum_tree_set(fb_sum_tree *tree, uint64_t row, double weight);
/* That weight will be set, or read. */
FB_INLINE void fb_sum_tree_prefetch(const fb_sum_tree *tree, uint64_t row) { FB_PREFETCH_L1(&tree->levels[0][row]); }

/* out, (n,): rows by their weights, one for each word; there is a weight above 0. Words are written over. */
void fb_sum_tree_draw(const fb_sum_tree *tree, uint64_t *words, size_t n, uint32_t *out);

#endif
