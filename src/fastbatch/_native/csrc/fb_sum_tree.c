#include "fb_memory.h" /* first: see there */

#include "fb_sum_tree.h"

#include <string.h>

enum { FAN = FB_SUM_TREE_FAN };

/* Draws that go down the tree side by side, so that their cache misses overlap. */
enum { TOGETHER = 16 };

static size_t rounded_up(uint64_t n) { return (size_t)((n + FAN - 1) / FAN * FAN); }

/* Each four children, and the four sums before each other: the order in which they are added, here and in descend(). */
FB_INLINE double quad(const double *children) { return (children[0] + children[1]) + (children[2] + children[3]); }

FB_INLINE double sum(const double *children) {
    return ((quad(children) + quad(children + 4)) + quad(children + 8)) + quad(children + 12);
}

int fb_sum_tree_init(fb_sum_tree *tree, const double *weights, uint64_t n_rows) {
    size_t sizes[FB_SUM_TREE_LEVELS], n_nodes = 0;
    uint64_t n = n_rows;
    tree->n_levels = 0;
    for (;;) {
        sizes[tree->n_levels] = rounded_up(n);
        n_nodes += sizes[tree->n_levels++];
        if (n <= FAN) break;
        n = (n + FAN - 1) / FAN;
    }
    tree->memory = fb_allocate(n_nodes * sizeof(double));
    if (tree->memory == NULL) return 0;
    double *level = (double *)tree->memory;
    for (size_t i = 0; i < tree->n_levels; ++i) {
        tree->levels[i] = level;
        level += sizes[i];
    }
    tree->n_rows = n_rows;
    memcpy(tree->levels[0], weights, (size_t)n_rows * sizeof *weights);
    uint64_t n_below = n_rows;
    for (size_t i = 0; i < tree->n_levels; ++i) {
        memset(tree->levels[i] + n_below, 0, (sizes[i] - (size_t)n_below) * sizeof(double));
        n_below = (n_below + FAN - 1) / FAN;
        if (i + 1 == tree->n_levels) break;
        for (uint64_t node = 0; node < n_below; ++node) tree->levels[i + 1][node] = sum(tree->levels[i] + node * FAN);
    }
    tree->total = sum(tree->levels[tree->n_levels - 1]);
    tree->n_positive = 0;
    for (uint64_t row = 0; row < n_rows; ++row) tree->n_positive += weights[row] > 0;
    return 1;
}

void fb_sum_tree_free(fb_sum_tree *tree) {
    fb_free(tree->memory);
    tree->memory = NULL;
}

double fb_sum_tree_set(fb_sum_tree *tree, uint64_t row, double weight) {
    const double before = tree->levels[0][row];
    tree->levels[0][row] = weight;
    tree->n_positive += (uint64_t)(weight > 0) - (uint64_t)(before > 0);
    for (size_t i = 1; i < tree->n_levels; ++i) {
        row /= FAN;
        tree->levels[i][row] = sum(tree->levels[i - 1] + row * FAN);
    }
    tree->total = sum(tree->levels[tree->n_levels - 1]);
    return before;
}

/* Rounding can lead behind the last child that has something: that one it is. */
static unsigned last_before(const double *children, unsigned child, double *rest) {
    while (child > 0 && !(children[child] > 0)) --child;
    *rest = 0;
    return child;
}

/* Which of 16 children has *rest, which becomes how far into that child it is. No branch: each way is as likely. */
FB_INLINE unsigned descend(const double *children, double *rest) {
    const double q0 = quad(children), q1 = q0 + quad(children + 4), q2 = q1 + quad(children + 8);
    const unsigned which = (unsigned)(*rest >= q0) + (unsigned)(*rest >= q1) + (unsigned)(*rest >= q2);
    const double before[4] = {0, q0, q1, q2};
    const double left = *rest - before[which];
    const double *four = children + 4 * which;
    const double c0 = four[0], c1 = c0 + four[1], c2 = c1 + four[2];
    const unsigned there = (unsigned)(left >= c0) + (unsigned)(left >= c1) + (unsigned)(left >= c2);
    const double before_there[4] = {0, c0, c1, c2};
    const unsigned child = 4 * which + there;
    *rest = left - before_there[there];
    if (FB_UNLIKELY(!(children[child] > 0))) return last_before(children, child, rest);
    return child;
}

void fb_sum_tree_draw(const fb_sum_tree *tree, uint64_t *words, size_t n, uint32_t *out) {
    double rests[TOGETHER];
    for (size_t done = 0; done < n; done += TOGETHER) {
        const size_t count = n - done < TOGETHER ? n - done : TOGETHER;
        uint64_t *nodes = words + done;
        for (size_t k = 0; k < count; ++k) {
            rests[k] = (double)(nodes[k] >> 11) * 0x1p-53 * tree->total;
            nodes[k] = 0;
        }
        for (size_t i = tree->n_levels; i-- > 0;) {
            for (size_t k = 0; k < count; ++k) {
                nodes[k] = nodes[k] * FAN + descend(tree->levels[i] + nodes[k] * FAN, &rests[k]);
                if (i > 0) {
                    FB_PREFETCH_L1(tree->levels[i - 1] + nodes[k] * FAN);
                    FB_PREFETCH_L1(tree->levels[i - 1] + nodes[k] * FAN + FAN / 2);
                }
            }
        }
        for (size_t k = 0; k < count; ++k) out[done + k] = (uint32_t)nodes[k];
    }
}
