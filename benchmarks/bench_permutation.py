"""Drawing the numbers 0..n-1 in random order."""

from functools import partial

import numpy as np
import torch

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage


class Range(Stage):
    """How many numbers, and the generator they are drawn with."""

    def __init__(self, n, scale):
        self.units = int(n * scale)
        self.rng = np.random.default_rng(0)

    def refresh(self, contender):
        # Memory that lies idle may go back to a virtual machine's host, and costs ten times as much to touch: not only
        # whoever comes first shall pay for it.
        np.empty(self.units, np.int64).fill(0)

    def check(self, contender):
        order = np.asarray(contender(self))
        assert order.dtype == np.int64
        assert not np.array_equal(order, np.arange(self.units)), "the numbers are in order"
        assert np.array_equal(np.sort(order), np.arange(self.units)), "a number is lost or doubled"


def numpy_permutation(stage):
    return stage.rng.permutation(stage.units)


def torch_randperm(stage):
    return torch.randperm(stage.units)


def fastbatch_permutation(stage):
    return fb.permutation(stage.units, rng=stage.rng)


CASES = [
    Case(
        name=f"permutation-{words}",
        work=f"permutation of {words}, int64",
        stage=partial(Range, n),
        contenders=(numpy_permutation, torch_randperm, fastbatch_permutation),
        goals=(Faster(fastbatch_permutation, (numpy_permutation,), times),),
        unit="element",
    )
    for words, n, times in [("1e6", 10**6, 5), ("1e7", 10**7, 8), ("5e7", 5 * 10**7, 8)]
]


def test_permutation(timed, stage, contender):
    timed(stage, contender)
