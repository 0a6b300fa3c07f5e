"""Columns that write another type than they read. See csrc/fb_cast.h."""

import numpy as np

cimport cython
cimport numpy as cnp
from libc.string cimport memcpy

from fastbatch._native.array cimport require_plain, rows_are_contiguous
from fastbatch._native.c cimport (
    FB_BF16, FB_F16, FB_F32, FB_F64, FB_I8, FB_I16, FB_I32, FB_U8, FB_U16, fb_cast_begin, fb_cast_begin_copy,
    fb_cast_column, fb_cast_elements, fb_cast_fill, fb_one_hot_column, fb_one_hot_fill, fb_simd, fb_type
)
from fastbatch._native.column cimport Column, source_of
from fastbatch._native.simd cimport simd_level_of

cnp.import_array()

#: The types that numbers are read from, and written as, by name; bool is read as uint8.
READABLE = {"uint8": FB_U8, "bool": FB_U8, "int8": FB_I8, "int16": FB_I16, "uint16": FB_U16, "int32": FB_I32,
            "float16": FB_F16, "bfloat16": FB_BF16, "float32": FB_F32, "float64": FB_F64}
WRITABLE = {"float16": FB_F16, "bfloat16": FB_BF16, "float32": FB_F32, "float64": FB_F64}

# Elements that read one table of centers and scales at a time: shorter ones are repeated, so that loops are long.
cdef enum:
    TABLE = 512


def arithmetic_type(str readable, str writable):
    """The type that (x - center) * scale is computed in."""
    wide = readable in ("int32", "float64") or writable == "float64"
    return np.dtype(np.float64 if wide else np.float32)


