// Buffers and their leases.
//
// A batch belongs to whoever holds it: a buffer is handed out with a lease, which the array or tensor over it holds (and
// counts its own views), and comes back when that is gone. A release is a lock-free push, without Python, because
// frameworks release on any thread, without the GIL, after finalisation.
#ifndef FB_POOL_HPP
#define FB_POOL_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "fb_dlpack.h"

namespace fb {

// Where the memory of buffers comes from. Both functions may be called on any thread, without the GIL.
struct Allocator {
    void *(*allocate)(void *context, std::size_t nbytes);  // 64-byte aligned, or nullptr
    void (*free)(void *context, void *memory, std::size_t nbytes);
    void *context;
};

Allocator default_allocator();

class Pool;

struct alignas(64) Buffer {
    Pool *pool;
    char *data;
    std::size_t nbytes;           // capacity
    Buffer *next;                 // in a list of free buffers
    fb_dl_managed_tensor tensor;  // what a consumer of DLPack gets; its deleter ends the lease
    std::int64_t *shape;          // (ndim,) of the tensor, then (ndim,) strides
};

// The buffers of one column. Lives until its owner has closed it and the last buffer is back.
class Pool {
  public:
    // Up to `keep` idle buffers (at most 62) stay for reuse.
    static Pool *create(unsigned ndim, unsigned keep, Allocator allocator) noexcept;

    // A buffer of at least `nbytes`, leased, or nullptr without memory. One caller at a time.
    Buffer *acquire(std::size_t nbytes) noexcept;

    // Ends the lease on a buffer: once, on any thread.
    static void release(Buffer *buffer) noexcept { buffer->pool->take_back(buffer); }

    // The owner's last call. Leased buffers live on and are freed as they come back.
    void close() noexcept;

    std::uint64_t n_live() const noexcept { return references_.load(std::memory_order_relaxed) - 1; }
    std::uint64_t n_allocated() const noexcept { return allocated_.load(std::memory_order_relaxed); }
    std::uint64_t live_nbytes() const noexcept { return live_nbytes_.load(std::memory_order_relaxed); }
    // Buffers that wait for reuse.
    std::uint64_t n_idle() const noexcept { return idle_.load(std::memory_order_relaxed) & (alignof(Buffer) - 1); }

  private:
    Pool(unsigned ndim, unsigned keep, Allocator allocator) noexcept;
    Buffer *pop() noexcept;
    Buffer *allocate(std::size_t nbytes) noexcept;
    void destroy(Buffer *buffer) noexcept;
    void take_back(Buffer *buffer) noexcept;
    void drop_reference() noexcept;

    const Allocator allocator_;
    const unsigned ndim_;
    const unsigned keep_;
    std::size_t largest_ = 0;   // asked for so far: buffers are made this large, so that sizes that vary settle
    std::atomic<std::uint64_t> references_{1};  // the owner and every live buffer
    std::atomic<std::uint64_t> allocated_{0}, live_nbytes_{0};
    // Head of the list of idle buffers; the low 6 bits, free by alignment, count them. Pushed by anyone, popped by one at
    // a time: so no ABA.
    alignas(64) std::atomic<std::uintptr_t> idle_{0};
};

}  // namespace fb

#endif
