cimport numpy as cnp

from fastbatch._native.c cimport fb_lengths


# The lengths of rows, for as long as the array lives; ValueError unless they are as they have to be: a contiguous array
# of uint32, below 2**31, of fewer than 2**32 rows.
cdef fb_lengths lengths_of(cnp.ndarray lengths)
