"""The C++ layer of the engine, as csrc/ declares it: see the headers for what each function needs and promises."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from fastbatch._native.c cimport fb_column, fb_context, fb_sampler


cdef extern from "fb_dlpack.h" nogil:
    cdef struct fb_dl_device:
        int device_type
        int device_id

    cdef struct fb_dl_type:
        uint8_t code
        uint8_t bits
        uint16_t lanes

    cdef struct fb_dl_tensor:
        void *data
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

cdef extern from "fb_shelf.hpp" namespace "fb" nogil:
    cdef cppclass CppShelf "fb::Shelf":
        CppShelf() except +
        void lend(void *memory, size_t nbytes) except +
        void recall(void *memory)
        vector[void *] clear() except +
        size_t take_wanted()
        void close()

cdef extern from "fb_shelf.hpp" namespace "fb::Shelf" nogil:
    void *shelf_allocate "fb::Shelf::allocate"(void *shelf, size_t nbytes)
    void shelf_free "fb::Shelf::free"(void *shelf, void *memory, size_t nbytes)

cdef extern from "fb_meter.hpp" namespace "fb" nogil:
    int64_t now()

    cdef cppclass Counts:
        uint64_t n_epochs
        uint64_t n_batches
        uint64_t n_rows
        uint64_t n_bytes
        uint64_t n_ready
        int64_t fill_ns
        int64_t wait_ns
        int64_t elapsed_ns

cdef extern from "fb_pace.hpp" namespace "fb::Pace" nogil:
    cdef cppclass Cost:
        double period
        double wait

    cdef enum class Policy:
        kNever
        kAlways
        kMeasured

cdef extern from "fb_engine.hpp" namespace "fb::Engine" nogil:
    cdef cppclass Slots:
        uint64_t n_live
        uint64_t n_idle
        uint64_t n_allocated
        uint64_t live_nbytes

    cdef cppclass Report:
        Counts counts
        size_t n_tickets
        size_t n_threads
        cbool fills_ahead
        uint64_t n_trials
        Cost with_threads "with"
        Cost without

cdef extern from "fb_engine.hpp" namespace "fb" nogil:
    cdef cppclass CppEngine "fb::Engine":
        CppEngine(vector[const fb_column *] columns, const vector[unsigned] &ndims,
                  const vector[Allocator] &allocators, unsigned n_spare, size_t n_threads, size_t n_ahead,
                  Policy policy, cbool reads_files) except +
        void close()
        cbool is_closed()
        void stop_threads()
        cbool take_refusal()
        size_t n_ahead()
        Slots slots(size_t i)
        Report report(cbool reset)

cdef extern from "fb_prioritized.hpp" namespace "fb" nogil:
    cdef cppclass Update:
        uint64_t due
        uint64_t row
        double value

    cdef cppclass CppPrioritized "fb::Prioritized":
        CppPrioritized(const double *weights, uint64_t n_rows, uint64_t n_drawn, double exponent,
                       size_t n_late) except +
        void update(const uint32_t *rows, const double *values, size_t n) except +
        void update_exponent(double exponent) except +
        void save(double *weights, double *exponent, vector[Update] &pending) except +
        void load(const double *weights, double exponent, const vector[Update] &pending) except +
        double exponent()
        uint64_t digest()
        void hold()
        void release()

cdef extern from "fb_share.hpp" namespace "fb" nogil:
    cdef cppclass Share:
        Share(uint64_t rank, uint64_t n_ranks, uint64_t unit, cbool is_exact)

cdef extern from "fb_cursor.hpp" namespace "fb" nogil:
    cdef enum class Status:
        kOk
        kEnd
        kHungry
        kBusy
        kFull
        kUnprepared
        kNotTaken
        kNotFilled
        kPatience
        kNoMemory
        kBadRow
        kClosed
        kAllZero
        kSuperseded

    cdef cppclass Batch:
        size_t n
        uint64_t number
        uint64_t position
        uint64_t end
        Buffer **buffers

    cdef cppclass Refusal:
        uint64_t row
        size_t column

    cdef cppclass Cursor:
        Cursor(CppEngine &engine, const fb_sampler &sampler, void *order, fb_context context, size_t batch_size,
               Share share, cbool drop_last, cbool is_helped, int64_t began) except +
        void seek(uint64_t position) except +
        void feed(const void *rows, size_t n) except +
        void feed_batch(const void *rows, size_t n, uint64_t position) except +
        void feed_batch(const void *rows, size_t n) except +
        void end_feed()
        cbool forget_fed() except +
        size_t n_waiting()
        uint64_t n_delivered()
        cbool is_hungry()
        void set_batch_size(size_t batch_size) except +
        size_t batch_size()
        Status next(Batch &batch)
        Status try_next(Batch &batch, size_t n_quick)
        void take_back(const Batch &batch) except +
        Status take(uint64_t *number) except +
        Status fill(uint64_t number)
        Status deliver(Batch &batch)
        void put_back() except +
        void cancel()
        cbool try_cancel()
        Status hand_on(Cursor **successor, void **order, cbool waits)
        void take_over(void *order, int64_t began)
        uint64_t delivered()
        Refusal refusal()
        uint64_t epoch()
