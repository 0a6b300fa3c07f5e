#include "fb_cursor.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace fb {

namespace {

// Rows beyond a batch that its columns are told of, so that they can be on their way when the next one begins.
constexpr std::size_t kAheadRows = 128;

std::size_t power_of_2_above(std::size_t n) noexcept {
    std::size_t power = 1;
    while (power <= n) power *= 2;
    return power;
}

// Orders up to this length are drawn from within microseconds.
constexpr std::uint64_t kQuickRows = 1 << 20;

}  // namespace

Cursor::Cursor(Engine &engine, const fb_sampler &sampler, void *order, fb_context context, std::size_t batch_size,
               Share share, bool drop_last, bool is_helped, std::int64_t began)
    : engine_(engine),
      sampler_(sampler),
      context_(context),
      share_(share),
      drop_last_(drop_last),
      is_helped_(is_helped),
      batch_size_(batch_size),
      mark_(began),
      tickets_(power_of_2_above(std::max<std::size_t>(1, engine.n_ahead()))),
      n_most_(std::max<std::size_t>(1, engine.n_ahead())),
      buffers_(tickets_.size() * engine.n_columns()),
      draw_(sampler, order, share) {
    for (std::size_t i = 0; i < engine.n_columns(); ++i) row_nbytes_ += engine.column(i)->row_nbytes;
    for (std::size_t i = 0; i < tickets_.size(); ++i) tickets_[i].buffers = &buffers_[i * engine.n_columns()];
    for (std::size_t i = 0; i < engine.n_columns(); ++i) {
        wants_weights_ = wants_weights_ || (engine.column(i)->wants_weights != 0 && draw_.has_weights());
        is_whole_ = is_whole_ || engine.column(i)->whole != 0;
        has_extents_ = has_extents_ || engine.column(i)->tail_nbytes > 0;
    }
    draw_.seek(context.position);
    delivered_.store(context.position, std::memory_order_relaxed);
}

Cursor::~Cursor() {
    if (!is_cancelled_.load(std::memory_order_relaxed)) cancel();
    if (spare_ != nullptr) sampler_.end(spare_);
}

// ------------------------------------------------------------------------------------------------- where its rows are

void Cursor::seek(std::uint64_t position) {
    Lock lock(engine_.mutex_);
    const Pause pause(*this, lock);
    restore(n_delivered_);
    draw_.seek(position);
    is_drawn_ = false;
    warm_until_ = 0;
    delivered_.store(position, std::memory_order_relaxed);
    n_claimed_ = n_taken_ = ++n_delivered_;  // what was delivered before cannot be taken back any more
}

void Cursor::feed(const void *rows, std::size_t n) {
    const Lock lock(engine_.mutex_);
    draw_.feed(rows, n);
}

void Cursor::feed_batch(const void *rows, std::size_t n, std::uint64_t position) {
    const Lock lock(engine_.mutex_);
    draw_.feed_batch(rows, n, position);
}

void Cursor::feed_batch(const void *rows, std::size_t n) {
    const Lock lock(engine_.mutex_);
    draw_.feed_batch(rows, n, draw_.position() + draw_.n_waiting());
}

void Cursor::end_feed() {
    const Lock lock(engine_.mutex_);
    draw_.end_feed();
}

bool Cursor::forget_fed() {
    Lock lock(engine_.mutex_);
    const Pause pause(*this, lock);
    restore(n_delivered_);
    is_drawn_ = false;
    return draw_.forget_fed();
}

std::uint64_t Cursor::n_delivered() {
    const Lock lock(engine_.mutex_);
    return n_delivered_;
}

std::size_t Cursor::n_waiting() {
    const Lock lock(engine_.mutex_);
    return draw_.n_waiting();
}

bool Cursor::is_hungry() {
    const Lock lock(engine_.mutex_);
    const std::size_t n_wanted = 1 + (is_shared() ? engine_.n_ahead() : 0);
    return n_out() < n_wanted && draw_.is_hungry(batch_size(), n_wanted - n_out());
}

void Cursor::set_batch_size(std::size_t batch_size) {
    Lock lock(engine_.mutex_);
    const Pause pause(*this, lock);
    restore(n_delivered_);
    batch_size_.store(batch_size, std::memory_order_relaxed);
}

void Cursor::put_back() {
    Lock lock(engine_.mutex_);
    const Pause pause(*this, lock);
    restore(n_delivered_);
}

