"""Ranks: all together have the order of one, and each as many batches as the others."""

import json
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from programs import assert_quiet, run_program

UNEVEN = ["wrap", "exact", "pad"]
N_RANKS = st.integers(1, 9)


def loaders(n, batch_size, world_size, **options):
    options = {"shuffle": "sampler" not in options, "seed": 3, "rows": True, **options}
    return [
        fb.Loader(np.arange(n) * 10, batch_size, rank=rank, world_size=world_size, **options)
        for rank in range(world_size)
    ]


def rows_of(batch):
    rows = batch[1].tolist()
    assert batch[0].tolist() == [10 * row for row in rows]
    return rows


def global_batches(n, batch_size, world_size, uneven, order):
    """What all ranks have of each batch, as the definition has it: [[rows of rank 0, of rank 1, ...], ...]."""
    batches = []
    for first in range(0, n, batch_size * world_size):
        rows = order[first : first + batch_size * world_size]
        if uneven != "exact":
            rows = rows + [order[i % n] for i in range(-len(rows) % world_size)]
        batches.append([part.tolist() for part in np.array_split(np.array(rows, np.int64), world_size)])
    return batches


# ---------------------------------------------------------------------------------------------------------------------
# Slices
# ---------------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 200), st.integers(1, 40), N_RANKS, st.sampled_from(UNEVEN), st.booleans(), st.integers(0, 2))
def test_each_rank_has_its_slice_of_every_batch(n, batch_size, world_size, uneven, shuffle, threads):
    ranks = loaders(n, batch_size, world_size, uneven=uneven, shuffle=shuffle, threads=threads)
    for epoch in range(2):
        order = (fb.Shuffle(n) if shuffle else fb.Sequential(n)).order(3, epoch).tolist()
        expected = global_batches(n, batch_size, world_size, uneven, order)
        got = [list(loader) for loader in ranks]
        assert {len(batches) for batches in got} == {len(loader) for loader in ranks} == {len(expected)}
        for i, of_ranks in enumerate(expected):
            assert [rows_of(batches[i]) for batches in got] == of_ranks
            if uneven == "pad":
                n_valid = min(batch_size * world_size, n - i * batch_size * world_size)
                valid = np.concatenate([batches[i][2] for batches in got])
                assert valid.dtype == np.bool_
                assert valid.tolist() == [place < n_valid for place in range(len(valid))]


@given(st.integers(0, 200), st.integers(1, 40), N_RANKS, st.sampled_from(UNEVEN))
def test_drop_last_drops_what_is_no_batch_of_all_ranks(n, batch_size, world_size, uneven):
    n_batches = n // (batch_size * world_size)
    order = fb.Shuffle(n).order(3, 0).tolist()[: n_batches * batch_size * world_size]
    for rank, loader in enumerate(loaders(n, batch_size, world_size, uneven=uneven, drop_last=True)):
        assert len(loader) == n_batches
        got = [rows_of(batch) for batch in loader]
        assert got == [part[rank].tolist() for part in np.array(order, int).reshape(n_batches, world_size, batch_size)]


