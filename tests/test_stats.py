"""Loader.stats: what was done, how long it was waited for, and what there is now."""

import threading
import time
from functools import partial

import numpy as np
import pytest

import fastbatch as fb
from fastbatch.stats import Stats, stats_of
from threads import run_threads

N, BATCH_SIZE = 100, 7
X, Y = np.arange(N * 4.0).reshape(N, 4), np.arange(N, dtype=np.int16)
ROW_NBYTES = 4 * 8 + 2
N_BATCHES = 15
SECONDS = 60  # more than anything here takes: what waits so long has failed

each_way = pytest.mark.parametrize(
    "ways", [{"threads": 0}, {"threads": 1}, {"threads": 2}, {"map_threads": 2}], ids=str
)


def make(batch_size=BATCH_SIZE, *, data=(X, Y), **options):
    if options.get("map_threads"):
        options.setdefault("map", lambda batch: batch)
    return fb.Loader(data, batch_size, **options)


def until(is_reached):
    """Wait for what threads will come to by themselves."""
    deadline = time.monotonic() + SECONDS
    while not is_reached():
        assert time.monotonic() < deadline


def counts(stats):
    return stats[: Stats._fields.index("fill_seconds")]


def assert_sound(stats):
    assert [type(value) for value in stats] == [int] * 4 + [float] * 4 + [int] * 4
    assert all(value >= 0 for value in stats)
    assert stats.wait_share <= 1
    assert stats.ready_share <= 1
    assert stats.leases <= stats.slots


# ---------------------------------------------------------------------------------------------------------------------
# Counts
# ---------------------------------------------------------------------------------------------------------------------


@each_way
def test_a_loader_that_has_done_nothing(ways):
    loader = make(**ways)
    assert loader.stats() == Stats(0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0)
    iter(loader)
    loader.state_dict()
    assert_sound(loader.stats())
    assert not any(loader.stats())


@each_way
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_what_was_delivered_is_counted_exactly(ways, shuffle, drop_last):
    loader = make(shuffle=shuffle, drop_last=drop_last, **ways)
    n_batches, n_rows = (N_BATCHES - 1, 98) if drop_last else (N_BATCHES, N)
    for epoch in range(1, 4):
        for _ in loader:
            pass
        stats = loader.stats()
        assert_sound(stats)
        assert counts(stats) == (epoch, epoch * n_batches, epoch * n_rows, epoch * n_rows * ROW_NBYTES)


@each_way
def test_rows_that_are_delivered_as_well_are_bytes_too(ways):
    loader = make(rows=True, **ways)
    assert sum(1 for _ in loader) == N_BATCHES
    assert loader.stats().nbytes == N * (ROW_NBYTES + 8)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_part_of_an_epoch_is_no_epoch(threads):
    loader = make(threads=threads)
    batches = iter(loader)
    for n in range(1, N_BATCHES + 1):
        next(batches)
        assert counts(loader.stats()) == (0, n, min(N, 7 * n), min(N, 7 * n) * ROW_NBYTES)
    for _ in range(3):  # the end is told again and again, and counted once
        assert next(batches, None) is None
        assert loader.stats().epochs == 1
    next(iter(loader))
    assert counts(loader.stats())[:2] == (1, N_BATCHES + 1)


def test_with_map_threads_batches_on_their_way_count():
    loader = make(map_threads=2)
    batches = iter(loader)
    next(batches)
    assert loader.stats().batches == 4
    next(batches)
    assert loader.stats().batches == 5
    assert len(list(batches)) == N_BATCHES - 2
    assert counts(loader.stats())[:2] == (1, N_BATCHES)


@each_way
def test_an_empty_epoch_is_an_epoch(ways):
    loader = make(data=(X[:0], Y[:0]), **ways)
    for epoch in range(1, 3):
        assert list(loader) == []
        assert counts(loader.stats()) == (epoch, 0, 0, 0)
        assert_sound(loader.stats())


@each_way
def test_batches_of_a_users_sampler(ways):
    rows = [[1, 2], range(9), [0]]
    loader = make(None, batch_sampler=rows, **ways)
    assert len(list(loader)) == 3
    assert counts(loader.stats()) == (1, 3, 12, 12 * ROW_NBYTES)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_a_batch_by_its_number_is_counted(threads):
    loader = make(threads=threads)
    loader.batch(0, 3)
    loader.batch(0, 14)
    assert counts(loader.stats()) == (0, 2, 9, 9 * ROW_NBYTES)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_an_epoch_that_an_error_ends_is_none(threads):
    def failing(batch):
        if batch[1][0] == 14:
            raise KeyError

    for map_threads in (0, 1):
        loader = make(threads=threads, map=failing, map_threads=map_threads)
        with pytest.raises(KeyError):
            list(loader)
        assert loader.stats().epochs == 0
        assert_sound(loader.stats())


