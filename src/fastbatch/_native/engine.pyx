"""Tickets, slots and leases behind an iterator. See csrc/fb_pool.hpp and csrc/fb_cursor.hpp for what does the work."""

import threading

from fastbatch._native.take import check_rows

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyTypeObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New
from cpython.ref cimport Py_INCREF, PyObject
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t, uintptr_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from fastbatch._native.c cimport fb_column, fb_context, fb_key, fb_sampler
from fastbatch._native.column cimport Column
from fastbatch._native.random cimport key_from_words
from fastbatch._native.sampler cimport Sampler
from fastbatch._native.structure cimport Structure

cnp.import_array()


cdef extern from "fb_dlpack.h" nogil:
    cdef struct fb_dl_device:
        int device_type
        int device_id

    cdef struct fb_dl_type:
        uint8_t code
        uint8_t bits
        uint16_t lanes

    cdef struct fb_dl_tensor:
        fb_dl_device device
        int ndim
        fb_dl_type dtype
        int64_t *shape
        int64_t *strides
        uint64_t byte_offset

    cdef struct fb_dl_managed_tensor:
        fb_dl_tensor tensor
        void (*deleter)(fb_dl_managed_tensor *self) noexcept nogil

    enum:
        FB_DLPACK_CPU

cdef extern from "fb_pool.hpp" namespace "fb" nogil:
    cdef cppclass Buffer:
        char *data
        fb_dl_managed_tensor tensor

    cdef cppclass Allocator:
        void *(*allocate)(void *context, size_t nbytes) noexcept nogil
        void (*free)(void *context, void *memory, size_t nbytes) noexcept nogil
        void *context

    Allocator default_allocator()

cdef extern from "fb_pool.hpp" namespace "fb::Pool" nogil:
    void release(Buffer *buffer)

cdef extern from "fb_cursor.hpp" namespace "fb" nogil:
    cdef enum class Status:
        kOk
        kEnd
        kBusy
        kFull
        kNotTaken
        kFilling
        kNotFilled
        kNoMemory
        kBadRow
        kClosed

    cdef cppclass CppEngine "fb::Engine":
        CppEngine(vector[const fb_column *] columns, const vector[unsigned] &ndims, unsigned n_spare,
                  Allocator allocator) except +
        void close()
        bint is_closed()
        void count(size_t i, uint64_t *n_live, uint64_t *n_allocated)

    cdef cppclass Batch:
        size_t n
        uint64_t number
        Buffer **buffers

    cdef cppclass Cursor:
        Cursor(CppEngine &engine, const fb_sampler &sampler, void *order, fb_context context, size_t batch_size,
               cbool drop_last, size_t n_tickets) except +
        Status seek(uint64_t position) except +
        void feed(const void *rows, size_t n) except +
        size_t n_waiting()
        Status set_batch_size(size_t batch_size) except +
        size_t batch_size()
        Status take(uint64_t *number) except +
        Status fill(uint64_t number) except +
        Status deliver(Batch &batch) except +
        Status put_back() except +
        Status next(Batch &batch) except +
        Status try_next(Batch &batch) except +
        Status next_small(Batch &batch) except +
        void take_back(const Batch &batch) except +
        void *release_order()
        uint64_t delivered()
        uint64_t bad_row()

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArray_Descr:
        pass

    object PyArray_NewFromDescr(PyTypeObject *subtype, PyArray_Descr *descr, int nd, cnp.npy_intp *dims,
                                cnp.npy_intp *strides, void *data, int flags, PyObject *obj)
    PyTypeObject PyArray_Type

# How often this process was forked from its ancestors: locks from before may be held by threads that are gone.
cdef int GENERATION = 0


def count_fork():
    """To be called in a child after a fork: iterators from before it are refused."""
    global GENERATION
    GENERATION += 1


# Columns of an engine: their buffers are listed on the stack while a batch is handed over.
cdef enum:
    MAX_COLUMNS = 1024

