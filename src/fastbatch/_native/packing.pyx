"""Sequences that share rows: which ones, and columns of them. See csrc/fb_first_fit.h and csrc/fb_packed_rows.h."""

import numpy as np

cimport cython
cimport numpy as cnp

from fastbatch._native.c cimport (
    FB_PAD_NBYTES, fb_first_fit, fb_first_fit_group, fb_first_fit_most_rows, fb_first_fit_n_nodes, fb_lengths,
    fb_packed_positions_fill_32, fb_packed_positions_fill_64, fb_packed_rows, fb_packed_segments_fill_32,
    fb_packed_segments_fill_64, fb_packed_values_fill, fb_sort_by_length
)
from fastbatch._native.column cimport Column
from fastbatch._native.column import dlpack_type_of
from fastbatch._native.lengths cimport lengths_of
from fastbatch._native.runs cimport Runs

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

cnp.import_array()


def first_fit(cnp.ndarray lengths not None, uint32_t context):
    """Sequences packed into rows of `context` items, the longest first, each into the first row that has room.

    Parameters
    ----------
    lengths : uint32 of shape (n,)
        From 1 to `context`, which is below 2**31.
    context : int

    Returns
    -------
    starts : uint64 of shape (n_rows + 1,)
        Where the sequences of each row begin.
    sequences : uint32 of shape (n,)
        Those of each row, the longest first.
    """
    cdef fb_lengths native = lengths_of(lengths)
    cdef uint64_t n = lengths.shape[0], n_rows
    if n > 0 and not (1 <= np.min(lengths) and np.max(lengths) <= context):
        raise ValueError(f"lengths must be from 1 to {context}, got {np.min(lengths)} to {np.max(lengths)}")
    cdef uint64_t total = np.sum(lengths, dtype=np.uint64)
    cdef uint64_t n_nodes = fb_first_fit_n_nodes(fb_first_fit_most_rows(n, total, max(context, <uint32_t>1)))
    cdef cnp.ndarray order = np.empty(n, np.uint32)
    cdef cnp.ndarray row_of = np.arange(n, dtype=np.uint32)
    cdef cnp.ndarray tree = np.empty(n_nodes, np.uint32)
    cdef uint32_t *order_data = <uint32_t *>cnp.PyArray_DATA(order)
    cdef uint32_t *row_data = <uint32_t *>cnp.PyArray_DATA(row_of)
    cdef uint32_t *nodes = <uint32_t *>cnp.PyArray_DATA(tree)
    with nogil:
        fb_sort_by_length(&native, True, row_data, order_data, n)
        n_rows = fb_first_fit(&native, order_data, n, context, n_nodes, nodes, row_data)
    cdef cnp.ndarray starts = np.empty(n_rows + 1, np.uint64)
    cdef cnp.ndarray sequences = np.empty(n, np.uint32)
    cdef uint64_t *start_data = <uint64_t *>cnp.PyArray_DATA(starts)
    cdef uint32_t *sequence_data = <uint32_t *>cnp.PyArray_DATA(sequences)
    with nogil:
        fb_first_fit_group(order_data, row_data, n, n_rows, start_data, sequence_data)
    return starts, sequences


cdef int set_up(Column column, fb_packed_rows *packed, Runs runs, cnp.ndarray starts, int64_t context) except -1:
    """Fills all but the padding and the function, if no row has more than `context` elements; else ValueError."""
    if starts.dtype != np.uint64 or not cnp.PyArray_ISCARRAY_RO(starts) or starts.ndim != 1:
        raise ValueError(f"starts must be a contiguous array of uint64, got {starts.dtype}")
    if len(starts) < 1 or starts[0] != 0 or starts[len(starts) - 1] != runs.n_rows \
            or np.any(np.diff(starts.astype(np.int64)) < 0):
        raise ValueError(f"starts must rise from 0 to {runs.n_rows}, the sequences there are")
    if runs.given_lengths is None:
        raise ValueError("runs must have lengths")
    reached = np.append(0, np.cumsum(runs.given_lengths))[starts]
    if not 0 <= context < 2**31 or np.any(np.diff(reached) > context):
        raise ValueError(f"context must be below 2**31, and no row's sequences have more elements, got {context}")
    column.n_rows = starts.shape[0] - 1
    packed.sequences = runs.ragged
    packed.context = context
    packed.starts = <const uint64_t *>cnp.PyArray_DATA(starts)
    column.column = &packed.column
    return 0


