// Tickets: WHEN batches are made.
//
// A cursor is one pass over one epoch. Taking a ticket draws the rows of the next batch under the engine's lock; after
// that anyone may fill it, a large one in several parts at once; tickets are delivered in order. Whoever waits for a
// ticket that others are filling fills later ones meanwhile. Towards the end of an epoch the cursor of the next one is
// begun, so that no time goes by between them.
#ifndef FB_CURSOR_HPP
#define FB_CURSOR_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fb_draw.hpp"
#include "fb_engine.hpp"

namespace fb {

enum class Status {
    kOk,
    kEnd,         // no rows are left
    kHungry,      // rows have to be fed first
    kBusy,        // it would take waiting, or longer than the GIL should be held
    kFull,        // no ticket may be taken now
    kUnprepared,  // a unit of the order has to be prepared first, or is being
    kNotTaken,    // no such ticket is out, or somebody fills or has filled it
    kNotFilled,   // the next ticket in order is not filled yet
    kPatience,    // it takes long: look for signals, and ask again
    kNoMemory,
    kBadRow,      // a column refused a row
    kClosed,      // the engine was closed
    kAllZero,     // all weights of a live sampler are 0
    kSuperseded,  // a later epoch draws from a live sampler
};

// The row that a column refused, and which column.
struct Refusal {
    std::uint64_t row = 0;
    std::size_t column = 0;
    std::size_t place = 0;  // where in its ticket the part begins that it is of
};

// What a delivered ticket held: the leases are the receiver's.
struct Batch {
    std::size_t n = 0;
    std::uint64_t number = 0;
    std::uint64_t position = 0;  // in the epoch, of the batch of all ranks; of one that was fed as such, its own
    std::uint64_t end = 0;       // behind it
    Buffer **buffers = nullptr;  // the receiver's array, with room for one per column
};

// A batch is filled in parts of about this size: two threads then share one, and neither waits long for the other. Not
// where a column has to see it whole.
constexpr std::size_t kPartNbytes = 1 << 20;

// Whoever waits looks for signals so often.
constexpr std::int64_t kPatienceNs = 50'000'000;

class Cursor {
  public:
    // Rows come from `order`, the state of context.epoch of `sampler`, which the cursor ends; or, with order == nullptr,
    // from feed(), or with a batch_size of 0 from feed_batch(). The first is the one at context.position.
    // Of each batch this cursor has its share. The epoch was asked for at `began`. Threads do nothing for it unless
    // `is_helped`.
    Cursor(Engine &engine, const fb_sampler &sampler, void *order, fb_context context, std::size_t batch_size,
           Share share, bool drop_last, bool is_helped, std::int64_t began);
    // Waits for those who are filling a ticket of it.
    ~Cursor();
    Cursor(const Cursor &) = delete;
    Cursor &operator=(const Cursor &) = delete;

    // The next batch begins at `position`. Tickets that are out are dropped.
    void seek(std::uint64_t position);

    // More rows for a cursor without an order, (n,) of the row width; after the last ones, end_feed().
    void feed(const void *rows, std::size_t n);
    // Or a batch, of whose rows the first is the one at `position` of all ranks: what is drawn for them depends on it.
    void feed_batch(const void *rows, std::size_t n, std::uint64_t position);
    // The same of one rank, which has all rows.
    void feed_batch(const void *rows, std::size_t n);
    void end_feed();
    // What was fed and not delivered is dropped, to be fed once more. Returns whether end_feed() was called.
    bool forget_fed();
    std::size_t n_waiting();
    // Whether more rows have to be fed for everyone to have work: for whoever asks, and for those who fill ahead.
    bool is_hungry();

    // Tickets that are out are put back first.
    void set_batch_size(std::size_t batch_size);
    std::size_t batch_size() const noexcept { return batch_size_.load(std::memory_order_relaxed); }

    // The next batch: delivered if it is filled, else filled first, with later ones meanwhile. Waits for others, but
    // not for longer than signals may.
    Status next(Batch &batch) noexcept;
    // The same where neither the lock nor anybody else has to be waited for, and no more than `n_quick` rows to be
    // filled; else kBusy.
    Status try_next(Batch &batch, std::size_t n_quick) noexcept;
    // The batch delivered last could not be handed over, and its buffers are released: its rows come again.
    void take_back(const Batch &batch);

