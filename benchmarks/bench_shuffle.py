"""Shuffling an array in place."""

from functools import partial

import numpy as np

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage


class Deck(Stage):
    """n int64 numbers, left shuffled from repeat to repeat."""

    def __init__(self, n, scale):
        self.units = int(n * scale)
        self.x = np.arange(self.units)
        self.rng = np.random.default_rng(0)

    def check(self, contender):
        contender(self)
        assert not np.array_equal(self.x, np.arange(self.units)), "the array is still in order"
        assert np.array_equal(np.sort(self.x), np.arange(self.units)), "an element was lost or doubled"


def numpy_shuffle(stage):
    stage.rng.shuffle(stage.x)


def fastbatch_shuffle(stage):
    fb.shuffle(stage.x, rng=stage.rng)


CASES = [
    Case(
        name=f"shuffle-{words}",
        work=f"shuffle {words} int64 in place",
        stage=partial(Deck, n),
        contenders=(numpy_shuffle, fastbatch_shuffle),
        goals=(Faster(fastbatch_shuffle, (numpy_shuffle,), times),),
        unit="element",
    )
    for words, n, times in [("1e6", 10**6, 7), ("1e7", 10**7, 9), ("5e7", 5 * 10**7, 8)]
]


def test_shuffle(timed, stage, contender):
    timed(stage, contender)