@each_way
def test_reset_begins_anew_and_gives_what_was_before(ways):
    loader = make(**ways)
    for _ in loader:
        pass
    before = loader.stats()
    assert counts(before) == (1, N_BATCHES, N, N * ROW_NBYTES)
    given = loader.stats(reset=True)
    assert counts(given) == counts(before)
    assert given.wait_share == before.wait_share
    assert given.ready_share == before.ready_share
    after = loader.stats()
    assert_sound(after)
    assert counts(after) == (0, 0, 0, 0)
    assert (after.wait_seconds, after.wait_share, after.ready_share) == (0, 0, 0)
    assert after.threads == before.threads  # what there is stays
    for _ in loader:
        pass
    assert counts(loader.stats()) == (1, N_BATCHES, N, N * ROW_NBYTES)
    assert_sound(loader.stats())


@each_way
@pytest.mark.parametrize("n_rows", [1, 64, 1000])
def test_counting_does_not_break_where_batches_are_tiny(ways, n_rows):
    rows = np.arange(20_000 if "threads" in ways else 3000, dtype=np.uint8)
    loader = fb.Loader(rows, n_rows, map=(lambda batch: batch) if "map_threads" in ways else None, **ways)
    n_batches = -(-len(rows) // n_rows)
    for epoch in range(1, 4):
        assert sum(1 for _ in loader) == n_batches
        stats = loader.stats()
        assert_sound(stats)
        assert counts(stats) == (epoch, epoch * n_batches, epoch * len(rows), epoch * len(rows))
        assert stats.fill_seconds > 0
        assert stats.wait_seconds > 0


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_several_python_threads_are_counted_together(threads):
    loader = fb.Loader(np.arange(5000), 3, threads=threads)
    shared = iter(loader)
    over = threading.Event()
    seen = []

    def draw(count):
        try:
            count.append(sum(1 for _ in shared))
            count.append(sum(1 for _ in loader))
        finally:
            over.set()

    def watch():
        while not over.is_set():
            stats = loader.stats()
            assert_sound(stats)
            seen.append(counts(stats))

    totals = [[], []]
    run_threads(*(partial(draw, count) for count in totals), watch)
    n = sum(map(sum, totals))
    assert n == 3 * 1667
    assert counts(loader.stats()) == (3, n, 15_000, 120_000)
    assert seen == sorted(seen)


# ---------------------------------------------------------------------------------------------------------------------
# What there is now
# ---------------------------------------------------------------------------------------------------------------------


@each_way
def test_leases_are_the_buffers_that_held_arrays_lie_in(ways):
    loader = make(**ways)
    features, labels = [], []
    for x, y in loader:  # and no enumerate, which holds its last result
        i = int(y[0]) // BATCH_SIZE
        if i % 2:
            features.append(x[1:])  # a view is enough
            features.append(x)
        if i % 3:
            labels.append(y)
        del x, y
        held = len(features) // 2 + len(labels)
        if not ways.get("map_threads"):  # those under way are leased as well
            until(lambda: loader.stats().leases == held)  # noqa: B023
    until(lambda: loader.stats().leases == 7 + 10)
    del features
    until(lambda: loader.stats().leases == 10)
    labels.pop()
    until(lambda: loader.stats().leases == 9)
    del labels
    until(lambda: loader.stats().leases == 0)
    assert_sound(loader.stats())


def test_slots_and_their_bytes():
    loader = make(threads=0)
    held = list(loader)
    stats = loader.stats()
    assert (stats.slots, stats.leases) == (2 * N_BATCHES, 2 * N_BATCHES)
    before = stats.live_nbytes
    assert before >= N * ROW_NBYTES
    del held
    stats = loader.stats()
    assert stats.leases == 0
    assert 0 < stats.slots < 2 * N_BATCHES  # idle ones, and not too many of them
    assert stats.slots == sum(live for live, _ in loader._epochs.engine.buffers())
    assert 0 < stats.live_nbytes < before


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("prefetch", [1, 3])
def test_slots_filled_ahead_are_slots_and_no_leases(threads, prefetch):
    loader = make(threads=threads, prefetch=prefetch)
    batches = iter(loader)
    held = [next(batches) for _ in range(5)]
    until(lambda: loader.stats().slots >= 2 * (len(held) + 1))
    until(lambda: loader.stats().leases == 2 * len(held))
    assert loader.stats().slots <= 2 * (len(held) + prefetch + threads + 8)


@each_way
def test_a_closed_loader_has_nothing_and_remembers_what_it_did(ways):
    loader = make(**ways)
    held = list(loader)
    loader.close()
    stats = loader.stats()
    assert_sound(stats)
    assert counts(stats) == (1, N_BATCHES, N, N * ROW_NBYTES)
    assert (stats.slots, stats.leases, stats.live_nbytes, stats.threads) == (0, 0, 0, 0)
    assert len(held) == N_BATCHES


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_threads_are_those_alive(threads):
    loader = make(threads=threads)
    assert loader.stats().threads == 0  # until there is something for them to do
    for _ in loader:
        pass
    assert loader.stats().threads == threads
    loader._epochs._stop_threads()
    assert loader.stats().threads == 0
    assert len(list(loader)) == N_BATCHES
    loader.close()
    assert loader.stats().threads == 0


def test_map_threads_are_no_native_threads():
    loader = make(map_threads=2, threads=0)
    list(loader)
    assert loader.stats().threads == 0


# ---------------------------------------------------------------------------------------------------------------------
# Times
# ---------------------------------------------------------------------------------------------------------------------


def spin(seconds):
    """Work; how long it took."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        pass
    return time.perf_counter() - began


def test_without_threads_no_batch_is_ready():
    loader = make(threads=0)
    for _ in range(3):
        for _ in loader:
            pass
    stats = loader.stats()
    assert stats.ready_share == 0
    assert min(stats.fill_seconds, stats.wait_seconds, stats.wait_share) > 0


def test_batches_that_are_ready_when_they_are_asked_for():
    loader = make(threads=1, prefetch=2)
    held = []  # so that the buffers there are tell how far the thread is
    for batch in loader:
        held.append(batch)
        until(lambda: loader.stats().slots >= 2 * min(N_BATCHES, len(held) + 2))
    assert loader.stats().ready_share == pytest.approx((N_BATCHES - 1) / N_BATCHES)  # all but the first


@pytest.mark.parametrize("map_threads", [1, 2])
def test_results_of_a_map_that_are_ready_when_they_are_asked_for(map_threads):
    loader = make(map_threads=map_threads)
    batches = iter(loader)
    for _ in batches:
        until(lambda: not batches._jobs or batches._jobs[0].is_done)
    assert loader.stats().ready_share == pytest.approx((N_BATCHES - 1) / N_BATCHES)


@pytest.mark.parametrize("map_threads", [1, 2])
def test_whoever_waits_for_the_function_waits(map_threads):
    took = []

    def function(batch):
        took.append(spin(0.02) if batch[1][0] == 0 else 0)

    loader = make(map=function, map_threads=map_threads)
    for _ in loader:
        pass
    stats = loader.stats()
    assert stats.wait_seconds >= max(took)
    assert_sound(stats)


@each_way
def test_time_outside_is_no_wait(ways):
    loader = make(**ways)
    outside = 0.0
    for i, _ in enumerate(loader):
        if i < N_BATCHES - 1:
            outside += spin(0.001)
    stats = loader.stats()
    assert_sound(stats)
    assert stats.wait_share <= stats.wait_seconds / (stats.wait_seconds + outside) + 1e-9


def test_shares_of_a_report():
    report = dict.fromkeys(Stats._fields, 0) | {"wait_seconds": 1.0, "elapsed_seconds": 4.0, "ready": 3, "batches": 6}
    report = {name: value for name, value in report.items() if not name.endswith("_share")}
    assert stats_of(report)[6:8] == (0.25, 0.5)
    assert stats_of(report | {"handed_out": 4})[6:8] == (0.25, 0.75)
    assert stats_of(report | {"elapsed_seconds": 0.0, "batches": 0})[6:8] == (0, 0)
    assert stats_of(report | {"elapsed_seconds": 0.5, "batches": 2})[6:8] == (1, 1)  # where times are sampled


def test_each_figure_is_documented():
    for name in Stats._fields:
        assert any(name in line.split(":")[0] for line in Stats.__doc__.split("\n") if " : " in line)
        assert hasattr(Stats, name)
