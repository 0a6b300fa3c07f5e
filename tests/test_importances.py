"""Loader(rows=True) with a sampler that has weights: what undoes that some rows come more often."""

import math
from collections import namedtuple

import numpy as np
import pytest

import fastbatch as fb

N = 50
WEIGHTS = np.arange(N) % 7


def flat(epoch, progress):
    return 0.5 if progress < 0.5 else 1.0


def expected_of(weights):
    """1 / (N P)."""
    with np.errstate(divide="ignore"):
        return weights.sum() / np.count_nonzero(weights) / weights


SAMPLERS = {
    "with replacement": lambda: fb.Weighted(WEIGHTS),
    "without": lambda: fb.Weighted(WEIGHTS, replacement=False),
    "without, all rows": lambda: fb.Weighted(WEIGHTS + 1, replacement=False),
    "prioritized": lambda: fb.Prioritized(WEIGHTS),
    "curriculum": lambda: fb.Curriculum(np.arange(N), lambda epoch, progress: 1.0, WEIGHTS),
    "subset": lambda: fb.Subset(np.arange(N), fb.Weighted(WEIGHTS)),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("threads", [0, 2])
def test_each_batch_carries_the_weights_of_its_rows(name, threads):
    sampler = SAMPLERS[name]()
    expected = expected_of(WEIGHTS + 1 if "all rows" in name else WEIGHTS)
    for x, rows, weights in fb.Loader((np.arange(N),), 7, sampler=sampler, seed=1, rows=True, threads=threads):
        assert np.array_equal(x, rows)
        assert weights.dtype == np.float32
        np.testing.assert_allclose(weights, expected[rows], rtol=1e-6)


@pytest.mark.parametrize("name", ["with replacement", "prioritized", "curriculum"])
def test_a_weighted_mean_is_the_mean_of_the_rows_that_can_be_drawn(name):
    values = np.random.default_rng(0).normal(size=N) + 3
    sampler = {
        "with replacement": lambda: fb.Weighted(WEIGHTS, num_samples=400_000),
        "prioritized": lambda: fb.Prioritized(WEIGHTS, num_samples=400_000),
        "curriculum": lambda: fb.Curriculum(np.arange(N), lambda *_: 1.0, WEIGHTS, num_samples=400_000),
    }[name]()
    (x, _, weights) = next(iter(fb.Loader((values,), 400_000, sampler=sampler, seed=1, rows=True)))
    assert (x * weights).mean() == pytest.approx(values[WEIGHTS > 0].mean(), abs=0.1)  # 40 standard errors


@pytest.mark.parametrize("world_size", [1, 4])
def test_in_a_curriculum_they_are_those_among_the_eligible(world_size):
    n = 201  # the last batch is filled up from the first rows, which were drawn from fewer
    difficulty, weights = np.arange(n), np.arange(n) % 5
    of_half, of_all = expected_of(np.where(difficulty < 101, weights, 0)), expected_of(weights)
    ranks = [
        fb.Loader(
            (difficulty,),
            5,
            sampler=fb.Curriculum(difficulty, flat, weights),
            seed=1,
            rows=True,
            rank=rank,
            world_size=world_size,
        )
        for rank in range(world_size)
    ]
    for i, batches in enumerate(zip(*ranks, strict=True)):
        rows, got = (np.concatenate([batch[part] for batch in batches]) for part in (1, 2))
        places = (5 * world_size * i + np.arange(len(rows))) % n
        np.testing.assert_allclose(got, np.where(places < 101, of_half[rows], of_all[rows]), rtol=1e-6)
    assert world_size == 1 or places[-1] < 5


def test_a_row_that_comes_twice_in_a_subset_has_the_weight_of_both_places():
    sampler = fb.Subset([5, 2, 5, 7], fb.Weighted([1.0, 3.0, 2.0, 0.0]))
    shares = {5: 3, 2: 3}
    for _, rows, weights in fb.Loader((np.arange(9),), 2, sampler=sampler, seed=1, rows=True):
        np.testing.assert_allclose(weights, [6 / 3 / shares[row] for row in rows.tolist()], rtol=1e-6)


Pair = namedtuple("Pair", ["x", "y"])


def test_weights_that_are_far_apart_are_weights_all_the_same():
    for weights in ([5e-324, 1e300, 1.0, 1.0], [1e-60, 1.0, 1.0, 2.0]):
        importances = fb.Weighted(weights, replacement=False).importances()
        exact = [math.fsum(weights) / 4 / weight if weight > 1e-30 else math.inf for weight in weights]
        np.testing.assert_allclose(importances, np.minimum(exact, math.exp(88.7)), rtol=1e-5)
    (batch,) = fb.Loader((np.arange(2),), 9, sampler=fb.Prioritized([1e-200, 1e290], num_samples=9), seed=0, rows=True)
    assert np.isfinite(batch[2]).all()


def test_they_go_where_the_row_numbers_go():
    x, sampler = np.arange(N), fb.Prioritized(np.ones(N))
    options = {"sampler": sampler, "seed": 0, "rows": True}
    batch = next(iter(fb.Loader(x, 4, **options)))
    assert type(batch) is tuple
    assert [part.dtype for part in batch] == [x.dtype, np.int64, np.float32]
    batch = next(iter(fb.Loader([x, x], 4, **options)))
    assert type(batch) is list
    assert len(batch) == 4
    for data in ({"x": x, "y": x}, Pair(x, x)):
        assert list(next(iter(fb.Loader(data, 4, **options)))) == ["x", "y", "rows", "weights"]
    with pytest.raises(ValueError, match='rows=True, with a sampler that has weights, adds the key "weights"'):
        fb.Loader({"weights": x}, 4, **options)
    loader = fb.Loader({"weights": x}, 4, sampler=fb.Shuffle(N), seed=0, rows=True)
    assert list(next(iter(loader))) == ["weights", "rows"]


def test_without_weights_none_are_carried():
    curriculum = fb.Curriculum(np.arange(N), flat)
    for sampler in (fb.Shuffle(N), curriculum, fb.Balanced(np.arange(N) % 2)):
        assert len(next(iter(fb.Loader((np.arange(N),), 4, sampler=sampler, seed=0, rows=True)))) == 2
    assert len(next(iter(fb.Loader((np.arange(N),), 4, sampler=fb.Weighted(WEIGHTS), seed=0)))) == 1


def test_the_engine_refuses_a_sampler_without_weights():
    from fastbatch._native.column import ImportanceColumn
    from fastbatch._native.engine import Engine
    from fastbatch._native.sampler import Shuffled
    from fastbatch._native.structure import LEAF
    from iterating import open_epoch

    engine = Engine([ImportanceColumn()], LEAF, [None])
    with pytest.raises(ValueError, match="a column wants weights, which the sampler does not have"):
        open_epoch(engine, Shuffled(10), 4)


def test_explain_names_them():
    text = fb.Loader(np.arange(N), 4, sampler=fb.Prioritized(np.ones(N), lag=2), seed=0, rows=True).explain()
    assert (
        "order: Prioritized(50 rows, lag=2, num_samples=50), seed 0, in no memory; updates apply 2 batches late" in text
    )
    assert "weights: weights, from the sampler, float32 (), 4 bytes per row" in text
