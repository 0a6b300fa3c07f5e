"""A state saved at every batch resumes to exactly the rest, whatever was filled, drawn or mapped ahead."""

import itertools
import json

import numpy as np
import pytest

import fastbatch as fb

N, BATCH = 53, 4
WORKERS = [(0, 0), *itertools.product([1, 4], [0, 1, 8])]
SMALL, LARGE = np.arange(N), np.arange(N)[:, None] + np.zeros(9000)
LABELS = np.arange(N) % 5


class Resuming:
    """A sampler that can be taken up, of ints or of arrays of three."""

    def __init__(self, arrays):
        self.arrays = arrays
        self.at = 0

    def __iter__(self):
        items = np.array_split(np.arange(N)[::-1], range(3, N, 3)) if self.arrays else range(N - 1, -1, -1)
        while self.at < len(items):
            self.at += 1
            yield items[self.at - 1]
        self.at = 0

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]


SAMPLERS = {
    "sequential": lambda: fb.Sequential(N),
    "shuffle": lambda: fb.Shuffle(N),
    "balanced": lambda: fb.Balanced(LABELS),
    "ints": lambda: Resuming(arrays=False),
    "arrays": lambda: Resuming(arrays=True),
}


def rows_of(batches):
    """The row numbers in batches whose values are right."""
    batches = list(batches)
    for values, rows in batches:
        assert np.array_equal(values[..., 0] if values.ndim > 1 else values, rows)
    return np.concatenate([rows for _, rows in batches]) if batches else np.empty(0, np.int64)


def assert_every_place_resumes(make, fresh):
    """Go through two epochs of a Loader; at each batch others take up its state, with other batch sizes too."""
    loader = make(BATCH)
    for epoch in range(2):
        whole = make(BATCH)
        whole.set_epoch(epoch)
        order = rows_of(whole)
        iterator = iter(loader)
        for position in [*range(BATCH, len(order), BATCH), len(order)]:
            next(iterator)
            state = json.loads(json.dumps(loader.state_dict()))
            assert (state["epoch"], state["position"]) == (epoch, position)
            for batch_size in (BATCH, 7):
                other = fresh(batch_size)
                other.load_state_dict(state)
                assert np.array_equal(rows_of(other), order[position:])
                assert (other.epoch, other.state_dict()["position"]) == (epoch + 1, 0)
        assert next(iterator, None) is None
        assert loader.state_dict()["epoch"] == epoch + 1


@pytest.mark.parametrize("source", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("threads", "prefetch"), WORKERS)
def test_every_batch_of_an_epoch_is_a_place_to_go_on_from(threads, prefetch, sampler, source):
    def make(batch_size):
        return fb.Loader(
            source, batch_size, sampler=SAMPLERS[sampler](), seed=1, rows=True, threads=threads, prefetch=prefetch
        )

    assert_every_place_resumes(make, make)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("threads", "prefetch"), WORKERS)
def test_every_batch_that_was_mapped_is_a_place_to_go_on_from(threads, prefetch, sampler):
    def make(batch_size):
        options = {"map": lambda batch: batch, "map_threads": 2, "threads": threads, "prefetch": prefetch}
        return fb.Loader(SMALL, batch_size, sampler=SAMPLERS[sampler](), seed=1, rows=True, **options)

    assert_every_place_resumes(make, make)


@pytest.mark.parametrize(("threads", "prefetch"), WORKERS)
def test_a_state_may_be_taken_up_with_other_threads(threads, prefetch):
    def make(batch_size, **options):
        return fb.Loader(LARGE, batch_size, shuffle=True, seed=1, rows=True, **options)

    assert_every_place_resumes(make, lambda size: make(size, threads=threads, prefetch=prefetch))
    assert_every_place_resumes(lambda size: make(size, threads=threads, prefetch=prefetch), make)


@pytest.mark.parametrize(("threads", "prefetch"), WORKERS)
def test_an_order_in_buckets_may_be_taken_up_at_every_batch(threads, prefetch):
    n, batch_size = 2**22 + 54321, 600_000
    source = np.arange(n, dtype=np.uint32)
    loader = fb.Loader(source, batch_size, shuffle=True, seed=2, threads=threads, prefetch=prefetch)
    fresh = fb.Loader(source, batch_size, shuffle=True, threads=threads, prefetch=prefetch)
    order = fb.Shuffle(n).order(2, 0)
    for batch in loader:
        position = loader.state_dict()["position"]
        assert np.array_equal(batch, order[position - len(batch) : position])
        fresh.load_state_dict(loader.state_dict())
        iterator = iter(fresh)
        expected = order[position : position + batch_size]
        assert np.array_equal(next(iterator, expected[:0]), expected)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_state_loaded_into_a_loader_at_work_drops_what_it_had_prepared(threads):
    loader = fb.Loader(LARGE, BATCH, shuffle=True, seed=1, rows=True, threads=threads, prefetch=8)
    order = fb.Shuffle(N).order(1, 0)
    states = [loader.state_dict() for _ in itertools.islice(loader, 12)]
    for state in states[::-1] + states:
        loader.load_state_dict(state)
        assert np.array_equal(rows_of(itertools.islice(loader, 2)), order[state["position"] :][: 2 * BATCH])