void Cursor::take_back(const Batch &batch) {
    Lock lock(engine_.mutex_);
    const Pause pause(*this, lock);
    // Too late: a later one is delivered, or the next epoch has begun, perhaps in the memory of this one's order.
    if (batch.number + 1 != n_delivered_ || draw_.is_released()) return;
    restore(batch.number);
    engine_.meter_.taken_back(batch.n, ticket(batch.number).nbytes);
}

Cursor::Pause::Pause(Cursor &cursor, Lock &lock) : cursor_(cursor) {
    ++cursor_.n_pausing_;
    cursor_.engine_.done_.wait(lock, [&cursor] { return cursor.n_filling_ == 0; });
}

Cursor::Pause::~Pause() {
    --cursor_.n_pausing_;
    cursor_.engine_.done_.notify_all();
}

// The rows of the tickets from number `first` on are to be drawn again. While nobody fills any.
void Cursor::restore(std::uint64_t first) {
    if (first == n_taken_) return;
    const std::uint64_t position = ticket(first).begin;
    std::vector<char> rows;
    std::vector<FedBatch> fed;
    std::size_t n = 0;
    bool is_gone = (!share_.is_whole() && !draw_.is_fed()) || draw_.is_live();
    for (std::uint64_t number = first; number < n_taken_; ++number) {
        n += ticket(number).n;
        is_gone = is_gone || ticket(number).is_in_window;  // which may have moved
    }
    rows.reserve((n + draw_.n_waiting()) * draw_.row_width());
    fed.reserve(static_cast<std::size_t>(n_taken_ - first) + draw_.n_fed());  // nothing fails from here on
    for (std::uint64_t number = first; number < n_taken_; ++number) {
        Ticket &out = ticket(number);
        if (!is_gone) rows.insert(rows.end(), out.rows, out.rows + out.n * draw_.row_width());
        if (batch_size() == 0) fed.push_back({out.position, out.n});
        release_buffers(out);
    }
    if (is_gone)
        draw_.seek(position);
    else
        draw_.restore(std::move(rows), std::move(fed));
    delivered_.store(position, std::memory_order_relaxed);
    n_claimed_ = n_taken_ = n_delivered_ = first;
    (void)draw_.tell_delivered(first);
    is_drawn_ = false;
}

void Cursor::release_buffers(Ticket &ticket) noexcept {
    ticket.is_filled.store(false, std::memory_order_relaxed);
    if (!ticket.has_buffers) return;
    for (std::size_t i = 0; i < engine_.n_columns(); ++i) Pool::release(ticket.buffers[i]);
    ticket.has_buffers = false;
}

// ------------------------------------------------------------------------------------------------------------- tickets

// How many tickets may be out for whoever asks for batches.
std::size_t Cursor::room() const noexcept {
    return is_shared() ? n_most_ : std::min(n_most_, std::max<std::size_t>(1, n_asking_));
}

// Tickets of a live sampler that may be out: those behind the one that is asked for must wait for updates.
std::size_t Cursor::n_most_of_live() const noexcept {
    return draw_.is_live() ? sampler_.lag + (n_asking_ > 0 ? 1 : 0) : SIZE_MAX;
}

// Makes ticket number n_taken_ of the next rows, which stay in the window if the lock is kept until it is delivered.
// Or `piece` becomes the unit to be prepared before, if the caller `may_prepare` it.
Status Cursor::draw(bool keeps_lock, bool may_prepare, Piece &piece) {
    if (engine_.is_closed()) return Status::kClosed;
    const Cut cut = draw_.is_released() ? Cut() : draw_.next(batch_size());
    if (!cut.exists || (drop_last_ && cut.end - draw_.position() < batch_size() * share_.n_ranks())) {
        if (draw_.is_hungry(batch_size())) return Status::kHungry;
        is_drawn_ = true;
        return Status::kEnd;
    }
    if (!draw_.is_live()) return draw_rows(cut, keeps_lock, may_prepare, piece);
    if (const int refusal = draw_.turn(n_taken_, !keeps_lock); refusal != 0)
        return refusal == FB_ALL_ZERO ? Status::kAllZero : refusal == FB_BUSY ? Status::kBusy : Status::kSuperseded;
    struct Turn {
        const Draw &draw;
        ~Turn() { draw.rest(); }
    } turn{draw_};
    return draw_rows(cut, keeps_lock, may_prepare, piece);
}

