"""Samplers that users bring: any iterable of row numbers or of batches of them."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from own_samplers import Anew, Keeping
from threads import run_threads

N = 20
X = np.arange(N)
INTEGERS = [order + kind for order in "<>" for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")]


class WithEpochs:
    def __init__(self):
        self.epochs = []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def __iter__(self):
        return iter([self.epochs[-1], 5])


def rows_of(loader):
    return [batch.tolist() for batch in loader]


def cut(rows, size, drop_last=False):
    batches = [rows[first : first + size] for first in range(0, len(rows), size)]
    return [batch for batch in batches if len(batch) == size or not drop_last]


# ---------------------------------------------------------------------------------------------------------------------
# Streams of rows
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sampler",
    [
        [3, 1, 4, 1, 5, 9, 2],
        (3, 1, 4, 1, 5, 9, 2),
        np.array([3, 1, 4, 1, 5, 9, 2]),
        Anew(lambda: iter([3, 1, 4, 1, 5, 9, 2])),
        Anew(lambda: (row for row in [3, 1, 4, 1, 5, 9, 2])),
        Anew(lambda: [np.int8(3), np.int32(1), 4, 1, 5, np.array(9), 2]),
        Anew(lambda: [np.array([3, 1]), [4, 1, 5], (9, 2)]),
        Anew(lambda: [np.array([3, 1, 4, 1, 5, 9, 2])]),
        Anew(lambda: [np.array([[3, 1], [4, 1]]), [5, 9, 2]]),
        Anew(lambda: [np.array([3, 1]), np.array([], int), [4, 1, 5], [], (9, 2)]),
        Anew(lambda: [[], np.array([3, 1, 4, 1]), [], [], (5, 9, 2), []]),
        dict.fromkeys([3, 1, 4, 15, 5, 9, 2]),
    ],
    ids=[
        *("list", "tuple", "array", "iterator", "generator", "scalars", "arrays", "one array", "2-D"),
        *("an empty one between", "empty ones around", "keys"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("drop_last", [False, True])
def test_rows_come_in_the_samplers_order_every_epoch(sampler, batch_size, drop_last):
    rows = [3, 1, 4, 15 if isinstance(sampler, dict) else 1, 5, 9, 2]
    loader = fb.Loader(X, batch_size, sampler=sampler, drop_last=drop_last)
    for epoch in range(3):
        assert loader.epoch == epoch
        assert rows_of(loader) == cut(rows, batch_size, drop_last)


@given(
    items=st.lists(st.lists(st.integers(-N, N - 1), max_size=9), max_size=12),
    batch_size=st.integers(1, 12),
    drop_last=st.booleans(),
)
def test_items_of_any_length_are_cut_into_even_batches(items, batch_size, drop_last):
    flat = [row % N for item in items for row in item]
    loader = fb.Loader(X, batch_size, sampler=Anew(lambda: items), drop_last=drop_last)
    assert rows_of(loader) == cut(flat, batch_size, drop_last)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_row_numbers_may_be_of_any_integer_dtype(dtype):
    rows = np.array([3, 19, 0, 3], dtype)
    for sampler in (rows, Anew(lambda: [rows]), Anew(lambda: list(rows))):
        assert rows_of(fb.Loader(X, 4, sampler=sampler)) == [[3, 19, 0, 3]]
    assert rows_of(fb.Loader(X, batch_sampler=[rows])) == [[3, 19, 0, 3]]


def test_negative_rows_count_from_the_end():
    for sampler in ([-1, 0, -20], Anew(lambda: [-1, 0, -20]), Anew(lambda: [np.array([-1, 0, -20], np.int8)])):
        assert rows_of(fb.Loader(X, 3, sampler=sampler)) == [[19, 0, 0]]
    assert rows_of(fb.Loader(X, batch_sampler=[[-1, 0, -20]])) == [[19, 0, 0]]


@pytest.mark.parametrize("n_rows", [0, 5, 1000, 200_000])
def test_a_sampler_may_be_shorter_or_longer_than_the_data(n_rows):
    rows = np.random.default_rng(0).integers(0, N, n_rows)
    loader = fb.Loader(X, 64, sampler=rows)
    assert len(loader) == loader.remaining == -(-n_rows // 64)
    batches = list(loader)
    assert len(batches) == len(loader)
    assert np.array_equal(np.concatenate([np.empty(0, int), *batches]), rows)


def test_a_fixed_order_is_kept_whatever_becomes_of_the_users_array():
    rows = np.arange(10)
    loader = fb.Loader(X, 10, sampler=rows)
    rows[:] = 19
    assert rows_of(loader) == [list(range(10))]


def test_a_sampler_without_a_length_makes_a_loader_without_one():
    loader = fb.Loader(X, 3, sampler=Anew(lambda: [1, 2]))
    with pytest.raises(TypeError, match="len"):
        len(loader)
    assert rows_of(loader) == [[1, 2]]


def test_an_endless_sampler_is_drawn_no_further_than_needed():
    drawn = []

    def endless():
        while True:
            drawn.append(len(drawn) % N)
            yield drawn[-1]

    loader = fb.Loader(X, 4, sampler=Anew(endless))
    batches = iter(loader)
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(drawn) == 8


# ---------------------------------------------------------------------------------------------------------------------
# Batches of rows
# ---------------------------------------------------------------------------------------------------------------------


def test_batches_of_a_batch_sampler_keep_their_sizes():
    items = [[1, 2, 3], np.array([4]), range(10), (0, 0), np.arange(20, dtype=np.uint16)]
    loader = fb.Loader(X, batch_sampler=items)
    assert len(loader) == 5
    assert loader.batch_size is None
    for _ in range(2):
        assert rows_of(loader) == [list(item) for item in items]


@pytest.mark.parametrize("empty", [[], (), np.array([], int)])
def test_an_empty_batch_is_refused(empty):
    batches = iter(fb.Loader(X, batch_sampler=[[1], empty, [2, 3]]))
    assert next(batches).tolist() == [1]
    with pytest.raises(ValueError, match="a batch_sampler must not give an empty batch"):
        next(batches)


def test_remaining_is_unknown_inside_an_epoch_of_a_batch_sampler():
    loader = fb.Loader(X, batch_sampler=[[1], [2, 3]])
    assert loader.remaining == 2
    next(iter(loader))
    with pytest.raises(TypeError, match="not known with a batch_sampler"):
        _ = loader.remaining


def test_one_batch_by_its_number_cannot_be_asked_of_an_iterable():
    for options in ({"batch_size": 2, "sampler": {1, 2}}, {"batch_sampler": [[1]]}):
        with pytest.raises(TypeError, match=r"batch\(epoch, i\) needs one of fastbatch's samplers"):
            fb.Loader(X, **options).batch(0, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Epochs
# ---------------------------------------------------------------------------------------------------------------------


def test_set_epoch_of_the_sampler_is_called_as_each_epoch_begins():
    sampler = WithEpochs()
    loader = fb.Loader(X, 2, sampler=sampler)
    iter(loader)
    assert sampler.epochs == []
    assert rows_of(loader) + rows_of(loader) == [[0, 5], [1, 5]]
    loader.set_epoch(7)
    assert rows_of(loader) == [[7, 5]]
    assert sampler.epochs == [0, 1, 7]


# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [20, -21, 2**31, 2**32, 2**32 + 1, -(2**63), 2**63 - 1])
def test_a_row_out_of_range_is_named_with_the_length(row):
    message = f"{row} is out of (range|bounds) .*20"
    with pytest.raises(IndexError, match=message):
        fb.Loader(X, 2, sampler=[1, row])
    for options in (
        {"batch_size": 2, "sampler": Anew(lambda: [0, 1, 2, row])},
        {"batch_size": 2, "sampler": Anew(lambda: [[0, 1], np.array([row])])},
        {"batch_sampler": [[0, 1], [row, 3]]},
    ):
        batches = iter(fb.Loader(X, **options))
        assert next(batches).tolist() == [0, 1]
        with pytest.raises(IndexError, match=message):
            next(batches)


@pytest.mark.parametrize("item", [1.0, "a", True, None, np.array([0.5]), np.array([True]), [1, "b"], object(), {1: 2}])
def test_an_item_that_is_no_row_is_refused(item):
    for options in ({"batch_size": 2, "sampler": Anew(lambda: [0, 1, item])}, {"batch_sampler": [[0, 1], [item]]}):
        batches = iter(fb.Loader(X, **options))
        assert next(batches).tolist() == [0, 1]
        with pytest.raises((TypeError, ValueError)):
            next(batches)


@pytest.mark.parametrize("item", [2.0, None])
def test_a_batch_that_is_no_array_is_refused(item):
    batches = iter(fb.Loader(X, batch_sampler=[[0, 1], item, [2]]))
    next(batches)
    with pytest.raises((TypeError, ValueError)):
        next(batches)


def test_a_fixed_order_of_a_wrong_type_is_refused_at_once():
    for rows in ([0.5], ["a"], np.array([True, False]), [None]):
        with pytest.raises(TypeError, match="integer"):
            fb.Loader(X, 2, sampler=rows)


def test_an_exception_in_the_sampler_ends_the_iterator_and_not_the_loader():
    def failing():
        yield from (0, 1, 2)
        raise KeyError("mine")

    loader = fb.Loader(X, 2, sampler=Anew(failing))
    for epoch in range(3):
        batches = iter(loader)
        assert next(batches).tolist() == [0, 1]
        with pytest.raises(KeyError, match="mine"):
            next(batches)
        with pytest.raises(StopIteration):
            next(batches)
        state = loader.state_dict()
        assert (state["epoch"], state["position"]) == (epoch, 2)


def test_an_exception_as_an_epoch_begins_leaves_the_place():
    def failing():
        raise KeyError("mine")

    loader = fb.Loader(X, 2, sampler=Anew(failing))
    loader.set_epoch(4)
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            next(iter(loader))
        assert loader.epoch == 4
    loader._sampler.iterable.make = lambda: [1, 2]
    assert rows_of(loader) == [[1, 2]]


def test_a_fixed_order_is_a_sampler_like_any_other():
    rows = np.array([3, -1, 0, 0, 7], np.int16)
    loader = fb.Loader(X, 2, sampler=rows)
    rows[:] = 1  # the Loader keeps its own
    expected = [[3, len(X) - 1], [0, 0], [7]]
    assert [batch.tolist() for batch in loader] == [batch.tolist() for batch in loader] == expected
    assert [loader.batch(5, i).tolist() for i in (2, 0, 1)] == [expected[2], expected[0], expected[1]]


# ---------------------------------------------------------------------------------------------------------------------
# Fed ahead, to threads
# ---------------------------------------------------------------------------------------------------------------------

WORKERS = [(0, 0), (2, 0), (2, 1), (2, 4)]
fed_ahead = pytest.mark.parametrize(("threads", "prefetch"), WORKERS)


def raising(items):
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item


MAKERS = {"without a state": lambda items: Anew(lambda: raising(items)), "with a state": Keeping}


def place(loader):
    state = loader.state_dict()
    return state["epoch"], state["position"]


@fed_ahead
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@given(
    items=st.one_of(
        st.lists(st.integers(-N, N - 1), max_size=60),
        st.lists(st.lists(st.integers(-N, N - 1), max_size=9), max_size=20),
    ),
    batch_size=st.integers(1, 12),
    drop_last=st.booleans(),
)
def test_rows_fed_ahead_come_in_order(make, threads, prefetch, items, batch_size, drop_last):
    rows = [row % N for item in items for row in (item if isinstance(item, list) else [item])]
    loader = fb.Loader(
        X, batch_size, sampler=make(items), drop_last=drop_last, threads=threads, prefetch=prefetch, rows=True
    )
    for _ in range(2):
        batches = list(loader)
        assert [taken.tolist() for _, taken in batches] == cut(rows, batch_size, drop_last)
        assert all(np.array_equal(values, taken) for values, taken in batches)
    loader.close()


@fed_ahead
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@given(items=st.lists(st.lists(st.integers(-N, N - 1), min_size=1, max_size=9), max_size=20))
def test_batches_of_any_size_fed_ahead_keep_theirs(make, threads, prefetch, items):
    loader = fb.Loader(X, batch_sampler=make(items), threads=threads, prefetch=prefetch)
    for _ in range(2):
        assert rows_of(loader) == [[row % N for row in item] for item in items]
    loader.close()


@fed_ahead
@pytest.mark.parametrize("options", [{"batch_size": 4}, {}], ids=["rows", "batches"])
def test_no_more_is_drawn_than_the_threads_may_fill(threads, prefetch, options):
    drawn = []

    def endless():
        while True:
            drawn.append(len(drawn) % N)
            yield drawn[-1] if options else [drawn[-1]] * 4

    which = "sampler" if options else "batch_sampler"
    loader = fb.Loader(X, threads=threads, prefetch=prefetch, **options, **{which: Anew(endless)})
    batches = iter(loader)
    per_batch = 4 if options else 1
    for i in range(1, 30):
        assert len(next(batches)) == 4
        assert per_batch * i <= len(drawn) <= per_batch * (i + prefetch)
    assert drawn[-1] == (len(drawn) - 1) % N
    if threads == 0 or prefetch == 0:
        assert len(drawn) == per_batch * 29


@fed_ahead
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("at", [0, 1, 3, 4, 5, 17])
@pytest.mark.parametrize("kind", ["ints", "arrays", "batches"])
def test_an_error_is_raised_when_the_batches_before_it_have_come(threads, prefetch, make, at, kind):
    rows = [row % N for row in range(3, 3 + at)]
    items = rows if kind == "ints" else [rows[first : first + 4] for first in range(0, at, 4)]
    loader = fb.Loader(
        X,
        None if kind == "batches" else 4,
        threads=threads,
        prefetch=prefetch,
        **{"batch_sampler" if kind == "batches" else "sampler": make([*items, KeyError("mine"), 1])},
    )
    whole = cut(rows, 4, drop_last=kind != "batches")
    for epoch in range(2):
        batches, got = iter(loader), []
        with pytest.raises(KeyError, match="mine"):
            got.extend(map(np.ndarray.tolist, batches))
        assert got[: len(whole)] == whole
        assert got[len(whole) :] in ([], [rows[4 * len(whole) :]])  # rows that do not fill a batch may come before it
        assert place(loader) == (epoch, sum(map(len, got)))
        with pytest.raises(StopIteration):
            next(batches)
        assert place(loader) == (epoch, sum(map(len, got)))
        if make is Keeping:
            loader._sampler.iterable.at = 0


@fed_ahead
@pytest.mark.parametrize(
    ("bad", "error"),
    [(N, IndexError), (1.5, TypeError), ("a", (TypeError, ValueError))],
    ids=["range", "float", "text"],
)
@pytest.mark.parametrize("kind", ["ints", "arrays", "batches"])
def test_a_row_that_is_none_is_refused_when_the_batches_before_it_have_come(threads, prefetch, bad, error, kind):
    rows = list(range(8))
    items = [*rows, bad] if kind == "ints" else [rows[:4], rows[4:], [1, bad]]
    which, batch_size = ("batch_sampler", None) if kind == "batches" else ("sampler", 4)
    loader = fb.Loader(X, batch_size, threads=threads, prefetch=prefetch, **{which: Keeping(items)})
    batches = iter(loader)
    assert [next(batches).tolist(), next(batches).tolist()] == [rows[:4], rows[4:]]
    with pytest.raises(error):
        next(batches)
    assert place(loader) == (0, 8)
    state = loader.state_dict()
    mended = fb.Loader(X, batch_size, **{which: Keeping([*items[:-1], 3 if kind == "ints" else [1, 3]])})
    mended.load_state_dict(state)
    assert rows_of(mended) == [[3] if kind == "ints" else [1, 3]]


@fed_ahead
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_ends_the_iterator_at_once_and_loses_no_row(threads, prefetch, error):
    items = [*range(10), error("mine"), *range(10, 17)]
    loader = fb.Loader(X, 4, sampler=Keeping(items), threads=threads, prefetch=prefetch)
    batches = iter(loader)
    got = []
    with pytest.raises(error, match="mine"):
        got += list(map(np.ndarray.tolist, [next(batches) for _ in range(3)]))
    assert next(batches, "end") == "end"
    epoch, position = place(loader)
    assert epoch == 0
    assert position in (0, 4, 8)  # as far as it had come when the sampler was asked for more
    del items[10]
    other = fb.Loader(X, 4, sampler=Keeping(items), threads=threads, prefetch=prefetch)
    other.load_state_dict(loader.state_dict())
    assert rows_of(other) == cut(list(range(position, 17)), 4)


@fed_ahead
@pytest.mark.parametrize(
    "items",
    [
        list(range(N)),
        [range(first, first + 1 + first % 7) for first in range(0, 12, 2)],
        [[], [0, 1, 2], [], [], list(range(3, 14)), [], [14, 15]],
        [range(N)],
    ],
    ids=["ints", "arrays", "some empty", "one array"],
)
@pytest.mark.parametrize("batches", [False, True])
def test_the_place_is_that_of_what_was_delivered_and_not_of_what_was_fed(threads, prefetch, items, batches):
    if batches:
        items = [[item] if isinstance(item, int) else item for item in items if isinstance(item, int) or len(item)]

    def make(**options):
        options = {"batch_sampler": Keeping(items)} if batches else {"sampler": Keeping(items), "batch_size": 3}
        return fb.Loader(X, threads=threads, prefetch=prefetch, **options)

    expected = rows_of(make())
    loader = make()
    for epoch in range(2):
        iterator = iter(loader)
        for i in range(len(expected) + 1):
            assert place(loader) == (epoch, sum(map(len, expected[:i])))
            state = loader.state_dict()
            fresh = make()
            fresh.load_state_dict(state)
            assert fresh.state_dict() == state
            assert rows_of(fresh) == expected[i:]
            if i < len(expected):
                assert next(iterator).tolist() == expected[i]
        assert next(iterator, "end") == "end"
        assert place(loader) == (epoch + 1, 0)


@fed_ahead
@pytest.mark.parametrize("map_threads", [0, 2])
def test_the_place_may_be_asked_for_on_another_thread_meanwhile(threads, prefetch, map_threads):
    n, per_item = 600, 5
    items = [range(first, first + per_item) for first in range(0, n, per_item)]
    function = (lambda batch: batch) if map_threads else None
    loader = fb.Loader(
        np.arange(n),
        4,
        sampler=Keeping(items),
        threads=threads,
        prefetch=prefetch,
        map=function,
        map_threads=map_threads,
    )
    over = threading.Event()
    states = []

    def iterate():
        try:
            for _ in range(4):
                assert sum(map(len, loader)) == n
        finally:
            over.set()

    def watch():
        while not over.is_set():
            states.append(loader.state_dict())

    run_threads(iterate, watch)
    for state in states:
        if state["position"] > 0:
            kept = state["sampler_state"]
            assert 0 <= kept["skip"] <= per_item
            assert (kept["state"]["at"] * per_item + kept["skip"]) % n == state["position"] % n