# Idle buffers kept for each column: a loop that drops its batches uses two, one with a few in flight a few more.
cdef enum:
    N_SPARE = 8

# Bytes of a batch for which giving up the GIL (some 40 ns, more when others want it) costs less than it helps others.
cdef size_t RELEASE_NBYTES = 1 << 16


@cython.final
@cython.freelist(64)
@cython.no_gc
cdef class Lease:
    """A hold on one column's buffer: the base of the array over it. Ends with the last view of that array."""

    cdef Buffer *buffer

    def __dealloc__(self):
        if self.buffer != NULL:
            release(self.buffer)


cdef struct Layout:
    # How one column's buffer is handed over. dims[0] is set for each batch.
    int ndim
    cnp.npy_intp *dims
    PyArray_Descr *descr  # the column's
    PyObject *wrap        # NULL: a NumPy array
    fb_dl_type dlpack_type


cdef void end_unused_capsule(object capsule) noexcept:
    """A consumer renames a capsule; one that nobody consumed ends its lease itself."""
    if PyCapsule_IsValid(capsule, "dltensor"):
        tensor = <fb_dl_managed_tensor *>PyCapsule_GetPointer(capsule, "dltensor")
        tensor.deleter(tensor)


@cython.final
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
    allocator : tuple of 3 int, optional
        Addresses of C functions ``void *allocate(void *context, size_t nbytes)`` and ``void free(void *context,
        void *memory, size_t nbytes)``, and the context. Both may be called on any thread, without the GIL.
    """

    cdef CppEngine *engine
    cdef readonly tuple columns
    cdef readonly Structure structure
    cdef tuple wraps
    cdef bint is_flat_tuple  # the structure is a tuple of arrays
    cdef bint is_blocking
    cdef size_t row_nbytes  # of all columns
    cdef uint64_t n_rows    # that every column has
    cdef vector[Layout] layouts
    cdef object __weakref__

    def __cinit__(self, columns, Structure structure not None, wraps, *, allocator=None):
        cdef vector[const fb_column *] native
        cdef vector[unsigned] ndims
        cdef Allocator memory = default_allocator()
        cdef Column column
        self.columns = tuple(columns)
        self.structure = structure
        self.wraps = tuple(wraps)
        self.check_columns()
        self.is_flat_tuple = structure.kind == "tuple" and all(child.kind == "leaf" for child in structure.children)
        for column, wrap in zip(self.columns, self.wraps, strict=True):
            native.push_back(column.column)
            ndims.push_back(1 + len(column.row_shape))
            self.row_nbytes += column.column.row_nbytes
            self.is_blocking = self.is_blocking or column.blocking
            self.add_layout(column, wrap)
        if allocator is not None:
            allocate_address, free_address, context = allocator
            memory.allocate = <void *(*)(void *, size_t) noexcept nogil><uintptr_t>allocate_address
            memory.free = <void (*)(void *, void *, size_t) noexcept nogil><uintptr_t>free_address
            memory.context = <void *><uintptr_t>context
        self.engine = new CppEngine(native, ndims, N_SPARE, memory)

    cdef int check_columns(self) except -1:
        if not 0 < len(self.columns) <= MAX_COLUMNS:
            raise ValueError(f"an engine needs 1 to {MAX_COLUMNS} columns, got {len(self.columns)}")
        for column in self.columns:
            if not isinstance(column, Column) or column.dtype is None:
                raise TypeError(f"columns must be made of arrays, got {column!r}")
        if self.structure.n_leaves != len(self.columns):
            raise ValueError(f"the structure has {self.structure.n_leaves} leaves, got {len(self.columns)} columns")
        lengths = {column.n_rows for column in self.columns} - {None}
        if len(lengths) > 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        self.n_rows = lengths.pop() if lengths else <uint64_t>-1
        return 0

    cdef int add_layout(self, Column column, object wrap) except -1:
        cdef Layout layout
        cdef int axis
        layout.ndim = 1 + len(column.row_shape)
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
        cdef Layout layout
        del self.engine
        for layout in self.layouts:
            PyMem_Free(layout.dims)

    def close(self):
        """Free idle buffers now, leased ones as they come back; iterators end with an error."""
        with nogil:
            self.engine.close()

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.engine.is_closed()

    def buffers(self):
        """(live, allocated) for each column: buffers there are now, and buffers ever made; none once closed."""
        cdef uint64_t n_live = 0, n_allocated = 0
        cdef size_t i
        counts = []
        for i in range(self.layouts.size() if not self.closed else 0):
            with nogil:
                self.engine.count(i, &n_live, &n_allocated)
            counts.append((n_live, n_allocated))
        return counts

    cdef object array(self, Layout *layout, Buffer **slot, size_t n):
        """The NumPy array over the first n rows of the buffer in `slot`, which is NULL once its lease is taken."""
        cdef Lease lease = Lease.__new__(Lease)
        cdef Buffer *buffer = slot[0]
        lease.buffer = buffer
        slot[0] = NULL
        layout.dims[0] = n
        Py_INCREF(<object>layout.descr)
        cdef object array = PyArray_NewFromDescr(&PyArray_Type, layout.descr, layout.ndim, layout.dims, NULL,
                                                 buffer.data, cnp.NPY_ARRAY_CARRAY, NULL)
        Py_INCREF(lease)
        cnp.PyArray_SetBaseObject(array, lease)
        return array

    cdef object tensor(self, Layout *layout, Buffer **slot, size_t n):
        """The framework's tensor over the first n rows of the buffer in `slot`, NULL once its lease is taken."""
        cdef Buffer *buffer = slot[0]
        cdef fb_dl_tensor *tensor = &buffer.tensor.tensor
        cdef int64_t stride = 1
        cdef int axis
        layout.dims[0] = n
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
        """The Python side of a delivered batch: its buffers' leases pass to the arrays."""
        cdef size_t i, n_columns = self.layouts.size()
        cdef tuple leaves
        cdef Layout *layout
        cdef Py_ssize_t at = 0
        cdef object leaf
        try:
            leaves = PyTuple_New(n_columns)
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


