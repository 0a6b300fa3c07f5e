"""A column that a function of the user's writes: see include/fastbatch.h for what it has to do."""

import math
import operator

import numpy as np

from fastbatch._native.column import dlpack_type_of

cimport cython
cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_CheckExact, PyCapsule_GetName, PyCapsule_GetPointer, PyCapsule_IsValid
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport uintptr_t

from fastbatch._native.array cimport require_plain
from fastbatch._native.c cimport FASTBATCH_FILL_CAPSULE, fastbatch_fill, fb_native_column, fb_native_fill
from fastbatch._native.column cimport Column

cnp.import_array()

# Bytes of a row: a batch of them has to fit into a signed size.
MAX_ROW_NBYTES = 2**48


def address_in_capsule(capsule):
    """The address of the function in a capsule that is named as the header says; None for what is no capsule."""
    if not PyCapsule_CheckExact(capsule):
        return None
    if not PyCapsule_IsValid(capsule, FASTBATCH_FILL_CAPSULE):
        name = PyCapsule_GetName(capsule)
        raise TypeError(f"a capsule with a fill function must be named {FASTBATCH_FILL_CAPSULE.decode()!r}, "
                        f"got {name.decode(errors='replace') if name != NULL else None!r}")
    return <uintptr_t>PyCapsule_GetPointer(capsule, FASTBATCH_FILL_CAPSULE)


def address_of_array(array, str name not None):
    """The address of the first element of a C-contiguous array of elements held in place."""
    require_plain(array, name)
    if not cnp.PyArray_IS_C_CONTIGUOUS(array):
        raise ValueError(f"{name} must be C-contiguous, got strides {array.strides}")
    return <uintptr_t>cnp.PyArray_DATA(array)


@cython.final
@cython.no_gc_clear
cdef class NativeColumn(Column):
    """Rows that a function of the user's writes.

    It is taken to be slow, as reading a file is: it is called without the GIL and without a lock, and for no epoch that
    has not begun.

    Parameters
    ----------
    function, state : int
        Addresses; that of the function is not 0.
    n_rows : int
        That there are.
    dtype, row_shape
        Of the slot.
    dlpack_type : tuple, optional
        Where the elements are not what the dtype says.
    name : str
        For messages.
    kept : object
        What holds the function and the state.
    """

    cdef fb_native_column storage
    cdef PyObject *kept  # unseen by the garbage collector, which would empty it while a thread calls the function

    def __cinit__(self, function, state, n_rows, dtype, row_shape, *, str name not None, dlpack_type=None, kept=None):
        self.storage.function = <fastbatch_fill><uintptr_t>checked_address(function, "fill")
        self.storage.state = <const void *><uintptr_t>(0 if state is None else checked_address(state, "state"))
        self.n_rows = operator.index(n_rows)
        if not 0 <= self.n_rows < 2**63:
            raise ValueError(f"n_rows must be at least 0 and below 2**63, got {n_rows}")
        self.dtype = checked_dtype(dtype)
        self.row_shape = checked_shape(row_shape)
        row_nbytes = self.dtype.itemsize * math.prod(self.row_shape)
        if row_nbytes >= MAX_ROW_NBYTES:
            raise ValueError(f"a row must be smaller than 2**48 bytes, got {row_nbytes}")
        self.dlpack_type = dlpack_type_of(self.dtype) if dlpack_type is None else dlpack_type
        self.blocking = True
        self.kernel = " ".join(["written by the user's function", *([name] if name else []), f"at {function:#x}"])
        Py_INCREF(kept)
        self.kept = <PyObject *>kept
        self.storage.column.fill = fb_native_fill
        self.storage.column.row_nbytes = row_nbytes
        self.column = &self.storage.column

    def __dealloc__(self):
        Py_XDECREF(self.kept)


cdef object checked_address(object address, str name):
    address = operator.index(address)
    if address == 0:
        raise ValueError(f"{name} must not be a null pointer")
    if address < 0 or address >> 8 * sizeof(uintptr_t) != 0:
        raise ValueError(f"{name} must be an address of {8 * sizeof(uintptr_t)} bits, got {address}")
    return address


cdef object checked_dtype(object given):
    dtype = np.dtype(given)
    if dtype.hasobject or dtype.kind == "T":
        raise TypeError(f"dtype must be of items of fixed size held in the array, got {dtype}")
    if dtype.subdtype is not None:
        raise TypeError(f"dtype must be that of an element, with row_shape for the shape, got {dtype}")
    return dtype


cdef tuple checked_shape(object given):
    if not isinstance(given, (tuple, list)):
        raise TypeError(f"row_shape must be a tuple of int, got {given!r}")
    shape = tuple(operator.index(size) for size in given)
    if len(shape) > 31:  # a batch has one axis more, and NumPy 1.26 has 32
        raise ValueError(f"row_shape must have at most 31 axes, got {len(shape)}")
    if any(size < 0 for size in shape):
        raise ValueError(f"row_shape must not be negative, got {shape}")
    return shape
