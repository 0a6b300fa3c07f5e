#include "fb_engine.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "fb_cursor.hpp"

#if !defined(_WIN32)
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#endif

namespace fb {

namespace {

// Signals are for the threads that the process had before: those wake from a wait for them, ours would swallow them.
class SignalsBlocked {
  public:
#if defined(_WIN32)
    SignalsBlocked() noexcept {}
#else
    SignalsBlocked() noexcept {
        sigset_t all;
        sigfillset(&all);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&all, fault);  // those are for who makes them
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;
#endif
};

// A thread that is woken takes the core of the one that woke it, if no other is free: in a loop whose step has all cores
// at work, it would fill batches while the consumer of one stands still. Linux lets it say that it can wait.
void preempt_nobody() noexcept {
#if defined(SCHED_BATCH)
    const sched_param none = {};
    if (sched_getscheduler(0) == SCHED_OTHER) (void)sched_setscheduler(0, SCHED_BATCH, &none);
#endif
}

}  // namespace

Engine::Engine(std::vector<const fb_column *> columns, const std::vector<unsigned> &ndims,
               const std::vector<Allocator> &allocators, unsigned n_spare, std::size_t n_threads, std::size_t n_ahead,
               Pace::Policy policy, bool reads_files)
    : columns_(std::move(columns)),
      n_ahead_(n_ahead),
      pace_(n_threads > 0 ? policy : Pace::Policy::kNever, n_ahead),
      reads_files_(reads_files),
      always_(policy == Pace::Policy::kAlways),
      n_threads_(n_threads) {
    pools_.reserve(columns_.size());
    threads_.reserve(n_threads);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        Pool *pool = Pool::create(ndims[i], n_spare, allocators[i]);
        if (pool == nullptr) {
            close();
            throw std::bad_alloc();
        }
        pools_.push_back(pool);
    }
}

Engine::~Engine() { close(); }

void Engine::close() {
    {
        const Lock lock(mutex_);
        is_closed_.store(true, std::memory_order_relaxed);  // whoever waits need not wait for the threads' last fill
        done_.notify_all();
    }
    stop_threads();
    const Lock lock(mutex_);
    for (Pool *pool : pools_) pool->close();
    pools_.clear();
}

Engine::Slots Engine::slots(std::size_t i) noexcept {
    const Lock lock(mutex_);
    if (pools_.empty()) return {};
    const Pool &pool = *pools_[i];
    return {pool.n_live(), pool.n_idle(), pool.n_allocated(), pool.live_nbytes()};
}

Engine::Report Engine::report(bool reset) noexcept {
    const Lock lock(mutex_);
    Report report;
    report.counts = meter_.counts;
    for (const Cursor *cursor : cursors_) report.n_tickets += cursor->n_out_in_all();
    report.n_threads = threads_.size();
    report.fills_ahead = pace_.is_on();
    report.n_trials = pace_.n_trials();
    report.with = pace_.cost(true);
    report.without = pace_.cost(false);
    if (reset) meter_.counts = Counts();
    return report;
}

// A buffer of every column for n rows into (n_columns,) buffers, or none. Under the lock.
bool Engine::acquire(std::size_t n, Buffer **buffers) noexcept {
    for (std::size_t i = 0; i < pools_.size(); ++i) {
        const std::size_t row_nbytes = columns_[i]->row_nbytes, tail_nbytes = columns_[i]->tail_nbytes;
        const bool fits = row_nbytes == 0 || n <= (SIZE_MAX - tail_nbytes) / row_nbytes;
        buffers[i] = fits ? pools_[i]->acquire(n * row_nbytes + tail_nbytes) : nullptr;
        if (buffers[i] == nullptr) {
            while (i > 0) Pool::release(buffers[--i]);
            return false;
        }
    }
    return true;
}

// ------------------------------------------------------------------------------------------------------------- threads

void Engine::attach(Cursor *cursor) noexcept {
    try {
        cursors_.push_back(cursor);
    } catch (const std::bad_alloc &) {  // whoever asks for its batches fills them
    }
}

void Engine::detach(Cursor *cursor) noexcept {
    cursors_.erase(std::remove(cursors_.begin(), cursors_.end(), cursor), cursors_.end());
}

// Under the lock. Where the system gives fewer threads than asked for, or none, those there are do the work.
void Engine::start_threads() noexcept {
    const SignalsBlocked blocked;
    try {
        while (threads_.size() < n_threads_) threads_.emplace_back(&Engine::run, this);
    } catch (const std::exception &) {  // std::system_error, or no memory for a thread
        n_threads_ = threads_.size();
        if (n_threads_ == 0) pace_.stop();
        was_refused_.store(true);
    }
}

void Engine::stop_threads() {
    std::vector<std::thread> threads;
    {
        const Lock lock(mutex_);
        n_threads_ = 0;
        pace_.stop();
        threads.swap(threads_);
        is_stopping_.store(true);
        work_.notify_all();
    }
    for (std::thread &thread : threads) thread.join();
}

void Engine::run() {
    preempt_nobody();
    Lock lock(mutex_);
    while (!is_stopping_.load(std::memory_order_relaxed)) {
        if (help(lock, false)) continue;
        ++n_parked_;
        work_.wait(lock);
        --n_parked_;
    }
}

// Does one piece of work, if there is any.
bool Engine::help(Lock &lock, bool parts_only) {
    for (std::size_t i = 0; i < cursors_.size(); ++i) {
        const std::size_t which = (turn_ + i) % cursors_.size();
        if (cursors_[which]->help(lock, parts_only, pace_.is_on() ? n_ahead_ : 0)) {
            turn_ = which + 1;
            return true;
        }
    }
    return false;
}

}  // namespace fb
