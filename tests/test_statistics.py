"""Orders are uniform: each test has a limit that chance passes about once in 1e20 runs, so that a failure is a bug.

Everything here is seeded: a result changes only when an order does.
"""

import math

import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native import random
from reference import (
    CHI_SQUARE_1E_20,
    ONE_UNIT_ROWS,
    Z_MILLIONS,
    ascent_fault,
    chi_square_limits,
    class_rows,
    correlations_at_all_lags,
    draw_fault,
    lag_fault,
    lean_fault,
    naive_orders,
    neighbour_fault,
    order_number,
    pair_fault,
    place_fault,
    sattolo_orders,
    uniform_fault,
)

SEED = 20_240_601


def sampler_orders(n, n_orders):
    sampler = fb.Shuffle(n)
    orders = np.empty((n_orders, n), np.int64)
    for epoch in range(n_orders):
        orders[epoch] = sampler.order(SEED, epoch)
    return orders


def sampler_orders_by_seed(n, n_orders):
    sampler = fb.Shuffle(n)
    orders = np.empty((n_orders, n), np.int64)
    for seed in range(n_orders):
        orders[seed] = sampler.order(seed, 7)
    return orders


def permutation_orders(n, n_orders):
    generator = np.random.default_rng(SEED)
    orders = np.empty((n_orders, n), np.int64)
    for i in range(n_orders):
        orders[i] = fb.permutation(n, rng=generator)
    return orders


def shuffled_orders(n, n_orders, dtype=np.int64):
    generator = np.random.default_rng(SEED)
    orders = np.tile(np.arange(n, dtype=dtype), (n_orders, 1))
    for order in orders:
        fb.shuffle(order, rng=generator)
    return orders


def shuffled_rows(n, n_orders):
    generator = np.random.default_rng(SEED)
    orders = np.tile(np.arange(n)[:, None], (n_orders, 1, 3))
    for order in orders:
        fb.shuffle(order, rng=generator)
    assert (orders == orders[:, :, :1]).all()
    return orders[:, :, 0]


DOORS = {
    "Shuffle, by epoch": sampler_orders,
    "Shuffle, by seed": sampler_orders_by_seed,
    "permutation": permutation_orders,
    "shuffle of int64": shuffled_orders,
    "shuffle of uint8": lambda n, n_orders: shuffled_orders(n, n_orders, np.uint8),
    "shuffle of rows": shuffled_rows,
}
FAST_DOORS = ["Shuffle, by epoch", "permutation", "shuffle of int64"]


# ---------------------------------------------------------------------------------------------------------------------
# Small orders, many of them
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_all_orders_of_five_are_equally_likely(door):
    orders = DOORS[door](5, 120_000)
    assert uniform_fault(np.bincount(order_number(orders), minlength=120)) is None


@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_all_orders_of_a_few_are_equally_likely(n):
    orders = sampler_orders(n, 150 * math.factorial(n) if n > 4 else 40_000)
    assert uniform_fault(np.bincount(order_number(orders), minlength=math.factorial(n))) is None


@pytest.mark.parametrize("n", [20, 33, 60])
@pytest.mark.parametrize("door", FAST_DOORS)
def test_each_value_stands_at_each_position_equally_often(door, n):
    assert place_fault(DOORS[door](n, 30_000), n) is None


