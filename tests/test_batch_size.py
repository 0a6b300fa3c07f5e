"""A batch size that moves: the next batch has it, and no row is lost or comes twice."""

import itertools
import json
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from own_samplers import Anew
from threads import run_threads

SIZES = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 4)), min_size=1, max_size=5)
KINDS = st.sampled_from(["shuffle", "balanced", "rows", "arrays"])


def sampler_of(kind, n):
    if kind == "shuffle":
        return fb.Shuffle(n)
    if kind == "balanced":
        return fb.Balanced(np.arange(n) % 3 % 2, exhausted="recycle")
    order = np.random.default_rng(n).permutation(n)
    if kind == "rows":
        return iter_anew(order.tolist())
    return iter_anew(np.array_split(order, range(3, n, 7)))


def iter_anew(items):
    """An iterable that is no sequence."""

    class Items:
        def __iter__(self):
            return iter(items)

    return Items()


def order_of(kind, n):
    sampler = sampler_of(kind, n)
    return (sampler.order(3, 0) if hasattr(sampler, "order") else np.hstack(list(sampler))).tolist()


def rows_of(batches):
    return [row for batch in batches for row in batch[1].tolist()]


@given(st.integers(1, 300), SIZES, KINDS, st.integers(1, 4), st.sampled_from([0, 1, 3]), st.booleans())
def test_the_next_batch_has_it_on_every_rank(n, sizes, kind, world_size, threads, drop_last):
    order = order_of(kind, n)
    ranks = [
        fb.Loader(
            np.arange(n),
            sizes[0][0],
            sampler=sampler_of(kind, n),
            seed=3,
            rank=rank,
            world_size=world_size,
            uneven="exact",
            rows=True,
            threads=threads,
            prefetch=3,
            drop_last=drop_last,
        )
        for rank in range(world_size)
    ]
    iterators = [iter(loader) for loader in ranks]
    reached = 0
    for size, n_batches in [*sizes, (7, 10**9)]:
        for loader in ranks:
            loader.batch_size = size
            assert loader.batch_size == size
        for _ in range(n_batches):
            batches = [next(iterator, None) for iterator in iterators]
            expected = order[reached : reached + size * world_size]
            if not expected or (drop_last and len(expected) < size * world_size):
                assert batches == [None] * world_size
                return
            lengths = [len(part) for part in np.array_split(np.array(expected), world_size)]
            assert [len(batch[1]) for batch in batches] == lengths
            assert rows_of(batches) == expected
            reached += len(expected)
            if kind in ("shuffle", "balanced"):
                assert {loader.state_dict()["position"] for loader in ranks} == {reached}


