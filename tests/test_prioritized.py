"""fb.Prioritized: weights that follow the model, exact in time."""

import json
import math
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference_weighted as twin
from fastbatch._native.column import GatherColumn
from fastbatch._native.engine import Engine
from fastbatch._native.prioritized import Prioritized as Native
from fastbatch._native.structure import LEAF
from heap import Heap
from iterating import KEY, iterate, open_epoch
from programs import assert_quiet, forks_with_threads, run_program
from reference import chi_square, chi_square_limits, key_of_seed

WEIGHT = st.integers(0, 2**20).map(float) | st.floats(0, 1e297, allow_subnormal=True) | st.just(0.0)
WEIGHTS = st.lists(WEIGHT, min_size=1, max_size=600).filter(any)


def loader_of(sampler, batch_size, **options):
    options = {"seed": 5, "rows": True, **options}
    return fb.Loader({"x": np.arange(sampler.n) * 10}, batch_size, sampler=sampler, **options)


def rows_of(batch):
    assert np.array_equal(batch["x"], batch["rows"] * 10)
    return batch["rows"].tolist()


# ---------------------------------------------------------------------------------------------------------------------
# Draws
# ---------------------------------------------------------------------------------------------------------------------


@given(WEIGHTS, st.integers(0, 2**70), st.integers(0, 2**40), st.integers(0, 300))
def test_an_order_is_its_twin(weights, seed, epoch, length):
    sampler = fb.Prioritized(weights, num_samples=length)
    assert (sampler.n, len(sampler)) == (len(weights), length)
    tree = twin.SumTree(weights)
    words = twin.words_at(key_of_seed(seed), epoch, twin.PRIORITIZED, 0, length)
    assert sampler.order(seed, epoch).tolist() == [tree.draw(word) for word in words]


@pytest.mark.parametrize("n", [1, 15, 16, 17, 255, 256, 257, 4096, 4097, 70_000])
def test_rows_without_weight_are_never_drawn_and_the_others_in_proportion(n):
    weights = np.random.default_rng(n).integers(0, 4, n).astype(float)
    weights[-1] = 2
    counts = np.bincount(fb.Prioritized(weights, num_samples=1_000_000).order(3, 4), minlength=n)
    assert not counts[weights == 0].any()
    runs = min(n, 500)  # groups of neighbours, so that each is drawn often
    edges = np.linspace(0, n, runs + 1).astype(int)[:-1]
    observed, shares = np.add.reduceat(counts, edges), np.add.reduceat(weights, edges)
    observed, shares = observed[shares > 0], shares[shares > 0]
    if len(shares) > 1:
        low, high = chi_square_limits(len(shares) - 1)
        assert low <= chi_square(observed, shares / shares.sum() * 1_000_000) <= high


@given(WEIGHTS, st.lists(st.tuples(st.integers(0, 2**40), WEIGHT), max_size=60))
def test_what_is_drawn_depends_on_the_weights_and_not_on_how_they_came(weights, changes):
    updated = fb.Prioritized(weights)
    for row, value in changes:
        weights[row % len(weights)] = value
        updated.update([row % len(weights)], [value])
    assert updated.weights.tolist() == weights
    assert updated.digest == fb.Prioritized(weights).digest
    if any(weights):
        assert np.array_equal(updated.order(1, 2), fb.Prioritized(weights).order(1, 2))


# ---------------------------------------------------------------------------------------------------------------------
# Updates, exact in time
# ---------------------------------------------------------------------------------------------------------------------

