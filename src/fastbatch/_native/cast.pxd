cimport numpy as cnp

from fastbatch._native.c cimport fb_affine, fb_cast


cdef class Affine:
    cdef fb_affine native
    cdef readonly cnp.ndarray centers, scales  # (period,) of the type of the arithmetic


cdef class Cast:
    cdef fb_cast native
    cdef readonly str readable, writable
    cdef readonly Affine affine  # None: no arithmetic
    cdef readonly size_t n_elements  # of a row

    cdef int require_types(self, cnp.dtype source, cnp.dtype dtype) except -1