def test_the_epochs_that_follow_have_it_too():
    loader = fb.Loader(np.arange(100), 10, shuffle=True, seed=0, threads=1)
    for epoch, size in enumerate([10, 30, 7]):
        loader.batch_size = size
        batches = list(loader)
        assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        assert np.array_equal(np.concatenate(batches), fb.Shuffle(100).order(0, epoch))
        assert len(loader) == -(-100 // size)


def test_a_batch_by_itself_has_it():
    loader = fb.Loader(np.arange(100), 10, shuffle=True, seed=0)
    loader.batch(0, 3)
    loader.batch_size = 7
    assert np.array_equal(loader.batch(0, 3), fb.Shuffle(100).order(0, 0)[21:28])


def test_a_state_remembers_it():
    first = fb.Loader(np.arange(100), 10, shuffle=True, seed=0)
    assert "batch_size" not in first.state_dict()
    iterator = iter(first)
    next(iterator)
    first.batch_size = 25
    next(iterator)
    state = json.loads(json.dumps(first.state_dict()))
    again = fb.Loader(np.arange(100), 10, shuffle=True)
    again.load_state_dict(state)
    assert again.batch_size == 25
    rest = fb.Shuffle(100).order(0, 0)[35:]
    for loader in (again, pickle.loads(pickle.dumps(first))):
        assert loader.state_dict()["batch_size"] == 25
        assert [batch.tolist() for batch in loader] == [rest[:25].tolist(), rest[25:50].tolist(), rest[50:].tolist()]


def test_a_state_without_it_leaves_the_loaders_own():
    state = fb.Loader(np.arange(100), 10, shuffle=True, seed=0).state_dict()
    other = fb.Loader(np.arange(100), 32, shuffle=True)
    other.load_state_dict(state)
    assert other.batch_size == 32


def test_it_is_set_while_other_threads_iterate():
    n = 20_000
    loader = fb.Loader(np.arange(n), 10, shuffle=True, seed=0, threads=2, prefetch=4)
    iterator, got, sizes = iter(loader), [], set()

    def consume():
        for batch in iterator:
            got.append(batch)
            sizes.add(len(batch))

    consumer = threading.Thread(target=consume)
    consumer.start()
    for size in [*range(1, 60), 10]:
        loader.batch_size = size
    consumer.join()
    assert np.array_equal(np.concatenate(got), fb.Shuffle(n).order(0, 0))


def test_with_threads_of_the_map_it_comes_after_what_they_have_begun():
    loader = fb.Loader(np.arange(1000), 10, shuffle=True, seed=0, map=lambda batch: batch, map_threads=2)
    iterator = iter(loader)
    batches = [next(iterator) for _ in range(3)]
    loader.batch_size = 25
    batches += list(iterator)
    assert np.array_equal(np.concatenate(batches), fb.Shuffle(1000).order(0, 0))
    assert {len(batch) for batch in batches[10:-1]} == {25}


@pytest.mark.parametrize(
    ("size", "error", "said"),
    [
        (0, ValueError, r"^batch_size must be at least 1, got 0$"),
        (2**48, ValueError, r"^batch_size must be below 2\*\*48, got 281474976710656$"),
        (1.5, TypeError, "integer"),
        (True, TypeError, r"^batch_size must be an integer, got True$"),
        (None, TypeError, "integer"),
    ],
)
def test_what_is_no_size_is_refused_and_changes_nothing(size, error, said):
    loader = fb.Loader(np.arange(100), 10, shuffle=True, seed=0)
    iterator = iter(loader)
    next(iterator)
    with pytest.raises(error, match=said):
        loader.batch_size = size
    assert loader.batch_size == len(next(iterator)) == 10


def test_groups_stay_whole():
    loader = fb.Loader(np.arange(100), 20, sampler=fb.PerClass(np.arange(100) % 10, 5, 4), seed=0)
    with pytest.raises(ValueError, match=r"^batch_size must be a multiple of 20, a group's rows, got 30$"):
        loader.batch_size = 30
    loader.batch_size = 60
    assert len(next(iter(loader))) == 60


def test_a_batch_sampler_says_what_a_batch_is():
    loader = fb.Loader(np.arange(4), batch_sampler=[[0, 1], [2, 3]])
    with pytest.raises(ValueError, match=r"^batch_size cannot be set with a batch_sampler"):
        loader.batch_size = 2


# ---------------------------------------------------------------------------------------------------------------------
# Schedules
# ---------------------------------------------------------------------------------------------------------------------


def growing(epoch, samples):
    """Twice as large after each 100 samples, and larger with each epoch."""
    return (3 + epoch) * 2 ** min(4, samples // 100)


def scheduled(n, world_size, *, epoch=0, position=0, drop_last=False):
    """(first row, end) of each batch of all ranks."""
    while position < n:
        end = position + growing(epoch, position) * world_size
        if end > n and drop_last:
            return
        yield position, min(n, end)
        position = end


@given(st.integers(1, 600), KINDS, st.integers(1, 3), st.sampled_from([0, 1, 3]), st.booleans(), st.booleans())
def test_a_schedule_is_followed_on_every_rank(n, kind, world_size, threads, drop_last, mapped):
    options = {"seed": 3, "world_size": world_size, "uneven": "exact", "threads": threads, "prefetch": 3}
    options |= {"map": lambda batch: batch, "map_threads": 2} if mapped else {}
    ranks = [
        fb.Loader(np.arange(n), growing, sampler=sampler_of(kind, n), rank=rank, drop_last=drop_last, **options)
        for rank in range(world_size)
    ]
    for epoch in range(2):
        sampler = sampler_of(kind, n)
        order = sampler.order(3, epoch) if hasattr(sampler, "order") else np.hstack(list(sampler))
        expected = list(scheduled(len(order), world_size, epoch=epoch, drop_last=drop_last))
        if hasattr(sampler, "order"):
            assert {(len(loader), loader.batch_size) for loader in ranks} == {(len(expected), 3 + epoch)}
        got = list(zip(*ranks, strict=True))
        assert len(got) == len(expected)
        for batches, (first, end) in zip(got, expected, strict=True):
            assert np.array_equal(np.concatenate(batches), order[first:end])


@pytest.mark.parametrize("n_before", [1, 20, 40])
def test_a_schedule_goes_on_where_it_was(n_before):
    expected = list(scheduled(600, 1))
    loader = fb.Loader(np.arange(600), growing, shuffle=True, seed=3)
    iterator = iter(loader)
    for _ in range(n_before):
        next(iterator)
    assert loader.batch_size == growing(0, expected[n_before][0])
    assert loader.remaining == len(expected) - n_before
    again = pickle.loads(pickle.dumps(loader))
    order = fb.Shuffle(600).order(3, 0)
    for batch, (first, end) in zip(again, expected[n_before:], strict=True):
        assert np.array_equal(batch, order[first:end])
    for i in (0, n_before, len(expected) - 1):
        assert np.array_equal(loader.batch(0, i), order[slice(*expected[i])])
    with pytest.raises(IndexError, match=f"^batch {len(expected)} is out of range"):
        loader.batch(0, len(expected))


def test_threads_may_share_an_iterator_with_a_schedule():
    loader = fb.Loader(np.arange(5000), growing, shuffle=True, seed=3, threads=2)
    iterator, got = iter(loader), []

    def consume():
        got.extend(batch.tolist() for batch in iterator)

    consumers = [threading.Thread(target=consume) for _ in range(4)]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join()
    order = fb.Shuffle(5000).order(3, 0)
    assert sorted(got) == sorted(order[first:end].tolist() for first, end in scheduled(5000, 1))


@pytest.mark.parametrize(
    ("schedule", "error", "said"),
    [
        (lambda epoch, samples: 10 if samples < 50 else 0, ValueError, r"^batch_size must be at least 1, got 0$"),
        (lambda epoch, samples: 10 if samples < 50 else 2.5, TypeError, "integer"),
        (lambda epoch, samples: 10 if samples < 50 else 1 // 0, ZeroDivisionError, "zero"),
    ],
)
@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_of_a_schedule_ends_the_iterator_and_not_the_loader(schedule, error, said, threads):
    loader = fb.Loader(np.arange(100), schedule, shuffle=True, seed=0, threads=threads)
    iterator = iter(loader)
    assert [len(next(iterator)) for _ in range(5)] == [10] * 5
    with pytest.raises(error, match=said):
        next(iterator)
    assert list(iterator) == []
    loader.set_epoch(0)
    assert len(next(iter(loader))) == 10


def test_a_schedule_is_not_overruled():
    loader = fb.Loader(np.arange(100), growing)
    with pytest.raises(ValueError, match=r"^batch_size cannot be set with a schedule"):
        loader.batch_size = 5


def test_a_schedule_gives_whole_groups():
    with pytest.raises(ValueError, match=r"^batch_size must be a multiple of 20, a group's rows, got 3$"):
        fb.Loader(np.arange(100), growing, sampler=fb.PerClass(np.arange(100) % 10, 5, 4))


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("world_size", [1, 2])
def test_of_a_users_sampler_it_is_set_while_another_thread_iterates(threads, world_size):
    n, is_over, got = 20_000, threading.Event(), []

    def rows():
        yield from range(n)

    loader = fb.Loader(
        np.arange(n), 8, sampler=Anew(rows), seed=0, rank=0, world_size=world_size, uneven="exact", threads=threads
    )

    def iterate():
        try:
            got.extend(loader)
        finally:
            is_over.set()

    def resize():
        for size in itertools.cycle(range(4, 17)):
            if is_over.is_set():
                return
            loader.batch_size = size

    run_threads(iterate, resize)
    delivered = np.concatenate(got)
    assert (np.diff(delivered) > 0).all()  # in order, and none twice
    if world_size == 1:
        assert len(delivered) == n
    else:  # this rank's slices of batches: half of all, but for the last one
        assert abs(len(delivered) - n // 2) <= 16


def test_a_batch_of_all_ranks_beyond_what_can_be_counted_is_refused():
    with pytest.raises(ValueError, match=r"batch_size x world_size must be below 2\*\*62, got \d+ x \d+"):
        fb.Loader(np.arange(4), 2**40, seed=0, rank=0, world_size=2**24)
