"""The order of a class-balanced epoch: row numbers dealt from the classes in turn.

Timed is the drawing of one epoch's order as an int64 array. What does not change from epoch to epoch (the sorting of
rows by class, the building of the sampler) is done before.
"""

from functools import partial

import numpy as np

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage

N_CLASSES = 10


class Classes(Stage):
    """A million labels, ten classes with sizes in proportion 60 : ... : 1 in even steps, in random order."""

    def __init__(self, exhausted, scale):
        n = int(1_000_000 * scale)
        share = np.linspace(60, 1, N_CLASSES)
        edges = np.round(np.cumsum(share) / share.sum() * n).astype(np.int64)
        self.rng = np.random.default_rng(0)
        self.labels = self.rng.permutation(np.searchsorted(edges, np.arange(n), side="right"))
        counts = np.bincount(self.labels, minlength=N_CLASSES)
        self.members = np.split(np.argsort(self.labels, kind="stable"), np.cumsum(counts)[:-1])
        self.stop = exhausted == "stop"
        self.deals = counts.min() if self.stop else counts.max()
        self.sampler = fb.Balanced(self.labels, exhausted=exhausted)
        self.epoch = 0

    def check(self, contender):
        order = np.asarray(contender(self))
        assert order.dtype == np.int64
        assert abs(len(order) - self.deals * N_CLASSES) < N_CLASSES, "the epoch ends at another row"
        dealt = self.labels[order]
        assert len(np.unique(dealt[:N_CLASSES])) == N_CLASSES, "the first round lacks a class"
        assert np.array_equal(dealt[N_CLASSES:], dealt[:-N_CLASSES]), "classes are not dealt in turn"
        n_distinct = len(np.unique(order))
        assert n_distinct == (len(order) if self.stop else len(self.labels)), "a row is doubled, or missing"


def deal(columns, rng):
    """One row of each class in turn, the classes in a random order that stays the same for the epoch."""
    rng.shuffle(columns)
    return np.stack(columns, axis=1).ravel()


def numpy_search_classes(stage):
    """As it is often written: every epoch looks for the rows of each class again."""
    columns = []
    for label in range(N_CLASSES):
        rows = np.flatnonzero(stage.labels == label)
        n_passes = -(-stage.deals // len(rows))
        columns.append(np.concatenate([stage.rng.permutation(rows) for _ in range(n_passes)])[: stage.deals])
    return deal(columns, stage.rng)


def numpy_sorted_once(stage):
    """As it is written well: rows sorted by class once and for all, each class permuted, the columns interleaved."""
    columns = []
    for rows in stage.members:
        n_passes = -(-stage.deals // len(rows))
        columns.append(np.concatenate([stage.rng.permutation(rows) for _ in range(n_passes)])[: stage.deals])
    return deal(columns, stage.rng)


def numpy_choice(stage):
    """Better still where an epoch ends with its smallest class: draw only the rows that it will deal."""
    columns = [stage.rng.choice(rows, stage.deals, replace=False) for rows in stage.members]
    return deal(columns, stage.rng)


def fastbatch_balanced(stage):
    stage.epoch += 1
    return stage.sampler.order(0, stage.epoch)


CASES = [
    Case(
        name=f"balanced-{exhausted}",
        work=f'Balanced order, 1e6 rows, 10 classes 60:...:1, "{exhausted}"',
        stage=partial(Classes, exhausted),
        contenders=contenders,
        goals=(Faster(fastbatch_balanced, (numpy_sorted_once,), 3),),
        unit="epoch",
    )
    for exhausted, contenders in [
        ("stop", (numpy_search_classes, numpy_sorted_once, numpy_choice, fastbatch_balanced)),
        ("recycle", (numpy_search_classes, numpy_sorted_once, fastbatch_balanced)),
    ]
]


def test_balanced(timed, stage, contender):
    timed(stage, contender)
