"""Orders of rows that have lengths. See csrc/fb_bucketed.h and csrc/fb_token_budget.h."""

import numpy as np

cimport cython
cimport numpy as cnp

from fastbatch._native.c cimport (
    FB_NARROW_ROWS, fb_bucketed, fb_bucketed_init, fb_key, fb_lengths, fb_poll, fb_simd, fb_token_budget,
    fb_token_budget_cut, fb_token_budget_deal
)
from fastbatch._native.random cimport key_from_words
from fastbatch._native.sampler cimport Sampler
from fastbatch._native.signals cimport poll_for, raise_pending
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


def plan_batches(cnp.ndarray lengths not None, uint64_t tokens, uint64_t max_rows, uint64_t multiple, uint64_t window,
                 key, uint64_t epoch):
    """An epoch's rows, cut into batches by their padded size.

    Parameters
    ----------
    lengths : uint32 of shape (n,)
        Below 2**31.
    tokens, max_rows : int
        That a batch may have; the longest row has no more.
    multiple : int
        To which the width of a batch is rounded up, from 1 to 2**31.
    window : int
        Rows that are sorted together.
    key : tuple of 2 int
    epoch : int

    Returns
    -------
    rows : uint32 of shape (n,)
        Batch after batch.
    starts : uint64 of shape (n_batches + 1,)
        Where each begins.
    """
    cdef fb_token_budget budget
    cdef fb_key root = key_from_words(key)
    budget.lengths = lengths_of(lengths)
    cdef uint64_t n = lengths.shape[0], n_batches = 0
    budget.n_rows = n
    if not 1 <= multiple <= 2**31:
        raise ValueError(f"multiple must be from 1 to 2**31, got {multiple}")
    if max_rows < 1 or window < 1:
        raise ValueError(f"max_rows and window must be at least 1, got {max_rows} and {window}")
    longest = int(np.max(lengths)) if n > 0 else 0
    if -(-longest // multiple) * multiple > tokens:
        raise ValueError(f"tokens must be at least {-(-longest // multiple) * multiple}, got {tokens}")
    budget.tokens = tokens
    budget.max_rows = max_rows
    budget.multiple = multiple
    budget.window = min(window, max(n, <uint64_t>1))
    cdef cnp.ndarray cut = np.empty(n, np.uint32)
    cdef cnp.ndarray scratch = np.empty(n, np.uint32)
    cdef cnp.ndarray ends = np.empty(n, np.uint32)
    cdef uint32_t *rows = <uint32_t *>cnp.PyArray_DATA(cut)
    cdef uint32_t *dealt = <uint32_t *>cnp.PyArray_DATA(scratch)
    cdef uint32_t *end = <uint32_t *>cnp.PyArray_DATA(ends)
    cdef fb_poll poll = poll_for(n * 32)
    cdef int answer
    with nogil:
        answer = fb_token_budget_cut(&budget, root, epoch, rows, dealt, end, &n_batches, poll)
    if answer != 0:
        raise_pending()
    cdef cnp.ndarray order = np.empty(n_batches, np.uint32)
    cdef cnp.ndarray starts = np.empty(n_batches + 1, np.uint64)
    cdef uint32_t *order_data = <uint32_t *>cnp.PyArray_DATA(order)
    cdef uint64_t *start = <uint64_t *>cnp.PyArray_DATA(starts)
    with nogil:
        answer = fb_token_budget_deal(&budget, root, epoch, rows, end, n_batches, order_data, dealt, start, poll)
    if answer != 0:
        raise_pending()
    return scratch, starts