    // Draws the next ticket's rows.
    Status take(std::uint64_t *number);
    // Fills a ticket that take() gave.
    Status fill(std::uint64_t number);
    // The next ticket in order, if it is filled.
    Status deliver(Batch &batch);
    // Tickets that are out and not delivered are put back in order: none of their rows is lost.
    void put_back();

    // Nobody will ask for a batch any more: tickets are dropped, nothing is filled.
    void cancel();
    // The same where nobody has to be waited for; else false.
    bool try_cancel();
    // Of an epoch that is over: the cursor of the next one, if it was begun, and the memory of this one's order; the
    // caller's from here on. With `waits`, for those who still work on either: kPatience if that takes long; else kBusy.
    Status hand_on(Cursor **successor, void **order, bool waits);
    // The next epoch, begun ahead, is asked for at `began`; its own successor may use the memory of `order`, or nullptr.
    void take_over(void *order, std::int64_t began) noexcept;

    // Rows of the epoch before the first that was not delivered.
    std::uint64_t delivered() const noexcept { return delivered_.load(std::memory_order_relaxed); }
    // Batches that were.
    std::uint64_t n_delivered();
    // Why kBadRow came last.
    Refusal refusal();
    std::uint64_t epoch() const noexcept { return context_.epoch; }

    // For the engine, under its lock. A thread does one piece of work, if there is any, as long as fewer than `room`
    // tickets are out; with `parts_only` no long one.
    bool help(Lock &lock, bool parts_only, std::size_t room);
    std::size_t n_out_in_all() const noexcept { return n_out() + (successor_ ? successor_->n_out() : 0); }

  private:
    // While it lives nobody fills a ticket.
    class Pause {
      public:
        Pause(Cursor &cursor, Lock &lock);
        ~Pause();

      private:
        Cursor &cursor_;
    };

    struct Ticket {
        std::uint64_t position = 0;    // of the first row in the epoch's order
        std::uint64_t begin = 0, end = 0;  // of the rows of all ranks; where batches are fed, of those that were
        std::size_t n = 0;
        std::size_t n_ahead = 0;  // rows beyond it that columns are told of
        std::size_t n_parts = 0, n_claimed = 0, n_done = 0;
        std::uint64_t nbytes = 0;  // once it was delivered
        bool is_refused = false;
        Refusal refusal;              // of the earliest part, whoever filled which first
        bool is_consecutive = false;  // its rows follow each other in the data
        unsigned weight = 0;         // of the time that filling it takes, in the counts
        const char *rows = nullptr;  // (n + n_ahead, row width): in `own_rows`, or in the window until that moves
        bool is_in_window = false;
        std::vector<char> own_rows;
        std::vector<float> weights;  // (n,), or empty
        Buffer **buffers = nullptr;          // (n_columns,)
        bool has_buffers = false;            // until they are delivered
        std::atomic<bool> is_filled{false};  // so that it can be looked at without the lock
    };

    // What is done without the lock: a part of a ticket, a unit of the order, or the beginning of the next epoch.
    struct Piece {
        enum class Kind { kNothing, kPart, kUnit, kSuccessor } kind = Kind::kNothing;
        Ticket *ticket = nullptr;
        std::size_t first = 0, n = 0, n_ahead = 0, n_warm = 0;  // rows of the ticket
        std::uint64_t unit = 0;
        fb_poll poll = {nullptr, nullptr};  // for a unit
    };

    // Of filling a part.
    struct Outcome {
        std::uint64_t refused = 0;  // 1 + the row that a column refused
        std::size_t column = 0;     // which one did
        std::int64_t took = 0;      // in the counts
    };

    Ticket &ticket(std::uint64_t number) noexcept { return tickets_[number & (tickets_.size() - 1)]; }
    std::size_t n_out() const noexcept { return static_cast<std::size_t>(n_taken_ - n_delivered_); }
    // Whether threads fill tickets beside whoever asks for them.
    bool is_shared() const noexcept { return is_helped_ && engine_.pace_.is_on(); }
    // Whether threads prepare the order ahead.
    bool is_prepared_ahead() const noexcept;
    bool is_succession_due() const noexcept;
    std::size_t room() const noexcept;
    std::size_t n_most_of_live() const noexcept;

