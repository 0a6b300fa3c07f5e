"""Arguments that are integers: others are refused by name, with the value."""

import re

import numpy as np
import pytest

import fastbatch as fb
from fastbatch.arguments import as_integer

LENGTHS = [1, 2]
BUCKETED = fb.Bucketed(LENGTHS)
BUDGET = fb.TokenBudget(LENGTHS, 10)


def load(key, value):
    loader = fb.Loader(np.arange(4), 2)
    loader.load_state_dict(loader.state_dict() | {key: value})


@pytest.mark.parametrize("value", [10.5, 2.0, True, None, "3"])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("tokens", lambda value: fb.TokenBudget(LENGTHS, value)),
        ("multiple", lambda value: fb.TokenBudget(LENGTHS, 10, multiple=value)),
        ("context", lambda value: fb.FirstFit(LENGTHS, value)),
        ("block", lambda value: fb.Bucketed(LENGTHS, block=value)),
        ("seed", lambda value: BUCKETED.order(2.5 if value is None else value, 0)),
        ("epoch", lambda value: BUCKETED.order(0, value)),
        ("epoch", lambda value: BUDGET.batches(0, value)),
        ("batch_size", lambda value: BUCKETED.padding(0, 0, value)),
        ("block", lambda value: fb.Blocks(4, block=value, window=1)),
        ("window", lambda value: fb.Blocks(4, block=1, window=value)),
        ("n", lambda value: fb.Shuffle(value)),
        ("lag", lambda value: fb.Prioritized([1, 2], lag=value)),
        ("classes", lambda value: fb.PerClass([0, 1], value, 1)),
        ("samples", lambda value: fb.PerClass([0, 1], 1, value)),
        ("sizes[1]", lambda value: fb.Mixture([3, value], [1, 1])),
        ("every", lambda value: fb.pacing.step(value)),
        (
            "batch_size",
            lambda value: setattr(fb.Loader(np.arange(4), 2), "batch_size", 2.5 if value is None else value),
        ),
        ("seed", lambda value: fb.Loader(np.arange(4), 2, seed=2.5 if value is None else value)),
        ("world_size", lambda value: fb.Loader(np.arange(4), 2, seed=0, rank=0, world_size=value or 0.5)),
        ("map_threads", lambda value: fb.Loader(np.arange(4), 2, map=len, map_threads=value)),
        ("epoch", lambda value: fb.Loader(np.arange(4), 2).set_epoch(value)),
        ("epoch", lambda value: fb.Loader(np.arange(4), 2).batch(value, 0)),
        ("i", lambda value: fb.Loader(np.arange(4), 2).batch(0, value)),
        ("seed", lambda value: load("seed", value)),
        ("epoch", lambda value: load("epoch", value)),
        ("position", lambda value: load("position", value)),
    ],
)
def test_what_is_no_integer_is_refused_by_name(name, call, value):
    with pytest.raises(TypeError, match=f"^{re.escape(name)} must be an integer, got "):
        call(value)


@pytest.mark.parametrize("value", [10.5, 64.0, True])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("max_rows", lambda value: fb.TokenBudget(LENGTHS, 10, value)),
        ("window", lambda value: fb.TokenBudget(LENGTHS, 10, window=value)),
        ("window", lambda value: fb.Bucketed(LENGTHS, window=value)),
        ("num_samples", lambda value: fb.Weighted([1, 2], num_samples=value)),
        ("n_rows", lambda value: fb.NativeColumn(1, value, np.int64)),
        ("n", lambda value: fb.split(value, [0.5])),
    ],
)
def test_what_is_neither_none_nor_an_integer_is_refused_by_name(name, call, value):
    with pytest.raises(TypeError, match=f"^{name} must be an integer, got {value}$"):
        call(value)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_integers_of_numpy_are_integers(value):
    assert as_integer(value, "x") == 3
    assert fb.Bucketed(LENGTHS, block=value).block == 3
