import numpy as np

cimport cython
cimport numpy as cnp

from fastbatch._native.array cimport require_plain, row_nbytes_of, rows_are_contiguous
from fastbatch._native.c cimport (
    FB_NARROW_ROWS, fb_column, fb_concat_column, fb_concat_fill, fb_gather_column, fb_gather_fill, fb_importance_fill,
    fb_indexed_column, fb_indexed_fill, fb_joined_column, fb_joined_fill, fb_prefetching,
    fb_row_number_fill, fb_source, fb_valid_column, fb_valid_fill
)

from libc.stdint cimport uint64_t

cnp.import_array()

# DLPack's type codes, for what NumPy's kinds hold.
DLPACK_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


def dlpack_type_of(dtype):
    """DLPack's (code, bits, lanes) of a dtype, or None where it has none."""
    dtype = np.dtype(dtype)
    code = DLPACK_CODES.get(dtype.kind)
    if code is None or not dtype.isnative or dtype.itemsize > 16:
        return None
    return (code, dtype.itemsize * 8, 1)


cdef fb_source source_of(cnp.ndarray array) noexcept:
    cdef fb_source source
    source.rows = <const char *>cnp.PyArray_DATA(array)
    source.stride = cnp.PyArray_STRIDE(array, 0)
    source.row_nbytes = row_nbytes_of(array)
    source.n_rows = cnp.PyArray_DIM(array, 0)
    return source


@cython.no_gc_clear  # threads read the arrays
cdef class Column:
    """How to write rows of one array into a slot.

    Attributes
    ----------
    dtype, row_shape
        Of the slot: n rows of it are an array of shape (n, *row_shape).
    n_rows : int or None
        Rows there are; None for a column of any length.
    dlpack_type : tuple of (code, bits, lanes) or None
        What an element is to other frameworks.
    sized_axis : int or None
        Of a batch, the axis whose size is known only once it is filled; `row_shape` has the largest then.
    """

    @property
    def row_nbytes(self):
        """Bytes of one row in the slot; the most, where only a fill knows."""
        return self.column.row_nbytes if self.column != NULL else 0

    def usual_nbytes(self, n):
        """About how many bytes a batch of n rows takes."""
        return n * self.row_nbytes

    def hold_as(self, cnp.dtype dtype not None):
        """Let NumPy hold the slot's elements as another dtype of as many bytes, from the next engine on."""
        if self.dtype is None or dtype.itemsize != self.dtype.itemsize or dtype.hasobject or not dtype.isnative:
            raise ValueError(f"elements of {self.dtype} cannot be held as {dtype}")
        self.dtype = dtype


@cython.final
@cython.no_gc_clear
cdef class GatherColumn(Column):
    """Rows copied as they are, from an array whose rows are contiguous.

    Parameters
    ----------
    source : ndarray of shape (n, ...)
    dlpack_type : tuple, optional
        Where the elements are not what the dtype says: bfloat16 held as uint16.
    blocking : bool
        The source is a file mapped into memory.
    """

    cdef fb_gather_column storage
    cdef readonly cnp.ndarray source

    def __cinit__(self, cnp.ndarray source not None, *, dlpack_type=None, bint blocking=False):
        require_plain(source, "source")
        if source.ndim == 0 or not rows_are_contiguous(source):
            raise ValueError("source must have rows, each of them contiguous")
        self.source = source
        self.dtype = source.dtype
        self.n_rows = source.shape[0]
        self.row_shape = (<object>source).shape[1:]
        self.dlpack_type = dlpack_type_of(source.dtype) if dlpack_type is None else dlpack_type
        self.blocking = blocking
        self.storage.column.fill = fb_gather_fill
        self.storage.source = source_of(source)
        self.kernel = f"gather, {fb_prefetching(&self.storage.source).decode()}"
        self.storage.column.row_nbytes = self.storage.source.row_nbytes
        self.column = &self.storage.column


