// The part of a cursor that is done ahead of need: by the engine's threads, for this epoch and the next.
#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "fb_cursor.hpp"

namespace fb {

namespace {

// Shorter orders are made faster than a thread wakes.
constexpr std::uint64_t kWorthwhileRows = 1 << 16;

// Units prepared beyond the one that is drawn from.
constexpr std::uint64_t kAheadUnits = 1;

// Parts that are filled in each pause of a longer piece of work.
constexpr int kServings = 8;

}  // namespace

// Whether there is something to do for a thread that sleeps, or for one that has not been started yet.
bool Cursor::wants_help() noexcept {
    Engine &engine = engine_;
    const bool can_start = engine.threads_.size() < engine.n_threads_;
    if (engine.n_parked_ == 0 && !can_start) return false;
    bool is_wanted = wants_preparation_ && is_prepared_ahead();
    wants_preparation_ = false;
    if (is_shared()) {
        // Not at every slot that gets free, because to wake takes longer than to fill: at half of them.
        const std::size_t n_free = engine.n_ahead_ - std::min(engine.n_ahead_, n_out_in_all());
        const bool is_rest = is_drawn_ && succession_ != Succession::kBegun;
        const bool is_open = !is_rest && !is_starved_ && n_out() < n_most_of_live();
        is_wanted = is_wanted || (2 * n_free >= std::max<std::size_t>(1, engine.n_ahead_) && is_open);
        is_wanted = is_wanted || (n_claimed_ < n_taken_ && ticket(n_claimed_).n_claimed < ticket(n_claimed_).n_parts);
    }
    if (is_wanted && can_start) engine.start_threads();
    return is_wanted && engine.n_parked_ > 0;
}

bool Cursor::is_prepared_ahead() const noexcept {
    return is_helped_ && engine_.n_threads_ > 0 && !draw_.is_fed() && (engine_.always_ || sampler_.length >= kWorthwhileRows);
}

bool Cursor::is_succession_due() const noexcept {
    return succession_ == Succession::kOpen && !sampler_.is_of_one_epoch && draw_.position() >= sampler_.length / 2 && is_prepared_ahead();
}

bool Cursor::claim_preparation(Piece &piece) noexcept {
    if (!is_prepared_ahead()) return false;
    piece.poll = {serve, this};
    if (draw_.find_unit(kAheadUnits, &piece.unit)) {
        draw_.begin_unit(piece.unit);
        piece.kind = Piece::Kind::kUnit;
        return true;
    }
    if (!is_succession_due()) return false;
    succession_ = Succession::kBeginning;
    piece.kind = Piece::Kind::kSuccessor;
    return true;
}

bool Cursor::help(Lock &lock, bool parts_only, std::size_t room) {
    if (n_pausing_ > 0 || is_cancelled_.load(std::memory_order_relaxed)) return false;
    Piece piece;
    bool is_found = !parts_only && claim_preparation(piece);
    if (!is_found && !is_starved_) {
        const Status status = claim(room, !parts_only, piece);
        is_starved_ = status == Status::kNoMemory;  // until a batch is delivered
        is_found = status == Status::kOk;
    }
    if (is_found) {
        perform(lock, piece);
        return true;
    }
    if (succession_ != Succession::kBegun || room <= n_out()) return false;
    return successor_->help(lock, parts_only, is_drawn_ && !engine_.reads_files_ ? room - n_out() : 0);
}

// What the engine's threads ask every few milliseconds of a longer piece of work: whether to go on. They fill tickets
// meanwhile, so that nobody runs out of batches.
int Cursor::serve(void *cursor) {
    Cursor &self = *static_cast<Cursor *>(cursor);
    if (self.is_cancelled_.load(std::memory_order_relaxed)) return 1;
    Lock lock(self.engine_.mutex_);
    for (int i = 0; i < kServings && self.engine_.help(lock, true); ++i) continue;
    return 0;
}

int Cursor::serve_until_stopped(void *cursor) {
    if (static_cast<Cursor *>(cursor)->engine_.is_stopping_.load(std::memory_order_relaxed)) return 1;
    return serve(cursor);
}

void Cursor::begin_successor(Lock &lock) noexcept {
    void *order = std::exchange(spare_, nullptr);
    const std::size_t size = batch_size();
    fb_context context = context_;
    ++context.epoch;
    context.position = 0;
    const fb_key key = {{context.key[0], context.key[1]}};
    const fb_poll poll = {serve_until_stopped, this};
    std::unique_ptr<Cursor> successor;
    bool is_whole = false;
    lock.unlock();
    if (sampler_.begin(&sampler_, key, context.epoch, poll, &order) == 0) {
        try {
            successor.reset(new Cursor(engine_, sampler_, order, context, size, share_, drop_last_, true, 0));
            successor->succession_ = Succession::kNone;  // until it is asked for
            // The first batch needs this unit, and nobody may have time for it when the present epoch is over.
            std::uint64_t unit = 0;
            Draw &draw = successor->draw_;
            is_whole = !draw.find_unit(0, &unit) || draw.prepare(unit, poll) == 0;
            if (is_whole && draw.has_units()) draw.end_unit(unit);
        } catch (const std::bad_alloc &) {
            sampler_.end(order);
        }
    }
    if (!is_whole) successor.reset();
    lock.lock();
    succession_ = is_whole ? Succession::kBegun : Succession::kNone;
    successor_ = std::move(successor);
}

Status Cursor::hand_on(Cursor **successor, void **order, bool waits) {
    Lock lock(engine_.mutex_, std::defer_lock);
    if (waits)
        lock.lock();
    else if (!lock.try_lock())
        return Status::kBusy;
    if (succession_ == Succession::kOpen) succession_ = Succession::kNone;
    // With drop_last somebody may also prepare rows that nobody will see.
    if (n_performing_ > 0 && !waits) return Status::kBusy;
    if (n_performing_ > 0) {
        ++n_sleeping_;
        engine_.done_.wait_for(lock, std::chrono::nanoseconds(kPatienceNs));
        --n_sleeping_;
        if (n_performing_ > 0) return Status::kPatience;
    }
    *successor = successor_.release();
    *order = draw_.release_order();
    succession_ = Succession::kNone;
    return Status::kOk;
}

void Cursor::take_over(void *order, std::int64_t began) noexcept {
    const Lock lock(engine_.mutex_);
    spare_ = order;
    mark_ = began;
    succession_ = Succession::kOpen;
}

// Nobody works on it, and nobody will.
void Cursor::drop_tickets() noexcept {
    for (std::uint64_t number = n_delivered_; number < n_taken_; ++number) release_buffers(ticket(number));
    n_claimed_ = n_taken_ = n_delivered_;
    succession_ = Succession::kNone;
}

void Cursor::cancel() {
    Lock lock(engine_.mutex_);
    engine_.detach(this);
    is_cancelled_.store(true);
    engine_.done_.wait(lock, [this] { return n_performing_ == 0; });
    drop_tickets();
    const std::unique_ptr<Cursor> successor = std::move(successor_);
    lock.unlock();  // before the successor goes, which takes it
}

bool Cursor::try_cancel() {
    const Lock lock(engine_.mutex_, std::try_to_lock);
    if (!lock.owns_lock() || n_performing_ > 0 || successor_ != nullptr) return false;
    engine_.detach(this);
    is_cancelled_.store(true);
    drop_tickets();
    return true;
}

}  // namespace fb