SAMPLERS = {
    "shuffle": lambda n: fb.Shuffle(n),
    "streaming": lambda n: fb.Shuffle(n, "streaming"),
    "balanced": lambda n: fb.Balanced(np.arange(n) % 7 % 4, exhausted="recycle"),
    "stratified": lambda n: fb.Stratified(np.arange(n) % 7 % 4),
    "weighted": lambda n: fb.Weighted(np.arange(n)),
    "race": lambda n: fb.Weighted(np.arange(n), replacement=False),
    "given": lambda n: fb.Subset(np.arange(0, n, 3), fb.Sequential(len(range(0, n, 3)))),
    "subset": lambda n: fb.Subset(np.arange(0, n, 3)),
    "mixture": lambda n: fb.Mixture([n // 2, n - n // 2], [1, 2]),
}


@pytest.mark.parametrize("uneven", ["wrap", "exact"])
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("n", [1000, 70_001])
def test_any_sampler_is_shared(name, n, uneven):
    sampler = SAMPLERS[name](n)
    length = len(sampler)
    expected = global_batches(length, 300, 4, uneven, sampler.order(3, 0).tolist())
    for rank, loader in enumerate(loaders(n, 300, 4, sampler=SAMPLERS[name](n), uneven=uneven)):
        assert [rows_of(batch) for batch in loader] == [of_ranks[rank] for of_ranks in expected]


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("uneven", ["wrap", "exact"])
def test_orders_in_buckets_are_shared_and_wrap_to_the_first(threads, uneven):
    n = 2**22 + 1001
    order = fb.Shuffle(n).order(3, 0)
    state = {**loaders(n, 1, 1)[0].state_dict(), "position": n - 5000}
    for rank, loader in enumerate(loaders(n, 700, 3, uneven=uneven, threads=threads)):
        loader.load_state_dict(state)  # so that the first bucket has not been drawn from
        got = [rows_of(batch) for batch in loader]
        tail = np.concatenate([order[n - 5000 :], order[: -5000 % 3 if uneven == "wrap" else 0]])
        whole = tail[:4200].reshape(2, 3, 700)[:, rank].tolist()
        assert got == [*whole, np.array_split(tail[4200:], 3)[rank].tolist()]


def test_more_ranks_than_rows():
    order = fb.Shuffle(3).order(3, 0).tolist()
    assert [[rows_of(b) for b in loader] for loader in loaders(3, 4, 5)] == [[[order[i % 3]]] for i in range(5)]
    exact = [[rows_of(batch) for batch in loader] for loader in loaders(3, 4, 5, uneven="exact")]
    assert exact == [[[order[0]]], [[order[1]]], [[order[2]]], [[]], [[]]]


def test_one_rank_is_the_same_however_the_last_rows_are_cut():
    plain = [rows_of(batch) for batch in fb.Loader(np.arange(100) * 10, 30, shuffle=True, seed=3, rows=True)]
    for uneven in UNEVEN:
        (loader,) = loaders(100, 30, 1, uneven=uneven)
        assert [rows_of(batch) for batch in loader] == plain


@pytest.mark.parametrize("world_size", [1, 3])
def test_a_batch_by_itself_is_a_slice_too(world_size):
    for loader in loaders(100, 7, world_size, uneven="exact"):
        got = [rows_of(batch) for batch in loader]
        assert [rows_of(loader.batch(0, i)) for i in range(len(loader))] == got
        with pytest.raises(IndexError):
            loader.batch(0, len(loader))


# ---------------------------------------------------------------------------------------------------------------------
# Resuming on other numbers of ranks
# ---------------------------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 300),
    st.lists(st.tuples(N_RANKS, st.integers(1, 30), st.integers(0, 4)), min_size=1, max_size=4),
    st.sampled_from(["shuffle", "balanced", "stratified", "given", "subset"]),
)
def test_every_row_of_the_epoch_comes_once_on_however_many_ranks_it_goes_on(n, stages, name):
    order = SAMPLERS[name](n).order(3, 0).tolist()
    state, got = None, []
    for world_size, batch_size, n_batches in [*stages, (2, 10, 10**9)]:
        ranks = loaders(n, batch_size, world_size, sampler=SAMPLERS[name](n), uneven="exact")
        if state is not None:
            for loader in ranks:
                loader.load_state_dict(state)
        iterators = [iter(loader) for loader in ranks]
        for _ in range(n_batches):
            batches = [next(iterator, None) for iterator in iterators]
            assert len({batch is None for batch in batches}) == 1
            if batches[0] is None:
                break
            got += [row for batch in batches for row in rows_of(batch)]
        states = [json.dumps(loader.state_dict()) for loader in ranks]
        assert len(set(states)) == 1
        state = json.loads(states[0])
        if state["epoch"] > 0:
            break
    assert got == order


def test_a_weighted_sequence_goes_on():
    sampler = fb.Weighted(np.arange(1000))
    order = sampler.order(3, 0).tolist()
    four = loaders(1000, 20, 4, sampler=sampler)
    for loader in four:
        iterator = iter(loader)
        for _ in range(5):
            next(iterator)
    for world_size in (1, 3, 8):
        got = []
        ranks = loaders(1000, 10, world_size, sampler=sampler, uneven="exact")
        for loader in ranks:
            loader.load_state_dict(four[2].state_dict())
        for batches in zip(*ranks, strict=True):
            got += [row for batch in batches for row in rows_of(batch)]
        assert got == order[400:]


def test_the_place_is_that_of_all_ranks():
    loader = loaders(100, 10, 4)[1]
    iterator = iter(loader)
    next(iterator)
    assert loader.state_dict()["position"] == 40
    assert loader.remaining == 2
    next(iterator)
    next(iterator)
    assert (loader.state_dict()["position"], loader.remaining) == (100, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Samplers that users bring
# ---------------------------------------------------------------------------------------------------------------------


class Rows:
    """Row numbers one by one, or in arrays of many sizes; its state is what it gave."""

    def __init__(self, n, in_arrays):
        self.n, self.in_arrays, self.given = n, in_arrays, 0

    def __iter__(self):
        first, self.given = self.given, 0
        order = np.random.default_rng(5).permutation(self.n)
        sizes = [1] * self.n if not self.in_arrays else [3, 0, 17, 1, 40] * self.n
        at = 0
        for size in sizes:
            if at >= first and at < self.n:
                self.given = min(self.n, at + size)
                yield order[at : at + size] if self.in_arrays else int(order[at])
            at += size
        self.given = 0

    def state_dict(self):
        return {"given": self.given}

    def load_state_dict(self, state):
        self.given = state["given"]


@given(
    st.integers(1, 150),
    st.integers(1, 30),
    st.integers(2, 6),
    st.sampled_from(["wrap", "exact"]),
    st.booleans(),
    st.sampled_from([0, 1]),
    st.booleans(),
)
def test_an_iterable_is_shared(n, batch_size, world_size, uneven, in_arrays, threads, drop_last):
    order = np.random.default_rng(5).permutation(n).tolist()
    expected = global_batches(n, batch_size, world_size, uneven, order)
    if drop_last:
        expected = expected[: n // (batch_size * world_size)]
    options = {"uneven": uneven, "threads": threads, "drop_last": drop_last}
    for rank in range(world_size):
        sampler = Rows(n, in_arrays)
        loader = loaders(n, batch_size, world_size, sampler=sampler, **options)[rank]
        for _ in range(2):
            assert [rows_of(batch) for batch in loader] == [of_ranks[rank] for of_ranks in expected]


@given(
    st.integers(1, 150),
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 30), st.integers(0, 4)), min_size=1, max_size=3),
    st.booleans(),
)
def test_an_iterable_is_taken_up_on_other_numbers_of_ranks(n, stages, in_arrays):
    order = np.random.default_rng(5).permutation(n).tolist()
    state, got = None, []
    for world_size, batch_size, n_batches in [*stages, (2, 7, 10**9)]:
        ranks = [
            loaders(n, batch_size, world_size, sampler=Rows(n, in_arrays), uneven="exact")[rank]
            for rank in range(world_size)
        ]
        for loader in ranks:
            if state is not None:
                loader.load_state_dict(state)
        iterators = [iter(loader) for loader in ranks]
        for _ in range(n_batches):
            batches = [next(iterator, None) for iterator in iterators]
            if batches[0] is None:
                break
            got += [row for batch in batches for row in rows_of(batch)]
        state = json.loads(json.dumps(ranks[0].state_dict()))
        if state["epoch"] > 0 or state["position"] >= n:
            break
    assert got == order


