cimport numpy as cnp

from fastbatch._native.c cimport fb_key, fb_sampler

from libc.stdint cimport uint64_t


# A native sampler: what the engine draws rows from. Orders refer to it: keep it alive as long as they are.
cdef class Sampler:
    cdef const fb_sampler *sampler

    # Begins one epoch's order, in the memory of `over`, one that has ended, or NULL. Raises MemoryError, or what a
    # signal handler raised.
    cdef void *begin(self, fb_key key, uint64_t epoch, void *over) except? NULL


# Whether rows are a contiguous array of numbers below n, uint32 or, from 2**32 rows on, uint64; else ValueError.
cdef int check_row_numbers(uint64_t n, cnp.ndarray rows, str name) except -1
