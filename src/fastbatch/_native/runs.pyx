"""Where rows of different lengths lie. See csrc/fb_ragged.h."""

import numpy as np

cimport cython
cimport numpy as cnp
from libc.stdint cimport INT64_MAX, int64_t

from fastbatch._native.array cimport require_plain
from fastbatch._native.c cimport fb_ragged_look_ahead

cnp.import_array()

# Rows that stand for all where it is asked how long rows are.
N_LOOKED_AT = 4096


@cython.final
@cython.no_gc_clear  # threads read the arrays
cdef class Runs:
    """Where rows of different lengths lie: each is a run of elements of an array, or of one of several.

    Parameters
    ----------
    sources : sequence of ndarray of shape (n_elements, ...)
        Contiguous, of one dtype and shape of elements; read where they are. Their elements are counted through.
    starts : integer array of shape (n,), or (n + 1,) without `lengths`
        The first element of each row; without `lengths` a row ends where the next one begins. Copied.
    lengths : integer array of shape (n,), optional
        Copied.

    Attributes
    ----------
    sources : tuple of ndarray
    n_rows : int
    lengths : int64 of shape (n,)
        Elements of each row; a new array.
    longest : int
        The most of them.
    """

    def __cinit__(self, sources, starts, lengths=None):
        self.sources = tuple(sources)
        self.check_sources()
        self.starts = kept(starts, "offsets" if lengths is None else "starts")
        self.given_lengths = None if lengths is None else kept(lengths, "lengths")
        if lengths is None and len(self.starts) == 0:
            raise ValueError("offsets must be one more than rows, so one at least, got none")
        if lengths is not None and len(self.starts) != len(self.given_lengths):
            raise ValueError(f"starts and lengths must be one for each row, got {len(self.starts)} and "
                             f"{len(self.given_lengths)}")
        self.n_rows = len(self.starts) - (1 if lengths is None else 0)
        row_lengths = self.lengths
        self.check_rows(self.starts[:self.n_rows], row_lengths)
        self.lay_out(row_lengths)

    cdef int check_sources(self) except -1:
        if not self.sources:
            raise ValueError("there must be one source at least")
        first = self.sources[0]
        for source in self.sources:
            require_plain(source, "values")
            if source.ndim == 0 or not source.flags.c_contiguous:
                raise ValueError("values must have an axis of elements, and be contiguous")
            if source.dtype != first.dtype or source.shape[1:] != first.shape[1:]:
                raise ValueError(f"values must have elements of one kind, got {source.dtype} {source.shape[1:]} beside "
                                 f"{first.dtype} {first.shape[1:]}")
        return 0

    cdef int check_rows(self, object starts, object lengths) except -1:
        if (row := first_where(lengths < 0)) >= 0:
            if self.given_lengths is not None:
                raise ValueError(f"lengths must not be negative, got {lengths[row]} of row {row}")
            raise ValueError(f"offsets must not decrease, got {starts[row] + lengths[row]} behind {starts[row]}: "
                             f"row {row} would end before it begins")
        n_elements = sum(len(source) for source in self.sources)
        if (row := first_where((starts < 0) | (starts > n_elements - lengths))) >= 0:
            raise ValueError(f"rows must lie within the values, of which there are {n_elements}: row {row} is from "
                             f"{starts[row]} to {int(starts[row]) + int(lengths[row])}")
        self.longest = lengths.max(initial=0)
        return 0

    cdef int lay_out(self, object lengths) except -1:
        cdef cnp.ndarray first = self.sources[0]
        self.ragged.element_nbytes = first.itemsize
        for size in (<object>first).shape[1:]:
            self.ragged.element_nbytes *= <size_t>size
        self.ragged.most = INT64_MAX
        fb_ragged_look_ahead(&self.ragged, self.n_rows, lengths.sum() * self.ragged.element_nbytes)
        if len(self.sources) > 1:
            self.lengths_beside = lengths
            self.addresses = self.find_addresses(self.starts[:self.n_rows], lengths)
            self.ragged.start_nbytes = 1
            self.ragged.starts = data_of(self.addresses)
            self.ragged.lengths = data_of(self.lengths_beside)
            return 0
        self.ragged.elements = <const char *>cnp.PyArray_DATA(first)
        self.ragged.start_nbytes = self.ragged.element_nbytes
        self.ragged.starts = data_of(self.starts)
        if self.given_lengths is not None:
            self.ragged.lengths = data_of(self.given_lengths)
        return 0

    cdef object find_addresses(self, object starts, object lengths):
        """Of the first element of each row, which lies within one source."""
        edges = np.cumsum([0, *(len(source) for source in self.sources)], dtype=np.int64)
        which = np.searchsorted(edges[1:len(self.sources)], starts, side="right")
        if (row := first_where(starts + lengths > edges[which + 1])) >= 0:
            raise ValueError(f"rows must lie within one source: row {row} is from {starts[row]} to "
                             f"{starts[row] + lengths[row]}, and a source ends at {edges[which[row] + 1]}")
        begins = np.array([source.__array_interface__["data"][0] for source in self.sources], np.int64)
        return begins[which] + (starts - edges[which]) * <int64_t>self.ragged.element_nbytes

    @property
    def lengths(self):
        return np.diff(self.starts) if self.given_lengths is None else self.given_lengths.copy()

    def some_lengths(self):
        """Those of some rows that stand for all, sorted."""
        rows = np.arange(0, self.n_rows, max(1, self.n_rows // N_LOOKED_AT))
        if self.given_lengths is not None:
            return np.sort(self.given_lengths[rows])
        return np.sort(self.starts[rows + 1] - self.starts[rows])

    def usual_longest(self, n):
        """About how long the longest of n rows is."""
        some = self.some_lengths()
        return int(some[len(some) - 1 - len(some) // (n + 1)]) if len(some) else 0


cdef Py_ssize_t first_where(object mask) except? -2:
    """The first row, or -1."""
    return int(np.argmax(mask)) if mask.any() else -1


cdef inline const int64_t *data_of(cnp.ndarray numbers) noexcept:
    return <const int64_t *>cnp.PyArray_DATA(numbers)


cdef object kept(object numbers, str name):
    """A private copy, as int64."""
    array = np.asarray(numbers)
    if array.shape == (0,):  # of an empty list NumPy makes floats
        array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers on one axis, got {array.dtype} of shape {array.shape}")
    if array.dtype == np.uint64 and array.max(initial=0) > INT64_MAX:
        raise ValueError(f"{name} must be below 2**63, got {array.max()}")
    copied = np.array(array, np.int64)
    copied.flags.writeable = False
    return copied
