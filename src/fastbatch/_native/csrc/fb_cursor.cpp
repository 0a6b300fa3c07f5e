#include "fb_cursor.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace fb {

namespace {

using Lock = std::lock_guard<std::mutex>;

// Rows drawn at once: drawing batch by batch from a large order loses to the gathered rows that evict it.
constexpr std::size_t kBurstRows = 4096;

// Rows beyond a batch that its columns are told of, so that they can be on their way when the next one begins.
constexpr std::size_t kAheadRows = 128;

}  // namespace

// ------------------------------------------------------------------------------------------------------------- Engine

Engine::Engine(std::vector<const fb_column *> columns, const std::vector<unsigned> &ndims, unsigned n_spare,
               Allocator allocator)
    : columns_(std::move(columns)) {
    pools_.reserve(columns_.size());
    for (const unsigned ndim : ndims) {
        Pool *pool = Pool::create(ndim, n_spare, allocator);
        if (pool == nullptr) {
            close();
            throw std::bad_alloc();
        }
        pools_.push_back(pool);
    }
}

Engine::~Engine() { close(); }

void Engine::close() noexcept {
    const Lock lock(mutex_);
    for (Pool *pool : pools_) pool->close();
    pools_.clear();
    closed_.store(true, std::memory_order_relaxed);
}

void Engine::count(std::size_t i, std::uint64_t *n_live, std::uint64_t *n_allocated) noexcept {
    const Lock lock(mutex_);
    *n_live = pools_.empty() ? 0 : pools_[i]->n_live();
    *n_allocated = pools_.empty() ? 0 : pools_[i]->n_allocated();
}

// A buffer of every column for n rows, or none. Under the lock.
bool Engine::acquire(std::size_t n, std::vector<Buffer *> &buffers) noexcept {
    for (std::size_t i = 0; i < pools_.size(); ++i) {
        const std::size_t row_nbytes = columns_[i]->row_nbytes;
        const bool fits = row_nbytes == 0 || n <= SIZE_MAX / row_nbytes;
        Buffer *buffer = fits ? pools_[i]->acquire(n * row_nbytes) : nullptr;
        if (buffer == nullptr) {
            for (Buffer *acquired : buffers) Pool::release(acquired);
            buffers.clear();
            return false;
        }
        buffers.push_back(buffer);  // reserved when the cursor was made
    }
    return true;
}

// ------------------------------------------------------------------------------------------- where a cursor's rows are

Cursor::Cursor(Engine &engine, const fb_sampler &sampler, void *order, fb_context context, std::size_t batch_size,
               bool drop_last, std::size_t n_tickets)
    : engine_(engine),
      sampler_(sampler),
      order_(nullptr),
      row_width_(sampler.wide ? sizeof(std::uint64_t) : sizeof(std::uint32_t)),
      context_(context),
      drop_last_(drop_last),
      batch_size_(batch_size),
      tickets_(n_tickets) {
    if (order != nullptr && sampler_.unit_of != nullptr) prepared_.resize(sampler_.n_units(order));
    for (Ticket &ticket : tickets_) ticket.buffers.reserve(engine_.n_columns());
    order_ = order;  // ours from here on: nothing can fail any more
}

Cursor::~Cursor() {
    for (Ticket &ticket : tickets_)
        for (Buffer *buffer : ticket.buffers) Pool::release(buffer);
    if (order_ != nullptr) sampler_.end(order_);
}

void *Cursor::release_order() noexcept {
    const Lock lock(engine_.mutex_);
    return std::exchange(order_, nullptr);
}

Status Cursor::seek(std::uint64_t position) {
    const Lock serial(serial_), lock(engine_.mutex_);
    const Status status = put_back_locked();
    if (status != Status::kOk) return status;
    head_ = tail_ = 0;
    warm_until_ = 0;
    position_ = position;
    delivered_.store(position, std::memory_order_relaxed);
    n_taken_ = ++n_delivered_;  // what was delivered before cannot be taken back any more
    if (order_ != nullptr && position < sampler_.length) prepare(position, 1);
    return Status::kOk;
}

void Cursor::feed(const void *rows, std::size_t n) {
    const Lock serial(serial_), lock(engine_.mutex_);
    if (n == 0) return;
    window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(head_ * row_width_));
    tail_ -= head_;
    head_ = 0;
    window_.resize((tail_ + n) * row_width_);
    std::memcpy(window_.data() + tail_ * row_width_, rows, n * row_width_);
    tail_ += n;
}

