// The engine: WHERE batches are made, and by whom.
//
// It owns the slots, one pool of buffers per column, and the threads that fill them ahead of need. There is one short
// lock, for the engine and all of its cursors; allocators are called under it. Nothing here takes the GIL or knows
// Python, and whoever holds the GIL only ever tries the lock.
#ifndef FB_ENGINE_HPP
#define FB_ENGINE_HPP

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "fb_meter.hpp"
#include "fb_pace.hpp"
#include "fb_pool.hpp"

extern "C" {
#include "fb_column.h"
}

namespace fb {

class Cursor;

using Lock = std::unique_lock<std::mutex>;

class Engine {
  public:
    // Each column has an allocator of its own, and `n_spare` idle buffers of it are kept. Up to `n_threads` threads are
    // started when there is work for them; they fill batches ahead as `policy` says, and prepare orders ahead in any
    // case.
    Engine(std::vector<const fb_column *> columns, const std::vector<unsigned> &ndims,
           const std::vector<Allocator> &allocators, unsigned n_spare, std::size_t n_threads, std::size_t n_ahead,
           Pace::Policy policy, bool reads_files);
    ~Engine();
    Engine(const Engine &) = delete;
    Engine &operator=(const Engine &) = delete;

    // Idle buffers are freed now, leased ones as they come back; no ticket is taken from here on. Ends the threads.
    void close();
    bool is_closed() const noexcept { return is_closed_.load(std::memory_order_relaxed); }

    // Ends the threads for good; batches are filled by whoever asks for them.
    void stop_threads();
    // Whether the system refused a thread since this was asked last.
    bool take_refusal() noexcept { return was_refused_.exchange(false); }

    std::size_t n_columns() const noexcept { return columns_.size(); }
    const fb_column *column(std::size_t i) const noexcept { return columns_[i]; }
    std::size_t n_ahead() const noexcept { return n_ahead_; }

    // Of a column; nothing once closed.
    struct Slots {
        std::uint64_t n_live = 0;       // buffers there are
        std::uint64_t n_idle = 0;       // of these, neither leased nor in a ticket
        std::uint64_t n_allocated = 0;  // buffers ever made
        std::uint64_t live_nbytes = 0;
    };
    Slots slots(std::size_t i) noexcept;

    struct Report {
        Counts counts;
        std::size_t n_tickets = 0;  // out now
        std::size_t n_threads = 0;  // alive
        bool fills_ahead = false;
        std::uint64_t n_trials = 0;
        Pace::Cost with, without;
    };
    Report report(bool reset) noexcept;

  private:
    friend class Cursor;

    bool acquire(std::size_t n, Buffer **buffers) noexcept;
    void attach(Cursor *cursor) noexcept;
    void detach(Cursor *cursor) noexcept;
    void start_threads() noexcept;
    void run();
    bool help(Lock &lock, bool parts_only);

    std::mutex mutex_;
    const std::vector<const fb_column *> columns_;
    std::vector<Pool *> pools_;  // empty once closed
    std::atomic<bool> is_closed_{false};
    const std::size_t n_ahead_;  // batches filled ahead, at most

    std::vector<Cursor *> cursors_;  // whose work the threads look at
    std::size_t turn_ = 0;           // of the cursor that they look at first
    Meter meter_;
    Pace pace_;

    const bool reads_files_;  // to be read only in an epoch that has begun: what was truncated before is refused then
    const bool always_;      // threads were asked for, whatever they bring
    std::size_t n_threads_;  // to be started; 0 once they are to end
    std::vector<std::thread> threads_;
    std::atomic<bool> is_stopping_{false}, was_refused_{false};
    std::size_t n_parked_ = 0;  // threads that wait for work_
    alignas(64) std::condition_variable work_;  // apart, because its waiters and those of done_ are on other cores
    // A piece of work that somebody may wait for is over. Who waits says so first, in n_sleeping_, n_pausing_ or
    // is_cancelled_ of the cursor: else nobody tells.
    alignas(64) std::condition_variable done_;
};

}  // namespace fb

#endif