N = 40
CHANGE = st.tuples(st.integers(0, N - 1), st.floats(0.1, 9)) | st.tuples(st.integers(0, N // 2), st.just(0.0))
ACTION = (
    st.tuples(st.just("next"))
    | st.tuples(st.just("update"), st.lists(CHANGE, max_size=5))
    | st.tuples(st.just("exponent"), st.floats(0, 2))
    | st.tuples(st.just("resize"), st.integers(1, 9))
    | st.tuples(st.just("leave"))
    | st.tuples(st.just("resume"), st.integers(0, 3), st.integers(0, 5))
)


@given(st.lists(ACTION, max_size=40), st.integers(0, 5), st.integers(0, 3), st.integers(1, 5))
def test_every_batch_is_that_of_the_twin_whatever_is_ahead(actions, lag, threads, prefetch):
    """Updates, other sizes, other iterators and states come at any time: each batch has the weights of its time."""
    weights = np.arange(1.0, N + 1)
    sampler = fb.Prioritized(weights, lag=lag, num_samples=25, exponent=0.5)
    expected = twin.Live(weights, key_of_seed(5), lag=lag, exponent=0.5)
    loader, size = loader_of(sampler, 4, threads=threads, prefetch=prefetch), 4
    iterator, epoch, position, has_begun = iter(loader), 0, 0, False
    for name, *arguments in [*actions, ("next",)]:
        if name == "next":
            if position == 25:
                assert next(iterator, None) is None
                iterator, epoch, position = iter(loader), epoch + 1, 0
            batch, n = next(iterator), min(size, 25 - position)
            rows, importances = expected.batch(epoch, position, n)
            assert rows_of(batch) == rows
            np.testing.assert_allclose(batch["weights"], importances, rtol=1e-6)
            position += n
            has_begun = True
        elif name == "update":
            rows, values = zip(*arguments[0], strict=True) if arguments[0] else ([], [])
            sampler.update(rows, values)
            expected.update(rows, values)
        elif name == "exponent":
            sampler.exponent = arguments[0]
            expected.update([None], [arguments[0]])
        elif name == "resize":
            (loader.batch_size,) = (size,) = arguments
        elif name == "leave" and has_begun:  # what was drawn ahead is drawn again, for another iterator
            iterator, epoch, position, has_begun = iter(loader), epoch + 1, 0, False
        elif name == "resume":
            saved, state = sampler.state_dict(), json.loads(json.dumps(loader.state_dict()))
            sampler = fb.Prioritized(np.ones(N), lag=lag, num_samples=25)
            sampler.load_state_dict(saved)
            loader = loader_of(sampler, size, threads=arguments[0], prefetch=arguments[1], seed=0)
            loader.load_state_dict(state)
            iterator, epoch, position, has_begun = iter(loader), state["epoch"], state["position"], False


@pytest.mark.parametrize("lag", [0, 1, 4])
@pytest.mark.parametrize(("threads", "prefetch"), [(0, 0), (1, 1), (2, 8), (8, 3)])
@pytest.mark.parametrize("row_nbytes", [8, 1 << 18])
def test_a_training_loop_is_the_same_with_any_threads(lag, threads, prefetch, row_nbytes):
    """Rows of 256 KB are filled in parts, on threads, while weights change."""
    n = 24
    data = np.repeat(np.arange(n), row_nbytes // 8).reshape(n, -1)

    def run(**options):
        sampler = fb.Prioritized(np.ones(n), lag=lag)
        seen = []
        with fb.Loader((data,), 5, sampler=sampler, seed=1, rows=True, **options) as loader:
            for _ in range(3):
                for x, rows, weights in loader:
                    assert (x == rows[:, None]).all()
                    seen.append((rows.tolist(), weights.tolist()))
                    sampler.update(rows, 1.0 + rows**2 % 7 + len(seen))
        return seen, sampler.digest

    assert run(threads=threads, prefetch=prefetch) == run(threads=0)


@pytest.mark.parametrize(("world_size", "uneven"), [(2, "wrap"), (3, "exact"), (4, "pad")])
def test_ranks_have_the_order_of_one_and_the_same_digest(world_size, uneven):
    n = 50
    samplers = [fb.Prioritized(np.ones(n), lag=2) for _ in range(world_size)]
    ranks = [
        loader_of(sampler, 4, rank=rank, world_size=world_size, uneven=uneven, threads=rank % 2)
        for rank, sampler in enumerate(samplers)
    ]
    expected = twin.Live(np.ones(n), key_of_seed(5), lag=2)
    for epoch in range(2):
        iterators = [iter(loader) for loader in ranks]
        for first in range(0, n, 4 * world_size):
            batches = [next(iterator) for iterator in iterators]
            rows = [row for batch in batches for row in rows_of(batch)]
            whole, _ = expected.batch(epoch, first, min(4 * world_size, n - first))
            assert rows[: len(whole)] == whole
            for live in (*samplers, expected):  # as after a gather of all ranks' losses
                live.update(whole, [1 + row % 5 + epoch for row in whole])
            assert len({sampler.digest for sampler in samplers}) == 1
        assert [next(iterator, None) for iterator in iterators] == [None] * world_size
    samplers[0].update([3], [9])
    assert samplers[0].digest != samplers[1].digest


def test_a_state_of_many_ranks_goes_on_on_others():
    n = 60
    saved = fb.Prioritized(np.arange(1, n + 1), lag=1)
    four = [
        loader_of(saved if rank == 0 else fb.Prioritized(np.arange(1, n + 1), lag=1), 3, rank=rank, world_size=4)
        for rank in range(4)
    ]
    iterators = [iter(loader) for loader in four]
    expected = twin.Live(np.arange(1, n + 1), key_of_seed(5), lag=1)
    for first in (0, 12):
        assert [row for iterator in iterators for row in rows_of(next(iterator))] == expected.batch(0, first, 12)[0]
        saved.update([first], [100.0])
        expected.update([first], [100.0])
    for world_size in (1, 3, 8):
        model = pickle.loads(pickle.dumps(expected))
        others = []
        for rank in range(world_size):
            sampler = fb.Prioritized(np.ones(n), lag=1)
            sampler.load_state_dict(saved.state_dict())
            others.append(loader_of(sampler, 2, rank=rank, world_size=world_size))
            others[-1].load_state_dict(four[0].state_dict())
        iterators = [iter(loader) for loader in others]
        for first in range(24, n, 2 * world_size):
            rows = [row for iterator in iterators for row in rows_of(next(iterator))]
            whole, _ = model.batch(0, first, min(2 * world_size, n - first))
            assert rows[: len(whole)] == whole


def test_a_thread_of_the_users_may_update_while_others_iterate():
    n, stop = 100, threading.Event()
    sampler = fb.Prioritized(np.ones(n), lag=3, num_samples=20_000)

    def change():
        i = 0
        while not stop.is_set():
            sampler.update(np.arange(n), 1.0 + (np.arange(n) + i) % 5)
            i += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for batch in loader_of(sampler, 50, threads=2):
            assert set(rows_of(batch)) <= set(range(n))
    finally:
        stop.set()
        thread.join()
    loader = loader_of(sampler, 50)
    next(iter(loader))
    assert sampler.digest == pickle.loads(pickle.dumps(sampler)).digest


def test_with_map_the_weights_are_those_of_the_time():
    sampler = fb.Prioritized(np.ones(20))
    sampler.update(np.arange(10), 0)
    loader = loader_of(sampler, 5, map=lambda batch: sampler.update(batch["rows"], 0) or rows_of(batch))
    iterator = iter(loader)
    seen = next(iterator) + next(iterator)
    assert len(set(seen[:5]) & set(seen[5:])) == 0
    assert set(seen) <= set(range(10, 20))


def test_when_map_fails_updates_of_its_batch_belong_to_the_one_before():
    sampler, fails = fb.Prioritized(np.ones(10), lag=1, num_samples=100), [False, True]

    def function(batch):
        sampler.update(batch["rows"], 5.0)
        if fails.pop(0):
            raise KeyError("late")

    loader = loader_of(sampler, 4, map=function)
    iterator = iter(loader)
    next(iterator)
    with pytest.raises(KeyError, match="late"):
        next(iterator)
    assert loader.state_dict()["position"] == 4
    sampler.update([1], 3.0)
    state = sampler.state_dict()
    assert set(state["due"].tolist()) == {1}
    again = fb.Prioritized(np.ones(10), lag=1, num_samples=100)
    again.load_state_dict(state)
    assert again.digest == sampler.digest


def test_a_batch_that_found_no_memory_is_drawn_again_with_the_weights_of_its_time():
    n, heap = 30, Heap()
    sampler, expected = Native(np.ones(n), 200, 1.0, 0), twin.Live(np.ones(n), KEY)
    engine = Engine([GatherColumn(np.arange(n))], LEAF, [None], allocators=[heap.hook])
    batches, kept = iterate(open_epoch(engine, sampler, 5)), []
    for number in range(6):
        heap.most = 0
        with pytest.raises(MemoryError, match="no memory for a batch of 5 rows"):
            next(batches)
        heap.most = 2**30
        for live in (sampler, expected):
            live.update(range(n), [1.0 + (row + number) ** 2 % 7 for row in range(n)])
        rows, _ = expected.batch(0, 5 * number, 5)
        kept.append(next(batches))  # so that the next one needs memory
        assert kept[-1].tolist() == rows


# ---------------------------------------------------------------------------------------------------------------------
# No weight at all
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("lag", [0, 1])
def test_no_row_can_be_drawn_while_all_weights_are_0(threads, lag):
    sampler = fb.Prioritized(np.zeros(8), lag=lag)
    loader = loader_of(sampler, 4, threads=threads)
    iterator = iter(loader)
    for _ in range(3):
        with pytest.raises(ValueError, match=r"^weights must not all be 0 when rows are drawn: no row can be$"):
            next(iterator)
    sampler.update(3, 1.0)  # at once, with a lag too: there is no batch that it could wait for
    assert rows_of(next(iterator)) == [3] * 4
    sampler.update([3, 5], [0, 2])
    assert rows_of(next(iterator)) == [3 if lag else 5] * 4
    assert next(iterator, None) is None
    sampler.update(np.arange(8), 0)
    iterator = iter(loader)
    if lag:
        assert rows_of(next(iterator)) == [5] * 4
    with pytest.raises(ValueError, match="must not all be 0"):
        next(iterator)
    sampler.update([6], 1)
    assert rows_of(next(iterator)) == [6] * 4
    with pytest.raises(ValueError, match="must not all be 0"):
        fb.Prioritized(np.zeros(8)).order(0, 0)


# ---------------------------------------------------------------------------------------------------------------------
# State
# ---------------------------------------------------------------------------------------------------------------------


def test_a_state_goes_to_a_file_and_json(tmp_path):
    sampler = fb.Prioritized(np.arange(1.0, 31), lag=2, exponent=0.25)
    loader = loader_of(sampler, 4)
    iterator = iter(loader)
    for _ in range(3):
        rows = rows_of(next(iterator))
        sampler.update(rows, np.ones(4))
    sampler.exponent = 0.75
    np.savez(tmp_path / "sampler.npz", **sampler.state_dict())
    (tmp_path / "loader.json").write_text(json.dumps(loader.state_dict()))
    assert loader.state_dict()["weights"] == sampler.digest
    again = fb.Prioritized(np.zeros(30), lag=2)
    loaded = loader_of(again, 4, seed=9)
    state = json.loads((tmp_path / "loader.json").read_text())
    with pytest.raises(ValueError, match=r"^the state does not fit the sampler's weights: their digest is .*own state"):
        loaded.load_state_dict(state)
    with np.load(tmp_path / "sampler.npz") as arrays:
        again.load_state_dict(arrays)
    loaded.load_state_dict(state)
    assert again.exponent == 0.25
    for left, right in zip(iterator, loaded, strict=True):
        assert all(np.array_equal(left[key], right[key]) for key in ("rows", "weights"))
    assert again.exponent == sampler.exponent == 0.75


def test_a_loader_pickles_with_its_weights():
    sampler = fb.Prioritized(np.ones(20), lag=1)
    loader = loader_of(sampler, 3)
    iterator = iter(loader)
    sampler.update(rows_of(next(iterator)), 7)
    copy = pickle.loads(pickle.dumps(loader))
    assert [rows_of(batch) for batch in copy] == [rows_of(batch) for batch in iterator]


def good_state():
    return fb.Prioritized(np.ones(4), lag=1).state_dict()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": np.ones(5)}, r"it has \(5,\) weights, not \(4,\)"),
        ({"weights": -np.ones(4)}, r"weights must be at least 0 and below 2\*\*990, got -1.0"),
        ({"exponent": math.nan}, "exponent must be finite, got nan"),
        ({"due": np.array([1])}, r"due, rows and values must be of one shape, got \(1,\), \(0,\), \(0,\)"),
        ({"due": np.array([2]), "rows": np.array([0]), "values": np.array([1.0])}, "due in 1 to 1 batches here"),
        ({"due": np.array([1]), "rows": np.array([5]), "values": np.array([1.0])}, "rows must be at most 4, got 5"),
        ({"due": np.array([1]), "rows": np.array([0]), "values": np.array([-1.0])}, "weights must be at least 0"),
    ],
)
def test_states_that_do_not_fit_are_refused_and_change_nothing(changes, said):
    sampler = fb.Prioritized([1, 2, 3, 4], lag=1)
    digest = sampler.digest
    with pytest.raises(ValueError, match=said):
        sampler.load_state_dict({**good_state(), **changes})
    state = good_state()
    del state["rows"]
    with pytest.raises(ValueError, match=r"^the state lacks 'rows'$"):
        sampler.load_state_dict(state)
    assert sampler.digest == digest


def test_digests_tell_what_comes_apart():
    samplers = [fb.Prioritized([1, 2, 3], lag=lag, exponent=exponent) for lag in (0, 1) for exponent in (0.5, 1.0)]
    samplers += [fb.Prioritized([1, 3, 2]), fb.Prioritized([1, 2, 3], lag=1), fb.Prioritized([1, 2, 3], lag=1)]
    samplers[-1].update([0], [4])
    samplers[-2].update([0], [5])
    assert len({sampler.digest for sampler in samplers}) == len(samplers)


# ---------------------------------------------------------------------------------------------------------------------
# One iterator at a time
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 4])
@pytest.mark.parametrize("threads", [0, 2])
def test_a_later_iterator_ends_an_earlier_one(threads, lag):
    sampler = fb.Prioritized(np.ones(1000), lag=lag)
    loader = loader_of(sampler, 4, threads=threads)
    first = iter(loader)
    next(first)
    second = iter(loader_of(sampler, 4))
    next(second)
    with pytest.raises(RuntimeError, match="a later epoch draws from this sampler, whose weights follow one"):
        next(first)  # nor does it have what was filled ahead
    assert next(first, None) is None
    assert len(list(second)) == 249
    assert len(list(loader)) == 250


