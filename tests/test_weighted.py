"""fb.Weighted: rows drawn by their weights."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference_weighted as twin
from fastbatch._native.weighted import alias_table, check_weights, log_weights
from reference import Z_ONE, chi_square, chi_square_limits, key_of_seed

WEIGHTS = st.lists(st.integers(0, 2**20) | st.just(0) | st.just(2**40), min_size=1, max_size=300).filter(any)
ANY_WEIGHTS = st.lists(
    st.floats(0, 1.7e308, allow_subnormal=True) | st.integers(0, 9).map(float), min_size=1, max_size=200
).filter(any)


def masses(weights):
    """What each row has of all cells, in units of 2**-32 of one."""
    cells = alias_table(check_weights(weights))
    mass = [0] * len(cells)
    for row, cell in enumerate(cells.tolist()):
        own, other = divmod(cell, 2**32)
        mass[row] += own
        mass[other] += 2**32 - own
    return mass


# ---------------------------------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------------------------------


@given(ANY_WEIGHTS)
def test_the_table_gives_every_row_its_weight(weights):
    n, total = len(weights), sum(Fraction(weight) for weight in weights)
    for mass, weight in zip(masses(weights), weights, strict=True):
        exact = Fraction(weight) / total * n * 2**32
        assert (mass == 0) == (weight == 0)
        assert abs(mass - exact) <= 2 * n + exact / 2**50  # rounded, raised to 1, and the rest taken from the heavy


@given(WEIGHTS)
def test_the_table_is_its_twin(weights):
    cells = alias_table(check_weights(weights)).tolist()
    assert [divmod(cell, 2**32) for cell in cells] == twin.alias_cells(twin.quantised(list(map(float, weights))))


@pytest.mark.parametrize("n", [1, 2, 7, 2**24 + 5])
def test_equal_weights_leave_every_cell_to_its_row(n):
    assert np.array_equal(alias_table(np.ones(n)), np.arange(n))


def test_there_is_no_limit_at_2_to_the_24_rows():
    n = 2**24 + 1000
    weights = np.zeros(n)
    weights[2**24 :] = np.arange(1, 1001)
    order = fb.Weighted(weights, num_samples=100_000).order(0, 0)
    assert order.min() >= 2**24
    assert len(np.unique(order)) > 900


def test_sums_stay_right_where_float32_and_plain_float64_lose_the_small_ones():
    """One row has half of all; the others are each 2**-53 of it."""
    n = 2**20 + 1
    weights = np.full(n, 2.0**-53)
    weights[n // 2] = 2.0**-33
    mass = masses(weights)
    assert abs(mass[n // 2] - n * 2**31) < n
    assert max(mass[:10]) - min(mass[:10]) <= 2


# ---------------------------------------------------------------------------------------------------------------------
# Orders
# ---------------------------------------------------------------------------------------------------------------------


@given(WEIGHTS, st.integers(0, 2**70), st.integers(0, 2**40), st.integers(0, 9000))
def test_with_replacement_it_is_its_twin(weights, seed, epoch, length):
    sampler = fb.Weighted(weights, num_samples=length)
    assert (sampler.n, len(sampler)) == (len(weights), length)
    expected = twin.weighted(list(map(float, weights)), key_of_seed(seed), epoch, length)
    assert sampler.order(seed, epoch).tolist() == expected


@given(WEIGHTS, st.integers(0, 2**70), st.integers(0, 2**40), st.data())
def test_without_replacement_it_is_its_twin(weights, seed, epoch, data):
    n_runners = sum(weight > 0 for weight in weights)
    length = data.draw(st.none() | st.integers(0, n_runners))
    sampler = fb.Weighted(weights, replacement=False, num_samples=length)
    assert (sampler.n, len(sampler)) == (len(weights), n_runners if length is None else length)
    assert sampler.order(seed, epoch).tolist() == twin.race(weights, key_of_seed(seed), epoch)[: len(sampler)]


def test_without_replacement_a_long_order_is_its_twin():
    weights = np.random.default_rng(0).integers(0, 1000, 50_000)
    order = fb.Weighted(weights, replacement=False).order(3, 4)
    assert order.tolist() == twin.race(weights.tolist(), key_of_seed(3), 4)


@pytest.mark.parametrize("weights", [np.ones(1000), np.geomspace(1e-300, 1e300, 1000), np.array([5e-324, 1.7e308])])
def test_without_replacement_every_row_comes_once(weights):
    sampler = fb.Weighted(weights, replacement=False)
    for epoch in range(3):
        order = sampler.order(1, epoch)
        assert np.array_equal(np.sort(order), np.arange(len(weights)))


def test_weights_so_far_apart_that_powers_underflow_come_in_their_order():
    """Each is e**60 times the one before: a row before a heavier one has a probability of e**-60."""
    weights = np.exp(60.0 * np.arange(-11, 12))
    order = fb.Weighted(weights, replacement=False).order(0, 0)
    assert np.array_equal(order, np.arange(len(weights))[::-1])


@given(st.floats(5e-324, 1.7e308))
def test_logarithms_are_right(weight):
    assert log_weights(np.array([weight]))[0] == pytest.approx(math.log(weight), rel=1e-15, abs=1e-16)


# ---------------------------------------------------------------------------------------------------------------------
# Statistics
# ---------------------------------------------------------------------------------------------------------------------


def fault(counts, expected):
    low, high = chi_square_limits(len(counts) - 1)
    statistic = chi_square(counts, expected)
    return None if low <= statistic <= high else f"chi-square {statistic:.1f} outside {low:.1f} .. {high:.1f}"


@pytest.mark.parametrize("n", [2, 10, 1000])
def test_rows_come_in_proportion_to_their_weights(n):
    weights = np.random.default_rng(n).gamma(0.5, size=n) + 1e-3
    order = fb.Weighted(weights, num_samples=4_000_000).order(5, 6)
    assert fault(np.bincount(order, minlength=n), weights / weights.sum() * len(order)) is None


def test_neighbouring_draws_are_independent():
    weights = np.array([1, 2, 3, 4])
    order = fb.Weighted(weights, num_samples=4_000_000).order(7, 8)
    for lag in (1, 2, 4095, 4096):
        pairs = np.bincount(order[:-lag][:: lag + 1] * 4 + order[lag:][:: lag + 1], minlength=16)
        assert fault(pairs, np.outer(weights, weights).ravel() / 100 * pairs.sum()) is None


def test_without_replacement_each_next_row_is_drawn_from_those_left():
    """All orders of four rows, against the product of the shares of what is left."""
    weights = np.array([1, 2, 3, 6])
    sampler = fb.Weighted(np.tile(weights, 1), replacement=False)
    n_orders = 60_000
    counts = {}
    for epoch in range(n_orders):
        order = tuple(sampler.order(9, epoch).tolist())
        counts[order] = counts.get(order, 0) + 1
    expected = {}
    for order in counts:
        probability, left = 1.0, 12
        for row in order:
            probability *= weights[row] / left
            left -= weights[row]
        expected[order] = probability * n_orders
    assert len(counts) == 24
    assert sum(expected.values()) == pytest.approx(n_orders)
    assert fault(np.array(list(counts.values())), np.array(list(expected.values()))) is None


def test_without_replacement_heavy_rows_come_early_by_as_much_as_they_should():
    """Of two groups of equal size, one of weight 3: a pair of both begins with that one with probability 3/4."""
    n = 1_000_000
    weights = np.repeat([1.0, 3.0], n // 2)
    place = np.empty(n, np.int64)
    place[fb.Weighted(weights, replacement=False).order(11, 12)] = np.arange(n)
    n_first = int((place[n // 2 :] < place[: n // 2]).sum())
    assert abs(n_first - 0.75 * n / 2) < Z_ONE * math.sqrt(n / 2 * 0.75 * 0.25)


# ---------------------------------------------------------------------------------------------------------------------
# What it shares with the others
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 5000])
def test_a_loader_gives_the_order_whatever_the_batch_size(replacement, batch_size):
    n = 9000
    sampler = fb.Weighted(np.arange(1, n + 1), replacement=replacement)
    loader = fb.Loader(np.arange(n), batch_size, sampler=sampler, seed=2)
    for epoch in range(2):
        assert np.array_equal(np.concatenate(list(loader)), sampler.order(2, epoch))


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("position", [1, 4095, 4096, 4097, 8999])
def test_it_is_taken_up_anywhere(replacement, position):
    n = 9000
    weights = np.arange(1, n + 1)
    first = fb.Loader(np.arange(n), position, sampler=fb.Weighted(weights, replacement=replacement), seed=2)
    next(iter(first))
    second = fb.Loader(np.arange(n), 100, sampler=fb.Weighted(weights, replacement=replacement), seed=9)
    second.load_state_dict(first.state_dict())
    assert np.array_equal(np.concatenate(list(second)), first._sampler.order(2, 0)[position:])


def test_an_epoch_may_be_longer_than_the_data():
    sampler = fb.Weighted([0, 1, 0, 3], num_samples=1000)
    assert set(sampler.order(0, 0)) == {1, 3}
    assert len(fb.Loader(np.arange(4), 10, sampler=sampler, seed=0)) == 100


def test_weights_are_copied():
    weights = np.arange(1.0, 6.0)
    sampler = fb.Weighted(weights)
    before = sampler.order(0, 0)
    assert np.array_equal(weights, np.arange(1.0, 6.0))
    weights[:] = 0
    assert np.array_equal(sampler.order(0, 0), before)


def test_the_unit_of_the_weights_is_nobodys_concern():
    weights = np.arange(1.0, 100)
    for factor in (2.0**-900, 2.0**500):
        assert np.array_equal(fb.Weighted(weights * factor).order(0, 0), fb.Weighted(weights).order(0, 0))


def test_fingerprints_tell_weights_apart():
    samplers = [
        fb.Weighted([1, 2, 3]),
        fb.Weighted([1, 2, 4]),
        fb.Weighted([1, 2, 3], num_samples=4),
        fb.Weighted([1, 2, 3], replacement=False),
        fb.Weighted([1, 2, 4], replacement=False),
        fb.Weighted([1, 2, 3, 0], replacement=False),
        fb.Weighted([1, 2, 0, 3], replacement=False),
    ]
    assert len({sampler.fingerprint for sampler in samplers}) == len(samplers)
    assert samplers[0].fingerprint == fb.Weighted([2, 4, 6]).fingerprint
    assert repr(samplers[3]) == "Weighted(3 rows, replacement=False, num_samples=3)"


@pytest.mark.parametrize("kind", ["?", "u1", "i8", ">i4", "f2", "f4", ">f8"])
def test_weights_of_any_real_type(kind):
    assert set(fb.Weighted(np.array([0, 1, 1], kind)).order(0, 0)) <= {1, 2}


# ---------------------------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize(
    ("weights", "error", "said"),
    [
        ([1, -1, 2], ValueError, "weights must be finite and not negative, got -1 for row 1"),
        ([1, 2, math.nan], ValueError, "weights must be finite and not negative, got nan for row 2"),
        ([math.inf, 1], ValueError, "weights must be finite and not negative, got inf for row 0"),
        ([0, 0.0], ValueError, "weights must not all be 0"),
        ([], ValueError, r"weights must be of shape \(n,\) with 0 < n < 2\*\*32, got shape \(0,\)"),
        ([[1, 2]], ValueError, r"got shape \(1, 2\)"),
        (3, ValueError, r"got shape \(\)"),
        (["1"], TypeError, "weights must be real numbers, got dtype <U1"),
        ([1j], TypeError, "weights must be real numbers, got dtype complex128"),
        ([None], TypeError, "weights must be real numbers, got dtype object"),
    ],
)
def test_weights_that_are_none_are_refused(weights, error, said, replacement):
    with pytest.raises(error, match=said):
        fb.Weighted(weights, replacement=replacement)


def test_lengths_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"^num_samples must be at least 0 and below 2\*\*63, got -1$"):
        fb.Weighted([1], num_samples=-1)
    with pytest.raises(TypeError):
        fb.Weighted([1], num_samples=1.5)
    with pytest.raises(ValueError, match=r"^num_samples must be at most 2, the rows that have a weight, .*, got 3$"):
        fb.Weighted([1, 0, 1], replacement=False, num_samples=3)