@pytest.mark.parametrize("n", [12, 30])
@pytest.mark.parametrize("door", FAST_DOORS)
def test_all_pairs_of_neighbours_are_equally_likely(door, n):
    orders = DOORS[door](n, 40_000)
    for position in (0, n // 2, n - 2):
        assert pair_fault(orders, position) is None


@pytest.mark.parametrize("n", sorted({2**k + d for k in range(2, 9) for d in (-1, 0, 1)}))
def test_small_powers_of_two_and_their_neighbours_are_uniform(n):
    assert place_fault(sampler_orders(n, 3000), min(n, 64)) is None


@pytest.mark.parametrize("n", sorted({2**k + d for k in (9, 10, 11, 12, 14, 16, 17) for d in (-1, 0, 1)}))
def test_large_powers_of_two_and_their_neighbours_are_uniform(n):
    orders = sampler_orders(n, max(4, 2**19 // n))
    assert place_fault(orders, 32) is None
    assert ascent_fault(orders[0]) is None


def test_orders_of_one_seed_and_of_neighbouring_seeds_are_independent():
    """Whatever one epoch's first row was, the next epoch's is any row equally often."""
    n = 12
    by_epoch, by_seed = sampler_orders(n, 40_000)[:, 0], sampler_orders_by_seed(n, 40_000)[:, 0]
    for firsts in (by_epoch, by_seed):
        assert uniform_fault(np.bincount(firsts[:-1:2] * n + firsts[1::2], minlength=n * n)) is None


# ---------------------------------------------------------------------------------------------------------------------
# One long order: a single Fisher-Yates (60 000), and buckets (5 000 000)
# ---------------------------------------------------------------------------------------------------------------------


def long_permutation(n):
    return fb.permutation(n, rng=SEED)


def long_shuffle(n):
    numbers = np.arange(n)
    fb.shuffle(numbers, rng=SEED)
    return numbers


def long_sampler_order(n):
    return fb.Shuffle(n).order(SEED, 0)


@pytest.mark.parametrize("n", [60_000, ONE_UNIT_ROWS, 5_000_000])
@pytest.mark.parametrize("make_order", [long_sampler_order, long_permutation, long_shuffle])
def test_a_long_order_has_no_structure(make_order, n):
    order = make_order(n)
    assert lag_fault(order) is None
    assert ascent_fault(order) is None
    assert neighbour_fault(order) is None
    for n_blocks in (16, 64, 257):
        assert place_fault(order[None], n_blocks) is None
    assert int((order == np.arange(n)).sum()) < 25


@pytest.mark.parametrize("n", [60_000, 5_000_000])
def test_long_orders_of_neighbouring_epochs_and_seeds_are_independent(n):
    sampler = fb.Shuffle(n)
    first = sampler.order(SEED, 1)
    for other in (sampler.order(SEED, 2), sampler.order(SEED + 1, 1), sampler.order(SEED + 1, 0)):
        assert np.abs(correlations_at_all_lags(first, other)).max() < Z_MILLIONS
        assert int((first == other).sum()) < 25
        # Where a row stands in one epoch says nothing of where it stands in the other.
        place = np.empty(n, np.int64)
        place[first] = np.arange(n)
        assert place_fault(place[other][None], 64) is None


def test_rows_near_each_other_fall_apart_in_a_bucketed_order():
    """Neighbouring rows 2i and 2i + 1: their places are independent."""
    n = 5_000_000
    place = np.empty(n, np.int64)
    place[long_sampler_order(n)] = np.arange(n)
    assert lag_fault(place) is None
    assert neighbour_fault(place) is None


# ---------------------------------------------------------------------------------------------------------------------
# The index generator itself
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bound",
    [
        *(2**k + d for k in (19, 30, 31, 32, 33, 40, 53, 62, 63) for d in (-1, 0, 1)),
        *(3 * 2**30, 5 * 2**29, 3 * 2**31, 3 * 2**40, 5 * 2**61, 3 * 2**62, 2**64 - 2**32, 2**64 - 1),
    ],
)
def test_draws_below_a_large_bound_are_uniform(bound):
    drawn = random.descending((1, 2, 3, 4), bound, 200_000)
    limits = np.uint64(bound) - np.arange(200_000, dtype=np.uint64)
    assert (drawn < limits).all()
    if bound > 2**28:
        assert draw_fault(drawn, bound) is None
    else:
        fraction = drawn / limits
        assert uniform_fault(np.bincount((fraction * 64).astype(np.int64), minlength=64)) is None


@pytest.mark.parametrize("bound", [2**62 + 2**61, 2**63 + 2**61, 3 * 2**62])
def test_consecutive_draws_below_a_large_bound_are_independent(bound):
    drawn = random.descending((1, 2, 3, 4), bound, 400_000).astype(np.float64)
    cell = (drawn / float(bound) * 16).astype(np.int64)
    assert uniform_fault(np.bincount(cell[0::2] * 16 + cell[1::2], minlength=256)) is None


@pytest.mark.parametrize("bound", [6, 7, 8, 9])
def test_several_draws_of_one_word_are_independent(bound):
    """The first three draws: every combination equally likely."""
    n_states = 40_000
    key = (SEED, 1)
    drawn = np.empty((n_states, 3), np.int64)
    for unit in range(n_states):
        drawn[unit] = random.descending(random.derive(key, 0, 0, unit), bound, 3)
    combination = (drawn[:, 0] * (bound - 1) + drawn[:, 1]) * (bound - 2) + drawn[:, 2]
    assert uniform_fault(np.bincount(combination, minlength=bound * (bound - 1) * (bound - 2))) is None


@pytest.mark.parametrize("bound", [3 * 2**62, 5 * 2**61, 2**63 + 2**62 + 12_345, 2**62 + 2**59 + 1, 2**61 + 2**57 + 1])
def test_draws_lean_towards_no_value_that_more_words_stand_for(bound):
    assert lean_fault(random.descending((5, 6, 7, 8), bound, 50_000), bound, 1) is None


# Just below 2**30, where a word still gives two draws; 16.5 words stand for a pair on average.
TWO_PER_WORD = math.isqrt(int(2**64 / 16.5)) + 100_000


def test_two_draws_of_one_word_lean_towards_no_pair_that_more_words_stand_for():
    assert lean_fault(random.descending((5, 6, 7, 8), TWO_PER_WORD, 200_000), TWO_PER_WORD, 2) is None


# ---------------------------------------------------------------------------------------------------------------------
# Balanced
# ---------------------------------------------------------------------------------------------------------------------


def balanced_orders(labels, n_orders, **options):
    sampler = fb.Balanced(np.asarray(labels), **options)
    return np.stack([sampler.order(SEED, epoch) for epoch in range(n_orders)])


def test_the_order_of_the_classes_is_uniform():
    orders = balanced_orders([0, 1, 2, 3], 40_000)
    assert uniform_fault(np.bincount(order_number(orders), minlength=24)) is None


def test_the_rows_of_a_larger_class_are_taken_uniformly():
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1])
    orders = balanced_orders(labels, 60_000)
    of_larger = orders[labels[orders] == 1].reshape(-1, 3) - 3
    combination = (of_larger[:, 0] * 6 + of_larger[:, 1]) * 6 + of_larger[:, 2]
    counts = np.bincount(combination, minlength=216)
    assert uniform_fault(counts[counts > 0]) is None
    assert (counts > 0).sum() == 120


