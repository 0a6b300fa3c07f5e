"""fb.Blocks: blocks of neighbouring rows in random order, mixed a few at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference
from reference import ascent_fault, is_permutation, key_of_seed, lag_fault, neighbour_fault, place_fault


@given(st.integers(0, 400), st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**70), st.integers(0, 2**40))
def test_it_is_its_twin(n, block, window, seed, epoch):
    sampler = fb.Blocks(n, block=block, window=window)
    order = sampler.order(seed, epoch)
    assert sampler.n == len(sampler) == n
    assert order.tolist() == reference.blocks(n, block, window, key_of_seed(seed), epoch)


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize(("n", "block", "window"), [(100_003, 100, 7), (50_000, 1, 512), (70_001, 4096, 1), (9, 2, 2)])
def test_a_loader_follows_it_from_anywhere(n, block, window, threads):
    order = fb.Blocks(n, block=block, window=window).order(3, 0)
    assert is_permutation(order, n)
    for position in (0, 1, n // 2, n - 1):
        loader = fb.Loader(np.arange(n), 300, sampler=fb.Blocks(n, block=block, window=window), seed=3, threads=threads)
        loader.load_state_dict({**loader.state_dict(), "position": position})
        assert np.array_equal(np.concatenate(list(loader)), order[position:])
    assert np.array_equal(loader.batch(0, 5 % len(loader)), order[300 * (5 % len(loader)) :][:300])


def test_a_window_holds_whole_blocks_and_no_others():
    n, block, window = 10_000, 50, 8
    order = fb.Blocks(n, block=block, window=window).order(1, 2)
    for first in range(0, n, block * window):
        rows = order[first : first + block * window]
        assert len(np.unique(rows // block)) == window
        assert not np.array_equal(rows, np.sort(rows))


def test_a_window_of_all_blocks_is_a_random_order():
    n = 65_536
    sampler = fb.Blocks(n, block=16, window=n // 16)
    orders = np.stack([sampler.order(5, epoch) for epoch in range(50)])
    assert place_fault(orders, 16) is None
    for order in orders[:4]:
        assert neighbour_fault(order) is None
        assert lag_fault(order) is None
        assert ascent_fault(order) is None


def test_blocks_stand_anywhere():
    sampler = fb.Blocks(64_000, block=1000, window=4)
    orders = np.stack([sampler.order(7, epoch)[::4000] // 4000 for epoch in range(20_000)])
    table = np.zeros((16, 16), np.int64)
    for place in range(16):
        table[place] = np.bincount(orders[:, place], minlength=16)
    low, high = reference.chi_square_limits(15)
    assert all(low < reference.chi_square(row, 20_000 / 16) < high for row in table)


def test_sizes_beyond_the_data_change_nothing():
    expected = fb.Blocks(100, block=100, window=1).order(0, 0)
    assert np.array_equal(fb.Blocks(100, block=2**62, window=2**62).order(0, 0), expected)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"block": 0, "window": 1}, ValueError, r"^block must be at least 1 and below 2\*\*63, got 0$"),
        ({"block": 1, "window": -1}, ValueError, r"^window must be at least 1 and below 2\*\*63, got -1$"),
        ({"block": 1.5, "window": 1}, TypeError, "integer"),
    ],
)
def test_what_cannot_be_is_refused(options, error, said):
    with pytest.raises(error, match=said):
        fb.Blocks(10, **options)


def test_it_says_what_it_is():
    assert repr(fb.Blocks(10, block=2, window=3)) == "Blocks(10, block=2, window=3)"
    assert fb.Blocks(10, block=2, window=3).fingerprint != fb.Blocks(10, block=3, window=2).fingerprint
