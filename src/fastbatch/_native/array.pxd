"""What the kernels ask of arrays, in one place."""

cimport numpy as cnp


# Refuses what is not an ndarray of fixed-size items held in place: TypeError names the rule and `name`.
cdef int require_plain(object x, str name) except -1

# Bytes of one row along axis 0.
cdef size_t row_nbytes_of(cnp.ndarray x) noexcept

# Whether each row along axis 0 is contiguous, whatever the distance between rows.
cdef bint rows_are_contiguous(cnp.ndarray x) noexcept
