"""Columns that mix: what is drawn for a batch, to the bit, and the arithmetic on every SIMD path."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference_mixing
from fastbatch._native.cast import WRITABLE
from fastbatch._native.column import GatherColumn
from fastbatch._native.mix import MixColumn
from fastbatch._native.simd import SUPPORTED
from filling import filled
from reference import key_of_seed
from reference_cast import float_of_bfloat_bits, written

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


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 65504, 65520, 3e38, -3e38, 1e-45, 6e-8, 2.0**-14])


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


def held_as(name):
    """The dtype in which NumPy holds elements of a type."""
    return np.dtype("uint16" if name == "bfloat16" else name)


def numbers(name, x):
    """What elements are, as float64."""
    return float_of_bfloat_bits(x) if name == "bfloat16" else x.astype(np.float64)


def any_bits(name, n_rows, n):
    """Of two bytes all there are, each row in another order; of more, random ones, special ones and ordinary ones."""
    rng = np.random.default_rng(n)
    dtype = held_as(name)
    if dtype.itemsize == 2:
        rows = [rng.permutation(np.arange(2**16, dtype=np.uint16))[:n] for _ in range(n_rows)]
        return np.array(rows).view(dtype)
    x = rng.integers(0, 256, (n_rows, n * dtype.itemsize), dtype=np.uint8).view(dtype)
    for row in x:
        row[: n // 3] = rng.choice(SPECIAL, n // 3)
        row[n // 3 : 2 * (n // 3)] = rng.normal(0, 100, n // 3)
    return x


@pytest.mark.parametrize("simd", SUPPORTED)
@pytest.mark.parametrize("name", WRITABLE)
@pytest.mark.parametrize(
    ("n_rows", "n"), [(1, 5), (2, 1), (2, 7), (2, 16), (3, 31), (3, 64), (5, 519), (4, 2**16)], ids=str
)
@pytest.mark.parametrize("alpha", [1e-6, 1.0])
def test_rows_and_partners_are_means_on_every_path(name, n_rows, n, alpha, simd):
    x = any_bits(name, n_rows, n)
    key, epoch = (1, 2), 1
    share = reference_mixing.mix(alpha, key, epoch, 0)
    actual = filled(MixColumn(GatherColumn(x), "rows", name, alpha, 1.0, simd=simd), n_rows, key=key, epoch=epoch)
    real = np.float64 if name == "float64" else np.float32
    with np.errstate(all="ignore"):
        a, kept = numbers(name, x).astype(real), real(share)
        expected = written(name, a * kept + a[::-1] * (1 - kept))
    if n_rows % 2:
        expected[n_rows // 2] = x[n_rows // 2]
    actual, expected = numbers(name, actual), numbers(name, expected)
    np.testing.assert_array_equal(actual, expected)
    is_number = ~np.isnan(expected)  # the sign of a NaN is nobody's
    np.testing.assert_array_equal(np.signbit(actual)[is_number], np.signbit(expected)[is_number])


def test_simd_paths_that_the_machine_lacks_are_refused():
    with pytest.raises(ValueError, match="the SIMD path must be one that this machine has"):
        MixColumn(GatherColumn(ONE_AND_NONE), "rows", "float64", 1.0, 1.0, simd="avx9")
