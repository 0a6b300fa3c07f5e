"""One seed gives the same bytes, whoever fills them: any number of threads, any prefetch, in parts or whole."""

import itertools

import numpy as np
import pytest

import fastbatch as fb

WORKERS = [(0, 0), *itertools.product([1, 2, 8], [0, 1, 16])]
OTHERS = pytest.mark.parametrize(("threads", "prefetch"), WORKERS[1:])
RNG = np.random.default_rng(0)

# (rows, bytes of a row, batch size): tiny batches, batches in a few parts, one batch in many, rows of several parts.
SHAPES = {
    "tiny": (500, 12, 7),
    "half a part": (300, 20_000, 30),
    "parts": (130, 100_000, 50),
    "many parts": (205, 100_000, 200),
    "large rows": (7, 3_000_000, 2),
}
SOURCES = {name: RNG.integers(0, 256, shape[:2], np.uint8) for name, shape in SHAPES.items()}
ROWS = RNG.integers(0, 300, 350)


def digest_of(loader, n_epochs):
    """What the batches hold, and how they are divided."""
    return [[(len(rows), hash(values.tobytes()), rows.tobytes()) for values, rows in loader] for _ in range(n_epochs)]


def assert_same(make, threads, prefetch, n_epochs=2):
    expected = digest_of(make(threads=0), n_epochs)
    assert digest_of(make(threads=threads, prefetch=prefetch), n_epochs) == expected


@OTHERS
@pytest.mark.parametrize("name", SHAPES)
def test_threads_change_no_byte(name, threads, prefetch):
    def make(**options):
        return fb.Loader(SOURCES[name], SHAPES[name][2], shuffle=True, seed=7, rows=True, **options)

    assert_same(make, threads, prefetch, n_epochs=3 if name == "tiny" else 2)


@pytest.mark.parametrize("threads", [0, 1, 2, 8])
@pytest.mark.parametrize("n_columns", [1, 3])
def test_a_batch_of_20_mb_is_right_whoever_fills_its_parts(threads, n_columns):
    source = SOURCES["many parts"]
    columns = (source, source[:, :10_001], source[:, 1:8].view())[:n_columns]
    order = fb.Shuffle(len(source)).order(7, 1)
    loader = fb.Loader(columns, 200, shuffle=True, seed=7, rows=True, threads=threads, prefetch=1)
    loader.set_epoch(1)
    for i, (*values, rows) in enumerate(loader):
        assert np.array_equal(rows, order[200 * i : 200 * (i + 1)])
        assert all(np.array_equal(value, column[rows]) for value, column in zip(values, columns, strict=True))


@OTHERS
@pytest.mark.parametrize("exhausted", ["stop", "recycle"])
def test_threads_change_no_balanced_order(exhausted, threads, prefetch):
    labels = RNG.integers(0, 5, 4000) * RNG.integers(0, 2, 4000)
    source = np.arange(8000).reshape(4000, 2)

    def make(**options):
        sampler = fb.Balanced(labels, exhausted=exhausted)
        return fb.Loader(source, 33, sampler=sampler, seed=7, rows=True, **options)

    assert_same(make, threads, prefetch, n_epochs=3)


@pytest.mark.parametrize(("threads", "prefetch"), [(1, 1), (2, 0), (2, 16), (8, 1)])
@pytest.mark.parametrize("drop_last", [False, True])
def test_threads_change_no_order_in_buckets(threads, prefetch, drop_last):
    n, batch_size = 2**22 + 99_999, 700_000
    source = np.arange(n, dtype=np.uint32)
    loader = fb.Loader(
        source, batch_size, shuffle=True, seed=7, threads=threads, prefetch=prefetch, drop_last=drop_last
    )
    for epoch in range(3):
        order = fb.Shuffle(n).order(7, epoch)
        n_rows = 0
        for batch in loader:
            assert np.array_equal(batch, order[n_rows : n_rows + len(batch)])
            n_rows += len(batch)
        assert n_rows == (n // batch_size * batch_size if drop_last else n)


@OTHERS
@pytest.mark.parametrize("drop_last", [False, True])
def test_epochs_may_be_chosen_in_any_order(threads, prefetch, drop_last):
    def make(**options):
        return fb.Loader(SOURCES["half a part"], 33, shuffle=True, seed=7, rows=True, drop_last=drop_last, **options)

    plain, loader = make(threads=0), make(threads=threads, prefetch=prefetch)
    expected = digest_of(plain, 4)
    for epoch in (0, 3, 2, 2, 3):
        loader.set_epoch(epoch)
        assert digest_of(loader, 1) == [expected[epoch]]
        assert loader.epoch == epoch + 1
    loader.set_epoch(0)
    for epoch in range(4):  # one after the other again, with a look at a batch of another one between
        assert np.array_equal(loader.batch(1, 2)[1], np.frombuffer(expected[1][2][2], np.int64))
        assert digest_of(loader, 1) == [expected[epoch]]


@OTHERS
@pytest.mark.parametrize("arrays", [False, True], ids=["ints", "arrays"])
def test_threads_change_nothing_for_a_users_sampler(arrays, threads, prefetch):
    class Anew:
        def __iter__(self):
            yield from np.array_split(ROWS, [3, 3, 90, 91, 250]) if arrays else ROWS.tolist()

    def make(**options):
        return fb.Loader(SOURCES["half a part"], 33, sampler=Anew(), rows=True, **options)

    assert_same(make, threads, prefetch)
