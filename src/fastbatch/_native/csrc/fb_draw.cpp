#include "fb_draw.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace fb {

namespace {

// Rows drawn at once: drawing batch by batch from a large order loses to the gathered rows that evict it.
constexpr std::size_t kBurstRows = 4096;

}  // namespace

Draw::Draw(const fb_sampler &sampler, void *order)
    : sampler_(sampler),
      order_(nullptr),
      is_fed_(order == nullptr),
      row_width_(sampler.wide ? sizeof(std::uint64_t) : sizeof(std::uint32_t)) {
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
    position_ = position;
}

void Draw::feed(const void *rows, std::size_t n, bool is_batch) {
    if (n == 0) return;
    window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(head_ * row_width_));
    tail_ -= head_;
    head_ = 0;
    window_.resize((tail_ + n) * row_width_);
    if (is_batch) sizes_.push_back(n);
    std::memcpy(window_.data() + tail_ * row_width_, rows, n * row_width_);
    tail_ += n;
}

// Whether the units of [position, position + n) are prepared; else the first that is not.
bool Draw::is_prepared(std::uint64_t position, std::uint64_t n, std::uint64_t *unprepared) noexcept {
    if (units_.empty()) return true;
    const std::uint64_t last = sampler_.unit_of(order_, position + n - 1);
    for (std::uint64_t unit = sampler_.unit_of(order_, position); unit <= last; ++unit)
        if (units_[unit] != Unit::kPrepared) {
            *unprepared = unit;
            return false;
        }
    unit_reached_ = last;
    return true;
}

bool Draw::draw_burst(std::size_t n, std::size_t n_more, std::uint64_t *unprepared) {
    const std::size_t kept = n_waiting();
    const std::uint64_t there = left(), position = position_ + kept;
    if (there == 0) return true;
    std::size_t drawn = static_cast<std::size_t>(std::min<std::uint64_t>(there, std::max(n + n_more - kept, kBurstRows)));
    if (!is_prepared(position, drawn, unprepared)) {
        if (kept >= n) return true;
        drawn = n - kept;
        if (!is_prepared(position, drawn, unprepared)) return false;
    }
    if (window_.size() < (kept + drawn) * row_width_) window_.resize((kept + drawn) * row_width_);
    if (kept > 0) std::memmove(window_.data(), rows(), kept * row_width_);
    head_ = 0;
    tail_ = kept + drawn;
    sampler_.draw(order_, position, window_.data() + kept * row_width_, drawn);
    return true;
}

void Draw::restore(std::vector<char> &&rows, std::vector<std::size_t> &&sizes) noexcept {
    const std::size_t n = rows.size() / row_width_;
    rows.insert(rows.end(), window_.begin() + static_cast<std::ptrdiff_t>(head_ * row_width_),
                window_.begin() + static_cast<std::ptrdiff_t>(tail_ * row_width_));
    sizes.insert(sizes.end(), sizes_.begin(), sizes_.end());
    tail_ = n + n_waiting();
    head_ = 0;
    window_ = std::move(rows);
    sizes_ = std::move(sizes);
    position_ -= n;
}

bool Draw::find_unit(std::uint64_t n_ahead, std::uint64_t *unit) const noexcept {
    if (units_.empty() || left() == 0) return false;
    const std::uint64_t first = sampler_.unit_of(order_, position_ + n_waiting());
    const std::uint64_t end = std::min<std::uint64_t>(units_.size(), first + 1 + n_ahead);
    for (*unit = first; *unit < end; ++*unit)
        if (units_[*unit] == Unit::kUntouched) return true;
    return false;
}

}  // namespace fb
