"""fb.permutation, and the samplers Sequential and Shuffle: whole orders."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from reference import ONE_UNIT_ROWS, is_permutation

DTYPES = [np.int64, np.uint32, np.uint64]
AROUND_THE_THRESHOLD = [ONE_UNIT_ROWS - 1, ONE_UNIT_ROWS, ONE_UNIT_ROWS + 1, 5_000_000]


@given(st.integers(0, 3000), st.integers(0, 2**70), st.sampled_from(DTYPES))
def test_every_number_stands_once(n, seed, dtype):
    order = fb.permutation(n, rng=seed, dtype=dtype)
    assert type(order) is np.ndarray
    assert order.dtype == dtype
    assert order.flags.c_contiguous
    assert order.flags.writeable
    assert is_permutation(order, n)


@pytest.mark.parametrize("n", [0, 1, 2, 3, *(2**k + d for k in (9, 11, 14, 16, 19, 21) for d in (-1, 0, 1))])
def test_every_number_stands_once_at_sizes_where_the_draws_change(n):
    assert is_permutation(fb.permutation(n, rng=n), n)


@pytest.mark.parametrize("n", AROUND_THE_THRESHOLD)
def test_every_number_stands_once_around_the_threshold(n):
    assert is_permutation(fb.permutation(n, rng=5), n)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 1000, 70_000, *AROUND_THE_THRESHOLD])
def test_one_seed_gives_one_order_in_every_dtype(n):
    order = fb.permutation(n, rng=9)
    assert order.dtype == np.int64
    for dtype in DTYPES:
        assert np.array_equal(fb.permutation(n, rng=9, dtype=dtype), order)


def test_dtype_may_be_named():
    for name in ("int64", "uint32", "u8", "=i8", np.dtype("u4")):
        assert fb.permutation(5, rng=1, dtype=name).dtype == np.dtype(name)


@pytest.mark.parametrize("dtype", ["i4", "u2", "f8", "f4", ">i8", "?", "O", "U3", [("a", "i8")]], ids=str)
def test_refuses_other_dtypes(dtype):
    with pytest.raises((TypeError, ValueError), match="int64"):
        fb.permutation(5, dtype=dtype)


@pytest.mark.parametrize("n", [3, 1000, ONE_UNIT_ROWS + 1])
def test_a_seed_gives_the_same_order_again_and_another_seed_another(n):
    assert np.array_equal(fb.permutation(n, rng=1), fb.permutation(n, rng=1))
    assert len({fb.permutation(n, rng=seed).tobytes() for seed in range(20)}) > 1
    assert n == 3 or not np.array_equal(fb.permutation(n, rng=1), fb.permutation(n, rng=2))


@pytest.mark.parametrize("n", [1000, ONE_UNIT_ROWS + 1])
def test_a_generator_advances(n):
    generator = np.random.default_rng(3)
    first, second = fb.permutation(n, rng=generator), fb.permutation(n, rng=generator)
    assert not np.array_equal(first, second)
    again = np.random.default_rng(3)
    assert np.array_equal(first, fb.permutation(n, rng=again))
    assert np.array_equal(second, fb.permutation(n, rng=again))


def test_rng_is_whatever_default_rng_takes():
    expected = fb.permutation(500, rng=np.random.default_rng(7))
    for rng in (7, np.uint8(7), np.random.SeedSequence(7), np.random.PCG64(7)):
        assert np.array_equal(fb.permutation(500, rng=rng), expected)
    with pytest.raises((TypeError, ValueError)):
        fb.permutation(500, rng="seed")
    assert not np.array_equal(fb.permutation(500), fb.permutation(500))


def test_rng_and_dtype_are_keywords():
    with pytest.raises(TypeError):
        fb.permutation(3, 1)


def test_n_is_any_integer():
    for n in (np.int8(5), np.uint64(5), np.array(5)):
        assert is_permutation(fb.permutation(n, rng=1), 5)


@pytest.mark.parametrize("n", [2.0, 2.5, "3", None, [3], 1j, np.float64(2)], ids=repr)
def test_refuses_n_that_is_no_integer(n):
    with pytest.raises(TypeError):
        fb.permutation(n)
    with pytest.raises(TypeError):
        fb.Shuffle(n)
    with pytest.raises(TypeError):
        fb.Sequential(n)


@pytest.mark.parametrize("n", [-1, -(2**40)])
def test_refuses_a_negative_n(n):
    for make in (fb.permutation, fb.Shuffle, fb.Sequential):
        with pytest.raises(ValueError, match=rf"{n}"):
            make(n)


@pytest.mark.parametrize("n", [2**32 + 1, 2**40, 2**62])
def test_refuses_more_rows_than_uint32_counts(n):
    with pytest.raises(ValueError, match="uint32"):
        fb.permutation(n, dtype=np.uint32)


@pytest.mark.parametrize("n", [2**60, 2**62, 2**63 - 1, 2**64, 2**100])
def test_an_order_no_memory_holds_is_an_error(n):
    for dtype in (np.int64, np.uint64):
        with pytest.raises((MemoryError, ValueError, OverflowError)):
            fb.permutation(n, dtype=dtype)


def test_threads_draw_what_one_thread_would():
    sizes = [1000, 50_000, ONE_UNIT_ROWS + 1, 300_000]
    expected = [fb.permutation(n, rng=n) for n in sizes]
    found = {}

    def work(n):
        found[n] = fb.permutation(n, rng=n)

    threads = [threading.Thread(target=work, args=(n,)) for n in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, order in zip(sizes, expected, strict=True):
        assert np.array_equal(found[n], order)


# ---------------------------------------------------------------------------------------------------------------------
# Samplers
# ---------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2000), st.integers(0, 2**64), st.integers(0, 2**63))
def test_sequential_counts(n, seed, epoch):
    sampler = fb.Sequential(n)
    assert (sampler.n, len(sampler)) == (n, n)
    order = sampler.order(seed, epoch)
    assert order.dtype == np.int64
    assert np.array_equal(order, np.arange(n))


@given(st.integers(0, 2000), st.integers(0, 2**64), st.integers(0, 2**63))
def test_shuffle_orders_every_row_once(n, seed, epoch):
    sampler = fb.Shuffle(n)
    assert (sampler.n, len(sampler)) == (n, n)
    order = sampler.order(seed, epoch)
    assert order.dtype == np.int64
    assert is_permutation(order, n)
    assert np.array_equal(order, fb.Shuffle(n).order(seed, epoch))


@pytest.mark.parametrize("n", AROUND_THE_THRESHOLD)
def test_shuffle_orders_every_row_once_around_the_threshold(n):
    order = fb.Shuffle(n).order(3, 1)
    assert is_permutation(order, n)
    assert np.array_equal(order, fb.Shuffle(n).order(3, 1))


@pytest.mark.parametrize("n", [100, ONE_UNIT_ROWS + 1])
def test_a_shuffle_keeps_no_memory_of_the_orders_it_gave(n):
    sampler = fb.Shuffle(n)
    first = sampler.order(1, 0)
    sampler.order(2, 5)
    first_kept = first.copy()
    again = sampler.order(1, 0)
    assert np.array_equal(again, first_kept)
    again[:] = 0
    assert np.array_equal(sampler.order(1, 0), first_kept)


def test_each_seed_and_epoch_has_its_own_order():
    sampler = fb.Shuffle(100)
    seeds = [0, 1, 2, 3, 2**32, 2**63, 2**64, 2**64 + 1, 2**128]
    epochs = [0, 1, 2, 3, 2**32, 2**40, 2**63]
    orders = {sampler.order(seed, epoch).tobytes() for seed in seeds for epoch in epochs}
    assert len(orders) == len(seeds) * len(epochs)


@pytest.mark.parametrize("n", [30, 1000, ONE_UNIT_ROWS + 1])
def test_seed_and_epoch_are_not_added(n):
    sampler = fb.Shuffle(n)
    assert not np.array_equal(sampler.order(1, 1), sampler.order(2, 0))
    assert not np.array_equal(sampler.order(0, 1), sampler.order(1, 0))


@pytest.mark.parametrize("epoch", [-1, 1.5, "0", None], ids=repr)
def test_refuses_an_epoch_that_is_no_count(epoch):
    for sampler in (fb.Shuffle(5), fb.Sequential(5)):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            sampler.order(0, epoch)


@pytest.mark.parametrize("seed", [-1, 1.5, "0"], ids=repr)
def test_refuses_a_seed_that_is_no_count(seed):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        fb.Shuffle(5).order(seed, 0)
