import numpy as np

cimport numpy as cnp

from fastbatch._native.array cimport require_plain, rows_are_contiguous
from fastbatch._native.c cimport FB_NARROW_ROWS, fb_check_rows, fb_gather, fb_poll, fb_rows, fb_source
from fastbatch._native.column cimport source_of
from fastbatch._native.signals cimport poll_for, raise_pending

from libc.stdint cimport uint64_t

cnp.import_array()

# Row numbers are checked into a private copy in pieces that stay in the cache, and gathered from there: whoever writes
# `indices` meanwhile cannot make the gather read elsewhere.
cdef enum:
    PIECE_ROWS = 4096

# Bytes to gather for which giving up the GIL costs less than it helps others.
cdef size_t RELEASE_NBYTES = 1 << 16

# Bytes between two looks for signals: some milliseconds.
cdef size_t NBYTES_PER_POLL = 1 << 24


cdef size_t first_bad(const char *index, size_t item_nbytes, bint is_signed, size_t n, uint64_t n_rows) noexcept nogil:
    """The place of the first index out of range, or n."""
    cdef uint64_t rows[PIECE_ROWS]
    cdef size_t done = 0, piece, good
    while done < n:
        piece = min(n - done, <size_t>PIECE_ROWS)
        good = fb_check_rows(index + done * item_nbytes, item_nbytes, is_signed, piece, n_rows, True, rows)
        if good < piece:
            return done + good
        done += piece
    return n


cdef size_t gather(cnp.ndarray source, cnp.ndarray indices, cnp.ndarray out) except? 0:
    """Gathers all rows into `out`; returns how many stand there: fewer when an index is out of range."""
    cdef fb_source table = source_of(source)
    cdef const char *index = <const char *>cnp.PyArray_DATA(indices)
    cdef size_t item_nbytes = cnp.PyArray_ITEMSIZE(indices), n = cnp.PyArray_SIZE(indices), done = 0
    cdef bint is_signed = cnp.PyArray_ISSIGNED(indices)
    cdef char *target = <char *>cnp.PyArray_DATA(out)
    cdef fb_poll poll = poll_for(n * table.row_nbytes)
    cdef int answer
    if n * table.row_nbytes < RELEASE_NBYTES:
        answer = gather_rows(&table, index, item_nbytes, is_signed, n, target, poll, &done)
    else:
        with nogil:
            answer = gather_rows(&table, index, item_nbytes, is_signed, n, target, poll, &done)
    if answer != 0:
        raise_pending()
    return done


cdef int gather_rows(const fb_source *source, const char *index, size_t item_nbytes, bint is_signed, size_t n,
                     char *out, fb_poll poll, size_t *n_done) noexcept nogil:
    cdef uint64_t rows[PIECE_ROWS]  # or twice as many uint32
    cdef fb_rows piece
    cdef size_t done = 0, good, asked = 0
    cdef int answer
    piece.index = rows
    piece.n_ahead = piece.n_warm = 0
    piece.wide = source.n_rows >= FB_NARROW_ROWS
    piece.consecutive = False
    piece.weights = NULL
    if n > PIECE_ROWS:  # `out` stays untouched when any index is bad: look at all of them first
        n_done[0] = first_bad(index, item_nbytes, is_signed, n, source.n_rows)
        if n_done[0] < n:
            return 0
    while done < n:
        piece.n = min(n - done, <size_t>PIECE_ROWS)
        good = fb_check_rows(index + done * item_nbytes, item_nbytes, is_signed, piece.n, source.n_rows, piece.wide,
                             rows)
        if good < piece.n:
            n_done[0] = done + good
            return 0
        fb_gather(source, &piece, out + done * source.row_nbytes)
        done += piece.n
        if poll.function != NULL and (done - asked) * source.row_nbytes >= NBYTES_PER_POLL:
            asked = done
            answer = poll.function(poll.argument)
            if answer != 0:
                return answer
    n_done[0] = n
    return 0


cdef cnp.ndarray as_indices(object indices):
    """`indices` as a native, C-contiguous array of integers."""
    if not isinstance(indices, np.ndarray):
        if isinstance(indices, (list, tuple)) and len(indices) == 0:
            return np.empty(0, np.intp)  # to NumPy an empty list is float64
        indices = np.asarray(indices)
    elif isinstance(indices, np.ma.MaskedArray):
        raise TypeError("indices must not be a masked array; use indices.compressed()")
    cdef cnp.ndarray array = indices
    if not (cnp.PyArray_ISINTEGER(array) and not cnp.PyArray_ISBOOL(array)):
        raise TypeError(f"indices must be integers, got dtype {array.dtype}" +
                        ("; use numpy.flatnonzero(mask) for a mask" if cnp.PyArray_ISBOOL(array) else ""))
    if cnp.PyArray_ISCARRAY_RO(array):  # contiguous, aligned and in native byte order
        return array
    return np.require(array, array.dtype.newbyteorder("="), "CA")


