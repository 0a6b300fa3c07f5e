"""Columns that mix: what is drawn for a batch, to the bit, and the arithmetic on every SIMD path."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference_mixing
from fastbatch._native.column import GatherColumn
from fastbatch._native.mix import MixColumn
from filling import filled
from reference import key_of_seed

WORDS = st.integers(0, 2**64 - 1)
ALPHAS = st.one_of(st.floats(1e-6, 999_999), st.floats(0.01, 3), st.sampled_from([1e-6, 1.0]))
ONE_AND_NONE = np.array([[1.0], [0.0]])  # the first row becomes the share

# Of alpha, in epochs 0 to 3, under the key (1, 2).
SHARES = {
    1e-6: ["0x0.0p+0", "0x0.0p+0", "0x1.0000000000000p+0", "0x1.0000000000000p+0"],
    0.2: ["0x1.7862eee44b416p-4", "0x1.ab79d94ad4d43p-5", "0x1.ffac0c5af38b5p-1", "0x1.fffe656a48c4ap-1"],
    1.0: ["0x1.3c74830f996e4p-2", "0x1.feecf66abefb2p-1", "0x1.ff7c2c722cf33p-1", "0x1.e0b6d51be1794p-1"],
    8.0: ["0x1.c072509046f48p-2", "0x1.7b232c995ac65p-1", "0x1.6a080de97a7b8p-1", "0x1.4fe88c7a7e37ep-1"],
    1000.0: ["0x1.fa48a0fe7cc8bp-2", "0x1.0aa69ebd517ddp-1", "0x1.08852eb693ce2p-1", "0x1.06d3bf1c7e76ap-1"],
}


def mixed_share(alpha, key, epoch, size=(1, 1)):
    column = MixColumn(
        GatherColumn(ONE_AND_NONE), "rows" if size == (1, 1) else "by box", "float64", alpha, 1.0, size=size
    )
    return filled(column, 2, key=key, epoch=epoch)[0, 0]


@given(st.floats(-745, 709))
def test_the_twin_of_exp_is_right(x):
    assert math.isclose(reference_mixing.exp(x), math.exp(x), rel_tol=1e-15, abs_tol=1e-323)


@given(st.floats(5e-324, 1.7e308))
def test_the_twin_of_log_is_right(x):
    assert math.isclose(reference_mixing.log(x), math.log(x), rel_tol=1e-15)


@given(ALPHAS, st.tuples(WORDS, WORDS), WORDS)
def test_a_share_is_its_twin_to_the_bit(alpha, key, epoch):
    assert mixed_share(alpha, key, epoch) == reference_mixing.mix(alpha, key, epoch, 0)


@given(ALPHAS, st.integers(0, 2**64), st.integers(0, 1000))
def test_a_share_is_drawn_from_seed_epoch_and_position(alpha, seed, epoch):
    x = np.tile(ONE_AND_NONE, (3, 1))
    loader = fb.Loader((x,), 2, seed=seed, transforms={(0,): fb.MixUp(alpha)})
    loader.set_epoch(epoch)
    expected = [reference_mixing.mix(alpha, key_of_seed(seed), epoch, position) for position in (0, 2, 4)]
    assert [batch[0, 0] for (batch,) in loader] == expected


@given(ALPHAS, st.tuples(WORDS, WORDS), st.tuples(st.integers(1, 9), st.integers(1, 300)))
def test_a_box_is_its_twin(alpha, key, size):
    share, (top, bottom, left, right) = reference_mixing.mix(alpha, key, 7, 0, size)
    images = np.zeros((2, *size), np.uint8)
    images[1] = 1
    expected = np.zeros(size, np.uint8)
    expected[top:bottom, left:right] = 1
    exchanged = filled(MixColumn(GatherColumn(images), "box", "uint8", alpha, 1.0, size=size), 2, key=key, epoch=7)
    np.testing.assert_array_equal(exchanged, [expected, 1 - expected])
    if size != (1, 1):
        assert mixed_share(alpha, key, 7, size) == share


@pytest.mark.parametrize("alpha", SHARES)
def test_shares_never_change(alpha):
    """They belong to published results: the same on every machine and with every C library."""
    assert [mixed_share(alpha, (1, 2), epoch).hex() for epoch in range(4)] == SHARES[alpha]
