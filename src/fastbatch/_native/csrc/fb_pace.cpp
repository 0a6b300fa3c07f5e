#include "fb_pace.hpp"

#include <algorithm>

namespace fb {

void Pace::begin_block(bool on) noexcept {
    if (is_on_ != on) n_unsettled_left_ = n_unsettled_;
    is_on_ = on;
    n_ = 0;
    span_ = wait_ = 0;
}

void Pace::skip_gap(std::int64_t now) noexcept {
    if (is_on_ && now - last_ > kLongGap * period_) n_unsettled_left_ = n_unsettled_;
    last_ = now;
}

bool Pace::is_interruption(std::int64_t span) const noexcept {
    return span > kInterruptionNs && span > kInterruption * period_ && period_ > 0;
}

void Pace::delivered(std::uint64_t n, std::int64_t now, std::int64_t wait_ns) noexcept {
    const std::int64_t span = now - last_;
    if (is_interruption(span / static_cast<std::int64_t>(n))) return skip_gap(now);
    last_ = now;
    period_ = span / static_cast<std::int64_t>(n);
    if (policy_ != Policy::kMeasured) return;
    if (rest_left_ > 0) {
        rest_left_ -= span;
        return;
    }
    trial_ns_ += span;
    if (n_unsettled_left_ > 0) {
        n_unsettled_left_ -= std::min(n, n_unsettled_left_);
        return;
    }
    n_ += n;
    span_ += span;
    wait_ += wait_ns;
    const bool is_long = is_trying_ && n_blocks_ >= kTrialBlocks;
    if (n_ >= kBlockBatches && span_ >= (is_long ? kLongBlockNs : kBlockNs)) end_block();
}

void Pace::end_block() noexcept {
    const double n = static_cast<double>(n_);
    const Cost cost = {static_cast<double>(span_) / n, static_cast<double>(wait_) / n};
    if (!is_trying_) {
        if (!is_on_ && cost.wait < kWorthwhileWaitNs) {  // nothing to gain: look again later
            begin_block(false);
            rest_ns_ = std::max(kRestNs, 2 * rest_ns_);
            rest_left_ = rest_ns_;
            return;
        }
        is_trying_ = true;
        was_on_ = is_on_;
        n_blocks_ = 0;
        trial_ns_ = 0;
        best_[is_on_] = cost;
        best_[!is_on_] = Cost();
        begin_block(!was_on_);
        return;
    }
    // Other work on the machine only adds to what a block takes: the better of two is nearer to the truth.
    Cost &best = best_[is_on_];
    if (best.period == 0 || cost.period < best.period) best = cost;
    ++n_blocks_;
    const bool is_lost = n_blocks_ == 1 && cost.period > kLost * best_[was_on_].period;
    bool is_over = is_lost || n_blocks_ == 2 * kTrialBlocks;
    if (n_blocks_ == kTrialBlocks) {
        const auto [less, more] = std::minmax(best_[0].period, best_[1].period);
        is_over = less < kClear * more;
        if (!is_over) best_[0] = best_[1] = Cost();
    }
    if (is_over)
        end_trial();
    else
        begin_block(!is_on_);
}

void Pace::end_trial() noexcept {
    const Cost without = best_[0], with = best_[1];
    // A wait that is gone is a gain even where the noise of the loop hides it; a longer period never is. What was found
    // before is given up for something clear only.
    const bool on = with.period < 0.97 * without.period ||
                    (with.period < (was_on_ ? 1.05 : 1.02) * without.period && with.wait < 0.5 * without.wait);
    rest_ns_ = on == was_on_ && n_trials_ > 0 ? 2 * rest_ns_ : std::max(kRestNs, kRestTrials * trial_ns_);
    rest_left_ = rest_ns_;
    found_[0] = without;
    found_[1] = with;
    ++n_trials_;
    is_trying_ = false;
    begin_block(on);
}

}  // namespace fb
