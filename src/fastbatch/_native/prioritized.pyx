import numpy as np

from fastbatch._native.take import check_rows

cimport cython
cimport numpy as cnp

from fastbatch._native.c cimport FB_SUM_TREE_ROWS_END, FB_SUM_TREE_WEIGHTS_END, fb_sampler
from fastbatch._native.cpp cimport CppPrioritized, Update
from fastbatch._native.sampler cimport Sampler

from libc.stdint cimport uint32_t, uint64_t
from libcpp.vector cimport vector

cnp.import_array()


def check_priorities(values, shape=None):
    """Weights as contiguous float64, in memory of their own; of a shape, if one is given.

    Raises
    ------
    TypeError
        They are no real numbers.
    ValueError
        They are negative, infinite, NaN or 2**990 and more, or of another shape.
    """
    cdef cnp.ndarray given = np.asarray(values)
    if given.dtype.kind not in "iufb":
        raise TypeError(f"weights must be real numbers, got dtype {given.dtype}")
    if shape is not None and np.shape(given) != shape:
        if given.ndim != 0:
            raise ValueError(f"values must be one number, or of shape {shape} as rows are, got shape {np.shape(given)}")
        given = np.broadcast_to(given, shape)
    cdef cnp.ndarray checked = np.array(given, np.float64, order="C")
    cdef const double *data = <const double *>cnp.PyArray_DATA(checked)
    cdef size_t i, n = cnp.PyArray_SIZE(checked)
    for i in range(n):
        if not 0 <= data[i] < FB_SUM_TREE_WEIGHTS_END:
            raise ValueError(f"weights must be at least 0 and below 2**990, got {data[i]}")
    return checked


@cython.final
@cython.no_gc_clear
cdef class Prioritized(Sampler):
    """Rows by weights that follow the model.

    Parameters
    ----------
    weights : float64 of shape (n,)
        As `check_priorities` gives them.
    length : int
        Rows of an epoch.
    exponent : float
        Finite.
    lag : int
        By how many batches updates apply late.
    """

    cdef CppPrioritized *live_sampler
    cdef readonly size_t lag

    def __cinit__(self, cnp.ndarray weights not None, uint64_t length, double exponent, size_t lag):
        check_tree_weights(weights, weights.shape[0])
        if <uint64_t>weights.shape[0] >= FB_SUM_TREE_ROWS_END or weights.shape[0] == 0:
            raise ValueError(f"weights must be of shape (n,) with 0 < n < 2**32, got shape {np.shape(weights)}")
        self.lag = lag
        self.live_sampler = new CppPrioritized(<const double *>cnp.PyArray_DATA(weights), weights.shape[0], length,
                                               exponent, lag)
        self.sampler = <const fb_sampler *>self.live_sampler

    def __dealloc__(self):
        del self.live_sampler

    def update(self, rows, values):
        """Give rows other weights, from batch lag + 1 after the one that was delivered last on.

        Parameters
        ----------
        rows : array_like of int
            Checked as `check_rows` does. Of a row that comes twice the last weight counts.
        values : array_like of float, of the shape of `rows`, or one
        """
        cdef cnp.ndarray checked = check_rows(rows, self.n)
        cdef cnp.ndarray weights = check_priorities(values, np.shape(rows))
        cdef const uint32_t *rows_data = <const uint32_t *>cnp.PyArray_DATA(checked)
        cdef const double *values_data = <const double *>cnp.PyArray_DATA(weights)
        cdef size_t n = cnp.PyArray_SIZE(checked)
        if n > 0:
            with nogil:
                self.live_sampler.update(rows_data, values_data, n)

    def update_exponent(self, double exponent):
        """Give it another exponent, from batch lag + 1 after the one that was delivered last on."""
        with nogil:
            self.live_sampler.update_exponent(exponent)

    def save(self):
        """What the next batch is drawn from, and what comes later.

        Returns
        -------
        weights : float64 of shape (n,)
        exponent : float
        due, rows : uint64 of shape (n_pending,)
            How many batches after the next one an update applies, and to which row; n stands for the exponent.
        values : float64 of shape (n_pending,)
        """
        cdef cnp.ndarray weights = np.empty(self.n, np.float64)
        cdef double *weights_data = <double *>cnp.PyArray_DATA(weights)
        cdef double exponent = 0
        cdef vector[Update] pending
        cdef size_t i
        with nogil:
            self.live_sampler.save(weights_data, &exponent, pending)
        cdef cnp.ndarray due = np.empty(pending.size(), np.uint64)
        cdef cnp.ndarray rows = np.empty(pending.size(), np.uint64)
        cdef cnp.ndarray values = np.empty(pending.size(), np.float64)
        for i in range(pending.size()):
            (<uint64_t *>cnp.PyArray_DATA(due))[i] = pending[i].due
            (<uint64_t *>cnp.PyArray_DATA(rows))[i] = pending[i].row
            (<double *>cnp.PyArray_DATA(values))[i] = pending[i].value
        return weights, exponent, due, rows, values

    def load(self, cnp.ndarray weights not None, double exponent, due, rows, values):
        """Go on from what `save` gave; epochs that have begun are over."""
        check_tree_weights(weights, self.n)
        cdef const double *weights_data = <const double *>cnp.PyArray_DATA(weights)
        cdef vector[Update] pending
        cdef Update update
        for update.due, update.row, update.value in zip(due.tolist(), rows.tolist(), values.tolist(), strict=True):
            if update.row > self.n:
                raise ValueError(f"rows must be at most {self.n}, got {update.row}")
            pending.push_back(update)
        with nogil:
            self.live_sampler.load(weights_data, exponent, pending)

    @property
    def exponent(self):
        """That of the next batch."""
        cdef double exponent
        with nogil:
            exponent = self.live_sampler.exponent()
        return exponent

    @property
    def digest(self):
        """A number that is equal for equal saves."""
        cdef uint64_t digest
        with nogil:
            digest = self.live_sampler.digest()
        return digest

    def hold(self):
        """Let nothing change until `release`, which the same thread calls."""
        with nogil:
            self.live_sampler.hold()

    def release(self):
        """End what `hold` began."""
        self.live_sampler.release()


cdef int check_tree_weights(cnp.ndarray weights, uint64_t n) except -1:
    if weights.dtype != np.float64 or not cnp.PyArray_ISCARRAY_RO(weights) or weights.ndim != 1:
        raise ValueError(f"weights must be a contiguous array of float64, got {weights.dtype} {np.shape(weights)}")
    if <uint64_t>weights.shape[0] != n:
        raise ValueError(f"weights must be of shape ({n},), got shape {np.shape(weights)}")
    return 0
