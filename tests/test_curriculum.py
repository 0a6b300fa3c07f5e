"""fb.Curriculum: easy rows first. And fb.pacing: how fast."""

import functools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference_weighted as twin
from reference import chi_square, chi_square_limits, key_of_seed


def half_then_all(epoch, progress):
    """Of every epoch's first half, half of the rows."""
    return 0.5 if progress < 0.5 else 1.0


PACINGS = [
    fb.pacing.linear(2, start=0.2),
    fb.pacing.root(3),
    fb.pacing.step(1, start=0.3, factor=1.5),
    half_then_all,
    lambda epoch, progress: progress * 3 - 1,
]
DIFFICULTIES = st.lists(st.integers(0, 20) | st.floats(allow_nan=False), min_size=1, max_size=80)


# ---------------------------------------------------------------------------------------------------------------------
# Orders
# ---------------------------------------------------------------------------------------------------------------------


@given(
    DIFFICULTIES,
    st.sampled_from(PACINGS),
    st.booleans(),
    st.integers(0, 2**70),
    st.integers(0, 3),
    st.sampled_from([0, 1, 7, 300, 1023, 1025, 2500]),
    st.data(),
)
def test_an_order_is_its_twin(difficulty, pacing, has_weights, seed, epoch, length, data):
    n = len(difficulty)
    weights = None
    if has_weights:
        weights = data.draw(st.lists(st.integers(0, 9).map(float), min_size=n, max_size=n).filter(any))
    sampler = fb.Curriculum(difficulty, pacing, weights, num_samples=length)
    assert (sampler.n, len(sampler)) == (n, length)
    expected = twin.curriculum(difficulty, pacing, weights, key_of_seed(seed), epoch, length)
    assert sampler.order(seed, epoch).tolist() == [row for row, _ in expected]


def test_rows_become_eligible_as_the_pacing_grows():
    n = 10_000
    difficulty = np.random.default_rng(0).permutation(n)
    sampler = fb.Curriculum(difficulty, fb.pacing.linear(4, start=0.2))
    for epoch in range(6):
        drawn = difficulty[sampler.order(1, epoch)]
        shares = np.minimum(1, 0.2 + 0.8 * (epoch + np.arange(n) / n) / 4)
        assert (drawn <= np.ceil(shares * n)).all()
        for part in np.array_split(np.arange(n), 10):  # evenly from all that are eligible
            assert drawn[part].max() > 0.98 * shares[part[0]] * n


def test_rows_are_drawn_by_their_weights_among_the_eligible():
    n, length = 1000, 4_000_000
    weights = np.random.default_rng(1).gamma(0.5, size=n) + 1e-3
    order = fb.Curriculum(np.arange(n), half_then_all, weights, num_samples=length).order(2, 3)
    for rows, n_eligible in ((order[: length // 2], 500), (order[length // 2 :], 1000)):
        assert rows.max() < n_eligible
        expected = weights[:n_eligible] / weights[:n_eligible].sum() * len(rows)
        low, high = chi_square_limits(n_eligible - 1)
        assert low <= chi_square(np.bincount(rows, minlength=n_eligible), expected) <= high


def test_rows_of_one_difficulty_come_together():
    difficulty = np.array([2, 0, 1, 1, 0, 2, 2, 1])
    for share, eligible in ((0.0, {1, 4}), (0.25, {1, 4}), (0.26, {1, 2, 3, 4, 7}), (0.63, set(range(8)))):
        sampler = fb.Curriculum(difficulty, lambda epoch, progress, share=share: share, num_samples=1000)
        assert set(sampler.order(0, 0)) == eligible


def test_one_row_with_a_weight_is_always_eligible():
    sampler = fb.Curriculum([0, 1, 2, 3], lambda epoch, progress: 0.0, [0, 0, 5, 5], num_samples=50)
    assert set(sampler.order(0, 0)) == {2}


# ---------------------------------------------------------------------------------------------------------------------
# Pacing
# ---------------------------------------------------------------------------------------------------------------------


def test_paces():
    assert [fb.pacing.linear(4, start=0.2)(epoch, 0.5) for epoch in range(5)] == pytest.approx([0.3, 0.5, 0.7, 0.9, 1])
    root = fb.pacing.root(4, start=0.1)
    assert [root(epoch, 0.0) for epoch in range(6)] == pytest.approx(
        [math.sqrt(0.01 + 0.99 * t / 4) for t in range(4)] + [1, 1]
    )
    step = fb.pacing.step(2, start=0.1, factor=3)
    assert [step(epoch, 0.9) for epoch in range(8)] == pytest.approx([0.1, 0.1, 0.3, 0.3, 0.9, 0.9, 1, 1])
    assert step(10**9, 0.0) == 1.0


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: fb.pacing.linear(0), ValueError, "epochs must be above 0, got 0"),
        (lambda: fb.pacing.root(math.nan), ValueError, "epochs must be above 0, got nan"),
        (lambda: fb.pacing.root(1, power=0.5), ValueError, "power must be at least 1, got 0.5"),
        (lambda: fb.pacing.linear(1, start=0), ValueError, "start must be above 0 and at most 1, got 0"),
        (lambda: fb.pacing.step(0), ValueError, "every must be at least 1, got 0"),
        (lambda: fb.pacing.step(1.5), TypeError, "integer"),
        (lambda: fb.pacing.step(factor=1), ValueError, "factor must be above 1, got 1"),
        (lambda: fb.pacing.step(start=2), ValueError, "start must be above 0 and at most 1, got 2"),
    ],
)
def test_paces_that_cannot_be_are_refused(make, error, said):
    with pytest.raises(error, match=said):
        make()


