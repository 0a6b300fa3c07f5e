// Tickets: WHEN and WHERE batches are made.
//
// An engine owns the slots: one pool of buffers per column. A cursor is one pass over one epoch. Taking a ticket draws
// the rows of the next batch under the engine's one short lock; after that any thread may fill it; tickets are
// delivered in order. Neither knows what a row means.
#ifndef FB_CURSOR_HPP
#define FB_CURSOR_HPP

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "fb_pool.hpp"

extern "C" {
#include "fb_column.h"
#include "fb_sampler.h"
}

namespace fb {

enum class Status {
    kOk,
    kEnd,        // no rows are left
    kFull,       // every ticket is out: deliver first
    kNotFilled,  // the next ticket in order is not filled yet
    kNoMemory,
    kBadRow,     // a column refused a row
    kClosed,     // the engine was closed
};

class Engine {
  public:
    // `n_spare` idle buffers are kept for each column.
    Engine(std::vector<const fb_column *> columns, const std::vector<unsigned> &ndims, unsigned n_spare,
           Allocator allocator);
    ~Engine();
    Engine(const Engine &) = delete;
    Engine &operator=(const Engine &) = delete;

    // Idle buffers are freed now, leased ones as they come back; no ticket is taken from here on.
    void close() noexcept;
    bool is_closed() const noexcept { return pools_.empty() && !columns_.empty(); }

    std::size_t n_columns() const noexcept { return columns_.size(); }
    const fb_column *column(std::size_t i) const noexcept { return columns_[i]; }
    const Pool *pool(std::size_t i) const noexcept { return pools_[i]; }  // not after close()

    // A buffer of every column for n rows. Under the lock.
    bool acquire(std::size_t n, std::vector<Buffer *> &buffers) noexcept;

    std::mutex mutex;

  private:
    const std::vector<const fb_column *> columns_;
    std::vector<Pool *> pools_;
};

struct Ticket {
    std::uint64_t number = 0;
    std::uint64_t position = 0;  // of the first row in the epoch's global order
    std::size_t n = 0;
    std::size_t n_ahead = 0;
    std::size_t n_warm = 0;
    const char *rows = nullptr;     // (n + n_ahead, row width): in `own_rows`, or in the cursor's window
    std::vector<char> own_rows;
    std::vector<Buffer *> buffers;  // one per column; whoever takes a delivered ticket's buffers clears them
    std::uint64_t bad_row = 0;
    std::atomic<bool> filled{false};
};

class Cursor {
  public:
    // Rows come from `order`, an epoch's state of `sampler` that the cursor ends; or, with order == nullptr, from
    // feed(). `n_tickets` may be out at once.
    Cursor(Engine &engine, const fb_sampler &sampler, void *order, fb_context context, std::size_t batch_size,
           bool drop_last, std::size_t n_tickets);
    ~Cursor();
    Cursor(const Cursor &) = delete;
    Cursor &operator=(const Cursor &) = delete;

    // Where the next ticket begins, while the end has not been reached; tickets that are out are put back first.
    void seek(std::uint64_t position);

    // More rows for a cursor without an order, (n,) of the row width.
    void feed(const void *rows, std::size_t n);
    std::size_t n_waiting() const noexcept { return tail_ - head_; }

    // Draws the next ticket's rows: `batch_size` of them, or as many as are left.
    Status take(Ticket **ticket);
    // Any thread; not under the lock. Of a ticket that take() gave and nobody has filled.
    Status fill(Ticket *ticket) noexcept;
    // The next ticket in order, if it is filled: its buffers are the caller's, before the next take().
    Status deliver(Ticket **ticket);
    // Tickets that are out and not delivered are put back in order: none of their rows is lost.
    void put_back();

    // take, fill and deliver at once, with no other ticket out. Callers from several threads wait for each other.
    Status next(Ticket **ticket);
    // The same for batches so small that the lock, which the caller holds, may as well be kept.
    Status next_locked(Ticket **ticket);
    // The ticket delivered last could not be handed over: its rows come again.
    void take_back();

    // The order of an epoch that is over, for the next one to use its memory; the cursor keeps the rows it has drawn.
    void *release_order() noexcept;

    // Rows of the epoch before the first that was not delivered.
    std::uint64_t delivered() const noexcept { return delivered_.load(std::memory_order_relaxed); }
    std::size_t batch_size() const noexcept { return batch_size_; }
    void set_batch_size(std::size_t batch_size);

  private:
    Status take_locked(Ticket **ticket, bool keeps_lock);
    Status deliver_locked(Ticket **ticket);
    Status draw(Ticket &ticket, bool keeps_lock);
    void note_warm(Ticket &ticket) noexcept;
    void refill(std::size_t wanted);
    void prepare(std::uint64_t position, std::size_t n);
    void put_back_locked();

    Engine &engine_;
    const fb_sampler &sampler_;
    void *order_;  // nullptr: fed, or released
    const std::size_t row_width_;
    std::vector<bool> prepared_;  // units of the order
    fb_context context_;
    std::size_t batch_size_;
    const bool drop_last_;

    std::vector<char> window_;   // rows drawn and in no ticket: [head_, tail_)
    std::size_t head_ = 0, tail_ = 0;
    std::uint64_t position_ = 0;  // of the window's first row in the epoch
    std::atomic<std::uint64_t> delivered_{0};
    std::uint64_t warm_until_ = 0;  // rows before this position were prefetched by next()

    std::vector<Ticket> tickets_;  // ticket number k stands at k % size
    std::uint64_t n_taken_ = 0, n_delivered_ = 0;
    std::mutex serial_;  // held by whoever is in next()
};

}  // namespace fb

#endif
