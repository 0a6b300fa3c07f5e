"""Where the memory of batches comes from: alignment, the allocator hook, running out, capsules nobody consumed."""

import gc
import math

import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native.column import GatherColumn
from fastbatch._native.engine import Engine
from fastbatch._native.sampler import Shuffled
from fastbatch._native.structure import flatten
from heap import Heap
from iterating import KEY, iterate, open_epoch


def make_engine(data, wraps=None, allocator=None, **options):
    structure, leaves, _ = flatten(data, lambda leaf: isinstance(leaf, np.ndarray))
    columns = [GatherColumn(leaf) for leaf in leaves]
    allocators = [allocator] * len(columns)
    return Engine(columns, structure, wraps or [None] * len(columns), allocators=allocators, **options)


def open_batches(engine, n, batch_size, epoch=0, **options):
    return iterate(open_epoch(engine, Shuffled(n), batch_size, number=epoch, **options))


def order_of(n, epoch=0):
    return Shuffled(n).order(KEY, epoch)


N = 40
X, Y = np.arange(N * 3.0).reshape(N, 3), np.arange(N)


# ---------------------------------------------------------------------------------------------------------------------
# Alignment
# ---------------------------------------------------------------------------------------------------------------------


def test_every_batch_begins_on_a_cache_line():
    data = (np.zeros(100, "u1"), np.zeros((100, 3)), np.zeros((100, 5), "S3"), np.zeros((100, 0)))
    for _ in range(3):
        for batch in [*fb.Loader(data, 7), *fb.Loader(data, 1)]:
            assert [array.ctypes.data % 64 for array in batch] == [0, 0, 0, 0]


@pytest.mark.parametrize("nbytes", [2**21, 2**21 + 8, 2**22])
def test_large_batches_begin_on_a_huge_page(nbytes):
    source = np.zeros((2, nbytes), np.uint8)
    for batch in [*fb.Loader(source, 1), *fb.Loader(source, 2)]:
        assert batch.ctypes.data % 2**21 == 0


# ---------------------------------------------------------------------------------------------------------------------
# The allocator hook
# ---------------------------------------------------------------------------------------------------------------------


def test_all_memory_comes_from_the_allocator_and_goes_back_to_it():
    heap = Heap()
    engine = make_engine((X, Y), allocator=heap.hook)
    held = list(open_batches(engine, N, 4))
    assert heap.n_allocated == len(heap.live) == 20
    assert {array.ctypes.data for batch in held for array in batch} == set(heap.live)
    assert np.array_equal(np.concatenate([y for _, y in held]), order_of(N))
    del held[2:]
    kept = held.pop()[0]
    held.clear()
    engine.close()
    assert len(heap.live) == 1
    assert np.array_equal(kept, X[order_of(N)[4:8]])
    del kept
    assert not heap.live
    assert not heap.misuse


def test_an_engine_that_is_dropped_gives_back_what_it_kept():
    heap = Heap()
    engine = make_engine((X, Y), allocator=heap.hook, n_ahead=4)
    batches = open_batches(engine, N, 4)
    batch = next(batches)
    filled = batches.epoch.take()
    batches.epoch.fill(filled)
    batches.epoch.take()
    del engine, batches, batch
    gc.collect()
    assert not heap.live
    assert not heap.misuse


def test_without_memory_no_row_is_lost():
    heap = Heap()
    batches = open_batches(make_engine((X, Y), allocator=heap.hook), N, 8)
    held = [next(batches)]
    heap.most = 0
    for _ in range(3):
        with pytest.raises(MemoryError, match="no memory for a batch of 8 rows"):
            next(batches)
        assert batches.epoch.position == 8
    heap.most = math.inf
    held += list(batches)
    assert np.array_equal(np.concatenate([y for _, y in held]), order_of(N))
    assert np.array_equal(np.concatenate([x for x, _ in held]), X[order_of(N)])


def test_memory_for_some_columns_only_is_given_back():
    heap = Heap()
    engine = make_engine((Y, X), allocator=heap.hook)
    batches = open_batches(engine, N, 8)
    heap.most = 8 * Y.itemsize
    with pytest.raises(MemoryError):
        next(batches)
    assert heap.n_allocated == 1
    heap.most = math.inf
    assert np.array_equal(np.concatenate([y for y, _ in batches]), order_of(N))
    engine.close()
    assert not heap.live


def test_a_take_without_memory_loses_no_row_either():
    heap = Heap()
    batches = open_batches(make_engine((X, Y), allocator=heap.hook, n_ahead=4), N, 8)
    held = next(batches)
    heap.most = 0
    with pytest.raises(MemoryError):
        batches.epoch.take()
    heap.most = math.inf
    assert np.array_equal(np.concatenate([y for _, y in batches]), order_of(N)[8:])
    assert len(held[1]) == 8


def test_more_memory_than_there_is_leaves_the_loader_usable():
    source = np.broadcast_to(np.zeros(1 << 30, np.uint8), (1 << 20, 1 << 30))  # a batch of all of it has 2**50 bytes
    loader = fb.Loader((np.arange(1 << 20), source[:, :8]), 1 << 20)
    huge = fb.Loader(source, 1 << 20)
    batches = iter(huge)
    for _ in range(2):
        with pytest.raises(MemoryError, match="no memory for a batch of 1048576 rows"):
            next(batches)
    assert huge.state_dict()["position"] == 0
    assert len(next(iter(loader))[0]) == 1 << 20


# ---------------------------------------------------------------------------------------------------------------------
# Capsules
# ---------------------------------------------------------------------------------------------------------------------


def test_a_capsule_that_nobody_consumes_ends_its_lease():
    heap = Heap()
    capsules = []
    engine = make_engine((X, Y), [lambda capsule: capsules.append(capsule), None], allocator=heap.hook)
    for epoch in range(20):
        for _, y in open_batches(engine, N, 10, epoch):
            assert len(y) == 10
            capsules.clear()
    assert heap.n_allocated <= 6
    del y
    list(open_batches(engine, N, 10))
    engine.close()
    assert len(heap.live) == 4
    capsules.clear()
    assert not heap.live
    assert not heap.misuse


def test_a_wrap_that_fails_loses_no_row_and_no_buffer():
    heap = Heap()
    fails = [False]

    def wrap(capsule):
        if fails[0]:
            raise ZeroDivisionError("mine")
        return capsule

    engine = make_engine((Y, X, Y), [None, wrap, None], allocator=heap.hook)
    for batch_size in (10, 1):
        batches = open_batches(engine, N, batch_size)
        got = [next(batches)[0]]
        for _ in range(3):
            fails[0] = True
            with pytest.raises(ZeroDivisionError, match="mine"):
                next(batches)
            assert batches.epoch.position == len(got) * batch_size
            fails[0] = False
            got.append(next(batches)[0])
        got += [y for y, _, _ in batches]
        assert np.array_equal(np.concatenate(got), order_of(N))
    del got
    engine.close()
    assert not heap.live
    assert not heap.misuse
