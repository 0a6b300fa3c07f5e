"""Whether threads fill ahead: the decision alone, as a function of the times it is told. See csrc/fb_pace.hpp."""

import ctypes
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import native_library

pytestmark = native_library.needed

NEVER, ALWAYS, MEASURED = range(3)
US, MS, S = 10**3, 10**6, 10**9
N_AHEAD = 4

# In microseconds from batch to batch, and of these the wait; without threads and with them.
HELPED = {False: (1000, 300), True: (720, 2)}
HINDERED = {False: (1000, 300), True: (1200, 100)}
CHEAP = {False: (400, 1), True: (400, 1)}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    library = native_library.build(tmp_path_factory.mktemp("pace"), "pace", ["fb_pace"])
    pointer, n, ns = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int64
    for name, result, *arguments in [
        ("new", pointer, ctypes.c_int, n),
        ("delete", None, pointer),
        ("is_on", ctypes.c_bool, pointer),
        ("is_measured", ctypes.c_bool, pointer),
        ("stop", None, pointer),
        ("skip_gap", None, pointer, ns),
        ("delivered", None, pointer, n, ns, ns),
        ("n_trials", n, pointer),
        ("period", ctypes.c_double, pointer, ctypes.c_bool),
        ("wait", ctypes.c_double, pointer, ctypes.c_bool),
    ]:
        function = getattr(library, f"pace_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class Loop:
    """A loop over batches, on a clock of its own."""

    def __init__(self, library, policy=MEASURED, n_ahead=N_AHEAD, began=5 * S):
        self.library = library
        self.n_ahead = n_ahead
        self.pace = library.pace_new(policy, n_ahead)
        self.now = began
        self.n_since = n_ahead  # batches since `is_on` changed
        self.changes = []  # (when, whether it was turned on, batches since the change before)
        self.begin_epoch()

    def __del__(self):
        self.library.pace_delete(self.pace)

    def begin_epoch(self, after=0):
        self.now += after
        self.library.pace_skip_gap(self.pace, self.now)

    @property
    def is_on(self):
        return self.library.pace_is_on(self.pace)

    @property
    def n_trials(self):
        return self.library.pace_n_trials(self.pace)

    def found(self, on):
        """What the last trial found, in microseconds."""
        return self.library.pace_period(self.pace, on) / US, self.library.pace_wait(self.pace, on) / US

    def deliver(self, costs, *, n=1, factor=1.0):
        """n batches at the costs of the way they are filled: that of before, as far as they were filled ahead."""
        was_on = self.is_on
        period, wait = costs[was_on if self.n_since >= self.n_ahead else not was_on]
        self.now += round(n * period * US * factor)
        self.n_since += n
        self.library.pace_delivered(self.pace, n, self.now, round(n * wait * US))
        if self.is_on != was_on:
            self.changes.append((self.now, self.is_on, self.n_since))
            self.n_since = 0

    def run(self, costs, duration, **options):
        end = self.now + duration
        while self.now < end:
            self.deliver(costs, **options)

    def run_until(self, costs, is_reached, most=100 * S):
        """How long it took until something has come about."""
        began = self.now
        while not is_reached():
            self.deliver(costs)
            assert self.now < began + most
        return self.now - began

    def run_trial(self, costs):
        n = self.n_trials
        return self.run_until(costs, lambda: self.n_trials > n)


@pytest.fixture
def loop(library):
    return Loop(library)


# ---------------------------------------------------------------------------------------------------------------------
# What is decided
# ---------------------------------------------------------------------------------------------------------------------


def test_it_begins_without(loop):
    assert not loop.is_on
    assert loop.n_trials == 0
    assert loop.library.pace_is_measured(loop.pace)


@pytest.mark.parametrize("n", [1, 64])
def test_where_filling_costs_less_than_a_hand_off_nothing_is_tried(loop, n):
    loop.run({False: (6, 4.9), True: (1, 0)}, S, n=n)
    assert (loop.is_on, loop.n_trials, loop.changes) == (False, 0, [])


@pytest.mark.parametrize("n", [1, 64])
def test_where_threads_help_they_stay(loop, n):
    loop.run(HELPED, S, n=n)
    assert loop.is_on
    assert loop.n_trials >= 1
    assert loop.found(False) == pytest.approx(HELPED[False], rel=1e-6)
    assert loop.found(True) == pytest.approx(HELPED[True], rel=1e-6)


def test_the_decision_is_made_within_the_first_batches(loop):
    loop.run_trial(HELPED)
    assert loop.now < 5 * S + 100 * MS


@pytest.mark.parametrize("period", [1030, 1100, 1200, 2000])
def test_where_no_core_is_free_the_period_shows_it_whatever_becomes_of_the_wait(loop, period):
    loop.run({False: (1000, 300), True: (period, 0)}, S)
    assert not loop.is_on
    assert loop.n_trials >= 1
    assert loop.found(True)[0] == pytest.approx(period)


@pytest.mark.parametrize(("wait", "expected"), [(0, True), (49, True), (51, False), (100, False), (200, False)])
def test_at_equal_periods_a_wait_that_is_gone_decides(loop, wait, expected):
    loop.run({False: (1000, 100), True: (1000, wait)}, S)
    assert loop.n_trials == 1
    assert loop.is_on is expected


def test_a_shorter_period_decides_whatever_becomes_of_the_wait(loop):
    loop.run({False: (1000, 100), True: (900, 100)}, S)
    assert loop.is_on


def test_batches_filled_ahead_the_way_before_do_not_count(library):
    """After each change so many batches come at the costs of the other way: see Loop.deliver."""
    for n_ahead in (1, 8, 64):
        for costs, expected in ((HELPED, True), (HINDERED, False)):
            loop = Loop(library, n_ahead=n_ahead)
            loop.run_trial(costs)
            assert loop.is_on is expected
            for on in (False, True):
                assert loop.found(on) == pytest.approx(costs[on], rel=1e-6)


def test_the_first_batches_bear_the_cost_of_beginning_and_do_not_count(loop):
    for _ in range(2):
        loop.deliver({False: (50_000, 50_000)})
    loop.run(CHEAP, S)
    assert (loop.n_trials, loop.changes) == (0, [])


# ---------------------------------------------------------------------------------------------------------------------
# Noise
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("costs", [HELPED, HINDERED], ids=["helped", "hindered"])
@pytest.mark.parametrize("which", [0, 2, 3, 4, 5, 6, 7, 8])
def test_one_noisy_block_does_not_decide(loop, costs, which):
    """The blocks: without, then with and without in turn, twice; and twice more where that is not clear."""
    n_blocks = 5 if costs is HELPED else 9
    for block in range(n_blocks):
        n_changes, n_trials = len(loop.changes), loop.n_trials
        loop.run_until(
            {on: (period * (4 if block == which else 1), wait) for on, (period, wait) in costs.items()},
            lambda: len(loop.changes) > n_changes or loop.n_trials > n_trials,  # noqa: B023
        )
    assert loop.n_trials == 1
    assert loop.is_on is (costs is HELPED)
    assert loop.found(False) == pytest.approx(costs[False], rel=1e-6)


def test_a_trial_that_noise_has_broken_off_is_made_up_for(loop):
    loop.run_until(HELPED, lambda: loop.is_on)
    loop.run_until({on: (4 * period, wait) for on, (period, wait) in HELPED.items()}, lambda: loop.n_trials > 0)
    assert not loop.is_on
    assert loop.run_trial(HELPED) < 2 * S
    assert loop.is_on


def test_a_losing_trial_is_given_up_after_one_block(loop):
    loop.run_trial({False: (1000, 300), True: (1260, 0)})
    assert [on for _, on, _ in loop.changes] == [True, False]
    assert loop.changes[1][2] <= 16 + N_AHEAD + 2
    slower = Loop(loop.library)
    slower.run_trial({False: (1000, 300), True: (1240, 0)})
    assert [on for _, on, _ in slower.changes] == 4 * [True, False]


@pytest.mark.parametrize(("period", "n_tries"), [(780, 2), (820, 4), (1180, 4)])
def test_what_short_blocks_do_not_tell_apart_is_tried_for_longer(loop, period, n_tries):
    loop.run_trial({False: (1000, 300), True: (period, 0)})
    tries = [n for _, on, n in loop.changes if not on]
    assert len(tries) == n_tries
    assert all(n >= 30 for n in tries[2:])


def test_what_was_found_before_is_given_up_for_something_clear_only(library):
    """Threads take nothing but the wait; the period says little, this way or that."""
    for period, begins, stays in ((1010, True, True), (1040, False, True), (1060, False, False)):
        loop = Loop(library)
        loop.run({False: (1000, 100), True: (period, 0)}, 10 * S)
        assert loop.is_on is begins
        loop = Loop(library)
        loop.run_trial({False: (1000, 100), True: (900, 0)})
        loop.run({False: (1000, 100), True: (period, 0)}, 10 * S)
        assert loop.is_on is stays


def test_a_moment_is_no_block(loop):
    """However many batches come in it."""
    loop.run_until({False: (10, 9), True: (8, 0)}, lambda: loop.is_on)
    assert loop.now - 5 * S >= 2 * MS


def test_few_batches_are_no_block(loop):
    loop.run_until({False: (100_000, 90_000), True: (20_000, 0)}, lambda: loop.is_on, most=5 * S)
    assert loop.now - 5 * S >= (2 + 8) * 100 * MS


@given(
    factors=st.lists(st.floats(1.0, 1.02), min_size=50, max_size=50),
    period=st.integers(100, 20_000),
    gain=st.sampled_from([0.5, 0.8, 0.9, 1.1, 1.2, 2.0]),
    n_ahead=st.integers(1, 16),
)
def test_little_noise_decides_nothing(library, factors, period, gain, n_ahead):
    loop = Loop(library, n_ahead=n_ahead)
    costs = {False: (period, period / 2), True: (period * gain, period / 2)}
    i = 0
    while loop.n_trials < 3:
        loop.deliver(costs, factor=factors[i % len(factors)])
        i += 1
        assert i < 10**5
    assert loop.is_on is (gain < 1)


# ---------------------------------------------------------------------------------------------------------------------
# Looks again
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("costs", [HELPED, HINDERED], ids=["helped", "hindered"])
def test_it_looks_again_ever_less_often_and_comes_to_the_same(loop, costs):
    when = []
    for _ in range(7):
        loop.run_trial(costs)
        when.append(loop.now)
        assert loop.is_on is (costs is HELPED)
    pauses = [after - before for before, after in pairwise(when)]
    assert all(1.5 * before < after < 2.5 * before for before, after in pairwise(pauses))


def test_what_trials_cost_is_little_of_the_whole(loop):
    loop.run(HINDERED, 60 * S)
    n_with = sum(n for _, on, n in loop.changes if not on)
    assert n_with * (1200 - 1000) * US < 0.005 * 60 * S


def test_where_filling_is_cheap_it_looks_ever_less_often(library):
    """How late it sees that filling is not cheap any more: after a while as long as it was cheap, and not longer."""
    delays = []
    for cheap_for in (S // 10, S, 10 * S, 100 * S):
        loop = Loop(library)
        loop.run(CHEAP, cheap_for)
        assert loop.n_trials == 0
        delays.append(loop.run_until(HELPED, lambda loop=loop: loop.is_on) / cheap_for)
    assert all(delay < 2 for delay in delays)
    assert max(delays[2:]) > 0.05


def test_a_loop_that_changes_is_noticed(loop):
    loop.run_trial(HELPED)
    assert loop.is_on
    loop.run_until(HINDERED, lambda: loop.n_trials == 2)
    assert not loop.is_on
    again = loop.now
    loop.run_until(HELPED, lambda: loop.n_trials == 3)
    assert loop.is_on
    assert loop.now - again < 5 * S  # a change begins the pauses anew
    loop.run(CHEAP, 30 * S)
    loop.run_until(HELPED, lambda: loop.is_on)


def test_what_was_found_before_is_compared_with_nothing_new(loop):
    """The whole loop has got slower, and then faster, either way."""
    loop.run_trial(HELPED)
    for factor in (2, 0.5, 1):
        loop.run_trial({on: (period * factor, wait * factor) for on, (period, wait) in HELPED.items()})
        assert loop.is_on


def test_threads_that_have_nothing_to_do_any_more_are_let_go(loop):
    """Filling has become a small part of the loop, and what is waited for is the same."""
    loop.run(HELPED, S)
    n = loop.n_trials
    loop.run_until({False: (5000, 300), True: (5000, 300)}, lambda: loop.n_trials > n)
    assert not loop.is_on


# ---------------------------------------------------------------------------------------------------------------------
# Epochs
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("costs", [HELPED, HINDERED], ids=["helped", "hindered"])
@pytest.mark.parametrize("n_batches", [7, 10, 37])
@pytest.mark.parametrize("gap", [0, 10 * US, 700 * US, 10 * S])
def test_gaps_between_epochs_do_not_count(library, costs, n_batches, gap):
    """In a long gap threads fill what they may: the batches that begin the next epoch then wait for nothing."""
    loop = Loop(library)
    while loop.n_trials < 3:
        for i in range(n_batches):
            filled = loop.is_on and gap > 4 * MS and i < loop.n_ahead
            loop.deliver({True: (1, 0), False: (1, 0)} if filled else costs)
        loop.begin_epoch(after=gap)
        assert loop.now < 20_000 * S
    assert loop.is_on is (costs is HELPED)
    assert loop.found(False)[0] == pytest.approx(costs[False][0], rel=1e-6)


@pytest.mark.parametrize("costs", [HELPED, HINDERED], ids=["helped", "hindered"])
@pytest.mark.parametrize("away", [60 * MS, 10 * S])
def test_a_consumer_that_goes_away_in_an_epoch_costs_no_trial_and_spoils_none(loop, costs, away):
    """It does so every 50 batches, to evaluate a model."""
    seconds_at_work = 0
    while loop.n_trials < 4:
        began = loop.now
        for i in range(50):
            loop.deliver(costs, factor=1 + away / (costs[loop.is_on][0] * US) if i == 7 else 1)
        seconds_at_work += loop.now - began - away
        assert loop.n_trials == 0 or loop.is_on is (costs is HELPED) or loop.n_since < 100
    assert loop.is_on is (costs is HELPED)
    assert loop.found(False) == pytest.approx(costs[False], rel=1e-6)
    assert seconds_at_work > S  # rests are of the loop's time


# ---------------------------------------------------------------------------------------------------------------------
# Where nothing is to be found out
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("costs", [HELPED, HINDERED, CHEAP], ids=["helped", "hindered", "cheap"])
@pytest.mark.parametrize("policy", [NEVER, ALWAYS])
def test_what_was_asked_for_never_changes(library, policy, costs):
    loop = Loop(library, policy)
    assert not library.pace_is_measured(loop.pace)
    for _ in range(20):
        assert loop.is_on is (policy == ALWAYS)
        loop.run(costs, 100 * MS)
        loop.begin_epoch(after=S)
    assert (loop.n_trials, loop.changes) == (0, [])


@pytest.mark.parametrize("policy", [NEVER, ALWAYS, MEASURED])
def test_once_stopped_it_stays_off(library, policy):
    loop = Loop(library, policy)
    loop.run_until(HELPED, lambda: loop.is_on or policy == NEVER)
    library.pace_stop(loop.pace)
    loop.changes.clear()
    loop.run(HELPED, 5 * S)
    assert not loop.is_on
    assert not loop.changes
