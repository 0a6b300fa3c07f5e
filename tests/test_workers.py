"""How many threads fill batches, how far ahead, and what `explain` says of it."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

import fastbatch as fb
import fastbatch.workers
from fastbatch.explaining import _describe_threads
from fastbatch.workers import (
    AHEAD_NBYTES,
    FEWEST_AHEAD,
    MOST_AHEAD,
    MOST_BY_ITSELF,
    Workers,
    check_workers,
    choose_workers,
)

X = np.arange(1000.0).reshape(100, 10)


@pytest.fixture
def cores(monkeypatch):
    """A function that says how many cores this process may use."""

    def allow(n):
        monkeypatch.setattr(fastbatch.workers, "allowed_cores", lambda: n)

    return allow


def line(loader, name):
    """What `explain` says of a part."""
    found = [text for text in loader.explain().split("\n") if text.startswith(f"{name}: ")]
    assert len(found) <= 1
    return found[0].partition(": ")[2] if found else None


# ---------------------------------------------------------------------------------------------------------------------
# What may be asked for
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, 1, 256, np.int8(7), np.uint64(3)])
def test_integers_and_none_are_taken(value):
    expected = None if value is None else int(value)
    assert check_workers(value, value) == (expected, expected)
    assert all(kept is None or type(kept) is int for kept in check_workers(value, value))
    fb.Loader(X, 4, threads=value, prefetch=value).close()


@pytest.mark.parametrize("name", ["threads", "prefetch"])
@pytest.mark.parametrize(
    ("value", "said"), [(True, "True"), (False, "False"), (1.0, "float"), ("2", "str"), ([1], "list"), (2j, "complex")]
)
def test_another_type_is_refused(name, value, said):
    with pytest.raises(TypeError, match=f"^{name} must be an integer or None, got {said}$"):
        fb.Loader(X, 4, **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "most"),
    [
        ("threads", -1, 256),
        ("threads", 257, 256),
        ("threads", 2**70, 256),
        ("prefetch", -1, 1024),
        ("prefetch", 1025, 1024),
    ],
)
def test_a_number_that_nobody_can_mean_is_refused(name, value, most):
    with pytest.raises(ValueError, match=f"^{name} must be from 0 to {most}, got {value}$"):
        fb.Loader(X, 4, **{name: value})


def test_the_largest_numbers_work():
    loader = fb.Loader(X, 4, threads=256, prefetch=1024)
    assert np.array_equal(np.concatenate(list(loader)), X)
    assert loader.stats().threads == 256
    loader.close()


# ---------------------------------------------------------------------------------------------------------------------
# What is chosen
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_cores", "expected"), [(1, 0), (2, 1), (3, 2), (5, 4), (6, 4), (256, 4)])
def test_by_itself_it_leaves_a_core_to_whoever_iterates(cores, n_cores, expected):
    cores(n_cores)
    assert expected <= MOST_BY_ITSELF
    workers = choose_workers(None, None, 1000)
    assert (workers.n_threads, workers.measured) == (expected, expected > 0)


@pytest.mark.parametrize("n_cores", [1, 4])
@pytest.mark.parametrize("threads", [1, 2, 100])
def test_what_was_asked_for_is_done_whatever_the_cores(cores, n_cores, threads):
    cores(n_cores)
    assert choose_workers(threads, 3, 1000) == Workers(threads, 3, measured=False)
    assert choose_workers(0, 3, 1000) == choose_workers(0, None, None) == Workers(0, 0, measured=False)


@pytest.mark.parametrize(
    ("batch_nbytes", "expected"),
    [
        (0, MOST_AHEAD),
        (1, MOST_AHEAD),
        (AHEAD_NBYTES // MOST_AHEAD, MOST_AHEAD),
        (AHEAD_NBYTES // 4, 4),
        (AHEAD_NBYTES // 4 + 1, 3),
        (AHEAD_NBYTES, FEWEST_AHEAD),
        (2**60, FEWEST_AHEAD),
        (None, FEWEST_AHEAD),
    ],
)
def test_as_many_batches_are_filled_ahead_as_fit(cores, batch_nbytes, expected):
    cores(3)
    assert choose_workers(None, None, batch_nbytes) == Workers(2, expected, measured=True)
    assert choose_workers(1, None, batch_nbytes) == Workers(1, expected, measured=False)


@pytest.mark.parametrize("prefetch", [0, 1, 500])
def test_prefetch_is_what_was_asked_for(cores, prefetch):
    cores(3)
    assert choose_workers(None, prefetch, 2**60).n_ahead == prefetch
    loader = fb.Loader(X, 7, shuffle=True, seed=1, threads=2, prefetch=prefetch)
    expected = fb.Loader(X, 7, shuffle=True, seed=1, threads=0)
    for _ in range(2):
        assert all(np.array_equal(*pair) for pair in zip(loader, expected, strict=True))


@pytest.mark.parametrize("n_cores", [1, 2, 5])
def test_the_batches_are_the_same_on_any_number_of_cores(cores, n_cores):
    cores(n_cores)
    loader = fb.Loader(X, 7, shuffle=True, seed=1)
    expected = fb.Loader(X, 7, shuffle=True, seed=1, threads=0)
    for _ in range(2):
        assert all(np.array_equal(*pair) for pair in zip(loader, expected, strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# What explain says
# ---------------------------------------------------------------------------------------------------------------------


def test_no_threads_because_none_were_asked_for(cores):
    cores(8)
    loader = fb.Loader(X, 4, threads=0, prefetch=5)
    assert line(loader, "threads") == "none (asked for), each batch is filled by whoever asks for it"
    assert line(loader, "prefetch") is None


def test_no_threads_because_there_is_one_core(cores):
    cores(1)
    loader = fb.Loader(X, 4, prefetch=5)
    assert line(loader, "threads") == (
        "none (this process may use one core), each batch is filled by whoever asks for it"
    )
    assert line(loader, "prefetch") is None


@pytest.mark.parametrize("n_cores", [1, 8])
@pytest.mark.parametrize("threads", [1, 3])
def test_as_many_threads_as_were_asked_for(cores, n_cores, threads):
    cores(n_cores)
    loader = fb.Loader(X, 4, threads=threads, prefetch=5)
    for _ in range(2):
        assert line(loader, "threads") == f"{threads}, as asked for, fill batches ahead"
        assert line(loader, "prefetch") == "up to 5 batches ahead"
        list(loader)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux has this policy")
def test_a_thread_that_is_woken_takes_nobodys_core():
    before = set(os.listdir("/proc/self/task"))
    with fb.Loader(X, 4, threads=2) as loader:
        policies = []
        while policies != [os.SCHED_BATCH] * 2 and loader.epoch < 10**5:  # each says so when it first runs
            list(loader)
            ours = set(os.listdir("/proc/self/task")) - before
            policies = [os.sched_getscheduler(int(thread)) for thread in ours]
        assert policies == [os.SCHED_BATCH] * 2
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_threads_that_have_not_been_tried(cores):
    cores(4)
    loader = fb.Loader(X, 4)
    untried = (
        "up to 3, which prepare orders ahead, and fill no batches: filling takes too little, or has not been tried"
    )
    assert line(loader, "threads") == untried
    assert line(loader, "prefetch") == f"up to {MOST_AHEAD} batches ahead"
    next(iter(loader))
    assert line(loader, "threads") == untried


@pytest.mark.parametrize("fills_ahead", [False, True])
def test_threads_that_have_been_tried(fills_ahead):
    report = {"fills_ahead": fills_ahead, "trials": 3, "period_with": 1.2345e-3, "period_without": 5.67e-5}
    engine = SimpleNamespace(n_threads=2, is_measured=True, report=lambda: report)
    doing = "fill batches ahead" if fills_ahead else "prepare orders ahead, and fill no batches"
    assert _describe_threads(engine, None) == (
        f"up to 2, which {doing}: tried 3 times, the last time 1,234.5 us per batch with them and 56.7 us without"
    )


def test_a_loader_that_tries_comes_to_say_so(cores):
    """Every batch takes some 100 us to fill: sooner or later threads are tried, whatever comes of it."""
    cores(2)
    table = np.zeros((4000, 1000))
    loader = fb.Loader(table, 250, shuffle=True)
    while loader._epochs.engine.report()["trials"] == 0:
        for _ in loader:
            pass
    assert "tried" in line(loader, "threads")
    assert " us per batch with them and " in line(loader, "threads")


def test_threads_of_the_map(cores):
    cores(1)
    assert line(fb.Loader(X, 4), "map") is None
    assert line(fb.Loader(X, 4, map=len), "map") is None
    assert line(fb.Loader(X, 4, map=len, map_threads=3), "map") == "on 3 Python threads, in order"


def test_a_closed_loader_explains_itself_too(cores):
    cores(4)
    loader = fb.Loader(X, 4, threads=2)
    list(loader)
    loader.close()
    assert "threads" in loader.explain()