std::size_t Cursor::n_waiting() noexcept {
    const Lock lock(engine_.mutex_);
    return tail_ - head_;
}

Status Cursor::set_batch_size(std::size_t batch_size) {
    const Lock serial(serial_), lock(engine_.mutex_);
    const Status status = put_back_locked();
    if (status == Status::kOk) batch_size_.store(batch_size, std::memory_order_relaxed);
    return status;
}

// Shuffles the units of [position, position + n) that nobody has shuffled yet.
void Cursor::prepare(std::uint64_t position, std::size_t n) {
    if (prepared_.empty()) return;
    const fb_poll nobody = {nullptr, nullptr};
    const std::uint64_t last = sampler_.unit_of(order_, position + n - 1);
    for (std::uint64_t unit = sampler_.unit_of(order_, position); unit <= last; ++unit) {
        if (prepared_[unit]) continue;
        (void)sampler_.prepare(order_, unit, nobody);
        prepared_[unit] = true;
    }
}

// Draws until `wanted` rows wait in the window, or all that are left.
void Cursor::refill(std::size_t wanted) {
    const std::size_t kept = tail_ - head_;
    if (order_ == nullptr || kept >= wanted) return;
    const std::uint64_t position = position_ + kept;
    const std::uint64_t left = position < sampler_.length ? sampler_.length - position : 0;
    const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(left, std::max(wanted - kept, kBurstRows)));
    if (n == 0) return;
    if (window_.size() < (kept + n) * row_width_) window_.resize((kept + n) * row_width_);
    if (kept > 0) std::memmove(window_.data(), window_.data() + head_ * row_width_, kept * row_width_);
    head_ = 0;
    tail_ = kept + n;
    prepare(position, n);
    sampler_.draw(order_, position, window_.data() + kept * row_width_, n);
}

// ------------------------------------------------------------------------------------------------------------- tickets

// Makes ticket number n_taken_ of the next rows. Its rows stay in the window if the lock is kept until it is delivered.
Status Cursor::draw(bool keeps_lock) {
    if (engine_.is_closed()) return Status::kClosed;
    const std::size_t batch_size = batch_size_.load(std::memory_order_relaxed);
    refill(batch_size + kAheadRows);
    const std::size_t waiting = tail_ - head_, n = std::min(batch_size, waiting);
    if (n == 0 || (drop_last_ && n < batch_size)) return Status::kEnd;
    Ticket &next = ticket(n_taken_);
    const std::size_t n_ahead = std::min(kAheadRows, waiting - n), nbytes = (n + n_ahead) * row_width_;
    if (!keeps_lock && next.own_rows.size() < nbytes) next.own_rows.resize(nbytes);
    if (!engine_.acquire(n, next.buffers)) return Status::kNoMemory;
    next.state = State::kTaken;
    next.n = n;
    next.n_ahead = n_ahead;
    next.n_warm = 0;
    next.position = position_;
    next.rows = window_.data() + head_ * row_width_;
    if (!keeps_lock) {  // the window may move before the ticket is filled
        std::memcpy(next.own_rows.data(), next.rows, nbytes);
        next.rows = next.own_rows.data();
    }
    head_ += n;
    position_ += n;
    ++n_taken_;
    return Status::kOk;
}

Status Cursor::take(std::uint64_t *number) {
    const Lock lock(engine_.mutex_);
    if (n_taken_ - n_delivered_ == tickets_.size()) return Status::kFull;
    *number = n_taken_;
    return draw(false);
}

Status Cursor::fill_columns(Ticket &ticket) noexcept {
    const fb_rows rows = {ticket.rows,   ticket.n,      ticket.n_ahead,
                          ticket.n_warm, sampler_.wide, sampler_.consecutive};
    fb_context context = context_;
    context.position = ticket.position;
    for (std::size_t i = 0; i < ticket.buffers.size(); ++i) {
        const fb_column *column = engine_.column(i);
        const std::uint64_t refused = column->fill(column, &rows, ticket.buffers[i]->data, &context);
        if (refused != 0) {
            bad_row_.store(refused - 1, std::memory_order_relaxed);
            return Status::kBadRow;
        }
    }
    return Status::kOk;
}

Status Cursor::fill(std::uint64_t number) {
    Ticket *claimed = nullptr;
    {
        const Lock lock(engine_.mutex_);
        if (number < n_delivered_ || number >= n_taken_ || ticket(number).state != State::kTaken)
            return Status::kNotTaken;
        claimed = &ticket(number);
        claimed->state = State::kFilling;
    }
    const Status status = fill_columns(*claimed);
    const Lock lock(engine_.mutex_);
    claimed->state = status == Status::kOk ? State::kFilled : State::kTaken;
    return status;
}

