"""Orders of rows that have lengths. See csrc/fb_bucketed.h."""

import numpy as np

cimport cython
cimport numpy as cnp

from fastbatch._native.c cimport FB_NARROW_ROWS, fb_bucketed, fb_bucketed_init, fb_lengths, fb_simd
from fastbatch._native.sampler cimport Sampler
from fastbatch._native.simd cimport simd_level_of

from libc.stdint cimport uint32_t, uint64_t

cnp.import_array()


cdef fb_lengths lengths_of(cnp.ndarray lengths):
    """The lengths of rows, for as long as the array lives; ValueError unless they are as they have to be."""
    cdef fb_lengths native
    if lengths.dtype != np.uint32 or not cnp.PyArray_ISCARRAY_RO(lengths) or lengths.ndim != 1:
        raise ValueError(f"lengths must be a contiguous array of uint32, got {lengths.dtype}")
    if <uint64_t>lengths.shape[0] >= FB_NARROW_ROWS:
        raise ValueError(f"lengths must be those of fewer than 2**32 rows, got {lengths.shape[0]}")
    longest = int(np.max(lengths)) if lengths.shape[0] > 0 else 0
    if longest >= 2**31:
        raise ValueError(f"lengths must be below 2**31, got {longest}")
    native.of_rows = <const uint32_t *>cnp.PyArray_DATA(lengths)
    native.bits = longest.bit_length()
    return native


@cython.final
@cython.no_gc_clear
cdef class Bucketed(Sampler):
    """Every row once, neighbours of like length.

    Parameters
    ----------
    lengths : uint32 of shape (n,)
        Below 2**31; nobody may write them any more.
    window, block : int
        Rows that are sorted together, rows that stay together: at least 1, a window some whole number of blocks.
    simd : str, optional
        The path, of those that this machine has; the order is the same.
    """

    cdef fb_bucketed storage
    cdef tuple arguments

    def __cinit__(self, cnp.ndarray lengths not None, uint64_t window, uint64_t block, simd=None):
        if block < 1 or window < 1 or window % block != 0 or window >= 2**62:
            raise ValueError(f"window must be a multiple of block, both at least 1, got {window} and {block}")
        self.arguments = (lengths, window, block)  # kept alive: the storage points into them
        self.storage.lengths = lengths_of(lengths)
        self.storage.sampler.n_rows = lengths.shape[0]
        self.storage.window = window
        self.storage.block_rows = block
        self.storage.level = <fb_simd>simd_level_of(simd)
        fb_bucketed_init(&self.storage)
        self.sampler = &self.storage.sampler

    def __reduce__(self):
        return Bucketed, self.arguments