@cython.final
@cython.no_gc_clear  # the cursor refers to the engine and the sampler until it is gone
cdef class Batches:
    """The batches of one epoch: an iterator.

    An epoch begins at the first `next`, which calls ``begin(self)``; that calls `open`. Small batches are made with the
    GIL held; large ones, and those read from files, without. Threads may share an iterator: each batch goes to one.

    Attributes
    ----------
    epoch, position : int
        The rows of the epoch before `position` were delivered.
    started : bool
        Whether the epoch has begun.
    finished : bool
        Whether there will be no more batches: the epoch is over, or an error ended it.
    exhausted : bool
        Whether the epoch is over and StopIteration has said so.
    """

    cdef Cursor *cursor
    cdef Engine engine
    cdef Sampler sampler
    cdef object begin
    cdef object feeder
    cdef object feeding   # the lock of whoever feeds the next batch
    cdef size_t fed_size  # of the batch that was fed and not delivered yet
    cdef bint keeps_gil
    cdef int process      # the generation of processes it was made in
    cdef readonly bint finished
    cdef readonly bint exhausted
    cdef readonly uint64_t epoch
    cdef object __weakref__

    def __cinit__(self, Engine engine not None, begin=None):
        self.engine = engine
        self.begin = begin
        self.process = GENERATION

    def __dealloc__(self):
        del self.cursor

    def open(self, Sampler sampler not None, key, uint64_t epoch, uint64_t position, size_t batch_size, *,
             bint drop_last=False, feeder=None, Batches after=None, size_t n_tickets=1):
        """Begin an epoch.

        Parameters
        ----------
        sampler : Sampler
            Of rows that every column has.
        key : tuple of 2 int
            The Loader's root key.
        epoch, position : int
            Where to begin: `position` rows of the epoch are skipped.
        batch_size : int
        drop_last : bool
            Whether a shorter last batch is left out.
        feeder : callable, optional
            For a sampler that is fed: called before each batch, calls `feed`; returns the batch's size, 0 at the end.
        after : Batches, optional
            Batches of the same sampler, exhausted, whose order's memory is used again.
        n_tickets : int
            How many tickets may be out at once.
        """
        if self.cursor != NULL:
            raise RuntimeError("the epoch has begun already")
        if sampler.sampler.n_rows > self.engine.n_rows:
            raise ValueError(f"the sampler draws from {sampler.n} rows, the columns have {self.engine.n_rows}")
        if batch_size < 1 or n_tickets < 1:
            raise ValueError(f"batch_size and n_tickets must be at least 1, got {batch_size} and {n_tickets}")
        cdef fb_context context
        cdef fb_key root = key_from_words(key)
        cdef void *over = NULL
        cdef void *order = NULL
        cdef Cursor *cursor
        context.key[0], context.key[1] = root.word[0], root.word[1]
        context.epoch = epoch
        context.position = 0
        if feeder is None:
            if after is not None and after.exhausted and after.sampler is sampler:
                over = after.cursor.release_order()
            order = sampler.begin(root, epoch, over)
        try:
            cursor = new Cursor(self.engine.engine[0], sampler.sampler[0], order, context, batch_size, drop_last,
                                n_tickets)
        except BaseException:
            if order != NULL:
                sampler.sampler.end(order)
            raise
        if self.cursor != NULL:  # a signal handler was quicker
            del cursor
            return
        self.cursor = cursor
        self.begin = None  # no way back to whoever holds this iterator
        self.sampler = sampler
        self.feeder = feeder
        self.feeding = threading.RLock() if feeder is not None else None
        self.epoch = epoch
        self.keeps_gil = self.is_small(batch_size)
        with nogil:
            cursor.seek(position)

    cdef bint is_small(self, size_t batch_size) noexcept:
        return not self.engine.is_blocking and batch_size <= RELEASE_NBYTES // (self.engine.row_nbytes + 1)

    cdef int require_open(self) except -1:
        if self.cursor == NULL:
            raise RuntimeError("the epoch has not begun: it does at the first next()")
        return 0

    @property
    def started(self):
        return self.cursor != NULL

    @property
    def position(self):
        return self.cursor.delivered() if self.cursor != NULL else 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.finished:
            raise StopIteration
        if self.process != GENERATION:  # before it begins, too: its engine is the parent's
            raise RuntimeError("this iterator was made in the process that was forked; iterate the Loader anew")
        if self.cursor == NULL:
            if self.begin is not None:
                self.begin(self)
            self.require_open()
        cdef object batch
        if self.feeder is None:
            batch = self.step()
        else:
            with self.feeding:
                self.ask_feeder()
                batch = self.step()
                self.fed_size = 0
        if batch is None:
            raise StopIteration
        return batch

    cdef object step(self):
        """The next batch, or None at the end."""
        cdef Buffer *buffers[MAX_COLUMNS]
        cdef Batch batch
        cdef Status status = Status.kBusy
        batch.buffers = buffers
        if self.keeps_gil:
            status = self.cursor.try_next(batch)
            if status == Status.kBusy:
                with nogil:
                    status = self.cursor.next_small(batch)
        else:
            with nogil:
                status = self.cursor.next(batch)
        if status == Status.kOk:
            return self.engine.hand_over(self.cursor, &batch)
        if status == Status.kEnd:
            self.finished = self.exhausted = True
            return None
        self.fail(status)

    cdef int ask_feeder(self) except -1:
        """Has the feeder hand in the next batch, unless the one before it still waits, after a MemoryError."""
        if self.fed_size > 0 or self.finished:
            return 0
        cdef size_t size
        try:
            size = self.feeder(self)
        except BaseException:
            self.finished = True
            raise
        if size > 0:
            self.set_batch_size(size)
        self.fed_size = size
        return 0

    cdef int fail(self, Status status) except -1:
        """Raises what a status stands for. Rows are lost in none of these cases."""
        if status == Status.kNoMemory:
            raise MemoryError(f"no memory for a batch of {self.cursor.batch_size()} rows "
                              f"({self.cursor.batch_size() * self.engine.row_nbytes} bytes)")
        if status == Status.kClosed:
            self.finished = True
            raise RuntimeError("the Loader is closed")
        if status == Status.kBadRow:
            self.finished = True
            raise IndexError(f"row {self.cursor.bad_row()} cannot be read")
        if status == Status.kFilling:
            raise RuntimeError("a ticket is being filled, and cannot be put back")
        if status == Status.kNotTaken:
            raise ValueError("no such ticket is out, or it is being filled, or filled")
        raise RuntimeError("tickets are out: deliver them, or put them back, before the next batch")

    def at(self, uint64_t position):
        """The batch that begins at `position`, whatever was delivered before."""
        cdef Status status
        self.require_open()
        if self.feeder is not None:
            raise RuntimeError("rows that are fed come in one order only")
        with nogil:
            status = self.cursor.seek(position)
        if status != Status.kOk:
            self.fail(status)
        return next(self)

    def feed(self, rows):
        """Hand in rows for the batches to come, from a feeder.

        Parameters
        ----------
        rows : array_like of int
            Checked as `check_rows` does.

        Returns
        -------
        int
            How many they are.
        """
        self.require_open()
        if self.feeder is None:
            raise RuntimeError("the rows of this epoch come from a sampler")
        cdef cnp.ndarray checked = check_rows(rows, self.sampler.sampler.n_rows)
        cdef const void *data = cnp.PyArray_DATA(checked)
        cdef size_t n = cnp.PyArray_SIZE(checked)
        with nogil:
            self.cursor.feed(data, n)
        return n

    @property
    def n_waiting(self):
        """Rows fed and in no batch yet."""
        cdef size_t n
        self.require_open()
        with nogil:
            n = self.cursor.n_waiting()
        return n

    def set_batch_size(self, size_t batch_size):
        """Change the size of the batches to come; tickets that are out are put back."""
        cdef Status status
        self.require_open()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if batch_size == self.cursor.batch_size():
            return
        with nogil:
            status = self.cursor.set_batch_size(batch_size)
        if status != Status.kOk:
            self.fail(status)
        self.keeps_gil = self.is_small(batch_size)

    def take(self):
        """Draw the rows of the next ticket.

        Returns
        -------
        int or None
            The ticket's number, for `fill`; None when no rows are left, or as many tickets as there may be are out.
        """
        cdef uint64_t number = 0
        cdef Status status
        self.require_open()
        with nogil:
            status = self.cursor.take(&number)
        if status == Status.kEnd or status == Status.kFull:
            return None
        if status != Status.kOk:
            self.fail(status)
        return number

    def fill(self, uint64_t number):
        """Fill a ticket that `take` gave, on any thread, without the GIL."""
        cdef Status status
        self.require_open()
        with nogil:
            status = self.cursor.fill(number)
        if status != Status.kOk:
            self.fail(status)

    def deliver(self):
        """The next batch in order, or None while it is not filled."""
        cdef Buffer *buffers[MAX_COLUMNS]
        cdef Batch batch
        cdef Status status
        self.require_open()
        batch.buffers = buffers
        with nogil:
            status = self.cursor.deliver(batch)
        if status != Status.kOk:
            return None
        return self.engine.hand_over(self.cursor, &batch)

    def put_back(self):
        """Return the rows of tickets that are out, in order. None of them may be being filled."""
        cdef Status status
        self.require_open()
        with nogil:
            status = self.cursor.put_back()
        if status != Status.kOk:
            self.fail(status)