def test_passes_of_one_class_are_independent_of_each_other():
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1])
    orders = balanced_orders(labels, 40_000, exhausted="recycle")
    of_smaller = orders[labels[orders] == 0].reshape(-1, 6)
    joint = order_number(of_smaller[:, :3]) * 6 + order_number(of_smaller[:, 3:])
    assert uniform_fault(np.bincount(joint, minlength=36)) is None


def test_classes_are_shuffled_independently_of_each_other_and_of_the_deal():
    labels = np.array([0, 0, 0, 1, 1, 1])
    orders = balanced_orders(labels, 60_000)
    first = order_number(orders[labels[orders] == 0].reshape(-1, 3))
    second = order_number(orders[labels[orders] == 1].reshape(-1, 3))
    deal = labels[orders[:, 0]]
    assert uniform_fault(np.bincount((deal * 6 + first) * 6 + second, minlength=72)) is None


def test_a_long_class_is_shuffled_without_structure():
    labels = np.arange(240_000) % 2
    order = fb.Balanced(labels).order(SEED, 0)
    _, rows = class_rows(labels)
    for label, own in enumerate(rows):
        ranks = np.searchsorted(own, order[labels[order] == label])
        assert lag_fault(ranks) is None
        assert ascent_fault(ranks) is None
        assert place_fault(ranks[None], 64) is None


# ---------------------------------------------------------------------------------------------------------------------
# The statistics can fail
# ---------------------------------------------------------------------------------------------------------------------


def test_the_limits_are_the_chi_square_quantiles_or_a_little_wider():
    for df, (low, high) in CHI_SQUARE_1E_20.items():
        ours_low, ours_high = chi_square_limits(df)
        assert ours_low <= low
        assert high <= ours_high <= high * 1.08
        assert low - ours_low < 0.05 * df


