"""The slots of a Loader and the threads that fill them; how a filled one is handed over. See csrc/fb_engine.hpp."""

import warnings

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyTypeObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New
from cpython.ref cimport Py_INCREF, PyObject
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int64_t, uint64_t, uintptr_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from fastbatch._native.c cimport fb_column, fb_load_extent
from fastbatch._native.column cimport Column
from fastbatch._native.cpp cimport (
    FB_DLPACK_CPU, Allocator, Batch, Buffer, CppEngine, Cursor, Policy, Report, Slots, default_allocator,
    fb_dl_managed_tensor, fb_dl_tensor, fb_dl_type, release
)
from fastbatch._native.structure cimport Structure

cnp.import_array()


cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(PyTypeObject *subtype, PyArray_Descr *descr, int nd, cnp.npy_intp *dims,
                                cnp.npy_intp *strides, void *data, int flags, PyObject *obj)
    PyTypeObject PyArray_Type

cdef int GENERATION = 0


cdef int generation() noexcept nogil:
    return GENERATION


def count_fork():
    """To be called in a child after a fork: what was made before is refused, and left alone."""
    global GENERATION
    GENERATION += 1


# A loop that drops its batches uses two buffers of each column, one with a few in flight a few more.
cdef size_t N_SPARE = 8


@cython.final
@cython.freelist(64)
@cython.no_gc
cdef class Lease:
    """A hold on one column's buffer: the base of the array over it. Ends with the last view of that array."""

    cdef Buffer *buffer

    def __dealloc__(self):
        if self.buffer != NULL:
            release(self.buffer)


cdef void end_unused_capsule(object capsule) noexcept:
    """A consumer renames a capsule; one that nobody consumed ends its lease itself."""
    if PyCapsule_IsValid(capsule, "dltensor"):
        tensor = <fb_dl_managed_tensor *>PyCapsule_GetPointer(capsule, "dltensor")
        tensor.deleter(tensor)


cdef inline void set_dims(Layout *layout, Buffer *buffer, size_t n) noexcept:
    layout.dims[0] = n
    if layout.sized_axis >= 0:
        layout.dims[layout.sized_axis] = fb_load_extent(layout.column, buffer.data, n).size


cdef Allocator allocator_of(addresses):
    cdef Allocator allocator = default_allocator()
    if addresses is not None:
        allocate, free, context = addresses
        allocator.allocate = <void *(*)(void *, size_t) noexcept nogil><uintptr_t>allocate
        allocator.free = <void (*)(void *, void *, size_t) noexcept nogil><uintptr_t>free
        allocator.context = <void *><uintptr_t>context
    return allocator