@cython.final
@cython.no_gc_clear
cdef class PackedValuesColumn(Column):
    """The values of sequences that share rows, padded.

    Parameters
    ----------
    runs : Runs
        The sequences, in the order of the rows; with lengths.
    starts : uint64 of shape (n_rows + 1,)
        Where those of each row begin. Nobody may write it any more.
    context : int
        Elements of a row.
    pad : bytes
        Of one item.
    dlpack_type : tuple, optional
        Where the elements are not what the dtype says.
    blocking : bool
        A source is a file mapped into memory.
    """

    cdef fb_packed_rows storage
    cdef Runs runs
    cdef cnp.ndarray starts

    def __cinit__(self, Runs runs not None, cnp.ndarray starts not None, int64_t context, *, bytes pad not None,
                  dlpack_type=None, bint blocking=False):
        source = runs.sources[0]
        if len(pad) == 0 or len(pad) != source.itemsize or FB_PAD_NBYTES % len(pad) != 0:
            raise ValueError(f"pad must be one item of {source.itemsize} bytes, of which some are {FB_PAD_NBYTES}, "
                             f"got {len(pad)} bytes")
        set_up(self, &self.storage, runs, starts, context)
        self.runs, self.starts = runs, starts  # kept alive: the storage points into them
        cdef bytes repeated = pad * (FB_PAD_NBYTES // len(pad))
        memcpy(self.storage.pad, <const char *>repeated, FB_PAD_NBYTES)
        self.storage.is_even = len(set(repeated)) == 1
        self.dtype = source.dtype
        self.row_shape = (context, *source.shape[1:])
        self.dlpack_type = dlpack_type_of(source.dtype) if dlpack_type is None else dlpack_type
        self.blocking = blocking
        self.kernel = f"sequences packed into rows of {context}"
        self.storage.column.fill = fb_packed_values_fill
        self.storage.column.row_nbytes = context * runs.ragged.element_nbytes


@cython.final
@cython.no_gc_clear
cdef class PackedNumbersColumn(Column):
    """Numbers of what stands in rows that sequences share, 0 in the padding.

    Parameters
    ----------
    runs, starts, context
        As for `PackedValuesColumn`.
    dtype : dtype
        int64 or int32.
    positions : bool
        Whether each value has its place in the sequence, from 0 on; else the number of the sequence in the row, from 1.
    """

    cdef fb_packed_rows storage
    cdef Runs runs
    cdef cnp.ndarray starts

    def __cinit__(self, Runs runs not None, cnp.ndarray starts not None, int64_t context, dtype, *, bint positions):
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.dtype(np.int64), np.dtype(np.int32)):
            raise ValueError(f"dtype must be int64 or int32, got {self.dtype}")
        set_up(self, &self.storage, runs, starts, context)
        self.runs, self.starts = runs, starts  # kept alive: the storage points into them
        self.row_shape = (context,)
        self.dlpack_type = dlpack_type_of(self.dtype)
        self.kernel = "places in packed sequences" if positions else "numbers of packed sequences"
        if self.dtype.itemsize == 8:
            self.storage.column.fill = fb_packed_positions_fill_64 if positions else fb_packed_segments_fill_64
        else:
            self.storage.column.fill = fb_packed_positions_fill_32 if positions else fb_packed_segments_fill_32
        self.storage.column.row_nbytes = context * self.dtype.itemsize
