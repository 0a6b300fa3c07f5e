"""fb.Loader: batches, epochs, one batch by its number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb


def rows_of(loader):
    """The rows of the loader's next epoch, of data that says its row numbers."""
    return [batch.tolist() for batch in loader]


def samplers(n):
    labels = np.arange(n) % 3
    return {
        "sequential": fb.Sequential(n),
        "shuffle": fb.Shuffle(n),
        "stop": fb.Balanced(labels),
        "recycle": fb.Balanced(labels * labels, exhausted="recycle"),
        "proportions": fb.Balanced(labels, proportions=[1, 2, 5]),
    }


# ---------------------------------------------------------------------------------------------------------------------
# Batches
# ---------------------------------------------------------------------------------------------------------------------


@given(n=st.integers(0, 60), batch_size=st.integers(1, 70), shuffle=st.booleans(), drop_last=st.booleans())
def test_an_epoch_is_the_samplers_order_cut_into_batches(n, batch_size, shuffle, drop_last):
    x = np.arange(n * 3.0).reshape(n, 3)
    y = np.arange(n)
    loader = fb.Loader((x, y), batch_size, shuffle=shuffle, drop_last=drop_last, seed=5)
    sampler = fb.Shuffle(n) if shuffle else fb.Sequential(n)
    for epoch in range(2):
        order = sampler.order(5, epoch)
        cuts = [order[first : first + batch_size] for first in range(0, n, batch_size)]
        if drop_last and cuts and len(cuts[-1]) < batch_size:
            cuts.pop()
        batches = list(loader)
        assert len(loader) == len(batches) == len(cuts)
        for (features, labels), rows in zip(batches, cuts, strict=True):
            assert np.array_equal(features, x[rows])
            assert np.array_equal(labels, y[rows])


@pytest.mark.parametrize("name", samplers(3))
def test_the_order_does_not_depend_on_the_batch_size(name):
    y = np.arange(90)
    whole = samplers(90)[name].order(3, 0)
    for batch_size in (1, 2, 7, 64, 128, 1000):
        assert np.array_equal(np.concatenate(list(fb.Loader(y, batch_size, sampler=samplers(90)[name], seed=3))), whole)


def test_a_batch_larger_than_the_data_is_all_of_it():
    assert rows_of(fb.Loader(np.arange(3), 100)) == [[0, 1, 2]]
    assert rows_of(fb.Loader(np.arange(3), 100, drop_last=True)) == []


def test_empty_data_has_empty_epochs():
    loader = fb.Loader(np.empty((0, 4)), 2, shuffle=True)
    assert len(loader) == loader.remaining == 0
    assert list(loader) == []
    assert loader.epoch == 1


# ---------------------------------------------------------------------------------------------------------------------
# Seeds
# ---------------------------------------------------------------------------------------------------------------------


def test_a_fixed_seed_gives_the_same_orders_and_a_new_one_each_epoch():
    first, second = (fb.Loader(np.arange(50), 50, shuffle=True, seed=1) for _ in range(2))
    epochs = [rows_of(first) for _ in range(3)]
    assert epochs == [rows_of(second) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]


def test_neighbouring_seeds_share_no_epoch():
    orders = {fb.Shuffle(30).order(seed, epoch).tobytes() for seed in range(10) for epoch in range(10)}
    assert len(orders) == 100


def test_no_seed_draws_one_that_repeats_the_orders():
    first, second = fb.Loader(np.arange(50), 50, shuffle=True), fb.Loader(np.arange(50), 50, shuffle=True)
    assert first.seed != second.seed
    again = fb.Loader(np.arange(50), 50, shuffle=True, seed=first.seed)
    assert rows_of(again) == rows_of(first)


def test_seeds_of_any_size_are_kept():
    for seed in (0, 2**63, 2**200, np.int64(7)):
        assert fb.Loader(np.arange(5), 2, shuffle=True, seed=seed).seed == seed


# ---------------------------------------------------------------------------------------------------------------------
# Epochs and the place in them
# ---------------------------------------------------------------------------------------------------------------------


def place(loader):
    state = loader.state_dict()
    return state["epoch"], state["position"]


def test_the_place_after_each_batch_and_around_the_end():
    loader = fb.Loader(np.arange(10), 4)
    batches = iter(loader)
    assert (place(loader), loader.remaining, len(loader)) == ((0, 0), 3, 3)
    for position, remaining in ((4, 2), (8, 1), (10, 0)):
        next(batches)
        assert (place(loader), loader.remaining, loader.epoch) == ((0, position), remaining, 0)
    assert len(loader) == 3
    with pytest.raises(StopIteration):
        next(batches)
    assert (place(loader), loader.remaining, loader.epoch) == ((1, 0), 3, 1)
    with pytest.raises(StopIteration):
        next(batches)
    assert place(loader) == (1, 0)


def test_the_dropped_tail_is_not_remaining():
    loader = fb.Loader(np.arange(10), 4, drop_last=True)
    batches = iter(loader)
    next(batches)
    assert (len(loader), loader.remaining) == (2, 1)
    next(batches)
    assert (place(loader), loader.remaining) == ((0, 8), 0)


def test_an_epoch_begins_at_the_first_next():
    loader = fb.Loader(np.arange(6), 3, shuffle=True, seed=0)
    unused = [iter(loader) for _ in range(5)]
    assert place(loader) == (0, 0)
    assert np.array_equal(np.concatenate(list(loader)), fb.Shuffle(6).order(0, 0))
    assert np.array_equal(np.concatenate(list(unused[3])), fb.Shuffle(6).order(0, 1))
    assert loader.epoch == 2


