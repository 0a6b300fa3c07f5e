#include "fb_cursor.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace fb {

namespace {

// Rows drawn at once: drawing batch by batch from a large order loses to the gathered rows that evict it.
constexpr std::size_t kBurstRows = 4096;

// Rows beyond a batch that its columns are told of, so that they can be on their way when the next one begins.
constexpr std::size_t kAheadRows = 128;

}  // namespace

Engine::Engine(std::vector<const fb_column *> columns, const std::vector<unsigned> &ndims, unsigned n_spare,
               Allocator allocator)
    : columns_(std::move(columns)) {
    pools_.reserve(columns_.size());
    for (const unsigned ndim : ndims) {
        Pool *pool = Pool::create(ndim, n_spare, allocator);
        if (pool == nullptr) {
            for (Pool *made : pools_) made->close();
            throw std::bad_alloc();
        }
        pools_.push_back(pool);
    }
}

Engine::~Engine() { close(); }

void Engine::close() noexcept {
    for (Pool *pool : pools_) pool->close();
    pools_.clear();
}

bool Engine::acquire(std::size_t n, std::vector<Buffer *> &buffers) noexcept {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        Buffer *buffer = pools_[i]->acquire(n * columns_[i]->row_nbytes);
        if (buffer == nullptr) {
            for (Buffer *acquired : buffers) Pool::release(acquired);
            buffers.clear();
            return false;
        }
        buffers.push_back(buffer);
    }
    return true;
}

Cursor::Cursor(Engine &engine, const fb_sampler &sampler, void *order, fb_context context, std::size_t batch_size,
               bool drop_last, std::size_t n_tickets)
    : engine_(engine),
      sampler_(sampler),
      order_(order),
      row_width_(sampler.wide ? sizeof(std::uint64_t) : sizeof(std::uint32_t)),
      context_(context),
      batch_size_(batch_size),
      drop_last_(drop_last),
      tickets_(n_tickets) {
    if (order_ != nullptr && sampler_.unit_of != nullptr) prepared_.resize(sampler_.n_units(order_));
    for (Ticket &ticket : tickets_) ticket.buffers.reserve(engine_.n_columns());
}

Cursor::~Cursor() {
    for (Ticket &ticket : tickets_)
        for (Buffer *buffer : ticket.buffers) Pool::release(buffer);
    if (order_ != nullptr) sampler_.end(order_);
}

void *Cursor::release_order() noexcept {
    const std::lock_guard<std::mutex> lock(engine_.mutex);
    return std::exchange(order_, nullptr);
}

void Cursor::set_batch_size(std::size_t batch_size) {
    const std::lock_guard<std::mutex> lock(engine_.mutex);
    put_back_locked();
    batch_size_ = batch_size;
}

void Cursor::seek(std::uint64_t position) {
    const std::lock_guard<std::mutex> lock(engine_.mutex);
    put_back_locked();
    head_ = tail_ = 0;
    position_ = position;
    delivered_.store(position, std::memory_order_relaxed);
    warm_until_ = 0;
}

void Cursor::feed(const void *rows, std::size_t n) {
    const std::lock_guard<std::mutex> lock(engine_.mutex);
    window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(head_ * row_width_));
    tail_ -= head_;
    head_ = 0;
    window_.resize((tail_ + n) * row_width_);
    std::memcpy(window_.data() + tail_ * row_width_, rows, n * row_width_);
    tail_ += n;
}

void Cursor::prepare(std::uint64_t position, std::size_t n) {
    if (prepared_.empty() || n == 0) return;
    const fb_poll nobody = {nullptr, nullptr};
    const std::uint64_t last = sampler_.unit_of(order_, position + n - 1);
    for (std::uint64_t unit = sampler_.unit_of(order_, position); unit <= last; ++unit) {
        if (prepared_[unit]) continue;
        (void)sampler_.prepare(order_, unit, nobody);
        prepared_[unit] = true;
    }
}

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

Status Cursor::draw(Ticket &ticket, bool keeps_lock) {
    refill(batch_size_ + kAheadRows);
    const std::size_t waiting = tail_ - head_;
    const std::size_t n = std::min(batch_size_, waiting);
    if (n == 0 || (drop_last_ && n < batch_size_)) return Status::kEnd;
    const std::size_t n_ahead = std::min(kAheadRows, waiting - n), nbytes = (n + n_ahead) * row_width_;
    if (!keeps_lock && ticket.own_rows.size() < nbytes) ticket.own_rows.resize(nbytes);
    if (!engine_.acquire(n, ticket.buffers)) return Status::kNoMemory;
    ticket.n = n;
    ticket.n_ahead = n_ahead;
    ticket.n_warm = 0;
    ticket.number = n_taken_++;
    ticket.position = position_;
    ticket.filled.store(false, std::memory_order_relaxed);
    ticket.rows = window_.data() + head_ * row_width_;
    if (!keeps_lock) {  // the window may move before the ticket is filled
        std::memcpy(ticket.own_rows.data(), ticket.rows, nbytes);
        ticket.rows = ticket.own_rows.data();
    }
    head_ += n;
    position_ += n;
    return Status::kOk;
}