def test_the_pacing_is_asked_when_an_epoch_begins_and_by_nobody_else():
    asked = []

    def pacing(epoch, progress):
        asked.append((epoch, progress))
        return 1.0

    loader = fb.Loader(np.arange(2000), 10, sampler=fb.Curriculum(np.arange(2000), pacing), seed=0, threads=2)
    asked.clear()
    for epoch in range(3):
        iterator = iter(loader)
        assert asked == []
        next(iterator)
        assert asked == [(epoch, i / 1024) for i in range(1024)]
        asked.clear()
        list(iterator)


# ---------------------------------------------------------------------------------------------------------------------
# What it shares with the others
# ---------------------------------------------------------------------------------------------------------------------


def sampler_of(n, **options):
    difficulty = np.random.default_rng(3).random(n)
    return fb.Curriculum(difficulty, fb.pacing.root(2, start=0.2), np.arange(n), **options)


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("world_size", [1, 3])
def test_a_loader_gives_the_order_whatever_the_batch_size(threads, world_size):
    n = 9000
    for batch_size in (7, 64, 5000):
        ranks = [
            fb.Loader(
                np.arange(n),
                batch_size,
                sampler=sampler_of(n),
                seed=2,
                rank=rank,
                world_size=world_size,
                uneven="exact",
                threads=threads,
            )
            for rank in range(world_size)
        ]
        for epoch in range(3):
            batches = zip(*ranks, strict=True)
            rows = np.concatenate([part for of_all in batches for part in of_all])
            assert np.array_equal(rows, sampler_of(n).order(2, epoch))


@pytest.mark.parametrize("position", [1, 4095, 4097, 8999])
def test_it_is_taken_up_anywhere(position):
    n = 9000
    first = fb.Loader(np.arange(n), position, sampler=sampler_of(n), seed=2)
    first.set_epoch(1)
    next(iter(first))
    second = pickle.loads(pickle.dumps(fb.Loader(np.arange(n), 100, sampler=sampler_of(n), seed=9)))
    second.load_state_dict(first.state_dict())
    assert np.array_equal(np.concatenate(list(second)), sampler_of(n).order(2, 1)[position:])
    assert np.array_equal(first.batch(1, 0), sampler_of(n).order(2, 1)[:position])


def test_fingerprints_tell_curricula_apart():
    samplers = [
        fb.Curriculum([1, 2, 3], fb.pacing.linear(2)),
        fb.Curriculum([1, 3, 2], fb.pacing.linear(2)),
        fb.Curriculum([1, 2, 2], fb.pacing.linear(2)),
        fb.Curriculum([1, 2, 3], fb.pacing.linear(3)),
        fb.Curriculum([1, 2, 3], half_then_all),
        fb.Curriculum([1, 2, 3], lambda epoch, progress: 0.1),
        fb.Curriculum([1, 2, 3], lambda epoch, progress: 0.2),
        fb.Curriculum([1, 2, 3], fb.pacing.linear(2), [1, 1, 2]),
        fb.Curriculum([1, 2, 3], fb.pacing.linear(2), [1, 2, 1]),
        fb.Curriculum([1, 2, 3], fb.pacing.linear(2), num_samples=2),
    ]
    assert len({sampler.fingerprint for sampler in samplers}) == len(samplers)
    assert samplers[0].fingerprint == fb.Curriculum([5, 6, 9], fb.pacing.linear(2)).fingerprint
    assert repr(samplers[0]) == "Curriculum(3 rows, pacing=root(2.0, start=0.1, power=1.0), num_samples=3)"


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (([], half_then_all), ValueError, r"difficulty must be of shape \(n,\) with 0 < n < 2\*\*32, got shape \(0,\)"),
        (([[1]], half_then_all), ValueError, r"got shape \(1, 1\)"),
        ((["a"], half_then_all), TypeError, "difficulty must be real numbers, got dtype <U1"),
        (([0, math.nan], half_then_all), ValueError, "difficulty must not be NaN, got it for row 1"),
        (([0], 0.5), TypeError, "pacing must be callable, got float"),
        (([0], lambda epoch, progress: math.nan), ValueError, "pacing must give a share of the rows, got NaN"),
        (([0], lambda epoch, progress: None), TypeError, "NoneType"),
        (
            ([0], half_then_all, [1, 2]),
            ValueError,
            r"weights must be of shape \(1,\), as difficulty is, got shape \(2,\)",
        ),
        (([0, 1], half_then_all, [0, 0]), ValueError, "weights must not all be 0"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, error, said):
    with pytest.raises(error, match=said):
        fb.Curriculum(*arguments)


class Table:
    """A pacing with an end, whose repr is where it lies."""

    def __call__(self, epoch, progress):
        return [0.2, 0.7][epoch]


def test_a_state_fits_where_the_pacing_says_the_same():
    samplers = [fb.Curriculum(np.arange(9), pacing) for pacing in (Table(), Table(), functools.partial(Table()))]
    assert len({sampler.fingerprint for sampler in samplers}) == 1
    loaders = [fb.Loader(np.arange(9), 2, sampler=sampler, seed=0) for sampler in samplers]
    iterator = iter(loaders[0])
    next(iterator)
    loaders[1].load_state_dict(loaders[0].state_dict())
    assert np.array_equal(np.concatenate(list(iterator)), np.concatenate(list(loaders[1])))


def test_a_pacing_that_fails_leaves_the_loader_where_it_is():
    def pacing(epoch, progress):
        if epoch == 1:
            raise ZeroDivisionError("no pace")
        return 1.0

    loader = fb.Loader(np.arange(10), 5, sampler=fb.Curriculum(np.arange(10), pacing), seed=0)
    list(loader)
    with pytest.raises(ZeroDivisionError, match="no pace"):
        list(loader)
    assert loader.epoch == 1
    loader.set_epoch(2)
    assert len(list(loader)) == 2
