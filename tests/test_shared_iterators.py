"""Threads may share one iterator: each batch goes to one of them."""

import threading
from functools import partial

import numpy as np
import pytest

import fastbatch as fb
from own_samplers import Anew
from threads import run_threads


def make_source(n, row_width):
    return np.arange(n * row_width, dtype=np.float64).reshape(n, row_width)


@pytest.mark.parametrize(("n", "row_width", "batch_size"), [(6000, 2, 3), (1500, 2048, 5)], ids=["small", "large"])
@pytest.mark.parametrize("begun", [True, False])
def test_threads_that_share_an_iterator_get_each_batch_once(n, row_width, batch_size, begun):
    source = make_source(n, row_width)
    loader = fb.Loader(source, batch_size, shuffle=True, seed=1, rows=True)
    order = fb.Shuffle(n).order(1, 0)
    shared = iter(loader)
    got = [[] for _ in range(4)]
    if begun:
        got[0].append(next(shared))

    def draw(box):
        for values, rows in shared:
            assert np.array_equal(values, source[rows])
            box.append((None, rows))

    run_threads(*(lambda box=box: draw(box) for box in got))
    batches = {rows.tobytes() for box in got for _, rows in box}
    assert batches == {order[first : first + batch_size].tobytes() for first in range(0, n, batch_size)}
    assert sum(len(box) for box in got) == n // batch_size
    assert loader.epoch == 1


def test_threads_may_begin_an_epoch_of_a_large_shuffle_together():
    rows = np.arange(400_000, dtype=np.uint32)
    for _ in range(5):
        loader = fb.Loader(rows, 4000, shuffle=True)
        got = []
        run_threads(*[partial(got.extend, iter(loader))] * 4)
        assert np.array_equal(np.sort(np.concatenate(got)), rows)
        assert loader.epoch == 1


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize(
    "sampler", [fb.Shuffle, lambda n: fb.Weighted(np.ones(n)), lambda n: fb.Prioritized(np.ones(n), lag=3)]
)
def test_a_batch_that_fails_when_the_next_epoch_has_begun_is_over_with_its_own(world_size, sampler):
    """One thread's map holds the last batch while another sees the end, and goes on: their order is gone by then."""
    n, in_map, go_on = 20_000, threading.Event(), threading.Event()

    def function(batch):
        if threading.current_thread().name == "late":
            in_map.set()
            assert go_on.wait(60)
            raise KeyError("late")
        return batch

    loader = fb.Loader(
        np.zeros((n, 64), np.uint8),
        n // 8 // world_size,
        sampler=sampler(n),
        seed=0,
        threads=2,
        prefetch=4,
        map=function,
        rank=0,
        world_size=world_size,
    )
    shared = iter(loader)
    for _ in range(7):
        next(shared)
    raised = []

    def late():
        with pytest.raises(KeyError, match="late"):
            next(shared)
        raised.append(True)

    thread = threading.Thread(target=late, name="late")
    thread.start()
    assert in_map.wait(60)
    assert next(shared, None) is None
    following = iter(loader)
    next(following)
    go_on.set()
    thread.join()
    assert raised
    assert len(list(following)) == 7
    assert len(list(loader)) == 8


def test_threads_may_share_an_iterator_over_a_users_sampler():
    def rows():
        yield from range(3000)

    shared = iter(fb.Loader(np.arange(3000), 7, sampler=Anew(rows)))
    got = []
    run_threads(*[partial(got.extend, shared)] * 4)
    assert len(got) == 429
    assert sorted(batch[0] for batch in got) == list(range(0, 3000, 7))


def test_threads_may_begin_an_epoch_of_a_users_sampler_together():
    for _ in range(300):
        shared = iter(fb.Loader(np.arange(8), 2, sampler=Anew(lambda: iter(range(8))), threads=0))
        got = []
        run_threads(*[partial(got.extend, shared)] * 3)
        assert sorted(batch[0] for batch in got) == [0, 2, 4, 6]