@pytest.mark.parametrize(("uneven", "last"), [("wrap", [6]), ("exact", [])])
def test_batches_of_a_batch_sampler_are_dealt_in_turn(uneven, last):
    batches = [[0, 1], [2], [3, 4, 5], [6]]
    ranks = [
        fb.Loader(np.arange(7) * 10, batch_sampler=batches, rank=rank, world_size=3, seed=0, uneven=uneven, rows=True)
        for rank in range(3)
    ]
    got = [[rows_of(batch) for batch in loader] for loader in ranks]
    assert got == [[[0, 1], [6]], [[2], last], [[3, 4, 5], last]]


def test_an_iterable_does_not_say_which_rows_count():
    with pytest.raises(ValueError, match=r"""^uneven="pad" needs one of fastbatch's samplers"""):
        fb.Loader(np.arange(7), 2, sampler=iter([1]), uneven="pad")


# ---------------------------------------------------------------------------------------------------------------------
# Who is who
# ---------------------------------------------------------------------------------------------------------------------


def test_a_pickled_loader_keeps_its_rank():
    loader = loaders(100, 10, 4)[2]
    again = pickle.loads(pickle.dumps(loader))
    assert (again.rank, again.world_size, again.seed) == (2, 4, 3)
    assert [rows_of(batch) for batch in again] == [rows_of(batch) for batch in loader]


