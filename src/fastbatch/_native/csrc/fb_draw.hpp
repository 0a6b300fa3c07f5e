// Which rows come next: those of an epoch that no ticket holds.
//
// They come from an order, in bursts, once the unit they lie in is prepared; or they are fed. Everything here is done
// under the engine's lock, except prepare().
#ifndef FB_DRAW_HPP
#define FB_DRAW_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fb_share.hpp"

extern "C" {
#include "fb_sampler.h"
}

namespace fb {

// A batch that was fed as such.
struct FedBatch {
    std::uint64_t position;  // of its first row in the epoch, of all ranks
    std::size_t n;
};

class Draw {
  public:
    // The rows of `order`, an epoch's state of `sampler` that this ends, as far as they are of this share; or, with
    // order == nullptr, those of feed().
    Draw(const fb_sampler &sampler, void *order, Share share);
    ~Draw();
    Draw(const Draw &) = delete;
    Draw &operator=(const Draw &) = delete;

    bool is_fed() const noexcept { return is_fed_; }
    std::size_t row_width() const noexcept { return row_width_; }

    // The order of an epoch that is over, for another one to use its memory; rows that were drawn stay.
    void *release_order() noexcept;

    // The next row is the one at `position`.
    void seek(std::uint64_t position) noexcept;

    // More rows, (n,) of the row width.
    void feed(const void *rows, std::size_t n);
    // The same as a batch of their own, whose first row is the one at `position` of all ranks.
    void feed_batch(const void *rows, std::size_t n, std::uint64_t position);
    void end_feed() noexcept { is_over_ = true; }
    // What was fed and is in no ticket is dropped, and more may come. Returns whether end_feed() was called.
    bool forget_fed() noexcept;

    // The next batch: of `batch_size` rows, or with 0 of what was fed as a batch; fewer at the end, and none after it.
    Cut next(std::size_t batch_size) const noexcept {
        if (!is_fed_) return share_.cut(position_, batch_size, sampler_.length);
        if (is_hungry(batch_size) || (fed_.empty() && n_waiting() == 0)) return {};
        if (!fed_.empty()) return {true, fed_.front().position, fed_.front().n, position_ + fed_.front().n};
        const std::size_t n = batch_size < n_waiting() ? batch_size : n_waiting();
        return {true, position_, n, position_ + n};
    }
    // Whether feed() has to come before `n` batches can be taken.
    bool is_hungry(std::size_t batch_size, std::size_t n = 1) const noexcept {
        return is_fed_ && !is_over_ && (batch_size > 0 ? n_waiting() / batch_size : fed_.size()) < n;
    }
    // For a live sampler, whose rows depend on when they are drawn: the next batch is ticket number `ticket`. Returns 0, or
    // why none can be drawn; then there is no rest().
    int turn(std::uint64_t ticket, bool waits) noexcept {
        if (!is_live()) return 0;
        seek(position_);  // what an earlier attempt has drawn
        return sampler_.turn(order_, ticket, waits);
    }
    void rest() const noexcept {
        if (is_live()) sampler_.rest(order_);
    }
    // Whether so many tickets may be delivered: not when a later epoch draws.
    bool tell_delivered(std::uint64_t n_tickets) const noexcept {
        return !is_live_ || order_ == nullptr || sampler_.delivered(order_, n_tickets) == 0;
    }
    bool is_live() const noexcept { return is_live_; }
    // The order was released: no row can be drawn any more.
    bool is_released() const noexcept { return order_ == nullptr && !is_fed_; }
    // What undoes the weights of the first n rows of the window, which are drawn from `first` on.
    void weigh(std::uint64_t first, std::size_t n, float *out) const { sampler_.weigh(order_, first, rows(), out, n); }
    bool has_weights() const noexcept { return sampler_.weigh != nullptr && order_ != nullptr; }

    // Brings the rows of the next batch into the window, and `n_more` where it can. False: unit *unprepared has to be
    // prepared first.
    bool refill(const Cut &cut, std::size_t batch_size, std::size_t n_more, std::uint64_t *unprepared) {
        if (!share_.is_whole() && !is_fed_) return refill_slices(cut, batch_size, unprepared);
        return n_waiting() >= cut.n + n_more || draw_burst(cut.n, n_more, unprepared);
    }

    // The window: rows drawn and in no ticket.
    std::size_t n_waiting() const noexcept { return tail_ - head_; }
    const char *rows() const noexcept { return window_.data() + head_ * row_width_; }  // (n_waiting, row width)
    // In the epoch, of the next batch of all ranks; of batches that are fed, how many rows came before.
    std::uint64_t position() const noexcept { return position_; }
    // Rows of the order beyond those of the window.
    std::uint64_t left() const noexcept {
        return order_ != nullptr && reached_ < sampler_.length ? sampler_.length - reached_ : 0;
    }
    void pop(const Cut &cut) noexcept {
        head_ += cut.n;
        position_ = cut.end;
        if (!fed_.empty()) fed_.erase(fed_.begin());
    }
    // Rows come back to the front; `fed` are the batches that they were fed as. Both have room for what the window
    // holds, so that nothing can fail.
    void restore(std::vector<char> &&rows, std::vector<FedBatch> &&fed) noexcept;
    std::size_t n_fed() const noexcept { return fed_.size(); }

    // Whether a unit, at most `n_ahead` beyond the one that is drawn from, waits for somebody to prepare it.
    bool find_unit(std::uint64_t n_ahead, std::uint64_t *unit) const noexcept;
    bool has_units() const noexcept { return !units_.empty(); }
    bool is_untouched(std::uint64_t unit) const noexcept { return units_[unit] == Unit::kUntouched; }
    // Between the two, without the lock: prepare(). A unit whose preparation was broken off can never be drawn from: only
    // the end of the cursor may do that.
    void begin_unit(std::uint64_t unit) noexcept { units_[unit] = Unit::kBeingPrepared; }
    void end_unit(std::uint64_t unit) noexcept { units_[unit] = Unit::kPrepared; }
    int prepare(std::uint64_t unit, fb_poll poll) const { return sampler_.prepare(order_, unit, poll); }
    // Whether a unit takes microseconds.
    bool has_small_units() const noexcept { return sampler_.length <= kSmallRows; }
    // The last unit that was drawn from: when it changes, another one may be prepared.
    std::uint64_t unit_reached() const noexcept { return unit_reached_; }

  private:
    static constexpr std::uint64_t kSmallRows = 4096;
    enum class Unit : unsigned char { kUntouched, kBeingPrepared, kPrepared };

    bool draw_burst(std::size_t n, std::size_t n_more, std::uint64_t *unprepared);
    bool refill_slices(const Cut &cut, std::size_t batch_size, std::uint64_t *unprepared);
    void append(std::uint64_t position, std::size_t n);
    bool is_prepared(std::uint64_t position, std::uint64_t n, std::uint64_t *unprepared) noexcept;

    const fb_sampler &sampler_;
    void *order_;  // nullptr: fed, or released
    const Share share_;
    const bool is_fed_, is_live_;
    const std::size_t row_width_;
    const std::size_t burst_rows_;
    std::vector<Unit> units_;
    std::uint64_t unit_reached_ = 0;

    std::vector<char> window_;  // [head_, tail_) of it wait
    std::size_t head_ = 0, tail_ = 0;
    std::uint64_t position_ = 0, reached_ = 0;
    std::size_t sliced_ = 0;  // the batch size that the window's rows were sliced for
    std::vector<FedBatch> fed_;      // those of the window that were fed as such: a few
    bool is_over_ = false;           // nothing more will be fed
};

}  // namespace fb

#endif
