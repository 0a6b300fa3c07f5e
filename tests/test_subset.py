"""fb.Subset: some rows, in the order that another sampler gives them; fb.split: how to cut the data into such."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from reference import is_permutation

ROWS = st.lists(st.integers(0, 500), max_size=200)
SEEDS = st.integers(0, 2**70)


# ---------------------------------------------------------------------------------------------------------------------
# Subset
# ---------------------------------------------------------------------------------------------------------------------


@given(ROWS, SEEDS, st.integers(0, 2**40))
def test_it_is_shuffled_each_epoch(rows, seed, epoch):
    sampler = fb.Subset(rows)
    assert sampler.n == max(rows, default=-1) + 1
    assert len(sampler) == len(rows)
    expected = np.array(rows, np.int64)[fb.Shuffle(len(rows)).order(seed, epoch)]
    assert np.array_equal(sampler.order(seed, epoch), expected)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=100), SEEDS)
def test_any_sampler_gives_the_order(rows, seed):
    labels = np.arange(len(rows)) % 3
    for inner in (
        fb.Sequential(len(rows)),
        fb.Balanced(labels, exhausted="recycle"),
        fb.Weighted(1 + labels, num_samples=300),
        fb.Subset(np.arange(len(rows))[::-1]),
    ):
        order = fb.Subset(rows, inner).order(seed, 1)
        assert np.array_equal(order, np.array(rows)[inner.order(seed, 1)])


@pytest.mark.parametrize("shift", [0, 2**32])
def test_orders_in_units_are_passed_on(shift):
    n = 2**22 + 1000
    rows = np.arange(n, dtype=np.int64)[::-1] + shift
    assert np.array_equal(fb.Subset(rows).order(0, 0), rows[fb.Shuffle(n).order(0, 0)])


def test_wide_rows_in_a_narrow_order():
    rows = np.array([2**40, 5, 2**33, 7])
    sampler = fb.Subset(rows, fb.Weighted([1, 2, 3, 4], num_samples=10_000))
    assert np.array_equal(sampler.order(0, 0), rows[sampler.sampler.order(0, 0)])


@pytest.mark.parametrize("threads", [0, 2])
def test_a_loader_over_more_rows(threads):
    rows = np.arange(3, 900, 7)
    loader = fb.Loader(np.arange(1000), 10, sampler=fb.Subset(rows), seed=0, threads=threads)
    for epoch in range(3):
        got = np.concatenate(list(loader))
        assert np.array_equal(got, fb.Subset(rows).order(0, epoch))


def test_a_state_is_for_the_same_rows():
    data = np.arange(100)
    state = fb.Loader(data, 10, sampler=fb.Subset([1, 2, 3]), seed=0).state_dict()
    fb.Loader(data, 10, sampler=fb.Subset(np.array([1, 2, 3], np.uint8)), seed=0).load_state_dict(state)
    for other in (fb.Subset([1, 3, 2]), fb.Subset([1, 2]), fb.Subset([1, 2, 3], fb.Sequential(3))):
        with pytest.raises(ValueError, match="does not fit"):
            fb.Loader(data, 10, sampler=other, seed=0).load_state_dict(state)


def test_rows_are_copied_and_it_pickles():
    rows = np.arange(50)
    sampler = fb.Subset(rows)
    before = sampler.order(0, 0)
    rows[:] = 0
    assert np.array_equal(sampler.order(0, 0), before)
    assert np.array_equal(pickle.loads(pickle.dumps(sampler)).order(0, 0), before)


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        ([1, -1], ValueError, "^rows must not be negative, got -1$"),
        ([[1]], ValueError, r"^rows must be of shape \(k,\), got shape \(1, 1\)$"),
        ([1.5], TypeError, "integer"),
        (["a"], TypeError, "integer"),
    ],
)
def test_rows_that_are_none_are_refused(rows, error, said):
    with pytest.raises(error, match=said):
        fb.Subset(rows)


def test_a_sampler_of_other_rows_is_refused():
    with pytest.raises(ValueError, match=r"^sampler draws from 4 rows, the subset has 3$"):
        fb.Subset([1, 2, 3], fb.Shuffle(4))
    with pytest.raises(TypeError, match=r"^sampler must be one of fastbatch's, got range$"):
        fb.Subset([1, 2, 3], range(3))
    with pytest.raises(ValueError, match=r"^the sampler draws from 4 rows, the data has 3$"):
        fb.Loader(np.arange(3), 1, sampler=fb.Subset([3]))


# ---------------------------------------------------------------------------------------------------------------------
# split
# ---------------------------------------------------------------------------------------------------------------------

FRACTIONS = st.lists(st.integers(1, 10), min_size=1, max_size=5).map(
    lambda parts: [p / (sum(parts) + 1) for p in parts]
)


@given(st.integers(0, 300), FRACTIONS, SEEDS)
def test_parts_are_apart_and_of_their_size(n, fractions, seed):
    parts = fb.split(n, fractions, seed=seed)
    rows = np.concatenate(parts)
    assert len(np.unique(rows)) == len(rows)
    assert all(part.dtype == np.int64 and (np.diff(part) > 0).all() for part in parts)
    assert ((rows >= 0) & (rows < n)).all()
    assert all(abs(len(part) - fraction * n) <= 1 for part, fraction in zip(parts, fractions, strict=True))


def test_fractions_of_one_leave_nothing_over():
    for fractions in ([1], [0.8, 0.2], [0.1] * 10, [1 / 3] * 3, [0.7, 0.15, 0.15]):
        assert is_permutation(np.concatenate(fb.split(1001, fractions, seed=0)), 1001)


def test_with_labels_each_part_has_the_classes_of_the_whole():
    labels = np.random.default_rng(0).permutation(np.repeat([3, 5, 9], [7000, 2900, 100]))
    for part in fb.split(10_000, [0.8, 0.15, 0.05], labels=labels, seed=1):
        counts = np.array([(labels[part] == label).sum() for label in (3, 5, 9)])
        assert (np.abs(counts - np.array([0.7, 0.29, 0.01]) * len(part)) < 2).all()


def test_a_seed_gives_the_same_parts():
    assert all(map(np.array_equal, fb.split(100, [0.5, 0.5], seed=3), fb.split(100, [0.5, 0.5], seed=3)))
    assert not np.array_equal(fb.split(1000, [0.5], seed=3)[0], fb.split(1000, [0.5], seed=4)[0])
    assert not np.array_equal(fb.split(1000, [0.5])[0], fb.split(1000, [0.5])[0])


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        ((10, [0.5, 0.6]), {}, ValueError, "^fractions must be at most 1 together, got 1.1$"),
        ((10, [0.5, 0]), {}, ValueError, "^fractions must be above 0 and at most 1, got 0.0$"),
        ((10, [float("nan")]), {}, ValueError, "^fractions must be above 0 and at most 1, got nan$"),
        ((-1, [0.5]), {}, ValueError, "^n must be at least 0"),
        ((10, [0.5]), {"labels": [1, 2, 3]}, ValueError, r"^labels must be of shape \(10,\), got shape \(3,\)$"),
        ((10, [0.5]), {"seed": -1}, ValueError, "^seed must not be negative, got -1$"),
        ((10.5, [0.5]), {}, TypeError, "integer"),
    ],
)
def test_what_cannot_be_split_is_refused(arguments, options, error, said):
    with pytest.raises(error, match=said):
        fb.split(*arguments, **options)


def test_groups_stay_whole_in_a_subset():
    labels = np.repeat(np.arange(4), 6)
    sampler = fb.Subset(np.arange(24), fb.PerClass(labels, 2, 3))
    assert sampler.multiple == 6
    with pytest.raises(ValueError, match="batch_size must be a multiple of 6, a group's rows, got 5"):
        fb.Loader(labels, 5, sampler=sampler)
    for rank in range(3):
        for batch in fb.Loader(labels, 6, sampler=sampler, seed=1, rank=rank, world_size=3):
            assert sorted(np.unique(batch, return_counts=True)[1].tolist()) == [3, 3]