def auto(monkeypatch, **environment):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    loader = fb.Loader(np.arange(10), 2, rank="auto", seed=0)
    return loader.rank, loader.world_size


def test_ranks_are_found_in_the_environment(monkeypatch):
    assert auto(monkeypatch) == (0, 1)
    assert auto(monkeypatch, RANK="2", WORLD_SIZE="3") == (2, 3)


def test_ranks_are_found_in_torch_where_it_is_distributed(monkeypatch):
    fake = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, get_rank=lambda: 1, get_world_size=lambda: 4
    )
    monkeypatch.setitem(sys.modules, "torch.distributed", fake)
    assert auto(monkeypatch, RANK="2", WORLD_SIZE="3") == (1, 4)
    fake.is_initialized = lambda: False
    assert auto(monkeypatch, RANK="2", WORLD_SIZE="3") == (2, 3)


@pytest.mark.parametrize("environment", [{"RANK": "1"}, {"WORLD_SIZE": "2"}, {"RANK": "x", "WORLD_SIZE": "2"}])
def test_half_an_environment_is_refused(monkeypatch, environment):
    with pytest.raises(ValueError, match=r"^the environment must have integers RANK and WORLD_SIZE, got "):
        auto(monkeypatch, **environment)


def test_looking_for_ranks_imports_no_torch():
    program = (
        "import sys, numpy, fastbatch as fb; fb.Loader(numpy.arange(2), 1, rank='auto'); print('torch' in sys.modules)"
    )
    assert_quiet(run_program(program), "False")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"rank": 0}, ValueError, r"^rank and world_size go together: one of them is missing$"),
        ({"world_size": 2}, ValueError, r"^rank and world_size go together: one of them is missing$"),
        ({"rank": 2, "world_size": 2}, ValueError, "^rank must be at least 0 and below world_size = 2, got 2$"),
        ({"rank": -1, "world_size": 2}, ValueError, "^rank must be at least 0 and below world_size = 2, got -1$"),
        ({"rank": 0, "world_size": 0}, ValueError, r"^world_size must be at least 1 and below 2\*\*31, got 0$"),
        ({"rank": 0, "world_size": 2, "seed": None}, ValueError, "^seed is required with 2 ranks"),
        ({"rank": "me"}, ValueError, """^rank must be an integer or "auto", got 'me'$"""),
        ({"rank": "auto", "world_size": 2}, ValueError, '^world_size is found out where rank is "auto"'),
        ({"rank": 0.5, "world_size": 2}, TypeError, "integer"),
        ({"rank": True, "world_size": 2}, TypeError, "^rank must be an integer, got True$"),
        ({"uneven": "drop"}, ValueError, "^uneven must be one of 'wrap', 'exact', 'pad', got 'drop'$"),
    ],
)
def test_ranks_that_cannot_be_are_refused(options, error, said):
    with pytest.raises(error, match=said):
        fb.Loader(np.arange(10), 2, **{"seed": 0, **options})


def test_explain_names_the_share():
    assert "share: rank 1 of 4, the last rows by 'exact'" in loaders(10, 2, 4, uneven="exact")[1].explain()
    assert "share" not in loaders(10, 2, 1)[0].explain()


# ---------------------------------------------------------------------------------------------------------------------
# The column that says which rows count
# ---------------------------------------------------------------------------------------------------------------------


def test_valid_stands_where_rows_stand():
    x, y = np.arange(10.0), np.arange(10)
    options = {"rank": 2, "world_size": 3, "uneven": "pad", "seed": 0}
    (batch,) = fb.Loader((x, y), 4, **options)
    assert [part.tolist() for part in batch] == [[8.0, 9.0, 0.0, 1.0], [8, 9, 0, 1], [True, True, False, False]]
    (batch,) = fb.Loader(x, 4, **options)
    assert [part.tolist() for part in batch] == [[8.0, 9.0, 0.0, 1.0], [True, True, False, False]]
    batch = next(iter(fb.Loader({"x": x}, 4, rows=True, **options)))
    assert list(batch) == ["x", "rows", "valid"]
    with pytest.raises(ValueError, match=r'^uneven="pad" adds the key "valid", which the data has already$'):
        fb.Loader({"valid": x}, 4, **options)
