import numpy as np

cimport cython
cimport numpy as cnp

from fastbatch._native.c cimport (
    FB_ALIAS_ROWS_END, fb_curriculum, fb_curriculum_guide, fb_curriculum_init, fb_quantise_weights
)
from fastbatch._native.sampler cimport Sampler

from libc.stdint cimport uint32_t, uint64_t

cnp.import_array()


@cython.final
@cython.no_gc_clear  # threads read its arrays
cdef class Ladder:
    """Rows from easy to hard, and their weights.

    Parameters
    ----------
    rows : uint32 of shape (n,)
        Each of 0..n-1 once; nobody may write them any more.
    weights : float64 of shape (n,), optional
        Of each of 0..n-1, as `check_weights` gives them. None: all alike.
    """

    cdef readonly cnp.ndarray rows
    cdef readonly cnp.ndarray sums         # of the weights up to each of `rows`, uint64; or None
    cdef readonly cnp.ndarray guide
    cdef readonly cnp.ndarray importances  # of each of 0..n-1

    def __init__(self, cnp.ndarray rows not None, cnp.ndarray weights=None):
        cdef uint64_t n = rows.shape[0]
        if rows.dtype != np.uint32 or not cnp.PyArray_ISCARRAY_RO(rows) or rows.ndim != 1:
            raise ValueError(f"rows must be a contiguous array of uint32, got {rows.dtype}")
        if not 0 < n < FB_ALIAS_ROWS_END or np.max(rows) >= n:
            raise ValueError(f"rows must be each of 0 to n - 1, with 0 < n < 2**32, got {n}")
        self.rows = rows
        if weights is not None:
            self.add_weights(weights)

    cdef int add_weights(self, cnp.ndarray weights) except -1:
        cdef uint64_t n = self.rows.shape[0]
        if weights.dtype != np.float64 or weights.ndim != 1 or <uint64_t>weights.shape[0] != n:
            raise ValueError(f"weights must be float64 of shape ({n},), got {weights.dtype} {np.shape(weights)}")
        cdef cnp.ndarray sorted_weights = np.ascontiguousarray(np.take(weights, self.rows))
        cdef cnp.ndarray guide = np.empty(n, np.uint32)
        cdef void *data = cnp.PyArray_DATA(sorted_weights)
        cdef void *guide_data = cnp.PyArray_DATA(guide)
        with nogil:
            fb_quantise_weights(data, n)
        integers = sorted_weights.view(np.uint64)
        with np.errstate(divide="ignore"):
            ratios = (n * 2.0**32 / np.count_nonzero(integers)) / integers
        self.importances = np.empty(n, np.float32)
        np.put(self.importances, self.rows, ratios)
        np.cumsum(integers, out=integers)
        with nogil:
            fb_curriculum_guide(<const uint64_t *>data, n, <uint32_t *>guide_data)
        self.sums = integers
        self.guide = guide
        return 0

    def __len__(self):
        return self.rows.shape[0]

    def __reduce__(self):
        return Ladder, (self.rows,), (self.sums, self.guide, self.importances)

    def __setstate__(self, tables):
        self.sums, self.guide, self.importances = tables


@cython.final
@cython.no_gc_clear
cdef class Curriculum(Sampler):
    """Rows of one epoch, from those that are eligible there.

    Parameters
    ----------
    ladder : Ladder
    length : int
        Rows of the epoch.
    starts : uint64 of shape (n_steps,)
        Positions, rising from 0.
    eligible : uint64 of shape (n_steps,)
        From each start on, how many of the ladder's rows: from 1 to all, with some weight among them.
    """

    cdef fb_curriculum storage
    cdef tuple arguments
    cdef cnp.ndarray scales

    def __cinit__(self, Ladder ladder not None, uint64_t length, cnp.ndarray starts not None,
                  cnp.ndarray eligible not None):
        cdef cnp.ndarray array
        for array in (starts, eligible):
            if array.dtype != np.uint64 or not cnp.PyArray_ISCARRAY_RO(array) or array.ndim != 1:
                raise ValueError("starts and eligible must be contiguous arrays of uint64")
        if starts.shape[0] < 1 or eligible.shape[0] != starts.shape[0]:
            raise ValueError("there must be a step at least, and as many eligible as starts")
        if starts[0] != 0 or np.any(np.diff(starts.astype(np.int64)) <= 0):
            raise ValueError("starts must rise from 0")
        if not np.all((eligible >= 1) & (eligible <= len(ladder))):
            raise ValueError(f"eligible must be from 1 to {len(ladder)}")
        self.arguments = (ladder, length, starts, eligible)  # kept alive: the storage points into them
        self.storage.sampler.n_rows = len(ladder)
        self.storage.sampler.length = length
        self.storage.rows = <const uint32_t *>cnp.PyArray_DATA(ladder.rows)
        self.storage.starts = <const uint64_t *>cnp.PyArray_DATA(starts)
        self.storage.eligible = <const uint64_t *>cnp.PyArray_DATA(eligible)
        self.storage.n_steps = starts.shape[0]
        if ladder.sums is not None:
            self.add_weights(ladder, eligible)
        fb_curriculum_init(&self.storage)
        self.sampler = &self.storage.sampler

    cdef int add_weights(self, Ladder ladder, cnp.ndarray eligible) except -1:
        totals = ladder.sums[eligible - 1]
        if not totals.all():
            raise ValueError("some of the rows that are eligible must have a weight")
        has_weight = np.diff(ladder.sums, prepend=np.uint64(0)) > 0
        n_heavy = np.cumsum(has_weight, dtype=np.uint64)
        means = totals / n_heavy[eligible - 1]
        self.scales = means / (ladder.sums[len(ladder) - 1] / n_heavy[len(ladder) - 1])
        self.storage.sums = <const uint64_t *>cnp.PyArray_DATA(ladder.sums)
        self.storage.guide = <const uint32_t *>cnp.PyArray_DATA(ladder.guide)
        self.storage.importances = <const float *>cnp.PyArray_DATA(ladder.importances)
        self.storage.scales = <const double *>cnp.PyArray_DATA(self.scales)
        return 0

    def __reduce__(self):
        return Curriculum, self.arguments