FORK = """
import os, threading
import numpy as np
import fastbatch as fb

n = 200_000
sampler = fb.Prioritized(np.ones(n))
loader = fb.Loader(np.arange(n), 64, sampler=sampler, seed=0)
stop = threading.Event()

def change():
    rng = np.random.default_rng(0)
    while not stop.is_set():
        sampler.update(rng.integers(0, n, 50_000), rng.random(50_000))

def iterate():
    for _ in fb.Loader(np.arange(8), 4, sampler=other, seed=0, threads=0):
        if stop.is_set():
            break

other = fb.Prioritized(np.ones(8), num_samples=10**12)
threads = [threading.Thread(target=change), threading.Thread(target=iterate)]
for thread in threads:
    thread.start()
iterator = iter(loader)
for i in range(20):
    next(iterator)
    for _ in range(20):
        child = os.fork()
        if child == 0:
            os._exit(0 if other.digest == fb.Prioritized(np.ones(8)).digest else 1)
        assert os.waitpid(child, 0)[1] == 0
    child = os.fork()
    if child == 0:
        again = fb.Prioritized(sampler.weights)  # torn sums would tell the two apart
        ok = np.array_equal(again.order(1, 1), sampler.order(1, 1)) and again.digest == sampler.digest
        next(iter(loader))
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
"""