Status Cursor::draw_rows(const Cut &cut, bool keeps_lock, bool may_prepare, Piece &piece) {
    const std::size_t n = cut.n;
    std::uint64_t unit = 0;
    const std::size_t n_more = is_shared() || !share_.is_whole() || draw_.is_live() ? 0 : kAheadRows;
    // To draw from a long order may take milliseconds.
    if (keeps_lock && sampler_.length > kQuickRows && draw_.n_waiting() < n + n_more && draw_.left() > 0)
        return Status::kUnprepared;
    if (!draw_.refill(cut, batch_size(), n_more, &unit)) {
        if (!draw_.is_untouched(unit)) return Status::kUnprepared;
        if (draw_.has_small_units()) {
            (void)draw_.prepare(unit, {nullptr, nullptr});
            draw_.end_unit(unit);
            return draw_rows(cut, keeps_lock, may_prepare, piece);
        }
        if (!may_prepare) return Status::kUnprepared;
        draw_.begin_unit(unit);
        piece.kind = Piece::Kind::kUnit;
        piece.unit = unit;
        return Status::kOk;
    }
    Ticket &next = ticket(n_taken_);
    const std::size_t n_ahead = std::min(n_more, draw_.n_waiting() - n), nbytes = (n + n_ahead) * draw_.row_width();
    const bool is_in_window = keeps_lock && !draw_.is_fed();
    if (!is_in_window && next.own_rows.size() < nbytes) next.own_rows.resize(nbytes);
    if (wants_weights_) {
        if (next.weights.size() < n) next.weights.resize(n);
        draw_.weigh(cut.first, n, next.weights.data());
    }
    if (!engine_.acquire(n, next.buffers)) return Status::kNoMemory;
    next.has_buffers = true;
    next.position = cut.first;
    next.begin = draw_.position();
    next.end = cut.end;
    next.n = n;
    next.n_ahead = n_ahead;
    next.n_parts = 1;
    if (!keeps_lock && !is_whole_ && n > 0)
        next.n_parts = std::min(n, std::max<std::size_t>(1, n * row_nbytes_ / kPartNbytes));
    next.n_claimed = next.n_done = 0;
    next.is_refused = false;
    next.is_consecutive = sampler_.consecutive != 0 && cut.first + n <= sampler_.length;
    next.weight = engine_.meter_.fill_weight();
    next.rows = draw_.rows();
    next.is_in_window = is_in_window;
    if (!is_in_window) {
        if (nbytes > 0) std::memcpy(next.own_rows.data(), next.rows, nbytes);  // a rank may have no row of a batch
        next.rows = next.own_rows.data();
    }
    draw_.pop(cut);
    ++n_taken_;
    if (draw_.unit_reached() != unit_reached_ || is_succession_due()) wants_preparation_ = true;
    unit_reached_ = draw_.unit_reached();
    return Status::kOk;
}

void Cursor::claim_part(Ticket &ticket, Piece &piece) noexcept {
    const std::size_t n = ticket.n_parts == 1 ? ticket.n : (ticket.n + ticket.n_parts - 1) / ticket.n_parts;
    piece.kind = Piece::Kind::kPart;
    piece.ticket = &ticket;
    piece.first = std::min(ticket.n, ticket.n_claimed++ * n);
    piece.n = std::min(n, ticket.n - piece.first);
    if (is_shared()) return;  // who fills the next rows, on which core, is open
    const std::uint64_t position = ticket.begin + piece.first;
    piece.n_ahead = std::min(kAheadRows, ticket.n + ticket.n_ahead - piece.first - piece.n);
    piece.n_warm = warm_until_ > position ? static_cast<std::size_t>(warm_until_ - position) : 0;
    warm_until_ = position + piece.n + piece.n_ahead;
}

// The next thing to do so that batches can be delivered: the earliest unclaimed part of a ticket, or of a new one if
// fewer than `room` are out.
Status Cursor::claim(std::size_t room, bool may_prepare, Piece &piece) noexcept {
    if (n_pausing_ > 0 || is_cancelled_.load(std::memory_order_relaxed)) return Status::kFull;
    n_claimed_ = std::max(n_claimed_, n_delivered_);
    for (; n_claimed_ < n_taken_; ++n_claimed_)
        if (ticket(n_claimed_).n_claimed < ticket(n_claimed_).n_parts) {
            claim_part(ticket(n_claimed_), piece);
            return Status::kOk;
        }
    if (n_out() >= std::min(room, n_most_of_live())) return Status::kFull;
    try {
        const Status status = draw(false, may_prepare, piece);
        if (status == Status::kOk && piece.kind == Piece::Kind::kNothing) claim_part(ticket(n_claimed_), piece);
        return status;
    } catch (const std::bad_alloc &) {
        return Status::kNoMemory;
    }
}

