"""Rows of different lengths, as columns. See csrc/fb_ragged.h for what fills them."""

import numpy as np

cimport cython
cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from fastbatch._native.c cimport (
    FB_PAD_NBYTES, fb_bounds_fill, fb_extent, fb_lengths_fill, fb_mask_fill, fb_packed_cast_fill, fb_packed_fill,
    fb_padded_cast_fill, fb_padded_column, fb_padded_fill, fb_ragged_cast, fb_ragged_column, fb_simd
)
from fastbatch._native.cast cimport Cast
from fastbatch._native.column cimport Column
from fastbatch._native.column import dlpack_type_of
from fastbatch._native.runs cimport Runs
from fastbatch._native.simd cimport simd_level_of

cnp.import_array()

# What no row of a batch can need.
cdef int64_t MOST_ROW_NBYTES = 1 << 47


@cython.final
@cython.no_gc_clear
cdef class PaddedColumn(Column):
    """Rows padded to the longest of their batch, (n, width, ...).

    Parameters
    ----------
    runs : Runs
    pad : bytes
        Of one item in the slot.
    left : bool
        Whether the padding is in front.
    multiple : int
        The width is rounded up to a multiple of this.
    width : int, optional
        That of every batch: longer rows are cut off. 0: that of its longest row.
    dlpack_type : tuple, optional
        Where the elements are not what the dtype says.
    blocking : bool
        A source is a file mapped into memory.
    cast : Cast, optional
        What the elements become: of the numbers of one. None: they stay as they are.
    dtype : dtype, optional
        Of the slot, where there is a cast; `dlpack_type` belongs to it then.
    simd : str, optional
        The SIMD path. None: what this machine has.
    """

    cdef fb_padded_column storage
    cdef readonly Runs runs
    cdef readonly Cast cast

    def __cinit__(self, Runs runs not None, *, bytes pad not None, bint left=False, int64_t multiple=1,
                  int64_t width=0, dlpack_type=None, bint blocking=False, Cast cast=None, dtype=None, simd=None):
        set_up_elements(self, &self.storage.cast, runs, cast, dtype, dlpack_type)
        if len(pad) == 0 or len(pad) != self.dtype.itemsize or FB_PAD_NBYTES % len(pad) != 0:
            raise ValueError(f"pad must be one item of {self.dtype.itemsize} bytes, of which some are {FB_PAD_NBYTES}, "
                             f"got {len(pad)} bytes")
        cdef bytes repeated = pad * (FB_PAD_NBYTES // len(pad))
        memcpy(self.storage.pad, <const char *>repeated, FB_PAD_NBYTES)
        self.storage.is_even = len(set(repeated)) == 1
        self.storage.level = <fb_simd>simd_level_of(simd)
        self.runs = runs
        self.cast = cast
        self.blocking = blocking
        item = np.frombuffer(pad, self.dtype)[0] if self.dlpack_type == dlpack_type_of(self.dtype) else f"0x{pad.hex()}"
        self.kernel = (f"padded on the {'left' if left else 'right'} with {item} to "
                       f"{width_in_words(multiple, width)}{cast_in_words(cast)}")
        self.storage.column.fill = fb_padded_fill if cast is None else fb_padded_cast_fill
        most = set_up(self, &self.storage, runs, left, multiple, width, self.storage.cast.nbytes)
        self.row_shape = (most, *runs.sources[0].shape[1:])

    def usual_nbytes(self, n):
        return n * usual_width(&self.storage, self.runs, n) * self.storage.cast.nbytes


@cython.final
@cython.no_gc_clear
cdef class MaskColumn(Column):
    """Which elements of a `PaddedColumn` are those of the row, (n, width) of bool.

    Parameters
    ----------
    runs, left, multiple, width
        As there.
    """

    cdef fb_padded_column storage
    cdef readonly Runs runs

    def __cinit__(self, Runs runs not None, *, bint left=False, int64_t multiple=1, int64_t width=0):
        self.runs = runs
        self.dtype = np.dtype(np.bool_)
        self.dlpack_type = dlpack_type_of(np.bool_)
        self.kernel = "which values are no padding"
        self.storage.column.fill = fb_mask_fill
        self.row_shape = (set_up(self, &self.storage, runs, left, multiple, width, 1),)

    def usual_nbytes(self, n):
        return n * usual_width(&self.storage, self.runs, n)


cdef int set_up_elements(Column column, fb_ragged_cast *storage, Runs runs, Cast cast, dtype,
                         dlpack_type) except -1:
    """What an element is in the slot."""
    source = runs.sources[0]
    if cast is None:
        column.dtype = source.dtype
        column.dlpack_type = dlpack_type_of(source.dtype) if dlpack_type is None else dlpack_type
        storage.nbytes = runs.ragged.element_nbytes
        return 0
    column.dtype = np.dtype(dtype)
    column.dlpack_type = dlpack_type
    cast.require_types(source.dtype, column.dtype)
    storage.cast = cast.native
    storage.n_numbers = runs.ragged.element_nbytes // source.dtype.itemsize
    if cast.affine is not None and cast.n_elements != storage.n_numbers:
        raise ValueError(f"a cast of {cast.n_elements} numbers each got elements of {storage.n_numbers}")
    storage.nbytes = storage.n_numbers * cast.native.to_nbytes
    return 0


cdef str cast_in_words(Cast cast):
    if cast is None:
        return ""
    return f", {cast.readable} to {cast.writable}{'' if cast.affine is None else ', (x - center) * scale'}"


cdef str width_in_words(int64_t multiple, int64_t width):
    if width > 0:
        return f"{width}, what is longer cut off behind"
    return "the longest" if multiple == 1 else f"the longest, multiple of {multiple}"


cdef int64_t width_for(const fb_padded_column *padded, int64_t longest) noexcept:
    cdef int64_t multiple = padded.multiple
    return padded.width if padded.width > 0 else (longest + multiple - 1) // multiple * multiple


cdef int64_t usual_width(const fb_padded_column *padded, Runs runs, n):
    return width_for(padded, runs.usual_longest(n))


cdef int64_t set_up(Column column, fb_padded_column *padded, Runs runs, bint left, int64_t multiple,
                    int64_t width, size_t element_nbytes) except -1:
    """The most that a batch can be wide."""
    cdef int64_t most
    if multiple < 1 or width < 0 or max(multiple, width) > MOST_ROW_NBYTES // <int64_t>max(<size_t>1, element_nbytes):
        raise ValueError(f"multiple must be at least 1 and width 0 or more, and rows of them below {MOST_ROW_NBYTES} "
                         f"bytes, got {multiple} and {width} of {element_nbytes} bytes")
    padded.ragged = runs.ragged
    padded.multiple, padded.width, padded.is_left = multiple, width, left
    if width > 0:
        padded.ragged.most = width
    most = width_for(padded, runs.longest)
    padded.column.row_nbytes = most * element_nbytes
    if width == 0:
        padded.column.whole = True
        padded.column.tail_nbytes = sizeof(fb_extent)
        column.sized_axis = 1
    column.n_rows = runs.n_rows
    column.column = &padded.column
    return most


@cython.final
@cython.no_gc_clear
cdef class LengthsColumn(Column):
    """How many elements each row has, as int64.

    Parameters
    ----------
    runs : Runs
    most : int, optional
        Rows are cut off behind so many. 0: none is.
    """

    cdef fb_ragged_column storage
    cdef readonly Runs runs

    def __cinit__(self, Runs runs not None, *, int64_t most=0):
        self.runs = runs
        self.dtype = np.dtype(np.int64)
        self.row_shape = ()
        self.dlpack_type = dlpack_type_of(np.int64)
        self.kernel = "lengths"
        self.storage.column.fill = fb_lengths_fill
        self.storage.column.row_nbytes = 8
        set_up_runs(self, &self.storage, runs, most)


@cython.final
@cython.no_gc_clear
cdef class PackedColumn(Column):
    """The elements of all rows of a batch one behind the other, (total, ...).

    Parameters
    ----------
    runs, most
        As for `LengthsColumn`.
    dlpack_type, blocking, cast, dtype
        As for `PaddedColumn`.
    """

    cdef fb_ragged_column storage
    cdef readonly Runs runs
    cdef readonly Cast cast

    def __cinit__(self, Runs runs not None, *, int64_t most=0, dlpack_type=None, bint blocking=False, Cast cast=None,
                  dtype=None):
        set_up_elements(self, &self.storage.cast, runs, cast, dtype, dlpack_type)
        self.runs = runs
        self.cast = cast
        self.row_shape = runs.sources[0].shape[1:]
        self.blocking = blocking
        self.sized_axis = 0
        self.kernel = ("rows one behind the other" + (f", cut off behind {most}" if most > 0 else "")
                       + cast_in_words(cast))
        self.storage.column.fill = fb_packed_fill if cast is None else fb_packed_cast_fill
        self.storage.column.whole = True
        self.storage.column.tail_nbytes = sizeof(fb_extent)
        self.storage.column.row_nbytes = set_up_runs(self, &self.storage, runs, most) * self.storage.cast.nbytes

    def usual_nbytes(self, n):
        some = np.minimum(self.runs.some_lengths(), self.storage.ragged.most)
        return int(n * some.mean() * self.storage.cast.nbytes) if len(some) else 0


@cython.final
@cython.no_gc_clear
cdef class BoundsColumn(Column):
    """Where each row of a `PackedColumn` begins, and where the last one ends: (n + 1,) of int32.

    Parameters
    ----------
    runs, most
        As for `LengthsColumn`.
    """

    cdef fb_ragged_column storage
    cdef readonly Runs runs

    def __cinit__(self, Runs runs not None, *, int64_t most=0):
        self.runs = runs
        self.dtype = np.dtype(np.int32)
        self.row_shape = ()
        self.dlpack_type = dlpack_type_of(np.int32)
        self.sized_axis = 0
        self.kernel = "where each row begins"
        self.storage.column.fill = fb_bounds_fill
        self.storage.column.whole = True
        self.storage.column.row_nbytes = 4
        self.storage.column.tail_nbytes = 4 + sizeof(fb_extent)
        set_up_runs(self, &self.storage, runs, most)


cdef int64_t set_up_runs(Column column, fb_ragged_column *storage, Runs runs, int64_t most) except -1:
    """The most elements that a row can have."""
    if most < 0:
        raise ValueError(f"most must be 0 or more, got {most}")
    storage.ragged = runs.ragged
    if most > 0:
        storage.ragged.most = most
    column.n_rows = runs.n_rows
    column.column = &storage.column
    return min(runs.longest, storage.ragged.most)
