// What an engine has done, and how long it took. Reading the clock twice costs 50 ns: where batches come faster than
// every 10 us, one in many is timed and counts for all of them.
#ifndef FB_METER_HPP
#define FB_METER_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace fb {

// Nanoseconds of a clock that never goes back.
inline std::int64_t now() noexcept {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

struct Counts {
    std::uint64_t n_epochs = 0;   // that came to their end
    std::uint64_t n_batches = 0;  // delivered
    std::uint64_t n_rows = 0;
    std::uint64_t n_bytes = 0;
    std::uint64_t n_ready = 0;    // batches that were filled when they were asked for
    std::int64_t fill_ns = 0;     // of all threads
    std::int64_t wait_ns = 0;     // of whoever asked
    std::int64_t elapsed_ns = 0;  // from the beginning of each epoch to its last batch
};

class Meter {
  public:
    Counts counts;

    // Whether the next delivery is to be timed.
    bool is_due() const noexcept { return until_timed_ == 0; }
    // Of how many fills the next one that begins is timed for all: 0 if it is not.
    unsigned fill_weight() noexcept {
        if (until_fill_timed_ > 0) {
            --until_fill_timed_;
            return 0;
        }
        until_fill_timed_ = every_ - 1;
        return every_;
    }

    // The batch delivered last was taken back.
    void taken_back(std::size_t n_rows, std::size_t n_bytes) noexcept {
        --counts.n_batches;
        counts.n_rows -= n_rows;
        counts.n_bytes -= n_bytes;
    }

    // A batch was delivered; it was timed if `left` > 0: asked for at `entered`, delivered at `left`.
    // Returns the batches delivered since the last that was timed.
    std::uint64_t delivered(std::size_t n_rows, std::size_t n_bytes, bool ready, std::int64_t entered,
                            std::int64_t left) noexcept {
        ++counts.n_batches;
        counts.n_rows += n_rows;
        counts.n_bytes += n_bytes;
        counts.n_ready += ready;
        ++n_since_;
        if (left == 0) {
            if (until_timed_ > 0) --until_timed_;
            return 0;
        }
        counts.wait_ns += (left - entered) * static_cast<std::int64_t>(n_since_);
        const std::uint64_t n = n_since_;
        every_ = left - last_ < static_cast<std::int64_t>(n) * kFastNs ? kSample : 1;
        until_timed_ = every_ - 1;
        last_ = left;
        n_since_ = 0;
        return n;
    }

  private:
    static constexpr std::int64_t kFastNs = 10'000;
    static constexpr unsigned kSample = 64;

    unsigned every_ = 1, until_timed_ = 0, until_fill_timed_ = 0;
    std::uint64_t n_since_ = 0;
    std::int64_t last_ = 0;
};

}  // namespace fb

#endif
