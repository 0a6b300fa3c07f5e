cimport numpy as cnp

from fastbatch._native.c cimport fb_column, fb_source


# How to write rows of one array into a slot.
cdef class Column:
    cdef const fb_column *column
    cdef readonly cnp.dtype dtype       # of the slot, as NumPy holds it; None: this column is nothing
    cdef readonly object n_rows         # that there are, or None: any number
    cdef readonly tuple row_shape       # of one row in the slot
    cdef readonly tuple dlpack_type     # (code, bits, lanes) of an element, or None
    cdef readonly bint blocking         # reads a file: never filled with the GIL held
    cdef readonly str kernel            # in words, for explain()
    cdef readonly object sized_axis     # whose size only a fill knows: row_shape has the most; or None


# The memory of an array whose rows are contiguous.
cdef fb_source source_of(cnp.ndarray array) noexcept