@cython.final
@cython.no_gc_clear
cdef class ConcatColumn(Column):
    """Rows copied as they are, from several arrays one behind the other.

    Parameters
    ----------
    sources : sequence of ndarray of shape (n_i, ...)
        Of one dtype and shape of rows, each row contiguous.
    dlpack_type : tuple, optional
        Where the elements are not what the dtype says.
    blocking : bool
        One of the sources is a file mapped into memory.
    """

    cdef fb_concat_column storage
    cdef readonly tuple sources
    cdef bytearray parts  # (n_parts,) of fb_source
    cdef object starts

    def __cinit__(self, sources, *, dlpack_type=None, bint blocking=False):
        self.sources = tuple(sources)
        if not self.sources:
            raise ValueError("there must be one source at least")
        cdef cnp.ndarray first = self.sources[0], source
        cdef list full = [source for source in self.sources if source.shape[0] > 0] or [first]
        self.parts = bytearray(len(full) * sizeof(fb_source))
        cdef fb_source *parts = <fb_source *><char *>self.parts
        for source in self.sources:
            require_plain(source, "source")
            if source.ndim == 0 or not rows_are_contiguous(source):
                raise ValueError("source must have rows, each of them contiguous")
            if source.dtype != first.dtype or (<object>source).shape[1:] != (<object>first).shape[1:]:
                raise ValueError(f"sources must have rows of one kind, got {source.dtype} {(<object>source).shape[1:]} "
                                 f"beside {first.dtype} {(<object>first).shape[1:]}")
        for i, source in enumerate(full):
            parts[i] = source_of(source)
        self.starts = np.cumsum([0, *(len(source) for source in full)], dtype=np.uint64)
        self.dtype = first.dtype
        self.n_rows = sum(len(source) for source in self.sources)
        self.row_shape = (<object>first).shape[1:]
        self.dlpack_type = dlpack_type_of(first.dtype) if dlpack_type is None else dlpack_type
        self.blocking = blocking
        self.kernel = f"gather from {len(self.sources)} arrays"
        self.storage.column.fill = fb_concat_fill
        self.storage.column.row_nbytes = parts[0].row_nbytes
        self.storage.parts = parts
        self.storage.starts = <const uint64_t *>cnp.PyArray_DATA(self.starts)
        self.storage.n_parts = len(full)
        self.column = &self.storage.column


@cython.final
@cython.no_gc_clear
cdef class JoinedColumn(Column):
    """Columns one behind the other, as one.

    Parameters
    ----------
    parts : sequence of Column
        That write rows of one kind.
    """

    cdef fb_joined_column storage
    cdef readonly tuple parts
    cdef bytearray addresses  # (n_parts,) of const fb_column *
    cdef object starts

    def __cinit__(self, parts):
        cdef Column part, first
        self.parts = tuple(parts)
        if not self.parts:
            raise ValueError("there must be one part at least")
        first = self.parts[0]
        self.addresses = bytearray(len(self.parts) * sizeof(void *))
        cdef const fb_column **addresses = <const fb_column **><char *>self.addresses
        for i, part in enumerate(self.parts):
            if (part.dtype, part.row_shape, part.dlpack_type) != (first.dtype, first.row_shape, first.dlpack_type):
                raise ValueError(f"parts must write rows of one kind, got {part.dtype} {part.row_shape} "
                                 f"beside {first.dtype} {first.row_shape}")
            if part.n_rows is None or part.column.whole or part.sized_axis is not None:
                raise ValueError("each part must have a number of rows, and write each row by itself")
            addresses[i] = part.column
        self.starts = np.cumsum([0, *(part.n_rows for part in self.parts)], dtype=np.uint64)
        self.dtype = first.dtype
        self.n_rows = int(self.starts[len(self.parts)])
        self.row_shape = first.row_shape
        self.dlpack_type = first.dlpack_type
        self.blocking = any([part.blocking for part in self.parts])
        self.kernel = f"{first.kernel}, from {len(self.parts)} arrays"
        self.storage.column.fill = fb_joined_fill
        self.storage.column.row_nbytes = first.column.row_nbytes
        self.storage.parts = addresses
        self.storage.starts = <const uint64_t *>cnp.PyArray_DATA(self.starts)
        self.storage.n_parts = len(self.parts)
        self.column = &self.storage.column