@cython.no_gc_clear  # its threads read the columns until they end
cdef class Engine:
    """The slots of a Loader: a pool of buffers for each column, and how a filled one is handed over.

    Parameters
    ----------
    columns : sequence of Column
        Of one length; up to 1024 of them.
    structure : Structure
        The shape of a batch; its leaves are the columns.
    wraps : sequence of (callable or None)
        For each column, what makes a framework's tensor of a DLPack capsule; None for a NumPy array.
    names : sequence of str, optional
        What to call each column in messages. None: by its number.
    allocators : sequence of (tuple of 3 int, or None), optional
        For each column, addresses of C functions ``void *allocate(void *context, size_t nbytes)`` and ``void
        free(void *context, void *memory, size_t nbytes)``, and the context. Both may be called on any thread, without
        the GIL.
    restock : callable, optional
        Called, on any thread, where an allocator has no memory for a batch that is asked for; provides some, and
        returns how often it has.
    n_spare : int, optional
        Idle buffers kept for each column. None: what most loops need.
    n_threads : int
        Threads that may be started, when there is work for them.
    n_ahead : int
        Batches that may be filled ahead.
    measured : bool
        Whether batches are filled ahead where that was found to be faster, or always.
    """

    def __cinit__(self, columns, Structure structure not None, wraps, *, names=None, allocators=None,
                  restock=None, n_spare=None, size_t n_threads=0, size_t n_ahead=0, bint measured=False):
        cdef vector[const fb_column *] native
        cdef vector[unsigned] ndims
        cdef vector[Allocator] memory
        cdef Column column
        self.process = GENERATION
        self.columns = tuple(columns)
        self.structure = structure
        self.wraps = tuple(wraps)
        self.names = tuple(f"column {i}" for i in range(len(self.columns))) if names is None else tuple(names)
        self.check_columns()
        self.is_flat_tuple = structure.is_plain and all(child.kind == "leaf" for child in structure.children)
        for column, wrap in zip(self.columns, self.wraps, strict=True):
            native.push_back(column.column)
            ndims.push_back(1 + len(column.row_shape))
            self.row_nbytes += column.column.row_nbytes
            self.is_blocking = self.is_blocking or column.blocking
            self.wants_weights = self.wants_weights or column.column.wants_weights
            self.add_layout(column, wrap)
        for _, allocator in zip(self.columns, allocators or [None] * len(self.columns), strict=True):
            memory.push_back(allocator_of(allocator))
        self.restock = restock
        self.n_threads = n_threads
        self.is_measured = measured
        self.engine = new CppEngine(native, ndims, memory, max(N_SPARE, n_ahead) if n_spare is None else n_spare,
                                    n_threads, n_ahead, Policy.kMeasured if measured else Policy.kAlways,
                                    self.is_blocking)

    cdef int check_columns(self) except -1:
        if not 0 < len(self.columns) <= MAX_COLUMNS:
            raise ValueError(f"an engine needs 1 to {MAX_COLUMNS} columns, got {len(self.columns)}")
        for column in self.columns:
            if not isinstance(column, Column) or column.dtype is None:
                raise TypeError(f"columns must be made of arrays, got {column!r}")
        if self.structure.n_leaves != len(self.columns):
            raise ValueError(f"the structure has {self.structure.n_leaves} leaves, got {len(self.columns)} columns")
        if len(self.names) != len(self.columns):
            raise ValueError(f"there are {len(self.columns)} columns, got {len(self.names)} names")
        lengths = {column.n_rows for column in self.columns} - {None}
        if len(lengths) > 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        self.n_rows = lengths.pop() if lengths else <uint64_t>-1
        return 0

    cdef int add_layout(self, object source, object wrap) except -1:
        cdef Column column = source
        cdef Layout layout
        cdef int axis
        layout.column = column.column
        layout.ndim = 1 + len(column.row_shape)
        layout.sized_axis = -1 if column.sized_axis is None else column.sized_axis
        layout.descr = <PyArray_Descr *>column.dtype
        layout.wrap = NULL
        if wrap is not None:
            if column.dlpack_type is None:
                raise TypeError(f"a column of {column.dtype} has no DLPack type, and cannot be wrapped")
            layout.wrap = <PyObject *>wrap
            code, bits, lanes = column.dlpack_type
            layout.dlpack_type = fb_dl_type(code, bits, lanes)
        layout.dims = <cnp.npy_intp *>PyMem_Malloc(layout.ndim * sizeof(cnp.npy_intp))
        if layout.dims == NULL:
            raise MemoryError
        for axis in range(1, layout.ndim):
            layout.dims[axis] = column.row_shape[axis - 1]
        self.layouts.push_back(layout)
        return 0

    def __dealloc__(self):
        cdef CppEngine *engine = self.engine
        cdef Layout layout
        if self.process != GENERATION:
            return
        with nogil:  # its threads are waited for
            del engine
        for layout in self.layouts:
            PyMem_Free(layout.dims)

    def close(self):
        """Free idle buffers now, leased ones as they come back; end the threads. Iterators end with an error."""
        with nogil:
            self.engine.close()

    def stop_threads(self):
        """End the threads for good: each batch is filled by whoever asks for it."""
        with nogil:
            self.engine.stop_threads()

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.engine.is_closed()

    @property
    def n_ahead(self):
        """Batches that may be filled ahead."""
        return self.engine.n_ahead()

    def buffers(self):
        """(live, allocated) for each column: buffers there are now, and buffers ever made; none once closed."""
        cdef Slots slots
        cdef size_t i
        counts = []
        for i in range(self.layouts.size() if not self.closed else 0):
            with nogil:
                slots = self.engine.slots(i)
            counts.append((slots.n_live, slots.n_allocated))
        return counts

    def report(self, *, cbool reset=False):
        """What was done, in counts and seconds, since the beginning or the last `reset`; and what there is now.

        Returns
        -------
        dict
        """
        cdef Report report
        cdef Slots slots
        cdef size_t i, n_live = 0, n_leased = 0, live_nbytes = 0
        with nogil:
            for i in range(self.layouts.size()):
                slots = self.engine.slots(i)
                n_live += slots.n_live
                n_leased += slots.n_live - slots.n_idle
                live_nbytes += slots.live_nbytes
            report = self.engine.report(reset)
        return {
            "epochs": report.counts.n_epochs,
            "batches": report.counts.n_batches,
            "samples": report.counts.n_rows,
            "nbytes": report.counts.n_bytes,
            "ready": report.counts.n_ready,
            "fill_seconds": report.counts.fill_ns * 1e-9,
            "wait_seconds": report.counts.wait_ns * 1e-9,
            "elapsed_seconds": report.counts.elapsed_ns * 1e-9,
            "slots": n_live,
            "leases": max(0, <int64_t>(n_leased - report.n_tickets * self.layouts.size())),
            "live_nbytes": live_nbytes,
            "threads": report.n_threads,
            "fills_ahead": bool(report.fills_ahead),
            "trials": report.n_trials,
            "period_with": report.with_threads.period * 1e-9,
            "period_without": report.without.period * 1e-9,
        }

    cdef int look_for_refusal(self) except -1:
        if self.engine.take_refusal():
            warnings.warn("the system refused to start a thread: batches are filled without", RuntimeWarning,
                          stacklevel=2)
        return 0

    cdef object array(self, Layout *layout, Buffer **slot, size_t n):
        """The NumPy array over the n rows in the buffer in `slot`, which is NULL once its lease is taken."""
        cdef Lease lease = Lease.__new__(Lease)
        cdef Buffer *buffer = slot[0]
        lease.buffer = buffer
        slot[0] = NULL
        set_dims(layout, buffer, n)
        Py_INCREF(<object>layout.descr)
        cdef object array = PyArray_NewFromDescr(&PyArray_Type, layout.descr, layout.ndim, layout.dims, NULL,
                                                 buffer.data, cnp.NPY_ARRAY_CARRAY, NULL)
        Py_INCREF(lease)
        cnp.PyArray_SetBaseObject(array, lease)
        return array

    cdef object tensor(self, Layout *layout, Buffer **slot, size_t n):
        """The framework's tensor over the n rows in the buffer in `slot`, NULL once its lease is taken."""
        cdef Buffer *buffer = slot[0]
        cdef fb_dl_tensor *tensor = &buffer.tensor.tensor
        cdef int64_t stride = 1
        cdef int axis
        set_dims(layout, buffer, n)
        tensor.device.device_type = FB_DLPACK_CPU
        tensor.device.device_id = 0
        tensor.ndim = layout.ndim
        tensor.dtype = layout.dlpack_type
        tensor.byte_offset = 0
        for axis in range(layout.ndim - 1, -1, -1):
            tensor.shape[axis] = layout.dims[axis]
            tensor.strides[axis] = stride
            stride *= layout.dims[axis]
        capsule = PyCapsule_New(&buffer.tensor, "dltensor", <void (*)(object) noexcept>end_unused_capsule)
        slot[0] = NULL
        return (<object>layout.wrap)(capsule)

    cdef object hand_over(self, Cursor *cursor, Batch *batch):
        cdef size_t i, n_columns = self.layouts.size()
        cdef tuple leaves
        cdef Layout *layout
        cdef Py_ssize_t at = 0
        cdef object leaf
        try:
            leaves = self.structure.new_tuple(n_columns) if self.is_flat_tuple else PyTuple_New(n_columns)
            for i in range(n_columns):
                layout = &self.layouts[i]
                if layout.wrap == NULL:
                    leaf = self.array(layout, &batch.buffers[i], batch.n)
                else:
                    leaf = self.tensor(layout, &batch.buffers[i], batch.n)
                Py_INCREF(leaf)
                PyTuple_SET_ITEM(leaves, i, leaf)
            return leaves if self.is_flat_tuple else self.structure.build(leaves, &at)
        except BaseException:
            for i in range(n_columns):
                if batch.buffers[i] != NULL:
                    release(batch.buffers[i])
            with nogil:
                cursor.take_back(batch[0])
            raise