def test_numpys_own_orders_pass_every_statistic():
    rng = np.random.default_rng(1)
    orders = rng.permuted(np.tile(np.arange(20), (30_000, 1)), axis=1)
    assert place_fault(orders, 20) is None
    assert pair_fault(orders, 3) is None
    fives = rng.permuted(np.tile(np.arange(5), (60_000, 1)), axis=1)
    assert uniform_fault(np.bincount(order_number(fives), minlength=120)) is None
    order = rng.permutation(300_000)
    assert lag_fault(order) is None
    assert ascent_fault(order) is None
    assert neighbour_fault(order) is None
    assert place_fault(order[None], 64) is None
    assert draw_fault(rng.integers(0, 3 * 2**62, 200_000, dtype=np.uint64), 3 * 2**62) is None


def test_order_numbers_are_the_places_in_the_sorted_list_of_orders():
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    assert order_number(orders).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("make_orders", [naive_orders, sattolo_orders])
def test_a_wrong_shuffle_is_refused(make_orders):
    rng = np.random.default_rng(1)
    fives = make_orders(5, 120_000, rng)
    assert uniform_fault(np.bincount(order_number(fives), minlength=120)) is not None
    assert place_fault(make_orders(20, 30_000, rng), 20) is not None
    assert place_fault(make_orders(60, 30_000, rng), 60) is not None


def test_a_shuffle_that_never_moves_the_last_row_by_one_is_refused():
    """Draws below n - 1 where draws below n were due: an off-by-one."""
    rng = np.random.default_rng(1)
    orders = rng.permuted(np.tile(np.arange(12), (40_000, 1)), axis=1)
    kept = orders[orders[:, 10] != 11]
    assert pair_fault(kept, 10) is not None
    assert place_fault(kept, 12) is not None


def test_pairs_that_stay_together_are_refused():
    pairs = np.random.default_rng(1).permutation(30_000)
    order = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()
    assert "lag 1:" in lag_fault(order)
    assert neighbour_fault(order) is not None


@pytest.mark.parametrize("n", [60_000, 65_536])
def test_a_congruential_order_is_refused(n):
    order = (np.arange(n) * 48_271 + 11) % n
    assert np.unique(order).size == n
    assert lag_fault(order) is not None


def test_blocks_dealt_too_evenly_are_refused():
    """Buckets that get exactly equal parts of every block of rows look uniform, and are not."""
    rng = np.random.default_rng(1)
    blocks = rng.permuted(np.arange(2**16).reshape(64, 1024), axis=1)
    order = rng.permuted(blocks.reshape(64, 64, 16).transpose(1, 0, 2).reshape(64, 1024), axis=1).ravel()
    assert place_fault(order[None], 64) is not None


def test_buckets_that_share_one_stream_are_refused():
    rng = np.random.default_rng(1)
    n, n_buckets = 600_000, 32
    bucket = rng.integers(0, n_buckets, n)
    parts = []
    for number in range(n_buckets):
        rows = np.flatnonzero(bucket == number)
        words = np.random.default_rng(7).random(rows.size)
        for i in range(rows.size - 1, 0, -1):
            j = int(words[rows.size - 1 - i] * (i + 1))
            rows[i], rows[j] = rows[j], rows[i]
        parts.append(rows)
    assert "lag" in lag_fault(np.concatenate(parts))


@pytest.mark.parametrize("bound", [3 * 2**62, 5 * 2**61])
def test_draws_without_rejection_are_refused(bound):
    words = random.raw((1, 2, 3, 4), 100_000).tolist()
    assert draw_fault([word % bound for word in words], bound) is not None
    assert draw_fault([(word * bound) >> 64 for word in words], bound) is not None


def test_descending_draws_without_rejection_are_refused():
    words = random.raw((1, 2, 3, 4), 100_000).tolist()
    for bound in (3 * 2**62, 5 * 2**61):
        assert lean_fault([(word * (bound - i)) >> 64 for i, word in enumerate(words)], bound, 1) is not None
    draws = []
    for i, word in enumerate(words):
        number = (word * (TWO_PER_WORD - 2 * i) * (TWO_PER_WORD - 2 * i - 1)) >> 64
        draws.extend(divmod(number, TWO_PER_WORD - 2 * i - 1))
    assert lean_fault(draws, TWO_PER_WORD, 2) is not None


def test_draws_of_32_bits_stretched_over_a_larger_bound_are_refused():
    words = random.raw((1, 2, 3, 4), 100_000).tolist()
    assert draw_fault([(word >> 32) << 8 for word in words], 2**40) is not None
