"""Several Loaders, several iterators of one Loader, and one iterator of several threads: each gets what is its own."""

import itertools
from functools import partial

import numpy as np
import pytest

import fastbatch as fb
from threads import run_threads

THREADS = pytest.mark.parametrize("threads", [0, 1, 4])
N, BATCH = 150, 7
SOURCES = {width: np.arange(N * width, dtype=np.float32).reshape(N, width) for width in (3, 9000)}
WIDTHS = pytest.mark.parametrize("width", list(SOURCES), ids=["small", "large"])


def make(threads, width, seed=5, **options):
    return fb.Loader(SOURCES[width], BATCH, shuffle=True, seed=seed, rows=True, threads=threads, **options)


def assert_epoch(batches, width, seed, epoch):
    assert np.array_equal(np.concatenate([rows for _, rows in batches]), fb.Shuffle(N).order(seed, epoch))
    assert all(np.array_equal(values, SOURCES[width][rows]) for values, rows in batches)


@THREADS
@WIDTHS
def test_two_loaders_of_the_same_data_go_side_by_side(threads, width):
    loaders = make(threads, width, 5), make(threads, width, 6, prefetch=1)
    for epoch in range(3):
        pairs = list(zip(*loaders, strict=True))
        assert_epoch([first for first, _ in pairs], width, 5, epoch)
        assert_epoch([second for _, second in pairs], width, 6, epoch)


@THREADS
@WIDTHS
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_iterators_of_one_loader_are_epochs_of_their_own(threads, width, seed):
    loader = make(threads, width, prefetch=3)
    rng = np.random.default_rng(seed)
    iterators = [iter(loader) for _ in range(4)]
    got = [[] for _ in iterators]
    epochs, living = {}, list(range(4))
    while living:
        which = int(rng.choice(living))
        for batch in itertools.islice(iterators[which], int(rng.integers(1, 12))):
            epochs.setdefault(which, len(epochs))  # an epoch begins at the first batch
            got[which].append(batch)
        if sum(len(rows) for _, rows in got[which]) == N:
            assert next(iterators[which], None) is None
            living.remove(which)
    for which, epoch in epochs.items():
        assert_epoch(got[which], width, 5, epoch)
    assert loader.stats().epochs == 4


@THREADS
@WIDTHS
@pytest.mark.parametrize("options", [{}, {"map": lambda batch: batch}, {"map": lambda batch: batch, "map_threads": 2}])
def test_four_threads_that_share_an_iterator_get_each_batch_once(threads, width, options):
    loader = make(threads, width, prefetch=2, **options)
    for epoch in range(2):
        shared = iter(loader)
        boxes = [[] for _ in range(4)]
        run_threads(*(partial(box.extend, shared) for box in boxes))
        order = fb.Shuffle(N).order(5, epoch)
        expected = [order[first : first + BATCH].tolist() for first in range(0, N, BATCH)]
        assert sorted(rows.tolist() for box in boxes for _, rows in box) == sorted(expected)
        assert all(np.array_equal(values, SOURCES[width][rows]) for box in boxes for values, rows in box)
        for box in boxes:  # each of them sees the order
            places = [expected.index(rows.tolist()) for _, rows in box]
            assert places == sorted(places)
    assert loader.epoch == 2


@THREADS
def test_four_threads_iterate_one_loader_each_with_an_iterator_of_its_own(threads):
    loader = make(threads, 9000)
    boxes = [[] for _ in range(4)]
    run_threads(*(lambda box=box: box.extend(loader) for box in boxes))
    orders = {fb.Shuffle(N).order(5, epoch).tobytes(): epoch for epoch in range(4)}
    found = {orders[np.concatenate([rows for _, rows in box]).tobytes()] for box in boxes}
    assert found == {0, 1, 2, 3}


@pytest.mark.parametrize("width", list(SOURCES))
@pytest.mark.parametrize(("threads", "prefetch"), list(itertools.product([1, 3, 8, 64], [0, 1, 5, 40])))
def test_any_number_of_threads_and_any_prefetch_will_do(width, threads, prefetch):
    loader = make(threads, width, prefetch=prefetch)
    for epoch in range(2):
        assert_epoch(list(loader), width, 5, epoch)
