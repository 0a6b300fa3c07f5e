// A live sampler: rows by weights that follow the model.
//
// Updates are made by whoever trains, draws by whoever takes tickets. Each update has the number of the first ticket that
// it is for, so that it applies there whatever the timing: it waits in a queue until that ticket is drawn, and stays in
// it until a ticket before cannot come back, because then it is undone. One lock of its own keeps the two apart; nothing
// is done under it that takes the GIL or waits, and whoever holds the GIL only ever tries it.
#ifndef FB_PRIORITIZED_HPP
#define FB_PRIORITIZED_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

extern "C" {
#include "fb_sampler.h"
#include "fb_sum_tree.h"
}

namespace fb {

// Of the weight of a row, or with row == n_rows of the exponent.
struct Update {
    std::uint64_t due;  // the first ticket that it is for
    std::uint64_t row;
    double value;  // the new one; once it was applied, the old one
};

class Prioritized : public fb_sampler {
  public:
    // (n_rows,) weights that are fit for a tree. What weigh() gives is to the power of `exponent`. Updates apply `lag`
    // batches late.
    Prioritized(const double *weights, std::uint64_t n_rows, std::uint64_t n_drawn, double exponent, std::size_t n_late);
    ~Prioritized();
    Prioritized(const Prioritized &) = delete;
    Prioritized &operator=(const Prioritized &) = delete;

    // After the batch that was delivered last: (n,) rows have these weights from batch lag + 1 after it on. Where all
    // weights are 0 when a batch is asked for, updates that wait apply at once: no batch would ever come.
    void update(const std::uint32_t *rows, const double *values, std::size_t n);
    void update_exponent(double exponent);

    // What the next ticket is drawn from, (n_rows,) weights, and in `pending` what comes later: there `due` counts the
    // tickets after the next one.
    void save(double *weights, double *exponent, std::vector<Update> &pending);
    // What save() gave. Epochs that have begun are over.
    void load(const double *weights, double exponent, const std::vector<Update> &pending);
    // That of the next ticket.
    double exponent();
    // Equal for equal saves.
    std::uint64_t digest();

    // Around a fork, so that the child finds it at rest; both by the thread that forks. To release what is not held does
    // nothing.
    void hold();
    void release() noexcept;

  private:
    class AtRest;
    struct Epoch;
    using Lock = std::lock_guard<std::mutex>;

    static int begin_epoch(const fb_sampler *sampler, fb_key key, std::uint64_t epoch, fb_poll poll, void **state);
    static void draw_rows(void *state, std::uint64_t position, void *out, std::size_t n);
    static void weigh_rows(void *state, std::uint64_t position, const void *rows, float *out, std::size_t n);
    static int turn_to(void *state, std::uint64_t ticket, int waits);
    static void end_turn(void *state);
    static int count_delivered(void *state, std::uint64_t n_tickets);
    static void end_epoch(void *state);

    void make_room(std::size_t n);
    void post(std::uint64_t n_delivered, std::uint64_t row, double value) noexcept;
    std::uint64_t look() noexcept { return look(progress_.load(std::memory_order_acquire) & kCount); }
    std::uint64_t look(std::uint64_t n_delivered) noexcept;
    double exchange(std::uint64_t row, double value) noexcept;
    void move_to(std::uint64_t ticket) noexcept;
    void forget_before(std::uint64_t ticket) noexcept;
    std::uint64_t begin_numbers() noexcept;

    std::mutex mutex_;
    fb_sum_tree tree_;
    double exponent_;
    std::uint64_t sum_ = 0;  // of the marks of all weights

    std::vector<Update> updates_;  // by `due`; the first n_applied_ of them are
    std::size_t n_applied_ = 0;
    std::uint64_t n_drawn_ = 0;  // tickets of the epoch that draws
    // How many of them were delivered, below the number of that epoch: written without the lock.
    static constexpr std::uint64_t kEpoch = std::uint64_t{1} << 40, kCount = kEpoch - 1;
    std::atomic<std::uint64_t> progress_{0};
    bool is_held_ = false;
};

}  // namespace fb

#endif
