#include "fb_first_fit.h"

#include <string.h>

uint64_t fb_first_fit(const fb_lengths *lengths, const uint32_t *order, uint64_t n, uint32_t context, uint64_t n_nodes,
                      uint32_t *FB_RESTRICT tree, uint32_t *FB_RESTRICT row_of) {
    const uint64_t n_leaves = n_nodes / 2; /* node i has the children 2 i and 2 i + 1; the root is 1 */
    uint64_t n_rows = 0;
    for (uint64_t node = 1; node < n_nodes; ++node) tree[node] = context;
    for (uint64_t i = 0; i < n;) {
        const uint32_t length = lengths->of_rows[order[i]];
        uint64_t node = 1;
        while (node < n_leaves) {
            node *= 2;
            node += tree[node] < length;
        }
        const uint32_t row = (uint32_t)(node - n_leaves);
        uint32_t room = tree[node];
        do {
            row_of[order[i++]] = row;
            room -= length;
        } while (room >= length && i < n && lengths->of_rows[order[i]] == length);
        if (row >= n_rows) n_rows = row + UINT64_C(1);
        tree[node] = room;
        for (node /= 2; node > 0; node /= 2) {
            const uint32_t most = tree[2 * node] > tree[2 * node + 1] ? tree[2 * node] : tree[2 * node + 1];
            if (tree[node] == most) break;
            tree[node] = most;
        }
    }
    return n_rows;
}

void fb_first_fit_group(const uint32_t *order, const uint32_t *row_of, uint64_t n, uint64_t n_rows,
                        uint64_t *FB_RESTRICT starts, uint32_t *FB_RESTRICT sequences) {
    memset(starts, 0, (size_t)(n_rows + 1) * sizeof *starts);
    for (uint64_t i = 0; i < n; ++i) ++starts[row_of[i]];
    uint64_t end = 0;
    for (uint64_t row = 0; row < n_rows; ++row) { /* until all of its sequences are placed, a row's start is its end */
        end += starts[row];
        starts[row] = end;
    }
    starts[n_rows] = n;
    for (uint64_t i = n; i-- > 0;) sequences[--starts[row_of[order[i]]]] = order[i];
}
