from libc.stdint cimport int64_t

from fastbatch._native.c cimport fb_ragged


cdef class Runs:
    cdef fb_ragged ragged
    cdef readonly tuple sources
    cdef readonly object starts         # as they were given; so are the lengths, or None
    cdef readonly object given_lengths
    cdef readonly Py_ssize_t n_rows
    cdef readonly int64_t longest
    cdef object addresses               # of the rows, where there are several sources; and their lengths
    cdef object lengths_beside

    cdef int check_sources(self) except -1
    cdef int check_rows(self, object starts, object lengths) except -1
    cdef int lay_out(self, object lengths) except -1
    cdef object find_addresses(self, object starts, object lengths)
