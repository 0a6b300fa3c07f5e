/* fastbatch.h: a column of your own, in any language that can make a C function.
 *
 * A Loader fills batches with functions that write some rows of a column into memory. One of them may be yours: what
 * decodes, unpacks, standardises, crops or makes up rows as they are wanted. In Python it is a `fastbatch.NativeColumn`,
 * which stands in a Loader's data as an array does. docs/native_columns.md has whole programs for Cython, cffi, Numba
 * and ctypes.
 *
 * The folder of this file is `fastbatch.get_include()`. It needs no other header but the standard's. */
#ifndef FASTBATCH_H
#define FASTBATCH_H

#include <stdint.h>

/* The version of the contract below. A function made for one version is never called as one of another: where it
 * travels in a capsule, the capsule's name says which it is, and another one is refused. To be sure at compile time:
 *
 *     #if FASTBATCH_FILL_VERSION != 1
 *     #error "written for version 1 of fastbatch_fill"
 *     #endif
 */
#define FASTBATCH_FILL_VERSION 1

/* What a PyCapsule of such a function has to be called. */
#define FASTBATCH_FILL_CAPSULE "fastbatch.fill.1"

/* The most rows that are asked for at once, so that memory for what lies between can be on the stack. */
#define FASTBATCH_FILL_MAX_ROWS 512

/* Writes some rows of a column.
 *
 *   state     what NativeColumn was given as `state`, or NULL. Several threads read it at once, so nobody writes it
 *             while an epoch is under way. Between epochs you may: no row is asked for before the epoch's first batch.
 *   rows      (n,) which rows: each at least 0 and less than the n_rows of the NativeColumn, in any order, some perhaps
 *             more than once.
 *   n         1 to FASTBATCH_FILL_MAX_ROWS. They are a batch or any part of one; where it is cut is not to matter.
 *   out       (n, row_shape) of the dtype, C-contiguous and aligned as the dtype has it. What it holds before is
 *             undefined: all of it is to be written.
 *   seed      64 random bits, the same throughout an epoch, and others in the next: of the Loader's seed and the epoch.
 *   epoch     counted from 0.
 *   position  of row i in the epoch's order, the one of all ranks, is position + i.
 *
 * Returns how many rows it has written: n, if all is well. Less says that it cannot write rows[that many]: whoever asks
 * for the batch gets an IndexError that names this row and the function, and its iterator is over. Anything else stands
 * for rows[0], as does the 0 that Numba returns where an exception was not caught.
 *
 * It is called on any thread, on several at once, and never with Python's lock (the GIL) held; it must not take that:
 * what Python does there, the end of an iterator for one, may wait for this very batch. It must not throw, longjmp or
 * end the thread.
 *
 * What it writes must follow from its arguments and from nothing else, or batches differ from run to run and with the
 * number of threads. Random numbers therefore follow from (seed, position + i), as `fastbatch_random` draws them. */
typedef int64_t (*fastbatch_fill)(const void *state, const int64_t *rows, int64_t n, void *out, uint64_t seed,
                                  uint64_t epoch, uint64_t position);

/* 64 random bits for one row: number `draw` (0, 1, ...) of those at a position of the epoch. For row i that position is
 * `position + i`. Two columns of one Loader draw alike, so that an image and its mask can be cropped alike; where they
 * should not, let the draws of the second begin at 1000. A double in [0, 1) is (double)(bits >> 11) / 9007199254740992.
 *
 *   SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. */
static inline uint64_t fastbatch_random(uint64_t seed, uint64_t position, uint64_t draw) {
    uint64_t bits = seed + position * 0x9E3779B97F4A7C15u;
    int round;
    for (round = 0; round < 2; ++round) {
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
        bits ^= bits >> 31;
        if (round == 0) bits += (draw + 1) * 0x9E3779B97F4A7C15u;
    }
    return bits;
}

#endif
