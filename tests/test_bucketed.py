"""fb.Bucketed: neighbours of like length."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference_lengths as twin
from fastbatch._native.lengths import Bucketed as Native
from fastbatch._native.simd import SUPPORTED
from reference import chi_square, chi_square_limits, is_permutation, key_of_seed

# Of few bits, whose rows are inserted or sorted at once; and of several digits.
LENGTHS = st.one_of(
    st.lists(st.integers(1, 9), max_size=700),
    st.lists(st.integers(1, 2**31 - 1), max_size=700),
    st.lists(st.sampled_from([1, 2**11 - 1, 2**11, 2**12, 2**22 + 1]), max_size=700),
)


def lengths_of(n, seed=0):
    """Like those of sentences."""
    return np.clip(np.exp(np.random.default_rng(seed).normal(4, 1, n)), 1, 512).astype(np.int64)


@given(LENGTHS, st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**70), st.integers(0, 2**40))
def test_it_is_its_twin(lengths, block, n_blocks, seed, epoch):
    sampler = fb.Bucketed(lengths, window=block * n_blocks, block=block)
    assert sampler.n == len(sampler) == len(lengths)
    expected = twin.bucketed(lengths, block * n_blocks, block, key_of_seed(seed), epoch)
    assert sampler.order(seed, epoch).tolist() == expected


@pytest.mark.parametrize(
    ("n", "window", "block"),
    [
        (2**16 - 1, 5000, 50),
        pytest.param(70_001, 1000, 1000, marks=pytest.mark.slow),
    ],
)
def test_a_long_order_is_its_twin(n, window, block):
    lengths = lengths_of(n)
    expected = twin.bucketed(lengths.tolist(), window, block, key_of_seed(5), 3)
    assert fb.Bucketed(lengths, window=window, block=block).order(5, 3).tolist() == expected


@pytest.mark.parametrize("simd", SUPPORTED)
@pytest.mark.parametrize("n", [1000, 100_001])
def test_the_order_is_the_same_on_any_simd_path(simd, n):
    lengths = lengths_of(n).astype(np.uint32)
    expected = Native(lengths, 1024, 32, simd="baseline").order((3, 4), 1)
    assert np.array_equal(Native(lengths, 1024, 32, simd=simd).order((3, 4), 1), expected)


def test_windows_are_those_of_a_streaming_shuffle_sorted():
    n, window, block = 100_000, 6400, 64
    lengths = lengths_of(n)
    order = fb.Bucketed(lengths, window=window, block=block).order(1, 2)
    shuffled = fb.Shuffle(n, "streaming").order(1, 2)
    for first in range(0, n, window):
        rows, expected = order[first : first + window], shuffled[first : first + window]
        assert np.array_equal(np.sort(rows), np.sort(expected))  # as its docstring says
        firsts = np.arange(0, len(rows), block)
        assert all((np.diff(lengths[rows[at : at + block]]) >= 0).all() for at in firsts)
        by_length = firsts[np.lexsort((firsts, lengths[rows[firsts]]))]
        assert (by_length != firsts).any(), "lengths rise through the window"


def test_a_block_stands_anywhere_in_its_window():
    lengths = np.arange(1, 129)
    sampler = fb.Bucketed(lengths, window=128, block=8)
    orders = np.stack([sampler.order(7, epoch)[::8] // 8 for epoch in range(5000)])
    low, high = chi_square_limits(15)
    for place in range(16):
        assert low < chi_square(np.bincount(orders[:, place], minlength=16), 5000 / 16) < high


def test_the_short_block_comes_last_and_has_any_lengths():
    sampler = fb.Bucketed(np.arange(1, 85), window=128, block=8)  # 10 blocks and half of one
    ranks = np.zeros(11, np.int64)
    for epoch in range(3000):
        order = sampler.order(7, epoch)
        assert is_permutation(order, 84)
        assert (np.diff(order.reshape(-1, 4)) == 1).all()
        ranks[order[80] // 8] += 1
    low, high = chi_square_limits(10)
    assert low < chi_square(ranks, 3000 / 11) < high


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("n", [9, 50_003, 100_003])
def test_a_loader_follows_it_from_anywhere(n, threads):
    sampler = fb.Bucketed(lengths_of(n), window=1000, block=50)
    order = sampler.order(3, 0)
    assert is_permutation(order, n)
    for position in (0, 1, n // 2, n - 1):
        loader = fb.Loader(np.arange(n), 300, sampler=sampler, seed=3, threads=threads)
        loader.load_state_dict({**loader.state_dict(), "position": position})
        assert np.array_equal(np.concatenate(list(loader)), order[position:])
    i = 5 % len(loader)
    assert np.array_equal(loader.batch(0, i), order[300 * i :][:300])


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("batch_size", [7, 64, 5000])
def test_the_order_depends_on_neither_batch_size_nor_ranks(batch_size, threads):
    n = 70_003
    lengths = lengths_of(n)
    options = {"seed": 2, "uneven": "exact", "world_size": 3, "threads": threads}
    ranks = [
        fb.Loader(np.arange(n), batch_size, sampler=fb.Bucketed(lengths), rank=rank, **options) for rank in range(3)
    ]
    for epoch in range(2):
        rows = np.concatenate([part for of_all in zip(*ranks, strict=True) for part in of_all])
        assert np.array_equal(rows, fb.Bucketed(lengths).order(2, epoch))


@given(LENGTHS, st.integers(1, 20), st.integers(1, 50))
def test_padding_is_what_it_says(lengths, n_blocks, batch_size):
    sampler = fb.Bucketed(lengths, window=n_blocks * 16, block=16)
    order = sampler.order(1, 2).tolist()
    batches = [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
    assert sampler.padding(1, 2, batch_size) == pytest.approx(twin.padding(lengths, batches), abs=1e-12)


def test_batches_within_blocks_have_little_padding():
    lengths = lengths_of(100_000)
    assert fb.Bucketed(lengths, block=64).padding(0, 0, 64) < 0.03
    assert fb.Bucketed(lengths, block=64).padding(0, 0, 32) < 0.02
    shuffled = lengths[fb.Shuffle(100_000).order(0, 0)]
    assert twin.padding(shuffled.tolist(), np.arange(100_000).reshape(-1, 50).tolist()) > 0.5


def test_a_subset_can_be_bucketed():
    rows = np.arange(5, 3000, 3)
    lengths = lengths_of(3000)[rows]
    inner = fb.Bucketed(lengths, window=512)
    assert np.array_equal(fb.Subset(rows, inner).order(1, 0), rows[inner.order(1, 0)])


def test_windows_beyond_the_data_change_nothing():
    lengths = lengths_of(100)
    expected = fb.Bucketed(lengths, window=7 * 15, block=7).order(0, 0)
    assert np.array_equal(fb.Bucketed(lengths, window=7 * 2**50, block=7).order(0, 0), expected)
    assert np.array_equal(
        fb.Bucketed(lengths, window=2**40, block=2**20).order(0, 0),
        fb.Bucketed(lengths, window=100, block=100).order(0, 0),
    )


def test_lengths_are_copied():
    lengths = lengths_of(500)
    sampler = fb.Bucketed(lengths)
    expected = sampler.order(0, 0)
    lengths[:] = 1
    assert np.array_equal(sampler.order(0, 0), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(sampler)).order(0, 0), expected)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        (([3, 0, 2],), {}, ValueError, r"^lengths must be at least 1 and below 2\*\*31, got 0 for row 1$"),
        (([3, 4, -2],), {}, ValueError, r"^lengths must be at least 1 and below 2\*\*31, got -2 for row 2$"),
        (([2**31, 4],), {}, ValueError, r"^lengths must be at least 1 and below 2\*\*31, got 2147483648 for row 0$"),
        (([[1]],), {}, ValueError, r"^lengths must be of shape \(n,\) with n < 2\*\*32, got shape \(1, 1\)$"),
        (([1.5],), {}, TypeError, "^lengths must be integers, got dtype float64$"),
        (([True],), {}, TypeError, "^lengths must be integers, got dtype bool$"),
        (([1],), {"block": 0}, ValueError, r"^block must be at least 1 and below 2\*\*32, got 0$"),
        (([1],), {"window": 100}, ValueError, "^window must be a multiple of block = 64 and below .*, got 100$"),
        (([1],), {"window": 0}, ValueError, "^window must be a multiple of block = 64 and below .*, got 0$"),
        (([1],), {"window": 1.5}, TypeError, "integer"),
    ],
)
def test_what_cannot_be_is_refused(arguments, options, error, said):
    with pytest.raises(error, match=said):
        fb.Bucketed(*arguments, **options)


def test_lengths_of_other_rows_are_refused():
    with pytest.raises(ValueError, match=r"^the sampler draws from 3 rows, the data has 4$"):
        fb.Loader(np.arange(4), 2, sampler=fb.Bucketed([1, 2, 3]))
    with pytest.raises(ValueError, match=r"^batch_size must be at least 1, got 0$"):
        fb.Bucketed([1, 2, 3]).padding(0, 0, 0)


def test_it_says_what_it_is():
    sampler = fb.Bucketed([1, 2, 3])
    assert repr(sampler) == "Bucketed(3 rows, window=16384, block=64)"
    others = [fb.Bucketed([1, 2, 4]), fb.Bucketed([1, 2, 3], window=64), fb.Bucketed([1, 2, 3], window=16384, block=1)]
    assert len({other.fingerprint for other in [sampler, *others]}) == 4
    assert "8 bytes per row" in fb.Loader(np.arange(3), 1, sampler=sampler).explain()


def test_explain_says_how_much_is_padding():
    lengths = np.random.default_rng(0).integers(1, 100, 1000)
    sampler = fb.Bucketed(lengths, window=320, block=32)
    loader = fb.Loader(np.arange(1000), 32, sampler=sampler, seed=3)
    for epoch in range(2):
        share = twin.padding(lengths, np.split(sampler.order(3, epoch), range(32, 1000, 32)))
        said = f"\nepoch {epoch}: {share:.1%} padding where batches are padded to their longest row\n"
        assert said in loader.explain()
        list(loader)
    loader.batch_size = 500
    assert f"epoch 2: {sampler.padding(3, 2, 500):.1%} padding" in loader.explain()
    rows = np.arange(0, 1000, 3)
    some = fb.Bucketed(lengths[rows])
    loader = fb.Loader(np.arange(1000), 64, sampler=fb.Subset(rows, some), seed=3)
    assert f"epoch 0: {some.padding(3, 0, 64):.1%} padding" in loader.explain()
    scheduled = fb.Loader(np.arange(1000), lambda epoch, samples: 1 + samples, sampler=sampler)
    assert "padding" not in scheduled.explain()


@pytest.mark.parametrize(("options", "window"), [({}, 65536), ({"window": 640}, 512)])
def test_explain_says_that_blocks_should_be_of_the_batch_size(options, window):
    lengths = np.random.default_rng(0).integers(1, 512, 5000)
    sampler = fb.Bucketed(lengths, **options)
    right = fb.Bucketed(lengths, window=window, block=256)
    order = right.order(3, 0)
    share = twin.padding(lengths, np.split(order, range(256, 5000, 256)))
    assert share < sampler.padding(3, 0, 256) - 0.05
    hint = f"\n    block should be the batch size: Bucketed(5000 rows, window={window}, block=256) has {share:.1%}\n"
    assert hint in fb.Loader(np.arange(5000), 256, sampler=sampler, seed=3).explain()
    for batch_size in (1, 32, 64, 5000, 2**33):  # each within one block, or all in one batch
        assert "should be" not in fb.Loader(np.arange(5000), batch_size, sampler=sampler, seed=3).explain()
    assert "should be" not in fb.Loader(np.arange(5000), 256, sampler=right, seed=3).explain()


@pytest.mark.parametrize(
    ("lengths", "window", "block", "said"),
    [
        (np.ones(3), 2, 1, "^lengths must be a contiguous array of uint32, got float64$"),
        (np.ones((2, 2), np.uint32), 2, 1, "^lengths must be a contiguous array of uint32"),
        (np.array(1, np.uint32), 2, 1, "^lengths must be a contiguous array of uint32"),
        (np.ones(6, np.uint32)[::2], 2, 1, "^lengths must be a contiguous array of uint32"),
        (np.full(3, 2**31, np.uint32), 2, 1, r"^lengths must be below 2\*\*31, got 2147483648$"),
        (np.ones(3, np.uint32), 3, 2, "^window must be a multiple of block, both at least 1, got 3 and 2$"),
        (np.ones(3, np.uint32), 0, 1, "^window must be a multiple of block, both at least 1, got 0 and 1$"),
        (np.ones(3, np.uint32), 1, 0, "^window must be a multiple of block, both at least 1, got 1 and 0$"),
    ],
)
def test_the_door_is_shut(lengths, window, block, said):
    with pytest.raises(ValueError, match=said):
        Native(lengths, window, block)