@forks_with_threads
def test_a_child_finds_the_weights_at_rest():
    assert_quiet(run_program(FORK))


# ---------------------------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "options", "error", "said"),
    [
        ([], {}, ValueError, r"weights must be of shape \(n,\) with 0 < n < 2\*\*32, got shape \(0,\)"),
        ([[1.0]], {}, ValueError, r"got shape \(1, 1\)"),
        (["1"], {}, TypeError, "weights must be real numbers, got dtype <U1"),
        ([1, -1], {}, ValueError, r"weights must be at least 0 and below 2\*\*990, got -1.0"),
        ([1, math.nan], {}, ValueError, "got nan"),
        ([math.inf], {}, ValueError, "got inf"),
        ([2.0**990], {}, ValueError, r"below 2\*\*990, got 1.04"),
        ([1], {"lag": -1}, ValueError, r"lag must be at least 0 and below 2\*\*31, got -1"),
        ([1], {"lag": 0.5}, TypeError, "integer"),
        ([1], {"num_samples": -1}, ValueError, r"num_samples must be at least 0 and below 2\*\*63, got -1"),
        ([1], {"exponent": math.inf}, ValueError, "exponent must be finite, got inf"),
    ],
)
def test_arguments_that_cannot_be_are_refused(weights, options, error, said):
    with pytest.raises(error, match=said):
        fb.Prioritized(weights, **options)


