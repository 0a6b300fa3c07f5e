#include "fb_draw.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace fb {

namespace {

// Rows drawn at once: drawing batch by batch from a large order loses to the gathered rows that evict it.
constexpr std::size_t kBurstRows = 4096;

}  // namespace

Draw::Draw(const fb_sampler &sampler, void *order, Share share)
    : sampler_(sampler),
      order_(nullptr),
      share_(share),
      is_fed_(order == nullptr),
      is_live_(order != nullptr && sampler.turn != nullptr),
      row_width_(sampler.wide ? sizeof(std::uint64_t) : sizeof(std::uint32_t)),
      burst_rows_(sampler.turn != nullptr ? 0 : kBurstRows) {
    if (order != nullptr && sampler_.unit_of != nullptr)
        units_.resize(static_cast<std::size_t>(sampler_.n_units(order)), Unit::kUntouched);
    order_ = order;  // ours from here on: nothing can fail any more
}

Draw::~Draw() {
    if (order_ != nullptr) sampler_.end(order_);
}

void *Draw::release_order() noexcept { return std::exchange(order_, nullptr); }

void Draw::seek(std::uint64_t position) noexcept {
    head_ = tail_ = 0;
    fed_.clear();
    position_ = reached_ = position;
}

void Draw::feed(const void *rows, std::size_t n) {
    window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(head_ * row_width_));
    tail_ -= head_;
    head_ = 0;
    window_.resize((tail_ + n) * row_width_);
    if (n > 0) std::memcpy(window_.data() + tail_ * row_width_, rows, n * row_width_);
    tail_ += n;
}

void Draw::feed_batch(const void *rows, std::size_t n, std::uint64_t position) {
    fed_.reserve(fed_.size() + 1);
    feed(rows, n);
    fed_.push_back({position, n});
}

bool Draw::forget_fed() noexcept {
    head_ = tail_ = 0;
    fed_.clear();
    return std::exchange(is_over_, false);
}

// Whether the units of [position, position + n) are prepared; else the first that is not.
bool Draw::is_prepared(std::uint64_t position, std::uint64_t n, std::uint64_t *unprepared) noexcept {
    if (units_.empty() || n == 0) return true;
    if (position % sampler_.length + n > sampler_.length) {  // behind the last row of the epoch comes its first
        const std::uint64_t there = sampler_.length - position % sampler_.length;
        return is_prepared(0, n - there, unprepared) && is_prepared(position, there, unprepared);
    }
    position %= sampler_.length;
    const std::uint64_t last = sampler_.unit_of(order_, position + n - 1);
    for (std::uint64_t unit = sampler_.unit_of(order_, position); unit <= last; ++unit)
        if (units_[unit] != Unit::kPrepared) {
            *unprepared = unit;
            return false;
        }
    unit_reached_ = last;
    return true;
}

// Draws n rows behind those of the window, in units that are prepared; behind the last row of the epoch comes its first.
void Draw::append(std::uint64_t position, std::size_t n) {
    const std::size_t kept = n_waiting();
    if (window_.size() < (kept + n) * row_width_) window_.resize((kept + n) * row_width_);
    if (kept > 0 && head_ > 0) std::memmove(window_.data(), rows(), kept * row_width_);
    head_ = 0;
    tail_ = kept;
    while (n > 0) {
        const std::uint64_t first = position % sampler_.length, there = sampler_.length - first;
        const std::size_t drawn = there < n ? static_cast<std::size_t>(there) : n;
        sampler_.draw(order_, first, window_.data() + tail_ * row_width_, drawn);
        tail_ += drawn;
        position += drawn;
        n -= drawn;
    }
}

bool Draw::draw_burst(std::size_t n, std::size_t n_more, std::uint64_t *unprepared) {
    const std::size_t kept = n_waiting();
    const std::uint64_t there = left();
    if (there == 0) return true;
    std::size_t drawn = static_cast<std::size_t>(std::min<std::uint64_t>(there, std::max(n + n_more - kept, burst_rows_)));
    if (!is_prepared(reached_, drawn, unprepared)) {
        if (kept >= n) return true;
        drawn = n - kept;
        if (!is_prepared(reached_, drawn, unprepared)) return false;
    }
    append(reached_, drawn);
    reached_ += drawn;
    return true;
}

// The same for one rank of several: slices of the next batches, until a burst of rows is there.
bool Draw::refill_slices(const Cut &cut, std::size_t batch_size, std::uint64_t *unprepared) {
    if (sliced_ != batch_size) seek(position_);
    sliced_ = batch_size;
    if (reached_ >= cut.end) return true;
    for (Cut slice = cut; slice.exists && n_waiting() < std::max(cut.n, burst_rows_);
         slice = share_.cut(reached_, batch_size, sampler_.length)) {
        if (!is_prepared(slice.first, slice.n, unprepared)) return reached_ > position_;
        append(slice.first, slice.n);
        reached_ = slice.end;
    }
    return true;
}

void Draw::restore(std::vector<char> &&rows, std::vector<FedBatch> &&fed) noexcept {
    const std::size_t n = rows.size() / row_width_;
    rows.insert(rows.end(), window_.begin() + static_cast<std::ptrdiff_t>(head_ * row_width_),
                window_.begin() + static_cast<std::ptrdiff_t>(tail_ * row_width_));
    fed.insert(fed.end(), fed_.begin(), fed_.end());
    tail_ = n + n_waiting();
    head_ = 0;
    window_ = std::move(rows);
    fed_ = std::move(fed);
    position_ -= n;
}

bool Draw::find_unit(std::uint64_t n_ahead, std::uint64_t *unit) const noexcept {
    if (units_.empty() || left() == 0) return false;
    const std::uint64_t first = sampler_.unit_of(order_, reached_);
    const std::uint64_t end = std::min<std::uint64_t>(units_.size(), first + 1 + n_ahead);
    for (*unit = first; *unit < end; ++*unit)
        if (units_[*unit] == Unit::kUntouched) return true;
    return false;
}

}  // namespace fb
