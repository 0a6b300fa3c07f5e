"""Loader.state_dict and load_state_dict: an epoch taken up anywhere gives exactly the rows that are left."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from own_samplers import Keeping


class KeepingIterator:
    """A sampler that leaves its state to its iterator."""

    def __init__(self, items):
        self.items = items
        self.begin = 0

    def __iter__(self):
        begin, self.begin = self.begin, 0
        return Place(self.items, begin)

    def state_dict(self):
        raise AssertionError("the iterator knows better")

    def load_state_dict(self, state):
        self.begin = state["at"]


class Place:
    def __init__(self, items, at):
        self.items = items
        self.at = at

    def __iter__(self):
        return self

    def __next__(self):
        if self.at == len(self.items):
            raise StopIteration
        self.at += 1
        return self.items[self.at - 1]

    def state_dict(self):
        return {"at": self.at}


N = 41
LABELS = np.arange(N) % 5 * (np.arange(N) % 2)
ITEMS = {
    "ints": list(range(N))[::-1],
    "arrays": [np.arange(first, min(first + 3, N)) for first in range(0, N, 3)],
    "long arrays": [np.arange(20), np.arange(20, 39)[::-1], np.array([39, 40])],
    "empty and long arrays": [np.arange(0), np.arange(15), np.arange(0), np.arange(0), np.arange(30, 41)],
}
SAMPLERS = {
    "sequential": lambda: fb.Sequential(N),
    "shuffle": lambda: fb.Shuffle(N),
    "stop": lambda: fb.Balanced(LABELS),
    "recycle": lambda: fb.Balanced(LABELS, exhausted="recycle"),
    "proportions": lambda: fb.Balanced(LABELS, proportions=[5, 1, 2, 3, 1]),
    "array": lambda: np.random.default_rng(0).integers(0, N, 70),
    "list": lambda: [3, 1, 4, 1, 5, 9, 2, 6] * 5,
    "range": lambda: range(N - 1, -1, -1),
    **{f"sampler of {name}": lambda items=items: Keeping(items) for name, items in ITEMS.items()},
    **{f"iterator of {name}": lambda items=items: KeepingIterator(items) for name, items in ITEMS.items()},
}


def make(name, batch_size, seed=None, **options):
    return fb.Loader(np.arange(N), batch_size, sampler=SAMPLERS[name](), seed=seed, **options)


def through_json(state):
    return json.loads(json.dumps(state))


def rest(loader):
    batches = list(loader)
    return np.concatenate(batches) if batches else np.empty(0, np.int64)


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_place_of_an_epoch_resumes_to_exactly_the_rest(name, epoch):
    whole = make(name, 4, seed=9)
    whole.set_epoch(epoch)
    order = rest(whole)
    loader = make(name, 4, seed=9)
    loader.set_epoch(epoch)
    batches = iter(loader)
    for position in [0, *range(4, len(order), 4), len(order)]:
        if position:
            next(batches)
        state = through_json(loader.state_dict())
        assert (state["epoch"], state["position"]) == (epoch, position)
        for batch_size in (4, 1, 7, 1000):
            fresh = make(name, batch_size)
            fresh.load_state_dict(state)
            assert fresh.seed == 9
            assert fresh.state_dict() == state
            assert np.array_equal(rest(fresh), order[position:])
            assert fresh.state_dict()["epoch"] == epoch + 1
        short = make(name, 5, drop_last=True)
        short.load_state_dict(state)
        n_left = len(order) - position
        assert np.array_equal(rest(short), order[position : position + n_left // 5 * 5])
    with pytest.raises(StopIteration):
        next(batches)
    assert loader.state_dict()["epoch"] == epoch + 1


@given(
    name=st.sampled_from(sorted(SAMPLERS)),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    stops=st.lists(st.integers(0, 5), min_size=4, max_size=4),
    seed=st.integers(0, 2**70),
)
def test_an_epoch_interrupted_again_and_again_is_the_same_epoch(name, sizes, stops, seed):
    order = rest(make(name, 10, seed=seed))
    state = through_json(make(name, 1, seed=seed).state_dict())
    got = []
    for batch_size, n_batches in zip(sizes, stops, strict=False):
        loader = make(name, batch_size)
        loader.load_state_dict(state)
        for _, batch in zip(range(n_batches), loader, strict=False):
            got.extend(batch)
        if loader.epoch > 0:
            break
        state = through_json(loader.state_dict())
        assert state["position"] == len(got)
    else:
        loader = make(name, 3)
        loader.load_state_dict(state)
        got.extend(rest(loader))
    assert got == order.tolist()


@given(n=st.integers(0, 300), first=st.integers(1, 40), second=st.integers(1, 40), stop=st.integers(0, 30))
def test_a_shuffle_of_any_size_resumes_at_any_stop(n, first, second, stop):
    loader = fb.Loader(np.arange(n), first, shuffle=True)
    got = [batch for _, batch in zip(range(stop), loader, strict=False)]
    fresh = fb.Loader(np.arange(n), second, shuffle=True)
    fresh.load_state_dict(through_json(loader.state_dict()))
    if loader.epoch == 0:
        got += list(fresh)
    order = fb.Shuffle(n).order(loader.seed, 0)
    assert np.array_equal(np.concatenate(got) if got else np.empty(0), order)


def test_a_shuffle_in_buckets_resumes_in_the_middle():
    n = 2**22 + 12345
    rows = np.arange(n, dtype=np.uint32)
    loader = fb.Loader(rows, 100_000, shuffle=True, seed=3)
    order = fb.Shuffle(n).order(3, 0)
    batches = iter(loader)
    for n_batches in (1, 30):
        for _ in range(n_batches):
            next(batches)
        state = through_json(loader.state_dict())
        fresh = fb.Loader(rows, 999, shuffle=True)
        fresh.load_state_dict(state)
        resumed = iter(fresh)
        for first in range(state["position"], state["position"] + 10 * 999, 999):
            assert np.array_equal(next(resumed), order[first : first + 999])


@pytest.mark.parametrize("kind", [Keeping, KeepingIterator])
def test_a_batch_sampler_with_a_state_resumes(kind):
    items = [[1, 2, 3], np.array([4]), range(10, 17), [0, 0]]
    loader = fb.Loader(np.arange(N), batch_sampler=kind(items))
    batches = iter(loader)
    for done in range(len(items) + 1):
        fresh = fb.Loader(np.arange(N), batch_sampler=kind(items))
        fresh.load_state_dict(through_json(loader.state_dict()))
        assert [batch.tolist() for batch in fresh] == [list(item) for item in items[done:]]
        next(batches, None)


def test_a_finished_epoch_resumes_to_an_empty_rest_and_then_the_next_one():
    loader = fb.Loader(np.arange(10), 5, shuffle=True, seed=4)
    batches = iter(loader)
    next(batches), next(batches)
    fresh = fb.Loader(np.arange(10), 3, shuffle=True)
    fresh.load_state_dict(loader.state_dict())
    assert fresh.remaining == 0
    assert list(fresh) == []
    assert np.array_equal(rest(fresh), fb.Shuffle(10).order(4, 1))


def test_a_state_taken_before_any_epoch_has_a_seed_that_repeats_it():
    loader = fb.Loader(np.arange(10), 5, shuffle=True)
    fresh = fb.Loader(np.arange(10), 5, shuffle=True)
    fresh.load_state_dict(through_json(loader.state_dict()))
    assert np.array_equal(rest(fresh), rest(loader))


def test_loading_ends_no_iterator_that_runs():
    loader = fb.Loader(np.arange(10), 5, shuffle=True, seed=4)
    batches = iter(loader)
    got = [next(batches)]
    loader.load_state_dict(loader.state_dict() | {"seed": 6, "epoch": 9})
    got += list(batches)
    assert np.array_equal(np.concatenate(got), fb.Shuffle(10).order(4, 0))
    assert np.array_equal(rest(loader), fb.Shuffle(10).order(6, 9)[5:])


def test_a_state_is_small_and_plain():
    state = fb.Loader(np.arange(10**6), 5, shuffle=True).state_dict()
    assert all(type(value) in (int, str) for value in state.values())
    assert len(json.dumps(state)) < 300


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "does not fit this Loader: its 'format' is 99, here it is "),
        ({"order": 99}, "does not fit this Loader: its 'order' is 99, here it is "),
        ({"rows": 40}, "does not fit this Loader: its 'rows' is 40, here it is 41"),
        ({"sampler": "Sequential(41)"}, r"its 'sampler' is 'Sequential\(41\)', here it is 'Shuffle\(41\)'"),
        ({"epoch": -1}, "epoch must not be negative, got -1"),
        ({"position": -1}, "position must not be negative, got -1"),
        ({"seed": -5}, "seed must not be negative, got -5"),
        ({"position": 42}, "position"),
        ({"epoch": 2**64}, "epoch"),
    ],
    ids=lambda value: next(iter(value.items())).__repr__() if isinstance(value, dict) else None,
)
def test_a_state_that_does_not_fit_is_refused_and_the_place_kept(change, message):
    loader = make("shuffle", 4, seed=1)
    batches = iter(loader)
    next(batches)
    before = loader.state_dict()
    with pytest.raises(ValueError, match=message):
        loader.load_state_dict(before | change)
    assert loader.state_dict() == before
    assert np.array_equal(next(batches), fb.Shuffle(N).order(1, 0)[4:8])
    assert np.array_equal(next(iter(loader)), fb.Shuffle(N).order(1, 1)[:4])


@pytest.mark.parametrize("missing", ["format", "order", "seed", "epoch", "position", "rows", "sampler"])
def test_a_state_that_lacks_something_is_refused_and_the_place_kept(missing):
    loader = make("shuffle", 4, seed=1)
    next(iter(loader))
    before = loader.state_dict()
    with pytest.raises((ValueError, KeyError), match=missing):
        loader.load_state_dict({key: value for key, value in before.items() if key != missing})
    assert loader.state_dict() == before


@pytest.mark.parametrize(
    "other",
    [lambda: fb.Balanced(LABELS, exhausted="recycle"), lambda: fb.Balanced(LABELS[::-1]), lambda: fb.Shuffle(N)],
    ids=["another rule", "other labels", "another kind"],
)
def test_a_state_of_another_sampler_is_refused(other):
    state = make("stop", 4).state_dict()
    with pytest.raises(ValueError, match="its 'sampler' is"):
        fb.Loader(np.arange(N), 4, sampler=other()).load_state_dict(state)


@pytest.mark.parametrize("options", [{"sampler": map(int, range(N)), "batch_size": 4}, {"batch_sampler": [[1], [2]]}])
def test_a_sampler_without_a_state_cannot_be_taken_up_in_mid_epoch(options):
    loader = fb.Loader(np.arange(N), **options)
    next(iter(loader))
    before = loader.state_dict()
    with pytest.raises(ValueError, match=r"lies \d rows inside an epoch, where this sampler cannot be taken up"):
        loader.load_state_dict(before)
    assert loader.state_dict() == before
    loader.load_state_dict(before | {"position": 0})