@cython.no_gc_clear  # threads read its tables
cdef class Affine:
    """Centers and scales as the kernels read them: element i of a row has number i // run % period.

    Parameters
    ----------
    centers, scales : float64 of shape (period,)
    run, n_elements : int
        `n_elements` of a row: a multiple of run * period.
    real : dtype
        Of the arithmetic.
    """

    def __cinit__(self, centers, scales, size_t run, size_t n_elements, real):
        if centers.ndim != 1 or centers.shape != scales.shape or len(centers) == 0 or not 0 < run < <size_t>2**48:
            raise ValueError(f"centers and scales must be two arrays of one length, got {centers.shape} and "
                             f"{scales.shape}")
        if n_elements % (run * <size_t>len(centers)) != 0:
            raise ValueError(f"{len(centers)} centers of {run} elements each do not fit a row of {n_elements}")
        with np.errstate(over="ignore"):
            given = [np.asarray(numbers).astype(real) for numbers in (centers, scales)]
        if not all(np.all(np.isfinite(numbers)) for numbers in given) or np.any(given[1] == 0):
            raise ValueError(f"centers and scales must be finite in {real}, and scales not 0")
        if len(centers) == 1:
            run = 1
        elif run < TABLE:
            given = [np.repeat(numbers, run) for numbers in given]
            run = 1
        period = len(given[0])
        if 1 < period < TABLE and run == 1:
            given = [np.tile(numbers, TABLE // period + 1) for numbers in given]
        self.centers, self.scales = given
        self.native.period = len(self.centers)
        self.native.run = run
        self.native.centers = cnp.PyArray_DATA(self.centers)
        self.native.scales = cnp.PyArray_DATA(self.scales)


@cython.no_gc_clear  # threads read its tables
cdef class Cast:
    """How elements of one type become those of another: read as numbers, (x - center) * scale, written.

    Parameters
    ----------
    readable, writable : str
        Keys of READABLE and WRITABLE; or, without centers, twice the name of any type: elements stay as they are.
    n_elements : int
        Of a row.
    centers, scales : float64 of shape (period,), optional
        Element i of a row has number i // run % period.
    run : int
    simd : str, optional
        The path to take.
    """

    def __cinit__(self, str readable, str writable, size_t n_elements, centers=None, scales=None, *, size_t run=1,
                  simd=None):
        self.readable, self.writable, self.n_elements = readable, writable, n_elements
        if readable == writable and centers is None:
            fb_cast_begin_copy(&self.native, 2 if readable == "bfloat16" else np.dtype(readable).itemsize)
            return
        if readable not in READABLE or writable not in WRITABLE:
            raise TypeError(f"{readable} cannot be cast to {writable}: from {', '.join(READABLE)} to "
                            f"{', '.join(WRITABLE)}")
        fb_cast_begin(&self.native, <fb_type><int>READABLE[readable], <fb_type><int>WRITABLE[writable],
                      <fb_simd>simd_level_of(simd))
        if centers is not None:
            self.affine = Affine(centers, scales, run, n_elements, arithmetic_type(readable, writable))
            self.native.affine = self.affine.native

    def apply(self, cnp.ndarray source not None, cnp.dtype dtype not None):
        """The elements of an array of rows, cast; `dtype` is what NumPy calls those that are written.

        Parameters
        ----------
        source : contiguous ndarray
        dtype : dtype
        """
        self.require_types(source.dtype, dtype)
        cdef size_t n_elements = self.n_elements if self.n_elements > 0 else 1, n = source.size
        if not cnp.PyArray_ISCARRAY_RO(source) or n % n_elements != 0:
            raise ValueError(f"source must be contiguous, and hold whole rows of {self.n_elements} elements")
        out = np.empty((<object>source).shape, dtype)
        cdef const char *at = <const char *>cnp.PyArray_DATA(source)
        cdef char *to = <char *>cnp.PyArray_DATA(out)
        cdef size_t first = 0
        with nogil:
            while first < n:
                fb_cast_elements(&self.native, at + first * self.native.from_nbytes, 0, n_elements,
                                 to + first * self.native.to_nbytes)
                first += n_elements
        return out

    cdef int require_types(self, cnp.dtype source, cnp.dtype dtype) except -1:
        if source.itemsize != <Py_ssize_t>self.native.from_nbytes or not source.isnative:
            raise ValueError(f"a cast from {self.readable} does not read {source}")
        if dtype.itemsize != <Py_ssize_t>self.native.to_nbytes:
            raise ValueError(f"a cast to {self.writable} does not write {dtype}")
        return 0


def name_of_type(dtype, dlpack_type=None):
    """The name of elements among those of READABLE, or what NumPy calls them."""
    if dlpack_type is not None and dlpack_type[0] == 4:
        return "bfloat16"
    return dtype.name if dtype.isnative else f"{dtype} of another byte order"


@cython.final
@cython.no_gc_clear
cdef class CastColumn(Column):
    """Rows whose elements are written as another type.

    Parameters
    ----------
    source : ndarray of shape (n, ...)
        Each row contiguous.
    cast : Cast
        From its type.
    dtype, dlpack_type
        Of the slot.
    blocking : bool
        The source is a file mapped into memory.
    """

    cdef fb_cast_column storage
    cdef readonly cnp.ndarray source
    cdef readonly Cast cast

    def __cinit__(self, cnp.ndarray source not None, Cast cast not None, cnp.dtype dtype not None, *, dlpack_type,
                  bint blocking=False):
        require_plain(source, "source")
        if source.ndim == 0 or not rows_are_contiguous(source):
            raise ValueError("source must have rows, each of them contiguous")
        cast.require_types(source.dtype, dtype)
        self.source = source
        self.cast = cast
        self.dtype = dtype
        self.n_rows = source.shape[0]
        self.row_shape = (<object>source).shape[1:]
        self.dlpack_type = dlpack_type
        self.blocking = blocking
        arithmetic = "" if cast.affine is None else ", (x - center) * scale"
        self.kernel = f"{cast.readable} to {cast.writable}{arithmetic}"
        self.storage.column.fill = fb_cast_fill
        self.storage.source = source_of(source)
        self.storage.cast = cast.native
        self.storage.n_elements = self.storage.source.row_nbytes // source.dtype.itemsize
        if cast.affine is not None and cast.n_elements != self.storage.n_elements:
            raise ValueError(f"a cast of rows of {cast.n_elements} elements got rows of {self.storage.n_elements}")
        self.storage.column.row_nbytes = self.storage.n_elements * cast.native.to_nbytes
        self.column = &self.storage.column


@cython.final
@cython.no_gc_clear
cdef class OneHotColumn(Column):
    """Class numbers, each written as a row with one value at its place and another one elsewhere.

    Parameters
    ----------
    source : integers of shape (n,)
    n_classes : int
    on, off : 0-d arrays of `dtype`
    dtype, dlpack_type
        Of the slot.
    blocking : bool
        The source is a file mapped into memory.
    """

    cdef fb_one_hot_column storage
    cdef readonly cnp.ndarray source

    def __cinit__(self, cnp.ndarray source not None, size_t n_classes, on, off, cnp.dtype dtype not None, *,
                  dlpack_type, bint blocking=False):
        require_plain(source, "source")
        if source.ndim != 1 or source.dtype.kind not in "iu" or not source.dtype.isnative:
            raise ValueError(f"class numbers must be integers of shape (n,), got {source.dtype} "
                             f"{(<object>source).shape}")
        if dtype.itemsize not in {2, 4, 8} or on.dtype != dtype or off.dtype != dtype:
            raise ValueError(f"a one-hot row is of numbers of 2, 4 or 8 bytes, got {dtype}")
        if on.shape != () or off.shape != ():
            raise ValueError(f"on and off must be 0-d arrays, got {on.shape} and {off.shape}")
        if not 0 < n_classes < <size_t>2**40:
            raise ValueError(f"n_classes must be at least 1 and below 2**40, got {n_classes}")
        self.source = source
        self.dtype = dtype
        self.n_rows = source.shape[0]
        self.row_shape = (n_classes,)
        self.dlpack_type = dlpack_type
        self.blocking = blocking
        self.kernel = f"one-hot of {n_classes} classes"
        self.storage.column.fill = fb_one_hot_fill
        self.storage.column.row_nbytes = n_classes * dtype.itemsize
        self.storage.source = source_of(source)
        self.storage.item_nbytes = source.dtype.itemsize
        self.storage.is_signed = source.dtype.kind == "i"
        self.storage.n_classes = n_classes
        self.storage.value_nbytes = dtype.itemsize
        cdef bytes on_bytes = on.tobytes(), off_bytes = off.tobytes()
        memcpy(self.storage.on, <const char *>on_bytes, dtype.itemsize)
        memcpy(self.storage.off, <const char *>off_bytes, dtype.itemsize)
        self.column = &self.storage.column