@pytest.mark.parametrize(
    ("rows", "values", "error", "said"),
    [
        ([0, 4], [1, 2], IndexError, "4"),
        ([0.5], [1], TypeError, "integers"),
        ([0, 1], [1, -2], ValueError, r"weights must be at least 0 and below 2\*\*990, got -2.0"),
        ([0, 1], [1, math.nan], ValueError, "got nan"),
        ([0, 1], [1, 2, 3], ValueError, r"values must be one number, or of shape \(2,\) as rows are, got shape \(3,\)"),
        ([0, 1], ["a", "b"], TypeError, "real numbers"),
    ],
)
def test_updates_that_cannot_be_change_nothing(rows, values, error, said):
    sampler = fb.Prioritized([1, 2, 3, 4])
    digest = sampler.digest
    with pytest.raises(error, match=said):
        sampler.update(rows, values)
    assert sampler.digest == digest


def test_what_takes_batches_out_of_turn_is_refused():
    sampler = fb.Prioritized(np.ones(4))
    with pytest.raises(ValueError, match="map_threads=1 takes batches before they are asked for"):
        loader_of(sampler, 2, map=len, map_threads=1)
    with pytest.raises(TypeError, match=r"batch\(epoch, i\) needs an order that nothing changes"):
        loader_of(sampler, 2).batch(0, 0)
    with pytest.raises(TypeError, match="sampler must not be a Prioritized"):
        fb.Subset([4, 5, 6, 7], sampler)