Status Cursor::take_locked(Ticket **ticket, bool keeps_lock) {
    if (engine_.is_closed()) return Status::kClosed;
    if (n_taken_ - n_delivered_ == tickets_.size()) return Status::kFull;
    *ticket = &tickets_[n_taken_ % tickets_.size()];
    return draw(**ticket, keeps_lock);
}

Status Cursor::take(Ticket **ticket) {
    const std::lock_guard<std::mutex> lock(engine_.mutex);
    return take_locked(ticket, false);
}

Status Cursor::fill(Ticket *ticket) noexcept {
    fb_rows rows = {ticket->rows, ticket->n, ticket->n_ahead, ticket->n_warm, sampler_.wide,
                    sampler_.consecutive};
    fb_context context = context_;
    context.position = ticket->position;
    for (std::size_t i = 0; i < ticket->buffers.size(); ++i) {
        const fb_column *column = engine_.column(i);
        const std::uint64_t refused = column->fill(column, &rows, ticket->buffers[i]->data, &context);
        if (refused != 0) {
            ticket->bad_row = refused - 1;
            return Status::kBadRow;
        }
    }
    ticket->filled.store(true, std::memory_order_release);
    return Status::kOk;
}

Status Cursor::deliver_locked(Ticket **ticket) {
    if (n_delivered_ == n_taken_) return Status::kNotFilled;
    Ticket &next = tickets_[n_delivered_ % tickets_.size()];
    if (!next.filled.load(std::memory_order_acquire)) return Status::kNotFilled;
    ++n_delivered_;
    delivered_.store(next.position + next.n, std::memory_order_relaxed);
    *ticket = &next;
    return Status::kOk;
}

Status Cursor::deliver(Ticket **ticket) {
    const std::lock_guard<std::mutex> lock(engine_.mutex);
    return deliver_locked(ticket);
}

void Cursor::put_back() {
    const std::lock_guard<std::mutex> lock(engine_.mutex);
    put_back_locked();
}

void Cursor::put_back_locked() {
    std::vector<char> rows;
    for (std::uint64_t number = n_delivered_; number < n_taken_; ++number) {
        Ticket &ticket = tickets_[number % tickets_.size()];
        rows.insert(rows.end(), ticket.rows, ticket.rows + ticket.n * row_width_);
        for (Buffer *buffer : ticket.buffers) Pool::release(buffer);
        ticket.buffers.clear();
    }
    if (rows.empty()) return;
    const std::size_t n = rows.size() / row_width_;
    rows.insert(rows.end(), window_.begin() + static_cast<std::ptrdiff_t>(head_ * row_width_),
                window_.begin() + static_cast<std::ptrdiff_t>(tail_ * row_width_));
    window_ = std::move(rows);
    tail_ = window_.size() / row_width_;
    head_ = 0;
    position_ -= n;
    n_taken_ = n_delivered_;
}

void Cursor::take_back() {
    const std::lock_guard<std::mutex> lock(engine_.mutex);
    --n_delivered_;
    delivered_.store(tickets_[n_delivered_ % tickets_.size()].position, std::memory_order_relaxed);
    put_back_locked();
}

void Cursor::note_warm(Ticket &ticket) noexcept {
    ticket.n_warm = warm_until_ > ticket.position ? warm_until_ - ticket.position : 0;
    warm_until_ = ticket.position + ticket.n + ticket.n_ahead;
}

Status Cursor::next_locked(Ticket **ticket) {
    Status status = take_locked(ticket, true);
    if (status != Status::kOk) return status;
    note_warm(**ticket);
    status = fill(*ticket);
    if (status == Status::kOk) return deliver_locked(ticket);
    put_back_locked();
    return status;
}

Status Cursor::next(Ticket **ticket) {
    const std::lock_guard<std::mutex> serial(serial_);
    Status status = take(ticket);
    if (status != Status::kOk) return status;
    note_warm(**ticket);
    status = fill(*ticket);
    if (status == Status::kOk) return deliver(ticket);
    put_back();
    return status;
}

}  // namespace fb
