// The part of a cursor for whoever asks for batches: delivering, filling what is not filled, waiting.
#include <algorithm>
#include <chrono>
#include <new>

#include "fb_cursor.hpp"

namespace fb {

namespace {

// How long to spin before sleeping: to be woken takes 20-30 us on a virtual machine.
constexpr std::int64_t kSpinNs = 30'000;

}  // namespace

// Of a filled ticket.
std::uint64_t Cursor::nbytes_of(const Ticket &ticket) const noexcept {
    if (!has_extents_) return ticket.n * row_nbytes_;
    std::uint64_t nbytes = 0;
    for (std::size_t i = 0; i < engine_.n_columns(); ++i) {
        const fb_column *column = engine_.column(i);
        nbytes += column->tail_nbytes == 0 ? ticket.n * column->row_nbytes
                                           : fb_load_extent(column, ticket.buffers[i]->data, ticket.n).nbytes;
    }
    return nbytes;
}

Status Cursor::deliver_locked(Batch &batch, bool ready, std::int64_t entered) noexcept {
    if (n_out() == 0) return Status::kNotFilled;
    Ticket &next = ticket(n_delivered_);
    if (!next.is_filled.load(std::memory_order_relaxed)) return Status::kNotFilled;
    if (!draw_.tell_delivered(n_delivered_ + 1)) return Status::kSuperseded;
    next.is_filled.store(false, std::memory_order_relaxed);
    next.nbytes = nbytes_of(next);
    next.has_buffers = false;
    batch.n = next.n;
    const bool is_fed_batch = draw_.is_fed() && batch_size() == 0;
    batch.position = is_fed_batch ? next.position : next.begin;
    batch.end = is_fed_batch ? next.position + next.n : next.end;
    batch.number = n_delivered_++;
    for (std::size_t i = 0; i < engine_.n_columns(); ++i) batch.buffers[i] = next.buffers[i];
    delivered_.store(next.end, std::memory_order_relaxed);
    is_starved_ = false;

    const std::int64_t left = entered > 0 ? now() : 0;
    const std::uint64_t n = engine_.meter_.delivered(next.n, next.nbytes, ready, entered, left);
    if (left > 0) {
        engine_.meter_.counts.elapsed_ns += left - mark_;
        mark_ = left;
        if (is_helped_) engine_.pace_.delivered(n, left, (left - entered) * static_cast<std::int64_t>(n));
    }
    return Status::kOk;
}

// A batch is asked for, for the first time.
void Cursor::begin_epoch() noexcept {
    if (is_helped_) engine_.attach(this);
    has_begun_ = true;
    const std::int64_t began = now();
    engine_.meter_.counts.wait_ns += began - mark_;
    engine_.meter_.counts.elapsed_ns += began - mark_;
    if (is_helped_) engine_.pace_.skip_gap(began);
    mark_ = began;
}

// There is no further batch: says so, once, to the counts.
void Cursor::end_epoch() noexcept {
    if (has_ended_) return;
    has_ended_ = true;
    const std::int64_t ended = now();
    ++engine_.meter_.counts.n_epochs;
    engine_.meter_.counts.elapsed_ns += ended - mark_;
    mark_ = ended;
}

Status Cursor::next_locked(Batch &batch, std::size_t n_quick, std::int64_t entered) noexcept {
    Piece piece;
    if (draw_.next(batch_size()).n > n_quick) return Status::kBusy;
    try {
        const Status status = draw(true, false, piece);
        if (status == Status::kEnd) end_epoch();
        if (status == Status::kUnprepared || status == Status::kNoMemory) return Status::kBusy;
        if (status != Status::kOk) return status;
    } catch (const std::bad_alloc &) {
        return Status::kBusy;
    }
    Ticket &drawn = ticket(n_delivered_);
    claim_part(drawn, piece);
    end_part(drawn, piece, fill_columns(drawn, piece));
    if (drawn.is_refused) {
        refusal_ = drawn.refusal;
        return Status::kBadRow;
    }
    return deliver_locked(batch, false, entered);
}

Status Cursor::try_next(Batch &batch, std::size_t n_quick) noexcept {
    Lock lock(engine_.mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return Status::kBusy;
    if (engine_.is_closed()) return Status::kClosed;
    if (!has_begun_) begin_epoch();
    const std::int64_t entered = engine_.meter_.is_due() ? now() : 0;
    Status status = Status::kBusy;
    if (n_out() > 0) {
        if (deliver_locked(batch, true, entered) == Status::kOk) status = Status::kOk;
    } else if (n_quick > 0 && !is_shared() && n_pausing_ == 0) {
        status = next_locked(batch, n_quick, entered);
    }
    const bool wakes = status == Status::kOk && wants_help();
    lock.unlock();
    if (wakes) engine_.work_.notify_one();
    return status;
}

Status Cursor::next(Batch &batch) noexcept {
    Lock lock(engine_.mutex_);
    if (!has_begun_) begin_epoch();
    const std::int64_t entered = engine_.meter_.is_due() ? now() : 0;
    bool is_ready = true, has_spun = false;
    std::int64_t until = 0;
    Status status = Status::kOk;
    ++n_asking_;
    for (;;) {
        if (engine_.is_closed()) {
            status = Status::kClosed;
            break;
        }
        if (n_out() > 0) {
            Ticket &head = ticket(n_delivered_);
            status = deliver_locked(batch, is_ready, entered);
            if (status == Status::kOk || status == Status::kSuperseded) break;
            if (head.is_refused && head.n_done == head.n_parts) {
                refusal_ = head.refusal;
                status = Status::kBadRow;
                break;
            }
        }
        is_ready = false;
        Piece piece;
        status = claim(room(), true, piece);
        if (status == Status::kOk) {
            const bool is_long = piece.kind == Piece::Kind::kUnit || piece.n * row_nbytes_ >= kPartNbytes;
            perform(lock, piece);
            has_spun = false;
            if (!is_long) continue;
            const std::int64_t ended = now();
            if (until == 0) until = ended + kPatienceNs;
            if (ended < until) continue;
            status = Status::kPatience;
            break;
        }
        if (n_out() == 0 && status == Status::kEnd) end_epoch();
        if (n_out() == 0 && status != Status::kFull && status != Status::kUnprepared) break;
        if (!await(lock, has_spun, until)) {
            status = Status::kPatience;
            break;
        }
    }
    --n_asking_;
    const bool wakes = status == Status::kOk && wants_help();
    lock.unlock();
    if (wakes) engine_.work_.notify_one();
    return status;
}

// Waits for somebody else's piece of work: spins once, then sleeps. False: patience is at its end.
bool Cursor::await(Lock &lock, bool &has_spun, std::int64_t &until) {
    const std::int64_t began = now();
    if (until == 0) until = began + kPatienceNs;
    if (!has_spun) {
        has_spun = true;
        const Ticket *head = n_out() > 0 ? &ticket(n_delivered_) : nullptr;
        lock.unlock();
        while (head != nullptr && !head->is_filled.load(std::memory_order_acquire) && now() - began < kSpinNs)
            for (int i = 0; i < 16; ++i) FB_RELAX();
        lock.lock();
        return true;
    }
    if (began >= until) return false;
    ++n_sleeping_;
    engine_.done_.wait_for(lock, std::chrono::nanoseconds(until - began));
    --n_sleeping_;
    return true;
}

}  // namespace fb
