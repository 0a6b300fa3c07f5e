#include "fb_prioritized.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

extern "C" {
#include "fb_words.h"
}

namespace fb {

namespace {

constexpr std::size_t kWordsAtOnce = 64;

// Weights that will be changed are fetched so many updates ahead.
constexpr std::size_t kAheadUpdates = 8;

std::uint64_t mixed(std::uint64_t x) noexcept {  // the finaliser of SplitMix64
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

std::uint64_t mark_of(std::uint64_t row, double value) noexcept {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return mixed(mixed(row + UINT64_C(0x9e3779b97f4a7c15)) ^ bits);
}

}  // namespace

struct Prioritized::Epoch {
    Prioritized *sampler;
    std::uint64_t number;  // a multiple of kEpoch
    fb_words words;
};

Prioritized::Prioritized(const double *weights, std::uint64_t n_rows_given, std::uint64_t n_drawn, double exponent,
                         std::size_t n_late)
    : fb_sampler(), exponent_(exponent) {
    if (!fb_sum_tree_init(&tree_, weights, n_rows_given)) throw std::bad_alloc();
    for (std::uint64_t row = 0; row < n_rows_given; ++row) sum_ += mark_of(row, weights[row]);
    n_rows = n_rows_given;
    length = n_drawn;
    fb_sampler_without_units(this, begin_epoch, draw_rows, end_epoch);
    is_of_one_epoch = 1;
    weigh = weigh_rows;
    lag = n_late;
    turn = turn_to;
    rest = end_turn;
    delivered = count_delivered;
}

Prioritized::~Prioritized() { fb_sum_tree_free(&tree_); }

// ------------------------------------------------------------------------------------------------------------- updates

// Sets a weight, or the exponent; the old one.
double Prioritized::exchange(std::uint64_t row, double value) noexcept {
    if (row == n_rows) return std::exchange(exponent_, value);
    const double before = fb_sum_tree_set(&tree_, row, value);
    sum_ += mark_of(row, value) - mark_of(row, before);
    return before;
}

// Weights become those that ticket number `ticket` is drawn from.
void Prioritized::move_to(std::uint64_t ticket) noexcept {
    while (n_applied_ > 0 && updates_[n_applied_ - 1].due > ticket) {
        Update &last = updates_[--n_applied_];
        last.value = exchange(last.row, last.value);
    }
    for (; n_applied_ < updates_.size() && updates_[n_applied_].due <= ticket; ++n_applied_) {
        const std::size_t ahead = std::min(n_applied_ + kAheadUpdates, updates_.size() - 1);
        if (updates_[ahead].row < n_rows) fb_sum_tree_prefetch(&tree_, updates_[ahead].row);
        Update &next = updates_[n_applied_];
        next.value = exchange(next.row, next.value);
    }
}

// Tickets before `ticket` do not come back: what was applied for them need not be undone.
void Prioritized::forget_before(std::uint64_t ticket) noexcept {
    std::size_t n = 0;
    while (n < n_applied_ && updates_[n].due <= ticket) ++n;
    updates_.erase(updates_.begin(), updates_.begin() + static_cast<std::ptrdiff_t>(n));
    n_applied_ -= n;
}

// What follows from it that so many tickets were delivered.
std::uint64_t Prioritized::look(std::uint64_t n_delivered) noexcept {
    n_drawn_ = std::max(n_drawn_, n_delivered);
    // A batch that came back: what was made after it was made before it.
    for (auto update = updates_.rbegin(); update != updates_.rend() && update->due > n_delivered + lag; ++update)
        update->due = n_delivered + lag;
    if (n_delivered > 0 && lag > 0) forget_before(n_delivered - 1);  // the last one can be taken back
    return n_delivered;
}

// Another epoch draws, with numbers of its own: tickets that were not delivered are gone. Its number.
std::uint64_t Prioritized::begin_numbers() noexcept {
    std::uint64_t before = progress_.load(), number;
    do number = (before & ~kCount) + kEpoch;
    while (!progress_.compare_exchange_weak(before, number));
    const std::uint64_t n_delivered = look(before & kCount);
    move_to(n_delivered);
    forget_before(n_delivered);
    for (Update &update : updates_) update.due -= n_delivered;
    n_drawn_ = 0;
    return number;
}

void Prioritized::make_room(std::size_t n) {
    if (updates_.size() + n > updates_.capacity()) updates_.reserve(std::max(updates_.size() + n, 2 * updates_.capacity()));
}

// There is room for it in the queue.
void Prioritized::post(std::uint64_t n_delivered, std::uint64_t row, double value) noexcept {
    if (lag == 0 && updates_.empty() && n_drawn_ == n_delivered)
        exchange(row, value);  // no ticket is out that would have to be drawn again without it
    else
        updates_.push_back({n_delivered + lag, row, value});
}

void Prioritized::update(const std::uint32_t *rows, const double *values, std::size_t n) {
    const Lock lock(mutex_);
    const std::uint64_t n_delivered = look();
    if (lag == 0 && n_drawn_ == n_delivered) {
        move_to(n_delivered);
        forget_before(n_delivered);
    }
    make_room(n);  // nothing fails from here on
    for (std::size_t i = 0; i < n; ++i) {
        fb_sum_tree_prefetch(&tree_, rows[std::min(i + kAheadUpdates, n - 1)]);
        post(n_delivered, rows[i], values[i]);
    }
}

void Prioritized::update_exponent(double exponent) {
    const Lock lock(mutex_);
    const std::uint64_t n_delivered = look();
    make_room(1);
    post(n_delivered, n_rows, exponent);
}

// --------------------------------------------------------------------------------------------------------------- state

// While it lives weights are those that the next ticket is drawn from, whatever was drawn ahead.
class Prioritized::AtRest {
  public:
    explicit AtRest(Prioritized &sampler) : lock_(sampler.mutex_), sampler_(sampler), n_delivered(sampler.look()) {
        sampler.move_to(n_delivered);
    }
    ~AtRest() {
        if (sampler_.n_drawn_ > 0) sampler_.move_to(sampler_.n_drawn_ - 1);
    }

