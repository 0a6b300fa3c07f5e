// fb::Pace for tests/test_pace.py: plain functions, times given by whoever calls.
#include "fb_pace.hpp"

using fb::Pace;

extern "C" {

Pace *pace_new(int policy, std::uint64_t n_ahead) { return new Pace(static_cast<Pace::Policy>(policy), n_ahead); }
void pace_delete(Pace *pace) { delete pace; }
bool pace_is_on(const Pace *pace) { return pace->is_on(); }
bool pace_is_measured(const Pace *pace) { return pace->is_measured(); }
void pace_stop(Pace *pace) { pace->stop(); }
void pace_skip_gap(Pace *pace, std::int64_t now) { pace->skip_gap(now); }
void pace_delivered(Pace *pace, std::uint64_t n, std::int64_t now, std::int64_t wait_ns) {
    pace->delivered(n, now, wait_ns);
}
std::uint64_t pace_n_trials(const Pace *pace) { return pace->n_trials(); }
double pace_period(const Pace *pace, bool on) { return pace->cost(on).period; }
double pace_wait(const Pace *pace, bool on) { return pace->cost(on).wait; }
}
