import numpy as np

cimport cython
cimport numpy as cnp

from fastbatch._native.c cimport (
    FB_ALIAS_ROWS_END, FB_BAD_WEIGHT, FB_NO_WEIGHT, fb_alias_build, fb_alias_cell, fb_alias_weights, fb_check_weights,
    fb_log_weights, fb_poll, fb_quantise_weights, fb_race, fb_race_init, fb_weighted, fb_weighted_init
)
from fastbatch._native.sampler cimport Sampler
from fastbatch._native.signals cimport poll_for, raise_pending

from libc.stdint cimport uint32_t, uint64_t

cnp.import_array()


def check_weights(weights):
    """Weights as float64 of shape (n,), in memory of their own.

    Raises
    ------
    TypeError
        They are no real numbers.
    ValueError
        They are not 1-D, none or too many; negative, infinite or NaN; or all 0.
    """
    cdef cnp.ndarray given = np.asarray(weights)
    if given.ndim != 1 or given.shape[0] == 0 or <uint64_t>given.shape[0] >= FB_ALIAS_ROWS_END:
        raise ValueError(f"weights must be of shape (n,) with 0 < n < 2**32, got shape {np.shape(given)}")
    if given.dtype.kind not in "iufb":
        raise TypeError(f"weights must be real numbers, got dtype {given.dtype}")
    cdef cnp.ndarray checked = np.array(given, np.float64, order="C")
    cdef void *data = cnp.PyArray_DATA(checked)
    cdef uint64_t n = checked.shape[0], bad_row = 0
    cdef int answer
    with nogil:
        answer = fb_check_weights(data, n, &bad_row)
    if answer == FB_BAD_WEIGHT:
        raise ValueError(f"weights must be finite and not negative, got {given[bad_row]} for row {bad_row}")
    if answer == FB_NO_WEIGHT:
        raise ValueError("weights must not all be 0")
    return checked


def alias_table(double[::1] weights not None):
    """Walker's alias table.

    Parameters
    ----------
    weights : float64 of shape (n,)
        As `check_weights` gives them. They are written over.

    Returns
    -------
    uint64 of shape (n,)
        Cells: in units of 2**-32 the part of each that is its row's own, above the row that has the rest.
    """
    cdef uint64_t n = weights.shape[0]
    cdef cnp.ndarray cells = np.empty(n, np.uint64)
    cdef void *data = &weights[0]
    cdef fb_alias_cell *cells_data = <fb_alias_cell *>cnp.PyArray_DATA(cells)
    cdef fb_poll poll = poll_for(cells.nbytes)
    cdef int answer
    with nogil:
        fb_quantise_weights(data, n)
        answer = fb_alias_build(<const uint64_t *>data, n, cells_data, poll)
    if answer != 0:
        raise_pending()
    return cells


def alias_weights(const uint64_t[::1] cells not None):
    """The weights that an alias table stands for, in units of 2**-32 of their mean.

    Parameters
    ----------
    cells : uint64 of shape (n,)
        As `alias_table` makes them.

    Returns
    -------
    float64 of shape (n,)
    """
    cdef cnp.ndarray weights = np.zeros(cells.shape[0], np.uint64)
    cdef uint64_t *data = <uint64_t *>cnp.PyArray_DATA(weights)
    with nogil:
        fb_alias_weights(&cells[0], cells.shape[0], data)
    return weights.astype(np.float64)


@cython.final
@cython.no_gc_clear
cdef class Weighted(Sampler):
    """Rows by their weights, with replacement.

    Parameters
    ----------
    cells : uint64 of shape (n,)
        As `alias_table` makes them; nobody may write them any more.
    length : int
        Rows of an epoch.
    """

    cdef fb_weighted storage
    cdef tuple arguments

    def __cinit__(self, cnp.ndarray cells not None, uint64_t length):
        if cells.dtype != np.uint64 or not cnp.PyArray_ISCARRAY_RO(cells) or cells.ndim != 1 or cells.shape[0] == 0:
            raise ValueError(f"cells must be a contiguous array of uint64, got {cells.dtype}")
        if np.max(cells & 0xFFFFFFFF) >= cells.shape[0]:
            raise ValueError(f"cells must name rows below {cells.shape[0]}, got {np.max(cells & 0xFFFFFFFF)}")
        self.arguments = (cells, length)  # kept alive: the storage points into them
        self.storage.sampler.n_rows = cells.shape[0]
        self.storage.sampler.length = length
        self.storage.cells = <const fb_alias_cell *>cnp.PyArray_DATA(cells)
        fb_weighted_init(&self.storage)
        self.sampler = &self.storage.sampler

    def __reduce__(self):
        return Weighted, self.arguments


def log_weights(double[::1] weights not None):
    """The natural logarithms of positive weights, the same on every platform.

    Parameters
    ----------
    weights : float64 of shape (n,)
        Positive and finite.

    Returns
    -------
    float64 of shape (n,)
    """
    cdef cnp.ndarray out = np.empty(weights.shape[0], np.float64)
    cdef double *out_data = <double *>cnp.PyArray_DATA(out)
    cdef uint64_t n = weights.shape[0]
    if n > 0:
        with nogil:
            fb_log_weights(&weights[0], n, out_data)
    return out


@cython.final
@cython.no_gc_clear
cdef class Race(Sampler):
    """Rows by their weights, without replacement.

    Parameters
    ----------
    n : int
        Rows of the data.
    log_weights : float64 of shape (n_runners,)
        As `log_weights` gives them.
    runners : uint32 of shape (n_runners,), optional
        The rows that have them. None: all rows.
    length : int
        Rows of an epoch, at most n_runners.
    """

    cdef fb_race storage
    cdef tuple arguments

    def __cinit__(self, uint64_t n, cnp.ndarray log_weights not None, cnp.ndarray runners, uint64_t length):
        cdef uint64_t n_runners = log_weights.shape[0]
        if log_weights.dtype != np.float64 or not cnp.PyArray_ISCARRAY_RO(log_weights) or log_weights.ndim != 1:
            raise ValueError(f"log_weights must be a contiguous array of float64, got {log_weights.dtype}")
        if not 0 < n_runners < FB_ALIAS_ROWS_END or not np.all(np.isfinite(log_weights)):
            raise ValueError(f"log_weights must be finite, from 1 to 2**32 - 1 of them, got {n_runners}")
        if runners is None:
            if n != n_runners:
                raise ValueError(f"log_weights must be one for each of {n} rows, got {n_runners}")
        elif runners.dtype != np.uint32 or not cnp.PyArray_ISCARRAY_RO(runners) or runners.ndim != 1:
            raise ValueError(f"runners must be a contiguous array of uint32, got {runners.dtype}")
        elif <uint64_t>runners.shape[0] != n_runners or np.max(runners) >= n:
            raise ValueError(f"runners must be {n_runners} rows below {n}")
        if length > n_runners:
            raise ValueError(f"length must be at most {n_runners}, got {length}")
        self.arguments = (n, log_weights, runners, length)  # kept alive: the storage points into them
        self.storage.sampler.n_rows = n
        self.storage.sampler.length = length
        self.storage.n_runners = n_runners
        self.storage.log_weights = <const double *>cnp.PyArray_DATA(log_weights)
        if runners is not None:
            self.storage.runners = <const uint32_t *>cnp.PyArray_DATA(runners)
        fb_race_init(&self.storage)
        self.sampler = &self.storage.sampler

    def __reduce__(self):
        return Race, self.arguments