  private:
    const Lock lock_;
    Prioritized &sampler_;

  public:
    const std::uint64_t n_delivered;
};

void Prioritized::save(double *weights, double *exponent, std::vector<Update> &pending) {
    const AtRest rest(*this);
    pending.assign(updates_.begin() + static_cast<std::ptrdiff_t>(n_applied_), updates_.end());
    for (Update &update : pending) update.due -= rest.n_delivered;
    std::memcpy(weights, fb_sum_tree_weights(&tree_), static_cast<std::size_t>(n_rows) * sizeof *weights);
    *exponent = exponent_;
}

double Prioritized::exponent() {
    const AtRest rest(*this);
    return exponent_;
}

void Prioritized::load(const double *weights, double exponent, const std::vector<Update> &pending) {
    const Lock lock(mutex_);
    std::vector<Update> updates(pending);
    fb_sum_tree tree;
    if (!fb_sum_tree_init(&tree, weights, n_rows)) throw std::bad_alloc();
    (void)begin_numbers();
    fb_sum_tree_free(&tree_);
    tree_ = tree;
    sum_ = 0;
    for (std::uint64_t row = 0; row < n_rows; ++row) sum_ += mark_of(row, weights[row]);
    exponent_ = exponent;
    updates_.swap(updates);
    n_applied_ = 0;
}

std::uint64_t Prioritized::digest() {
    const AtRest rest(*this);
    std::uint64_t digest = mixed(sum_ + mark_of(n_rows, exponent_)) + lag;
    for (std::size_t i = n_applied_; i < updates_.size(); ++i)
        digest = mixed(digest ^ mark_of(updates_[i].row, updates_[i].value)) + (updates_[i].due - rest.n_delivered);
    return mixed(digest);
}

void Prioritized::hold() {
    mutex_.lock();
    is_held_ = true;
}

void Prioritized::release() noexcept {
    if (!is_held_) return;
    is_held_ = false;
    mutex_.unlock();
}

// --------------------------------------------------------------------------------------------------------------- draws

int Prioritized::begin_epoch(const fb_sampler *sampler, fb_key key, std::uint64_t epoch, fb_poll poll, void **state) {
    // Who begins an epoch has it from a Prioritized that it may change.
    Prioritized *self = const_cast<Prioritized *>(static_cast<const Prioritized *>(sampler));
    Epoch *begun = *state != nullptr ? static_cast<Epoch *>(*state) : new (std::nothrow) Epoch;
    (void)poll;
    *state = begun;
    if (begun == nullptr) return FB_NO_MEMORY;
    const Lock lock(self->mutex_);
    begun->sampler = self;
    begun->number = self->begin_numbers();
    fb_words_begin(&begun->words, key, epoch, FB_STREAM_PRIORITIZED);
    return 0;
}

int Prioritized::turn_to(void *state, std::uint64_t ticket, int waits) {
    const Epoch *epoch = static_cast<const Epoch *>(state);
    Prioritized *self = epoch->sampler;
    std::unique_lock<std::mutex> lock(self->mutex_, std::defer_lock);
    if (waits)
        lock.lock();
    else if (!lock.try_lock())
        return FB_BUSY;
    const std::uint64_t progress = self->progress_.load(std::memory_order_acquire);
    if (epoch->number != (progress & ~kCount)) return FB_SUPERSEDED;
    const std::uint64_t n_delivered = self->look(progress & kCount);
    self->move_to(ticket);
    if (!(self->tree_.total > 0) && ticket == n_delivered && self->n_applied_ < self->updates_.size()) {
        for (Update &update : self->updates_) update.due = std::min(update.due, ticket);
        self->move_to(ticket);
    }
    if (self->lag == 0) self->forget_before(ticket);
    self->n_drawn_ = ticket;
    if (!(self->tree_.total > 0)) return FB_ALL_ZERO;
    self->n_drawn_ = ticket + 1;
    (void)lock.release();  // until end_turn()
    return 0;
}

void Prioritized::end_turn(void *state) { static_cast<const Epoch *>(state)->sampler->mutex_.unlock(); }

int Prioritized::count_delivered(void *state, std::uint64_t n_tickets) {
    const Epoch *epoch = static_cast<const Epoch *>(state);
    std::uint64_t before = epoch->sampler->progress_.load(std::memory_order_acquire);
    do
        if (epoch->number != (before & ~kCount)) return FB_SUPERSEDED;
    while (!epoch->sampler->progress_.compare_exchange_weak(before, epoch->number + n_tickets));
    return 0;
}

void Prioritized::draw_rows(void *state, std::uint64_t position, void *out, std::size_t n) {
    Epoch *epoch = static_cast<Epoch *>(state);
    std::uint32_t *rows = static_cast<std::uint32_t *>(out);
    std::uint64_t words[kWordsAtOnce];
    fb_words_seek(&epoch->words, position);
    while (n > 0) {
        const std::size_t count = fb_words_advance(&epoch->words, n, kWordsAtOnce);
        for (std::size_t i = 0; i < count; ++i) words[i] = fb_next(&epoch->words.rng);
        fb_sum_tree_draw(&epoch->sampler->tree_, words, count, rows);
        rows += count;
        n -= count;
    }
}

// (1 / (N P)) ^ exponent, with P = weight / total.
void Prioritized::weigh_rows(void *state, std::uint64_t position, const void *rows, float *out, std::size_t n) {
    const Prioritized *self = static_cast<const Epoch *>(state)->sampler;
    (void)position;
    const double *weights = fb_sum_tree_weights(&self->tree_);
    const double mean = self->tree_.total / static_cast<double>(self->tree_.n_positive);
    for (std::size_t i = 0; i < n; ++i) {
        const double ratio = mean / weights[static_cast<const std::uint32_t *>(rows)[i]];
        const double power = self->exponent_ == 1 ? ratio : std::pow(ratio, self->exponent_);
        out[i] = static_cast<float>(std::min<double>(power, std::numeric_limits<float>::max()));
    }
}

void Prioritized::end_epoch(void *state) { delete static_cast<Epoch *>(state); }

}  // namespace fb