cdef cnp.ndarray as_out(object out, cnp.ndarray source, cnp.ndarray indices, tuple shape):
    require_plain(out, "out")
    if out.dtype != source.dtype:
        raise TypeError(f"out must have the dtype of source, {source.dtype}, got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {out.shape}")
    if not cnp.PyArray_IS_C_CONTIGUOUS(out):
        raise ValueError(f"out must be C-contiguous, got strides {out.strides}")
    if not cnp.PyArray_ISWRITEABLE(out):
        raise ValueError("out must be writable, got a read-only array")
    for other, name in ((source, "source"), (indices, "indices")):
        if np.may_share_memory(out, other):
            raise ValueError(f"out must not overlap {name}, which would be overwritten before it is read; "
                             f"use {name}.copy()")
    return out


def check_rows(indices, uint64_t n_rows):
    """Row numbers, checked and counted from the front, as the engine wants them.

    Parameters
    ----------
    indices : array_like of int
        Negative ones count from the end.
    n_rows : int
        How many rows there are.

    Returns
    -------
    uint32 of the shape of `indices`, or uint64 from 2**32 rows on

    Raises
    ------
    TypeError
        Not integers.
    IndexError
        Out of range.
    """
    cdef cnp.ndarray array = as_indices(indices)
    cdef bint wide = n_rows >= FB_NARROW_ROWS
    cdef cnp.ndarray rows = np.empty((<object>array).shape, np.uint64 if wide else np.uint32)
    cdef size_t n = cnp.PyArray_SIZE(array)
    cdef size_t good = fb_check_rows(cnp.PyArray_DATA(array), cnp.PyArray_ITEMSIZE(array), cnp.PyArray_ISSIGNED(array),
                                     n, n_rows, wide, cnp.PyArray_DATA(rows))
    if good < n:
        raise IndexError(f"row {(<object>array).flat[good]} is out of range for {n_rows} rows")
    return rows


def take(source, indices, *, out=None):
    """Copy rows of an array, in the order of `indices`, into one contiguous array.

    The NumPy equivalent is::

        numpy.take(source, indices, axis=0, out=out)

    Rows are prefetched some kilobytes ahead of the copy, so that the machine fetches as many at once as it can.

    Parameters
    ----------
    source : ndarray of shape (n, ...)
        Any dtype of fixed-size items. Each row must be contiguous; rows may lie at any distance (also negative, or 0),
        so that ``source[::2]`` and ``sliding_window_view(series, width)`` need no copy.
    indices : array_like of int, of any shape
        Row numbers of any integer dtype; negative ones count from the end.
    out : ndarray of shape (*indices.shape, *source.shape[1:]), optional
        Where to write: C-contiguous, of the dtype of `source`, not overlapping it.

    Returns
    -------
    ndarray
        `out`, or a new array.

    Raises
    ------
    TypeError
        `source` or `out` is not an ndarray of fixed-size items; `indices` are not integers; dtypes differ.
    ValueError
        Rows are not contiguous; `out` has another shape, is read-only, not contiguous, or overlaps `source` or
        `indices` (as far as their bounds tell).
    IndexError
        A row number is out of range. `out` is untouched.
    """
    require_plain(source, "source")
    cdef cnp.ndarray table = source
    if table.ndim == 0:
        raise ValueError("source must have an axis to take rows from, got a 0-d array")
    if not rows_are_contiguous(table):
        raise ValueError(f"each row of source must be contiguous, got strides {source.strides} for shape "
                         f"{source.shape}; use numpy.ascontiguousarray(source)")
    cdef cnp.ndarray rows = as_indices(indices)
    shape = (<object>rows).shape + source.shape[1:]
    cdef cnp.ndarray target = np.empty(shape, source.dtype) if out is None else as_out(out, table, rows, shape)
    cdef size_t n = cnp.PyArray_SIZE(rows), done = gather(table, rows, target)
    if done < n:
        raise IndexError(f"row {(<object>rows).flat[done]} is out of range for a source of {source.shape[0]} rows")
    return target
