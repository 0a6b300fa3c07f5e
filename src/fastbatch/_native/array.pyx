import numpy as np

cimport numpy as cnp

cnp.import_array()


cdef int require_plain(object x, str name) except -1:
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(x).__name__}; wrap it with numpy.asarray")
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array, whose mask would not follow; "
                        f"use {name}.data and {name}.mask, or {name}.filled()")
    if x.dtype.hasobject or x.dtype.kind == "T":
        raise TypeError(f"{name} must have items of fixed size held in the array, got dtype {x.dtype}; "
                        "use a numeric dtype, or strings of fixed width such as 'U16'")
    return 0


cdef size_t row_nbytes_of(cnp.ndarray x) noexcept:
    cdef size_t nbytes = cnp.PyArray_ITEMSIZE(x)
    cdef int axis
    for axis in range(1, cnp.PyArray_NDIM(x)):
        nbytes *= cnp.PyArray_DIM(x, axis)
    return nbytes


cdef bint rows_are_contiguous(cnp.ndarray x) noexcept:
    cdef Py_ssize_t expected = cnp.PyArray_ITEMSIZE(x)
    cdef int axis
    if cnp.PyArray_SIZE(x) == 0:  # strides mean nothing then
        return True
    for axis in range(cnp.PyArray_NDIM(x) - 1, 0, -1):
        if cnp.PyArray_DIM(x, axis) != 1 and cnp.PyArray_STRIDE(x, axis) != expected:
            return False
        expected *= cnp.PyArray_DIM(x, axis)
    return True