    Status draw(bool keeps_lock, bool may_prepare, Piece &piece);
    Status draw_rows(const Cut &cut, bool keeps_lock, bool may_prepare, Piece &piece);
    Status claim(std::size_t room, bool may_prepare, Piece &piece) noexcept;
    void claim_part(Ticket &ticket, Piece &piece) noexcept;
    bool claim_preparation(Piece &piece) noexcept;
    void perform(Lock &lock, const Piece &piece) noexcept;
    void fill_part(Lock &lock, const Piece &piece) noexcept;
    void begin_successor(Lock &lock) noexcept;
    Outcome fill_columns(const Ticket &ticket, const Piece &piece) const noexcept;
    void end_part(Ticket &ticket, const Piece &piece, Outcome outcome) noexcept;
    bool wants_help() noexcept;
    bool await(Lock &lock, bool &has_spun, std::int64_t &until);

    std::uint64_t nbytes_of(const Ticket &ticket) const noexcept;
    Status deliver_locked(Batch &batch, bool ready, std::int64_t entered) noexcept;
    Status next_locked(Batch &batch, std::size_t n_quick, std::int64_t entered) noexcept;
    void begin_epoch() noexcept;
    void end_epoch() noexcept;
    void drop_tickets() noexcept;
    void restore(std::uint64_t first);
    void release_buffers(Ticket &ticket) noexcept;
    static int serve(void *cursor);
    static int serve_until_stopped(void *cursor);

    Engine &engine_;
    const fb_sampler &sampler_;
    const fb_context context_;
    const Share share_;
    const bool drop_last_, is_helped_;
    bool wants_weights_ = false;  // a column does, and the sampler has them
    bool is_whole_ = false;       // a column has to see all rows of a batch at once
    bool has_extents_ = false;    // columns have
    std::size_t row_nbytes_ = 0;  // of all columns, at most
    std::atomic<std::size_t> batch_size_;

    std::uint64_t warm_until_ = 0;  // rows before this position were prefetched by the fill before
    std::uint64_t unit_reached_ = 0;
    bool is_starved_ = false;       // there was no memory for a ticket ahead
    bool is_drawn_ = false;         // all of the epoch's rows are in tickets or delivered
    bool has_ended_ = false;        // somebody was told so
    bool wants_preparation_ = true; // since threads were told last
    int n_pausing_ = 0;             // those who wait for the tickets to come to rest
    std::size_t n_performing_ = 0;  // pieces at work
    std::size_t n_filling_ = 0;     // of these, parts of tickets
    std::size_t n_asking_ = 0;      // threads in next()
    std::size_t n_sleeping_ = 0;    // of these, and of those in hand_on(), who wait for done_
    std::int64_t mark_;             // the epoch's time up to here has been counted
    bool has_begun_ = false;        // its batches are asked for
    std::atomic<bool> is_cancelled_{false};

    // Ticket number k stands at k modulo the size, a power of 2. It has room for one more than may be out, so that what
    // was delivered last can be taken back.
    std::vector<Ticket> tickets_;
    const std::size_t n_most_;       // that may be out
    std::vector<Buffer *> buffers_;  // (n_tickets, n_columns)
    alignas(64) std::uint64_t n_taken_ = 0;  // the end that is filled
    std::uint64_t n_claimed_ = 0;            // tickets all of whose parts are claimed, or delivered
    alignas(64) std::uint64_t n_delivered_ = 0;  // the end that is delivered
    std::atomic<std::uint64_t> delivered_{0};
    Refusal refusal_;  // in the ticket that was asked for

    enum class Succession { kOpen, kBeginning, kBegun, kNone } succession_ = Succession::kOpen;
    std::unique_ptr<Cursor> successor_;
    void *spare_ = nullptr;  // memory of an order for it

    Draw draw_;  // the last member: until it is made, the order is not ours
};

}  // namespace fb

#endif