// Needs no lock. What the columns refused, and how long they took, is for end_part().
Cursor::Outcome Cursor::fill_columns(const Ticket &ticket, const Piece &piece) const noexcept {
    const float *weights = wants_weights_ ? ticket.weights.data() + piece.first : nullptr;
    const fb_rows rows = {ticket.rows + piece.first * draw_.row_width(), piece.n, piece.n_ahead, piece.n_warm,
                          sampler_.wide, ticket.is_consecutive, weights};
    fb_context context = context_;
    context.position = ticket.position + piece.first;
    const std::int64_t began = ticket.weight > 0 ? now() : 0;
    Outcome outcome;
    for (std::size_t i = 0; i < engine_.n_columns() && outcome.refused == 0; ++i) {
        const fb_column *column = engine_.column(i);
        char *slot = ticket.buffers[i]->data + piece.first * column->row_nbytes;
        outcome.refused = column->fill(column, &rows, slot, &context);
        outcome.column = i;
    }
    if (ticket.weight > 0) outcome.took = (now() - began) * ticket.weight;
    return outcome;
}

void Cursor::end_part(Ticket &ticket, const Piece &piece, Outcome outcome) noexcept {
    engine_.meter_.counts.fill_ns += outcome.took;
    if (outcome.refused != 0 && (!ticket.is_refused || piece.first < ticket.refusal.place)) {
        ticket.is_refused = true;
        ticket.refusal = {outcome.refused - 1, outcome.column, piece.first};
    }
    if (++ticket.n_done == ticket.n_parts && !ticket.is_refused) ticket.is_filled.store(true, std::memory_order_release);
}

void Cursor::fill_part(Lock &lock, const Piece &piece) noexcept {
    ++n_filling_;
    lock.unlock();
    const Outcome outcome = fill_columns(*piece.ticket, piece);
    lock.lock();
    --n_filling_;
    end_part(*piece.ticket, piece, outcome);
}

void Cursor::perform(Lock &lock, const Piece &piece) noexcept {
    bool is_whole = false;
    ++n_performing_;
    if (wants_help()) engine_.work_.notify_one();
    switch (piece.kind) {
    case Piece::Kind::kNothing: break;
    case Piece::Kind::kPart: fill_part(lock, piece); break;
    case Piece::Kind::kUnit:
        lock.unlock();
        is_whole = draw_.prepare(piece.unit, piece.poll) == 0;  // only the end of the cursor breaks it off
        lock.lock();
        if (is_whole) draw_.end_unit(piece.unit);
        break;
    case Piece::Kind::kSuccessor: begin_successor(lock); break;
    }
    --n_performing_;
    if (n_sleeping_ > 0 || n_pausing_ > 0 || is_cancelled_.load(std::memory_order_relaxed)) engine_.done_.notify_all();
}

Status Cursor::take(std::uint64_t *number) {
    const Lock lock(engine_.mutex_);
    if (!has_begun_) begin_epoch();
    for (;;) {
        if (n_out() >= std::min(n_most_, draw_.is_live() ? sampler_.lag + 1 : n_most_)) return Status::kFull;
        *number = n_taken_;
        Piece piece;
        const Status status = draw(false, true, piece);
        if (piece.kind != Piece::Kind::kUnit) return status;
        (void)draw_.prepare(piece.unit, {nullptr, nullptr});
        draw_.end_unit(piece.unit);
    }
}

Status Cursor::fill(std::uint64_t number) {
    Lock lock(engine_.mutex_);
    if (number < n_delivered_ || number >= n_taken_ || ticket(number).n_claimed > 0) return Status::kNotTaken;
    Ticket &taken = ticket(number);
    while (taken.n_claimed < taken.n_parts) {
        Piece piece;
        claim_part(taken, piece);
        perform(lock, piece);
    }
    if (!taken.is_refused) return Status::kOk;
    refusal_ = taken.refusal;
    return Status::kBadRow;
}

Refusal Cursor::refusal() {
    const Lock lock(engine_.mutex_);
    return refusal_;
}

Status Cursor::deliver(Batch &batch) {
    const Lock lock(engine_.mutex_);
    return deliver_locked(batch, true, 0);
}

}  // namespace fb