@cython.final
@cython.no_gc_clear
cdef class IndexedColumn(Column):
    """Some rows of another column: row i is its row rows[i].

    Parameters
    ----------
    inner : Column
    rows : uint32 of shape (n,), or uint64 where the inner column has 2**32 rows or more
        As `check_rows` gives them; nobody may write them any more.
    """

    cdef fb_indexed_column storage
    cdef readonly Column inner
    cdef readonly cnp.ndarray rows

    def __cinit__(self, Column inner not None, cnp.ndarray rows not None):
        if inner.n_rows is None:
            raise ValueError("inner must have a number of rows")
        if inner.column.whole:
            raise ValueError("inner must not have to see all rows of a batch at once")
        wide = inner.n_rows >= FB_NARROW_ROWS
        if rows.dtype != (np.uint64 if wide else np.uint32) or not cnp.PyArray_ISCARRAY_RO(rows) or rows.ndim != 1:
            raise ValueError(f"rows must be a contiguous array of row numbers, got {rows.dtype}")
        if rows.shape[0] > 0 and np.max(rows) >= inner.n_rows:
            raise ValueError(f"rows must be below {inner.n_rows}, got {np.max(rows)}")
        self.inner = inner
        self.rows = rows
        self.dtype = inner.dtype
        self.n_rows = rows.shape[0]
        self.row_shape = inner.row_shape
        self.dlpack_type = inner.dlpack_type
        self.blocking = inner.blocking
        self.kernel = f"{inner.kernel}, of picked rows"
        self.storage.column.fill = fb_indexed_fill
        self.storage.column.row_nbytes = inner.column.row_nbytes
        self.storage.inner = inner.column
        self.storage.rows = cnp.PyArray_DATA(rows)
        self.storage.inner_wide = wide
        self.column = &self.storage.column


@cython.final
@cython.no_gc_clear
cdef class RowNumberColumn(Column):
    """The row numbers of a batch, as int64."""

    cdef fb_column storage

    def __cinit__(self):
        self.dtype = np.dtype(np.int64)
        self.row_shape = ()
        self.dlpack_type = dlpack_type_of(np.int64)
        self.kernel = "row numbers"
        self.storage.fill = fb_row_number_fill
        self.storage.row_nbytes = 8
        self.column = &self.storage


@cython.final
@cython.no_gc_clear
cdef class ImportanceColumn(Column):
    """The weights that the sampler gives with the rows of a batch, as float32; for samplers that give them."""

    cdef fb_column storage

    def __cinit__(self):
        self.dtype = np.dtype(np.float32)
        self.row_shape = ()
        self.dlpack_type = dlpack_type_of(np.float32)
        self.kernel = "weights, from the sampler"
        self.storage.fill = fb_importance_fill
        self.storage.row_nbytes = 4
        self.storage.wants_weights = True
        self.column = &self.storage


@cython.final
@cython.no_gc_clear
cdef class ValidColumn(Column):
    """Whether each row is one of the epoch, and not there to fill up the last batches of ranks, as bool.

    Parameters
    ----------
    length : int
        Rows of an epoch.
    """

    cdef fb_valid_column storage

    def __cinit__(self, uint64_t length):
        self.dtype = np.dtype(np.bool_)
        self.row_shape = ()
        self.dlpack_type = dlpack_type_of(np.bool_)
        self.kernel = "whether a row counts"
        self.storage.column.fill = fb_valid_fill
        self.storage.column.row_nbytes = 1
        self.storage.length = length
        self.column = &self.storage.column