def test_a_new_iterator_after_break_is_the_next_epoch():
    loader = fb.Loader(np.arange(6), 2, shuffle=True, seed=0)
    for epoch in range(4):
        for batch in loader:
            assert np.array_equal(batch, fb.Shuffle(6).order(0, epoch)[:2])
            break
        assert place(loader) == (epoch, 2)


def test_two_iterators_are_two_epochs_and_the_state_is_the_later_ones():
    loader = fb.Loader(np.arange(6), 2, shuffle=True, seed=0)
    first, second = iter(loader), iter(loader)
    both = [(next(first), next(second)) for _ in range(2)]
    for epoch, mine in enumerate(zip(*both, strict=True)):
        assert np.array_equal(np.concatenate(mine), fb.Shuffle(6).order(0, epoch)[:4])
    assert len(list(first)) == 1
    assert place(loader) == (1, 4)


def test_set_epoch_decides_what_comes_next():
    loader = fb.Loader(np.arange(6), 2, shuffle=True, seed=0)
    for epoch in (7, 0, 0, 2**40):
        loader.set_epoch(epoch)
        assert place(loader) == (epoch, 0)
        assert np.array_equal(next(iter(loader)), fb.Shuffle(6).order(0, epoch)[:2])
    loader.set_epoch(2**40)
    assert place(loader) == (2**40, 0)


def test_set_epoch_leaves_a_running_iterator_alone():
    loader = fb.Loader(np.arange(6), 2, shuffle=True, seed=0)
    batches = iter(loader)
    got = [next(batches)]
    loader.set_epoch(5)
    got += list(batches)
    assert np.array_equal(np.concatenate(got), fb.Shuffle(6).order(0, 0))
    assert place(loader) == (5, 0)


def test_set_epoch_keeps_the_position_of_a_loaded_state_of_that_epoch_alone():
    loader = fb.Loader(np.arange(6), 2, shuffle=True, seed=0)
    state = loader.state_dict() | {"epoch": 3, "position": 4}
    loader.load_state_dict(state)
    loader.set_epoch(3)
    assert place(loader) == (3, 4)
    assert np.array_equal(np.concatenate(list(loader)), fb.Shuffle(6).order(0, 3)[4:])
    loader.load_state_dict(state)
    loader.set_epoch(4)
    assert place(loader) == (4, 0)
    loader.load_state_dict(state)
    next(iter(loader))
    loader.set_epoch(3)
    assert place(loader) == (3, 0)


def test_an_error_in_the_loop_leaves_the_loader_usable():
    loader = fb.Loader(np.arange(6), 2)

    def fail():
        for _ in loader:
            raise KeyError("mine")

    for epoch in range(3):
        with pytest.raises(KeyError, match="mine"):
            fail()
        assert place(loader) == (epoch, 2)


# ---------------------------------------------------------------------------------------------------------------------
# One batch by its number
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", samplers(3))
@given(data=st.data(), n=st.integers(3, 200), batch_size=st.integers(1, 60))
def test_a_batch_by_its_number_is_the_iterated_one_whatever_was_asked_before(name, data, n, batch_size):
    sampler = samplers(n)[name]
    loader = fb.Loader((np.arange(n) * 2, np.arange(n)), batch_size, sampler=sampler, seed=8)
    orders = {epoch: sampler.order(8, epoch) for epoch in range(3)}
    if not len(loader):
        return
    asked = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, len(loader) - 1)), max_size=20))
    for epoch, i in asked:
        doubled, rows = loader.batch(epoch, i)
        assert np.array_equal(rows, orders[epoch][i * batch_size : (i + 1) * batch_size])
        assert np.array_equal(doubled, rows * 2)
    assert place(loader) == (0, 0)


def test_a_batch_by_its_number_beyond_one_bucket_of_a_large_shuffle():
    n = 2**22 + 5000
    loader = fb.Loader(np.arange(n, dtype=np.uint32), 1000, shuffle=True, seed=2)
    order = fb.Shuffle(n).order(2, 1)
    for i in (len(loader) - 1, 0, 2000, 1999, 2001, 4000, 1):
        assert np.array_equal(loader.batch(1, i), order[i * 1000 : (i + 1) * 1000])


def test_a_batch_by_its_number_disturbs_no_iterator():
    loader = fb.Loader(np.arange(9), 2, shuffle=True, seed=0)
    rows = []
    for i, batch in enumerate(loader):
        rows.append(batch)
        loader.batch(0, 4 - i)
        loader.batch(7, i)
        assert place(loader) == (0, min(9, 2 * i + 2))
    assert np.array_equal(np.concatenate(rows), fb.Shuffle(9).order(0, 0))


def test_a_batch_by_its_number_follows_a_loaded_seed():
    loader = fb.Loader(np.arange(9), 9, shuffle=True, seed=0)
    loader.batch(0, 0)
    loader.load_state_dict(fb.Loader(np.arange(9), 9, shuffle=True, seed=1).state_dict())
    assert np.array_equal(loader.batch(0, 0), fb.Shuffle(9).order(1, 0))


def test_there_is_no_batch_out_of_range_or_in_an_epoch_below_0():
    loader = fb.Loader(np.arange(9), 2, drop_last=True)
    for i in (-1, 4, 5):
        with pytest.raises(IndexError, match=f"batch {i} is out of range for an epoch of 4 batches"):
            loader.batch(0, i)
    with pytest.raises(ValueError, match="epoch must not be negative, got -1"):
        loader.batch(-1, 0)
    with pytest.raises(TypeError):
        loader.batch(0, 1.5)
