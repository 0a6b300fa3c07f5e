from fastbatch._native.c cimport fb_key, fb_sampler

from libc.stdint cimport uint64_t


# A native sampler: what the engine draws rows from. Orders refer to it: keep it alive as long as they are.
cdef class Sampler:
    cdef const fb_sampler *sampler

    # Begins one epoch's order. Raises MemoryError, or what a signal handler raised.
    cdef void *begin(self, fb_key key, uint64_t epoch) except? NULL
