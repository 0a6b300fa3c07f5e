"""Every order against its slow twin in reference.py, draw by draw."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference
from reference import DTYPES, assert_identical, key_of_rng, key_of_seed, make_array

SIZES = st.sampled_from([0, 1, 2, 3, 5, 255, 256, 257, 700])


@given(st.sampled_from(DTYPES), SIZES, st.sampled_from([(), (3,), (2, 5), (40,)]), st.integers(0, 2**70))
def test_shuffle_is_its_twin(dtype, n, row_shape, seed):
    x = make_array(dtype, (n, *row_shape), seed % 7)
    expected = reference.shuffle(x, seed)
    fb.shuffle(x, rng=seed)
    assert_identical(x, expected)


@given(SIZES, st.integers(0, 2**70), st.integers(0, 2**63))
def test_permutation_and_shuffle_sampler_are_their_twin(n, seed, epoch):
    assert fb.permutation(n, rng=seed).tolist() == reference.permutation(n, key_of_rng(seed))
    assert fb.Shuffle(n).order(seed, epoch).tolist() == reference.permutation(n, key_of_seed(seed), epoch)


@pytest.mark.slow
@pytest.mark.parametrize("n", [reference.ONE_UNIT_ROWS + 1, 5_000_000])
def test_a_bucketed_order_is_its_twin(n):
    assert np.array_equal(fb.Shuffle(n).order(3, 2), reference.bucketed(n, key_of_seed(3), 2))


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=6),
    st.sampled_from(["stop", "recycle"]),
    st.integers(0, 2**70),
    st.data(),
)
def test_balanced_is_its_twin(sizes, exhausted, seed, data):
    labels = np.random.default_rng(seed % 9).permutation(np.repeat(np.arange(len(sizes)), sizes))
    weights = data.draw(st.lists(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes)).filter(any) | st.none())
    order = fb.Balanced(labels, exhausted=exhausted, proportions=weights).order(seed, 3)
    assert order.tolist() == reference.balanced(labels, key_of_seed(seed), 3, exhausted, weights)
