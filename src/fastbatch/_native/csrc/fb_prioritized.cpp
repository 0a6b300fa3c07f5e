#include "fb_prioritized.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
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
    std::uint64_t number;  // of those that have begun
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

// The numbers of tickets begin anew: tickets that were not delivered are gone.
void Prioritized::end_numbers() noexcept {
    move_to(n_delivered_);
    forget_before(n_delivered_);
    for (Update &update : updates_) update.due -= n_delivered_;
    n_drawn_ = n_delivered_ = 0;
}

// There is room for it in the queue.
void Prioritized::post(std::uint64_t due, std::uint64_t row, double value) noexcept {
    if (updates_.empty() && due <= n_delivered_ && n_drawn_ == n_delivered_)
        exchange(row, value);  // no ticket is out that would have to be drawn again without it
    else
        updates_.push_back({due, row, value});
}

void Prioritized::update(const std::uint32_t *rows, const double *values, std::size_t n) {
    const Lock lock(mutex_);
    if (n_drawn_ == n_delivered_) {
        move_to(n_delivered_);
        if (lag == 0) forget_before(n_delivered_);
    }
    updates_.reserve(updates_.size() + n);  // nothing fails from here on
    for (std::size_t i = 0; i < n; ++i) {
        fb_sum_tree_prefetch(&tree_, rows[std::min(i + kAheadUpdates, n - 1)]);
        post(n_delivered_ + lag, rows[i], values[i]);
    }
}

void Prioritized::update_exponent(double exponent) {
    const Lock lock(mutex_);
    updates_.reserve(updates_.size() + 1);
    post(n_delivered_ + lag, n_rows, exponent);
}

// --------------------------------------------------------------------------------------------------------------- state

void Prioritized::save(double *weights, double *exponent, std::vector<Update> &pending) {
    const Lock lock(mutex_);
    move_to(n_delivered_);
    pending.assign(updates_.begin() + static_cast<std::ptrdiff_t>(n_applied_), updates_.end());
    for (Update &update : pending) update.due -= n_delivered_;
    std::memcpy(weights, fb_sum_tree_weights(&tree_), static_cast<std::size_t>(n_rows) * sizeof *weights);
    *exponent = exponent_;
    if (n_drawn_ > 0) move_to(n_drawn_ - 1);
}

void Prioritized::load(const double *weights, double exponent, const std::vector<Update> &pending) {
    const Lock lock(mutex_);
    std::vector<Update> updates(pending);
    fb_sum_tree tree;
    if (!fb_sum_tree_init(&tree, weights, n_rows)) throw std::bad_alloc();
    fb_sum_tree_free(&tree_);
    tree_ = tree;
    sum_ = 0;
    for (std::uint64_t row = 0; row < n_rows; ++row) sum_ += mark_of(row, weights[row]);
    exponent_ = exponent;
    updates_.swap(updates);
    n_applied_ = 0;
    ++n_epochs_;
    n_drawn_ = n_delivered_ = 0;
}

std::uint64_t Prioritized::digest() {
    const Lock lock(mutex_);
    move_to(n_delivered_);
    std::uint64_t digest = mixed(sum_ + mark_of(n_rows, exponent_)) + lag;
    for (std::size_t i = n_applied_; i < updates_.size(); ++i)
        digest = mixed(digest ^ mark_of(updates_[i].row, updates_[i].value)) + (updates_[i].due - n_delivered_);
    if (n_drawn_ > 0) move_to(n_drawn_ - 1);
    return mixed(digest);
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
    self->end_numbers();
    begun->sampler = self;
    begun->number = ++self->n_epochs_;
    fb_words_begin(&begun->words, key, epoch, FB_STREAM_PRIORITIZED);
    return 0;
}

int Prioritized::turn_to(void *state, std::uint64_t ticket) {
    const Epoch *epoch = static_cast<const Epoch *>(state);
    Prioritized *self = epoch->sampler;
    const Lock lock(self->mutex_);
    if (epoch->number != self->n_epochs_) return FB_SUPERSEDED;
    self->move_to(ticket);
    if (self->lag == 0) self->forget_before(ticket);
    self->n_drawn_ = ticket;
    if (!(self->tree_.total > 0)) return FB_ALL_ZERO;
    self->n_drawn_ = ticket + 1;
    return 0;
}

void Prioritized::count_delivered(void *state, std::uint64_t n_tickets) {
    const Epoch *epoch = static_cast<const Epoch *>(state);
    Prioritized *self = epoch->sampler;
    const Lock lock(self->mutex_);
    if (epoch->number != self->n_epochs_) return;
    self->n_delivered_ = n_tickets;
    self->n_drawn_ = std::max(self->n_drawn_, n_tickets);
    if (n_tickets > 0) self->forget_before(n_tickets - 1);  // the last one can be taken back
}

void Prioritized::draw_rows(void *state, std::uint64_t position, void *out, std::size_t n) {
    Epoch *epoch = static_cast<Epoch *>(state);
    Prioritized *self = epoch->sampler;
    std::uint32_t *rows = static_cast<std::uint32_t *>(out);
    std::uint64_t words[kWordsAtOnce];
    const Lock lock(self->mutex_);
    if (!(self->tree_.total > 0)) {  // an epoch that was superseded since its turn: nobody will see its rows
        std::fill(rows, rows + n, 0);
        return;
    }
    fb_words_seek(&epoch->words, position);
    while (n > 0) {
        const std::size_t count = fb_words_advance(&epoch->words, n, kWordsAtOnce);
        for (std::size_t i = 0; i < count; ++i) words[i] = fb_next(&epoch->words.rng);
        fb_sum_tree_draw(&self->tree_, words, count, rows);
        rows += count;
        n -= count;
    }
}

// (1 / (N P)) ^ exponent, with P = weight / total.
void Prioritized::weigh_rows(void *state, std::uint64_t position, const void *rows, float *out, std::size_t n) {
    Prioritized *self = static_cast<const Epoch *>(state)->sampler;
    (void)position;
    const Lock lock(self->mutex_);
    const double *weights = fb_sum_tree_weights(&self->tree_);
    const double mean = self->tree_.total / static_cast<double>(self->tree_.n_positive);
    for (std::size_t i = 0; i < n; ++i) {
        const double ratio = mean / weights[static_cast<const std::uint32_t *>(rows)[i]];
        out[i] = static_cast<float>(self->exponent_ == 1 ? ratio : std::pow(ratio, self->exponent_));
    }
}

void Prioritized::end_epoch(void *state) { delete static_cast<Epoch *>(state); }

}  // namespace fb
