cimport cython
cimport numpy as cnp
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t
from libcpp.vector cimport vector

from fastbatch._native.c cimport fb_column
from fastbatch._native.cpp cimport Batch, Buffer, CppEngine, Cursor, fb_dl_type
from fastbatch._native.structure cimport Structure


cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArray_Descr:
        pass

# How one column's buffer is handed over. dims[0] is set for each batch, and dims[sized_axis] unless that is -1.
cdef struct Layout:
    const fb_column *column
    int ndim
    int sized_axis
    cnp.npy_intp *dims
    PyArray_Descr *descr  # the column's
    PyObject *wrap        # NULL: a NumPy array
    fb_dl_type dlpack_type

# Columns of an engine: their buffers are listed on the stack while a batch is handed over.
cdef enum:
    MAX_COLUMNS = 1024

# How often this process was forked from its ancestors: what was made before the last fork belongs to threads and locks
# of the parent, and is left alone.
cdef int generation() noexcept nogil


@cython.final
cdef class Engine:
    cdef CppEngine *engine
    cdef readonly tuple columns
    cdef readonly tuple names  # of the columns, in messages
    cdef readonly Structure structure
    cdef tuple wraps
    cdef object restock
    cdef bint is_flat_tuple   # the structure is a tuple of arrays, or a namedtuple
    cdef bint wants_weights   # a column does, of the sampler
    cdef bint is_blocking     # a column reads a file
    cdef size_t row_nbytes    # of all columns
    cdef uint64_t n_rows      # that every column has
    cdef int process          # the generation of processes it was made in
    cdef readonly size_t n_threads
    cdef readonly bint is_measured
    cdef vector[Layout] layouts
    cdef object __weakref__

    cdef int check_columns(self) except -1
    cdef int add_layout(self, object column, object wrap) except -1
    cdef object array(self, Layout *layout, Buffer **slot, size_t n)
    cdef object tensor(self, Layout *layout, Buffer **slot, size_t n)

    # The Python side of a delivered batch: its buffers' leases pass to the arrays. When that fails its rows come again.
    cdef object hand_over(self, Cursor *cursor, Batch *batch)

    # Warns if the system refused to start a thread.
    cdef int look_for_refusal(self) except -1