def test_negative_rows_count_from_the_end_and_one_value_is_for_all():
    sampler = fb.Prioritized(np.ones(5))
    sampler.update(np.array([[-1], [0]]), 3)
    assert sampler.weights.tolist() == [3, 1, 1, 1, 3]


def test_a_batch_that_could_not_be_handed_over_comes_again_with_the_weights_of_its_time():
    n, fails = 30, [False]

    def wrap(capsule):
        if fails.pop(0):
            raise MemoryError("no memory for a tensor")
        return np.from_dlpack(Capsule(capsule))

    sampler = Native(np.ones(n), 100, 1.0, 2)
    engine = Engine([GatherColumn(np.arange(n))], LEAF, [wrap], n_ahead=4, n_threads=0)
    epoch, expected = open_epoch(engine, sampler, 5), twin.Live(np.ones(n), KEY, lag=2)
    batches = iterate(epoch)
    for number in range(12):
        # The tickets behind this one are drawn, with updates that it must not see when it is drawn again.
        taken = list(iter(epoch.take, None))
        assert len(taken) == (3 if number % 3 == 0 else 1)  # all of them are put back
        for ticket in taken:
            epoch.fill(ticket)
        if number % 3 == 2:
            fails[:] = [True]
            with pytest.raises(MemoryError, match="no memory for a tensor"):
                next(batches)
        fails[:] = [False]
        rows, _ = expected.batch(0, 5 * number, 5)
        assert next(batches).tolist() == rows
        for live in (sampler, expected):
            live.update(rows, [1.0 + number + row % 3 for row in rows])


def test_batches_of_another_size_are_drawn_from_the_weights_of_their_time():
    n, position = 30, 0
    sampler, expected = Native(np.ones(n), 200, 1.0, 2), twin.Live(np.ones(n), KEY, lag=2)
    epoch = open_epoch(Engine([GatherColumn(np.arange(n))], LEAF, [None], n_ahead=4, n_threads=0), sampler, 5)
    batches = iterate(epoch)
    for size in (5, 7, 2, 11, 3, 3, 8, 1, 9):
        epoch.set_batch_size(size)  # drops the tickets that are out, drawn with later weights
        rows, _ = expected.batch(0, position, size)
        assert next(batches).tolist() == rows
        position += size
        for live in (sampler, expected):
            live.update(rows, [1.0 + size + row % 3 for row in rows])
        for ticket in list(iter(epoch.take, None)):
            epoch.fill(ticket)


@pytest.mark.parametrize("weights", [[0.0, 5e-324, 0.0], [0.0, 1e-320, 0.0, 5e-324] + [0.0] * 300])
def test_the_least_of_weights_are_weights(weights):
    """A product with the total may round to all of it, where there is no row."""
    order = fb.Prioritized(weights, num_samples=3000).order(0, 0)
    assert set(order) <= set(np.flatnonzero(weights))


class Capsule:
    """What `numpy.from_dlpack` takes."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **options):
        return self.capsule

    def __dlpack_device__(self):
        return 1, 0