Status Cursor::deliver_locked(Batch &batch) noexcept {
    if (n_delivered_ == n_taken_) return Status::kNotFilled;
    Ticket &next = ticket(n_delivered_);
    if (next.state != State::kFilled) return Status::kNotFilled;
    next.state = State::kFree;
    batch.n = next.n;
    batch.number = n_delivered_++;
    delivered_.store(next.position + next.n, std::memory_order_relaxed);
    std::copy(next.buffers.begin(), next.buffers.end(), batch.buffers);
    next.buffers.clear();
    return Status::kOk;
}

Status Cursor::deliver(Batch &batch) {
    const Lock lock(engine_.mutex_);
    return deliver_locked(batch);
}

Status Cursor::put_back() {
    const Lock serial(serial_), lock(engine_.mutex_);
    return put_back_locked();
}

Status Cursor::put_back_locked() {
    if (n_taken_ == n_delivered_) return Status::kOk;
    std::size_t n = 0;
    for (std::uint64_t number = n_delivered_; number < n_taken_; ++number) {
        if (ticket(number).state == State::kFilling) return Status::kFilling;
        n += ticket(number).n;
    }
    std::vector<char> rows;
    rows.reserve((n + tail_ - head_) * row_width_);  // nothing fails from here on
    for (std::uint64_t number = n_delivered_; number < n_taken_; ++number) {
        Ticket &out = ticket(number);
        rows.insert(rows.end(), out.rows, out.rows + out.n * row_width_);
        for (Buffer *buffer : out.buffers) Pool::release(buffer);
        out.buffers.clear();
        out.state = State::kFree;
    }
    rows.insert(rows.end(), window_.begin() + static_cast<std::ptrdiff_t>(head_ * row_width_),
                window_.begin() + static_cast<std::ptrdiff_t>(tail_ * row_width_));
    window_ = std::move(rows);
    tail_ = n + tail_ - head_;
    head_ = 0;
    position_ -= n;
    n_taken_ = n_delivered_;
    return Status::kOk;
}

void Cursor::take_back(const Batch &batch) {
    const Lock serial(serial_), lock(engine_.mutex_);
    if (n_taken_ != n_delivered_ || batch.number + 1 != n_delivered_) return;
    --n_delivered_;
    delivered_.store(ticket(batch.number).position, std::memory_order_relaxed);
    (void)put_back_locked();
}

// ----------------------------------------------------------------------------------------------------- all in one call

// The rows that the fill before was told of need no prefetch.
void Cursor::note_warm(Ticket &ticket) noexcept {
    ticket.n_warm = warm_until_ > ticket.position ? warm_until_ - ticket.position : 0;
    warm_until_ = ticket.position + ticket.n + ticket.n_ahead;
}

Status Cursor::next_locked(Batch &batch) {
    if (n_taken_ != n_delivered_) return Status::kFull;
    Status status = draw(true);
    if (status != Status::kOk) return status;
    Ticket &drawn = ticket(n_delivered_);
    note_warm(drawn);
    status = fill_columns(drawn);
    if (status == Status::kOk) {
        drawn.state = State::kFilled;
        return deliver_locked(batch);
    }
    (void)put_back_locked();
    return status;
}

Status Cursor::try_next(Batch &batch) {
    const std::unique_lock<std::mutex> lock(engine_.mutex_, std::try_to_lock);
    return lock.owns_lock() ? next_locked(batch) : Status::kBusy;
}

Status Cursor::next_small(Batch &batch) {
    const Lock lock(engine_.mutex_);
    return next_locked(batch);
}

Status Cursor::next(Batch &batch) {
    const Lock serial(serial_);
    Ticket *drawn = nullptr;
    {
        const Lock lock(engine_.mutex_);
        if (n_taken_ != n_delivered_) return Status::kFull;
        const Status status = draw(false);
        if (status != Status::kOk) return status;
        drawn = &ticket(n_delivered_);
        drawn->state = State::kFilling;
        note_warm(*drawn);
    }
    const Status status = fill_columns(*drawn);
    const Lock lock(engine_.mutex_);
    drawn->state = status == Status::kOk ? State::kFilled : State::kTaken;
    if (status == Status::kOk) return deliver_locked(batch);
    (void)put_back_locked();
    return status;
}

}  // namespace fb
