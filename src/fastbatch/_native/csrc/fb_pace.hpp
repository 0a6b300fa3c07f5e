// Whether threads fill batches ahead of whoever asks for them: found out by trying.
//
// Batches that cost less than a hand-off between threads are left alone. Otherwise both ways are tried, twice each in
// turn; where that does not tell them apart clearly, once more and for longer. The better one is kept, and that is looked
// at again after a while, ever less often. A machine without a free core shows in the period from batch to batch; what a
// loop gains shows in its wait.
#ifndef FB_PACE_HPP
#define FB_PACE_HPP

#include <cstdint>

namespace fb {

class Pace {
  public:
    enum class Policy { kNever, kAlways, kMeasured };

    // `n_ahead` batches may be filled ahead: so many are under the influence of the way before.
    Pace(Policy policy, std::uint64_t n_ahead) noexcept
        : policy_(policy), n_unsettled_(n_ahead + 2), is_on_(policy == Policy::kAlways) {}

    bool is_on() const noexcept { return is_on_; }
    bool is_measured() const noexcept { return policy_ == Policy::kMeasured; }
    void stop() noexcept {
        policy_ = Policy::kNever;
        is_on_ = false;
    }

    // An epoch begins: the time since the last batch says nothing. In a long one threads have filled what they may.
    void skip_gap(std::int64_t now) noexcept;

    // n batches were delivered since the last call, the last of them now; they were waited for `wait_ns` in all.
    void delivered(std::uint64_t n, std::int64_t now, std::int64_t wait_ns) noexcept;

    // Nanoseconds per batch of one way: from batch to batch, and of these the wait.
    struct Cost {
        double period = 0, wait = 0;
    };
    // What was found when both ways were tried last; nothing if `n_trials` is 0.
    std::uint64_t n_trials() const noexcept { return n_trials_; }
    Cost cost(bool on) const noexcept { return found_[on]; }

  private:
    static constexpr std::uint64_t kBlockBatches = 16;  // at least, in each block of a trial
    static constexpr std::int64_t kBlockNs = 4'000'000;
    static constexpr std::int64_t kLongBlockNs = 30'000'000;
    static constexpr unsigned kTrialBlocks = 4;  // and as many long ones
    static constexpr double kWorthwhileWaitNs = 5'000;
    static constexpr std::int64_t kLongGap = 4;  // periods
    static constexpr std::int64_t kInterruption = 16;  // periods
    static constexpr std::int64_t kInterruptionNs = 50'000'000;
    static constexpr double kLost = 1.25;  // a way so much slower is given up after one block
    static constexpr double kClear = 0.8;  // what one period has to be of the other for short blocks to tell
    static constexpr std::int64_t kRestNs = 20'000'000;  // of the loop's time at least, between two looks
    static constexpr int kRestTrials = 5;                // so many times as long as a trial

    // Whether a consumer was away between two batches, to evaluate a model or the like.
    bool is_interruption(std::int64_t span) const noexcept;
    void end_block() noexcept;
    void end_trial() noexcept;
    void begin_block(bool on) noexcept;

    Policy policy_;
    const std::uint64_t n_unsettled_;
    bool is_on_;

    std::int64_t last_ = 0, rest_left_ = 0, rest_ns_ = 0, trial_ns_ = 0;
    bool is_trying_ = false, was_on_ = false;
    unsigned n_blocks_ = 0;                            // of the trial that are over
    std::uint64_t n_unsettled_left_ = 2, n_ = 0;       // the first batches bear the cost of beginning
    std::int64_t span_ = 0, wait_ = 0;
    std::int64_t period_ = 0;  // between the last batches
    Cost best_[2], found_[2];
    std::uint64_t n_trials_ = 0;
};

}  // namespace fb

#endif
