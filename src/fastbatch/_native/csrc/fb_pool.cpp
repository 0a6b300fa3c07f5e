#include "fb_memory.h"  // first: see there

#include "fb_pool.hpp"

#include <new>

namespace fb {

namespace {

constexpr std::uintptr_t kCountMask = alignof(Buffer) - 1;

// A list that looks overfull to whoever returns a buffer: it is freed instead. So nobody who has pushed a buffer, and
// with it the reference that kept the pool alive, needs to look at the pool again.
constexpr std::uintptr_t kClosed = kCountMask;

Buffer *buffer_of(std::uintptr_t word) { return reinterpret_cast<Buffer *>(word & ~kCountMask); }

void *allocate_memory(void *, std::size_t nbytes) { return fb_allocate(nbytes); }

void free_memory(void *, void *memory, std::size_t) { fb_free(memory); }

void end_lease(fb_dl_managed_tensor *self) { Pool::release(static_cast<Buffer *>(self->manager)); }

}  // namespace

Allocator default_allocator() { return {allocate_memory, free_memory, nullptr}; }

Pool::Pool(unsigned ndim, unsigned keep, Allocator allocator) noexcept
    : allocator_(allocator), ndim_(ndim), keep_(keep < kCountMask ? keep : kCountMask - 1) {}

Pool *Pool::create(unsigned ndim, unsigned keep, Allocator allocator) noexcept {
    return new (std::nothrow) Pool(ndim, keep, allocator);
}

Buffer *Pool::allocate(std::size_t nbytes) noexcept {
    Buffer *buffer = new (std::nothrow) Buffer();
    if (buffer == nullptr) return nullptr;
    buffer->shape = new (std::nothrow) std::int64_t[2 * ndim_ + 1];
    buffer->data = static_cast<char *>(allocator_.allocate(allocator_.context, nbytes));
    if (buffer->shape == nullptr || buffer->data == nullptr) {
        if (buffer->data != nullptr) allocator_.free(allocator_.context, buffer->data, nbytes);
        delete[] buffer->shape;
        delete buffer;
        return nullptr;
    }
    buffer->pool = this;
    buffer->nbytes = nbytes;
    buffer->tensor.manager = buffer;
    buffer->tensor.deleter = end_lease;
    buffer->tensor.tensor.data = buffer->data;
    buffer->tensor.tensor.shape = buffer->shape;
    buffer->tensor.tensor.strides = buffer->shape + ndim_;
    references_.fetch_add(1, std::memory_order_relaxed);
    allocated_.fetch_add(1, std::memory_order_relaxed);
    live_nbytes_.fetch_add(nbytes, std::memory_order_relaxed);
    return buffer;
}

void Pool::destroy(Buffer *buffer) noexcept {
    live_nbytes_.fetch_sub(buffer->nbytes, std::memory_order_relaxed);
    allocator_.free(allocator_.context, buffer->data, buffer->nbytes);
    delete[] buffer->shape;
    delete buffer;
    drop_reference();
}

void Pool::drop_reference() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

// The buffer that came back last, which is likeliest to be in a cache still. Nobody else takes buffers from the list, so
// what is at its head stays where it is until then.
Buffer *Pool::pop() noexcept {
    std::uintptr_t head = idle_.load(std::memory_order_acquire), word = 0;
    do {
        if (buffer_of(head) == nullptr) return nullptr;
        Buffer *next = buffer_of(head)->next;
        word = next == nullptr ? 0 : reinterpret_cast<std::uintptr_t>(next) | ((head & kCountMask) - 1);
    } while (!idle_.compare_exchange_weak(head, word, std::memory_order_acquire, std::memory_order_acquire));
    return buffer_of(head);
}

Buffer *Pool::acquire(std::size_t nbytes) noexcept {
    Buffer *found = pop();
    while (found != nullptr && found->nbytes < nbytes) {  // from before batches grew
        destroy(found);
        found = pop();
    }
    if (found == nullptr) {
        // Sizes that vary settle when small buffers can be used for the larger batches to come: but not at any price.
        const std::size_t roomy = largest_ > nbytes && largest_ / 2 <= nbytes ? largest_ : nbytes;
        found = allocate(roomy > 0 ? roomy : 1);
        if (found == nullptr && roomy > nbytes) found = allocate(nbytes > 0 ? nbytes : 1);
    }
    if (found == nullptr) return nullptr;
    if (nbytes > largest_) largest_ = nbytes;
    return found;
}

void Pool::take_back(Buffer *buffer) noexcept {
    std::uintptr_t head = idle_.load(std::memory_order_relaxed), word = 0;
    do {
        if ((head & kCountMask) >= keep_) {
            destroy(buffer);
            return;
        }
        buffer->next = buffer_of(head);
        word = reinterpret_cast<std::uintptr_t>(buffer) | ((head & kCountMask) + 1);
    } while (!idle_.compare_exchange_weak(head, word, std::memory_order_release, std::memory_order_relaxed));
}

void Pool::close() noexcept {
    Buffer *buffer = buffer_of(idle_.exchange(kClosed, std::memory_order_acquire));
    while (buffer != nullptr) {
        Buffer *next = buffer->next;
        destroy(buffer);
        buffer = next;
    }
    drop_reference();
}

}  // namespace fb
