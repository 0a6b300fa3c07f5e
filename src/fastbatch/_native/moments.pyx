"""Mean, deviation, smallest and largest of each column of a table. See csrc/fb_moments.h."""

import numpy as np

cimport numpy as cnp
from libc.stdint cimport int64_t, uint64_t

from fastbatch._native.array cimport require_plain, rows_are_contiguous
from fastbatch._native.c cimport fb_moments, fb_moments_add, fb_simd, fb_type
from fastbatch._native.cast import READABLE
from fastbatch._native.simd cimport simd_level_of

cnp.import_array()


def moments(cnp.ndarray rows not None, str readable not None, cnp.ndarray center not None, *, simd=None):
    """Of each column of a table with one row at least; the GIL is released.

    Parameters
    ----------
    rows : ndarray of shape (n, n_columns)
        Each row contiguous.
    readable : str
        The type of the elements, a key of READABLE.
    center : float64 of shape (n_columns,)
        Finite numbers near the means.
    simd : str, optional
        The path to take.

    Returns
    -------
    offset, deviations, low, high : float64 of shape (n_columns,)
        The mean is center + offset, and `deviations` the sum of (x - mean)**2. Smallest and largest do not see a NaN.
    """
    require_plain(rows, "rows")
    if rows.ndim != 2 or not rows_are_contiguous(rows) or rows.shape[0] == 0:
        raise ValueError(f"rows must be a table of a row at least, each of them contiguous, got {(<object>rows).shape}")
    if readable not in READABLE or rows.dtype.itemsize != np.dtype(
            "uint16" if readable == "bfloat16" else readable).itemsize or not rows.dtype.isnative:
        raise TypeError(f"rows of {rows.dtype} are not read as {readable}")
    if center.dtype != np.float64 or not cnp.PyArray_ISCARRAY_RO(center) or not np.all(np.isfinite(center)) \
            or (<object>center).shape != (rows.shape[1],):
        raise ValueError(f"center must be {rows.shape[1]} finite numbers, got {center!r}")
    cdef size_t n_columns = rows.shape[1]
    cdef uint64_t n_rows = rows.shape[0]
    made = [np.zeros(n_columns) for _ in range(4)]
    cdef fb_moments of
    of.n = 0
    of.center = <const double *>cnp.PyArray_DATA(center)
    of.offset = <double *>cnp.PyArray_DATA(made[0])
    of.deviations = <double *>cnp.PyArray_DATA(made[1])
    of.low = <double *>cnp.PyArray_DATA(made[2])
    of.high = <double *>cnp.PyArray_DATA(made[3])
    cdef fb_type type_ = <fb_type><int>READABLE[readable]
    cdef fb_simd level = <fb_simd>simd_level_of(simd)
    cdef const char *at = <const char *>cnp.PyArray_DATA(rows)
    cdef int64_t stride = cnp.PyArray_STRIDE(rows, 0)
    with nogil:
        fb_moments_add(&of, type_, level, at, stride, n_rows, n_columns)
    return tuple(made)
