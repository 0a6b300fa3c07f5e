/* The rows of each class in its own shuffled passes, one pass behind the other for as long as rows are asked for. */
#ifndef FB_PASSES_H
#define FB_PASSES_H

#include "fb_base.h"
#include "fb_random.h"

/* Rows by class: of class 0, of class 1, ...; none is empty. */
typedef struct fb_classes {
    uint32_t n_classes;
    int wide; /* whether rows are uint64, or uint32 */
    uint64_t n_members;
    const void *members;    /* (n_members,); NULL: rows stand by class already */
    const uint64_t *starts; /* (n_classes + 1,): where each class begins in `members` */
} fb_classes;

/* A class's rows in the order of its present pass; the first `done` are final. A pass may be gone through several times. */
typedef struct fb_pass {
    uint64_t number;
    uint64_t first; /* occurrences of the class before it is gone through this time */
    uint64_t done;
    fb_sfc64 rng;
} fb_pass;

typedef struct fb_passes {
    fb_classes classes;
    uint64_t together; /* occurrences that come together, and are different rows of a class that has so many */
    fb_key key;
    uint64_t epoch;
    char *rows;      /* (n_members,): each class's present pass, where the class stands in `members` */
    fb_pass *passes; /* (n_classes,) */
} fb_passes;

/* Returns 0, or FB_NO_MEMORY. */
int fb_passes_begin(fb_passes *passes, fb_classes classes, uint64_t together, fb_key key, uint64_t epoch);
void fb_passes_end(fb_passes *passes);

/* Brings `occurrence` of a class within the final part of its present pass. Once in FB_BLOCK rows.
 *
 * A pass is gone through until a multiple of `together` occurrences is reached: so none of the groups of so many, counted
 * from 0, has rows of two passes, whose rows might be the same. */
void fb_passes_advance(fb_passes *passes, uint32_t class_, uint64_t occurrence);

/* out[i] = the row of that occurrence. */
FB_INLINE void fb_passes_put(fb_passes *passes, int wide, uint32_t class_, uint64_t occurrence, void *out, size_t i) {
    const fb_pass *pass = &passes->passes[class_];
    if (FB_UNLIKELY(occurrence - pass->first >= pass->done)) fb_passes_advance(passes, class_, occurrence);
    const uint64_t at = passes->classes.starts[class_] + (occurrence - pass->first);
    if (wide)
        ((uint64_t *)out)[i] = ((const uint64_t *)(const void *)passes->rows)[at];
    else
        ((uint32_t *)out)[i] = ((const uint32_t *)(const void *)passes->rows)[at];
}

#endif
