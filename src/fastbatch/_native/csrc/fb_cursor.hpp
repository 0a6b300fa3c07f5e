// Tickets: WHEN and WHERE batches are made.
//
// An engine owns the slots: one pool of buffers per column. A cursor is one pass over one epoch. Taking a ticket draws
// the rows of the next batch under the engine's one short lock; after that any thread may fill it; tickets are
// delivered in order. Neither knows what a row means.
//
// Nothing here takes the GIL, so that a caller may hold it only where it does not wait: in try_next().
#ifndef FB_CURSOR_HPP
#define FB_CURSOR_HPP

#include <cstdint>
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
    kBusy,       // somebody else holds the lock
    kFull,       // tickets are out, as many as there may be
    kNotTaken,   // no such ticket is out, or somebody fills or has filled it
    kFilling,    // a ticket is being filled, and cannot be put back
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
    bool is_closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

    std::size_t n_columns() const noexcept { return columns_.size(); }
    const fb_column *column(std::size_t i) const noexcept { return columns_[i]; }

    // Buffers of a column there are, and buffers ever made; 0 once closed.
    void count(std::size_t i, std::uint64_t *n_live, std::uint64_t *n_allocated) noexcept;

  private:
    friend class Cursor;

    bool acquire(std::size_t n, std::vector<Buffer *> &buffers) noexcept;

    std::mutex mutex_;
    const std::vector<const fb_column *> columns_;
    std::vector<Pool *> pools_;  // empty once closed
    std::atomic<bool> closed_{false};
};

// What a delivered ticket held: the leases are the receiver's.
struct Batch {
    std::size_t n = 0;
    std::uint64_t number = 0;
    Buffer **buffers = nullptr;  // the receiver's array, with room for one per column
};

class Cursor {
  public:
    // Rows come from `order`, an epoch's state of `sampler` that the cursor ends; or, with order == nullptr, from
    // feed(). `n_tickets` > 0 may be out at once.
    Cursor(Engine &engine, const fb_sampler &sampler, void *order, fb_context context, std::size_t batch_size,
           bool drop_last, std::size_t n_tickets);
    ~Cursor();
    Cursor(const Cursor &) = delete;
    Cursor &operator=(const Cursor &) = delete;

    // The next batch begins at `position`, whose unit is prepared now. Tickets that are out are dropped.
    Status seek(std::uint64_t position);

    // More rows for a cursor without an order, (n,) of the row width.
    void feed(const void *rows, std::size_t n);
    std::size_t n_waiting() noexcept;

    // Tickets that are out are put back first.
    Status set_batch_size(std::size_t batch_size);
    std::size_t batch_size() const noexcept { return batch_size_.load(std::memory_order_relaxed); }

    // Draws the next ticket's rows: `batch_size` of them, or as many as are left.
    Status take(std::uint64_t *number);
    // Any thread, any ticket that take() gave and nobody has filled.
    Status fill(std::uint64_t number);
    // The next ticket in order, if it is filled.
    Status deliver(Batch &batch);
    // Tickets that are out and not delivered are put back in order: none of their rows is lost.
    Status put_back();

    // take, fill and deliver at once, with no ticket out. Callers from several threads wait for each other.
    Status next(Batch &batch);
    // The same for batches so small that the lock may as well be kept; kBusy instead of waiting for it.
    Status try_next(Batch &batch);
    // The same, waiting.
    Status next_small(Batch &batch);
    // A batch could not be handed over, and its buffers are released: its rows come again. Not when later tickets are
    // out or delivered, which would have to come before them.
    void take_back(const Batch &batch);

    // The order of an epoch that is over, for the next one to use its memory; the cursor keeps the rows it has drawn.
    void *release_order() noexcept;

    // Rows of the epoch before the first that was not delivered.
    std::uint64_t delivered() const noexcept { return delivered_.load(std::memory_order_relaxed); }
    // The row that a column refused last.
    std::uint64_t bad_row() const noexcept { return bad_row_.load(std::memory_order_relaxed); }

  private:
    enum class State { kFree, kTaken, kFilling, kFilled };

    struct Ticket {
        State state = State::kFree;
        std::uint64_t position = 0;  // of the first row in the epoch's global order
        std::size_t n = 0;
        std::size_t n_ahead = 0;
        std::size_t n_warm = 0;
        const char *rows = nullptr;  // (n + n_ahead, row width): in `own_rows`, or in the cursor's window
        std::vector<char> own_rows;
        std::vector<Buffer *> buffers;  // one per column, until they are delivered
    };

    Ticket &ticket(std::uint64_t number) noexcept { return tickets_[number % tickets_.size()]; }
    Status draw(bool keeps_lock);
    Status fill_columns(Ticket &ticket) noexcept;
    Status deliver_locked(Batch &batch) noexcept;
    Status next_locked(Batch &batch);
    Status put_back_locked();
    void refill(std::size_t wanted);
    void prepare(std::uint64_t position, std::size_t n);
    void note_warm(Ticket &ticket) noexcept;

    Engine &engine_;
    const fb_sampler &sampler_;
    void *order_;  // nullptr: fed, or released
    const std::size_t row_width_;
    std::vector<bool> prepared_;  // units of the order
    const fb_context context_;
    const bool drop_last_;
    std::atomic<std::size_t> batch_size_;

    std::vector<char> window_;  // rows drawn and in no ticket: [head_, tail_)
    std::size_t head_ = 0, tail_ = 0;
    std::uint64_t position_ = 0;    // of the window's first row in the epoch
    std::uint64_t warm_until_ = 0;  // rows before this position were prefetched by next()
    std::atomic<std::uint64_t> delivered_{0};
    std::atomic<std::uint64_t> bad_row_{0};

    std::vector<Ticket> tickets_;  // ticket number k stands at k % size
    std::uint64_t n_taken_ = 0, n_delivered_ = 0;
    std::mutex serial_;  // held by whoever is in next(), and by whoever would move its rows; taken before the engine's
};

}  // namespace fb

#endif
