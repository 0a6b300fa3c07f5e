"""Tickets, slots and leases behind an iterator. See csrc/fb_pool.hpp and csrc/fb_cursor.hpp for what does the work."""

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

    cdef cppclass Pool:
        uint64_t n_live()
        uint64_t n_allocated()

    cdef cppclass Allocator:
        void *(*allocate)(void *context, size_t nbytes) noexcept nogil
        void (*free)(void *context, void *memory, size_t nbytes) noexcept nogil
        void *context

    Allocator default_allocator()

cdef extern from "fb_pool.hpp" namespace "fb::Pool" nogil:
    void release(Buffer *buffer)

cdef extern from "<mutex>" namespace "std" nogil:
    cdef cppclass mutex:
        void lock() except +
        bint try_lock()
        void unlock()

cdef extern from "fb_cursor.hpp" namespace "fb" nogil:
    cdef enum class Status:
        kOk
        kEnd
        kFull
        kNotFilled
        kNoMemory
        kBadRow
        kClosed

    cdef cppclass CppEngine "fb::Engine":
        CppEngine(vector[const fb_column *] columns, const vector[unsigned] &ndims, unsigned n_spare,
                  Allocator allocator) except +
        void close()
        bint is_closed()
        Pool *pool(size_t i)
        mutex lock "mutex"

    cdef cppclass Ticket:
        uint64_t number
        uint64_t position
        size_t n
        vector[Buffer *] buffers
        uint64_t bad_row

    cdef cppclass Cursor:
        Cursor(CppEngine &engine, const fb_sampler &sampler, void *order, fb_context context, size_t batch_size,
               cbool drop_last, size_t n_tickets) except +
        void seek(uint64_t position) except +
        void feed(const void *rows, size_t n) except +
        size_t n_waiting()
        Status take(Ticket **ticket) except +
        Status fill(Ticket *ticket)
        Status deliver(Ticket **ticket) except +
        void put_back() except +
        Status next(Ticket **ticket) except +
        Status next_locked(Ticket **ticket) except +
        void take_back() except +
        void *release_order()
        uint64_t delivered()
        size_t batch_size()
        void set_batch_size(size_t batch_size) except +

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArray_Descr:
        pass

    object PyArray_NewFromDescr(PyTypeObject *subtype, PyArray_Descr *descr, int nd, cnp.npy_intp *dims,
                                cnp.npy_intp *strides, void *data, int flags, PyObject *obj)
    PyTypeObject PyArray_Type

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
    cdef vector[Layout] layouts
    cdef object __weakref__

    def __cinit__(self, columns, Structure structure not None, wraps, *, allocator=None):
        cdef vector[const fb_column *] native
        cdef vector[unsigned] ndims
        cdef Allocator memory = default_allocator()
        cdef Column column
        cdef Layout layout
        cdef int axis
        self.columns = tuple(columns)
        self.structure = structure
        self.is_flat_tuple = structure.kind == "tuple" and all(child.kind == "leaf" for child in structure.children)
        self.wraps = tuple(wraps)
        for column, wrap in zip(self.columns, self.wraps, strict=True):
            native.push_back(column.column)
            ndims.push_back(1 + len(column.row_shape))
            self.row_nbytes += column.column.row_nbytes
            self.is_blocking = self.is_blocking or column.blocking
            layout.ndim = 1 + len(column.row_shape)
            layout.descr = <PyArray_Descr *>column.dtype
            layout.wrap = NULL
            layout.dims = <cnp.npy_intp *>PyMem_Malloc(layout.ndim * sizeof(cnp.npy_intp))
            if layout.dims == NULL:
                raise MemoryError
            self.layouts.push_back(layout)
            for axis in range(1, layout.ndim):
                layout.dims[axis] = column.row_shape[axis - 1]
            if wrap is not None:
                self.layouts.back().wrap = <PyObject *>wrap
                code, bits, lanes = column.dlpack_type
                self.layouts.back().dlpack_type = fb_dl_type(code, bits, lanes)
        if allocator is not None:
            allocate_address, free_address, context = allocator
            memory.allocate = <void *(*)(void *, size_t) noexcept nogil><uintptr_t>allocate_address
            memory.free = <void (*)(void *, void *, size_t) noexcept nogil><uintptr_t>free_address
            memory.context = <void *><uintptr_t>context
        self.engine = new CppEngine(native, ndims, N_SPARE, memory)

    def __dealloc__(self):
        cdef Layout layout
        del self.engine
        for layout in self.layouts:
            PyMem_Free(layout.dims)

    def close(self):
        """Free idle buffers now, leased ones as they come back; iterators end with an error."""
        if not self.engine.lock.try_lock():
            with nogil:
                self.engine.lock.lock()
        self.engine.close()
        self.engine.lock.unlock()

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.engine.is_closed()

    def buffers(self):
        """(live, allocated) for each column: buffers there are now, and buffers ever made."""
        if self.engine.is_closed():
            return []
        return [(self.engine.pool(i).n_live(), self.engine.pool(i).n_allocated()) for i in range(len(self.columns))]

    cdef object array(self, size_t i, Buffer *buffer, size_t n):
        """The NumPy array over the first n rows of a buffer, under a lease of its own."""
        cdef Lease lease = Lease.__new__(Lease)
        cdef Layout *layout = &self.layouts[i]
        lease.buffer = buffer
        layout.dims[0] = n
        Py_INCREF(<object>layout.descr)
        cdef object array = PyArray_NewFromDescr(&PyArray_Type, layout.descr, layout.ndim, layout.dims, NULL,
                                                 buffer.data, cnp.NPY_ARRAY_CARRAY, NULL)
        Py_INCREF(lease)
        cnp.PyArray_SetBaseObject(array, lease)
        return array

    cdef object tensor(self, size_t i, Buffer *buffer, size_t n):
        """The framework's tensor over the first n rows of a buffer, which holds the lease."""
        cdef Layout *layout = &self.layouts[i]
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
        try:
            capsule = PyCapsule_New(&buffer.tensor, "dltensor", <void (*)(object) noexcept>end_unused_capsule)
        except BaseException:
            release(buffer)
            raise
        return (<object>layout.wrap)(capsule)

    cdef object hand_over(self, Cursor *cursor, Ticket *ticket):
        """The batch of a delivered ticket: its buffers' leases pass to the arrays."""
        cdef size_t i, n_columns = ticket.buffers.size()
        cdef tuple leaves = PyTuple_New(n_columns)
        cdef Py_ssize_t at = 0
        cdef object leaf
        cdef Buffer *buffer
        try:
            for i in range(n_columns):
                buffer = ticket.buffers[i]
                ticket.buffers[i] = NULL
                if self.layouts[i].wrap == NULL:
                    leaf = self.array(i, buffer, ticket.n)
                else:
                    leaf = self.tensor(i, buffer, ticket.n)
                Py_INCREF(leaf)
                PyTuple_SET_ITEM(leaves, i, leaf)
        except BaseException:
            cursor.take_back()
            raise
        ticket.buffers.clear()
        return leaves if self.is_flat_tuple else self.structure.build(leaves, &at)


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
    cdef bint keeps_gil
    cdef readonly bint finished
    cdef readonly bint exhausted
    cdef readonly uint64_t epoch
    cdef object __weakref__

    def __cinit__(self, Engine engine not None, begin=None):
        self.engine = engine
        self.begin = begin

    def __dealloc__(self):
        del self.cursor

    def open(self, Sampler sampler not None, key, uint64_t epoch, uint64_t position, size_t batch_size, *,
             bint drop_last=False, feeder=None, Batches after=None, size_t n_tickets=1):
        """Begin an epoch.

        Parameters
        ----------
        sampler : Sampler
        key : tuple of 2 int
            The Loader's root key.
        epoch, position : int
            Where to begin: `position` rows of the epoch are skipped.
        batch_size : int
        drop_last : bool
            Whether a shorter last batch is left out.
        feeder : callable, optional
            For a sampler that is fed: called before each batch, calls `feed`; returns the batch's size, or 0 at the
            end.
        after : Batches, optional
            Batches of the same sampler, exhausted, whose order's memory is used again.
        n_tickets : int
            How many tickets may be out at once.
        """
        if self.cursor != NULL:
            raise RuntimeError("the epoch has begun already")
        cdef fb_context context
        cdef fb_key root = key_from_words(key)
        cdef void *over = NULL
        cdef void *order = NULL
        context.key[0], context.key[1] = root.word[0], root.word[1]
        context.epoch = epoch
        context.position = 0
        if feeder is None:
            if after is not None and after.exhausted and after.sampler is sampler:
                over = after.cursor.release_order()
            order = sampler.begin(root, epoch, over)
        # From here on the cursor ends the order.
        self.cursor = new Cursor(self.engine.engine[0], sampler.sampler[0], order, context, batch_size, drop_last,
                                 n_tickets)
        self.sampler = sampler
        self.feeder = feeder
        self.epoch = epoch
        self.keeps_gil = batch_size * self.engine.row_nbytes < RELEASE_NBYTES and not self.engine.is_blocking
        self.cursor.seek(position)

    @property
    def started(self):
        return self.cursor != NULL

    @property
    def position(self):
        return self.cursor.delivered() if self.cursor != NULL else 0

    def __iter__(self):
        return self

    def __next__(self):
        cdef Ticket *ticket = NULL
        cdef Status status
        if self.finished:
            raise StopIteration
        if self.cursor == NULL:
            self.begin(self)
        if self.feeder is not None:
            self.ask_feeder()
        if self.keeps_gil:
            if not self.engine.engine.lock.try_lock():
                with nogil:
                    self.engine.engine.lock.lock()
            try:
                status = self.cursor.next_locked(&ticket)
            finally:
                self.engine.engine.lock.unlock()
        else:
            with nogil:
                status = self.cursor.next(&ticket)
        if status == Status.kOk:
            return self.engine.hand_over(self.cursor, ticket)
        if status == Status.kEnd:
            self.finished = self.exhausted = True
            raise StopIteration
        self.stop(status, ticket)

    cdef int ask_feeder(self) except -1:
        cdef size_t size
        try:
            size = self.feeder(self)
        except BaseException:
            self.finished = True
            raise
        if size > 0:
            self.cursor.set_batch_size(size)
        return 0

    cdef int stop(self, Status status, Ticket *ticket) except -1:
        """Raises what a status stands for. Rows are lost in none of these cases."""
        if status == Status.kNoMemory:
            raise MemoryError(f"no memory for a batch of {self.cursor.batch_size()} rows "
                              f"({self.cursor.batch_size() * self.engine.row_nbytes} bytes)")
        if status == Status.kClosed:
            self.finished = True
            raise RuntimeError("the Loader is closed")
        if status == Status.kBadRow:
            self.finished = True
            raise IndexError(f"row {ticket.bad_row} cannot be read")
        raise RuntimeError("tickets are out: deliver them, or put them back, before the next batch")

    def at(self, uint64_t position):
        """The batch that begins at `position`, whatever was delivered before."""
        self.cursor.seek(position)
        return next(self)

    def feed(self, rows):
        """Hand in rows, of the sampler's width and checked, for the batches to come."""
        cdef cnp.ndarray array = rows
        self.cursor.feed(cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array))

    @property
    def n_waiting(self):
        """Rows fed and in no batch yet."""
        return self.cursor.n_waiting()

    def set_batch_size(self, size_t batch_size):
        """Change the size of the batches to come; tickets that are out are put back."""
        self.cursor.set_batch_size(batch_size)

    def take(self):
        """Draw the rows of the next ticket.

        Returns
        -------
        int or None
            A handle for `fill`; None when no rows are left, or as many tickets as there may be are out.
        """
        cdef Ticket *ticket = NULL
        cdef Status status
        with nogil:
            status = self.cursor.take(&ticket)
        if status == Status.kEnd or status == Status.kFull:
            return None
        if status != Status.kOk:
            self.stop(status, ticket)
        return <uintptr_t>ticket

    def fill(self, uintptr_t handle):
        """Fill a ticket that `take` gave, on any thread, without the GIL."""
        cdef Ticket *ticket = <Ticket *>handle
        cdef Status status
        with nogil:
            status = self.cursor.fill(ticket)
        if status != Status.kOk:
            self.stop(status, ticket)

    def deliver(self):
        """The next batch in order, or None while it is not filled."""
        cdef Ticket *ticket = NULL
        cdef Status status
        with nogil:
            status = self.cursor.deliver(&ticket)
        if status != Status.kOk:
            return None
        return self.engine.hand_over(self.cursor, ticket)

    def put_back(self):
        """Return the rows of tickets that are out, in order. None of them may be being filled."""
        with nogil:
            self.cursor.put_back()
