"""A class-balanced epoch: its order, row numbers dealt from the classes in turn, and its batches.

What does not change from epoch to epoch (the sorting of rows by class, the building of the sampler) is done before the
clock starts. An order is an int64 array.
"""

from functools import partial

import numpy as np

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage
from benchmarks.optional import needs

N_CLASSES = 10
BATCH = 256


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


class Batches(Classes):
    """Whole batches of 256 of the same rows, each of 16 float32, the first of which is the row's own number."""

    def __init__(self, scale):
        super().__init__("stop", scale)
        n = len(self.labels)
        self.X = self.rng.random((n, 16), np.float32)
        self.X[:, 0] = np.arange(n)
        self.n_batches = self.deals * N_CLASSES // BATCH
        self.loader = fb.Loader((self.X, self.labels), BATCH, sampler=self.sampler, seed=0, threads=0, drop_last=True)
        self.generator = None  # made at the first call, when a contender is checked

    def new_generator(self):
        from imblearn.tensorflow import balanced_batch_generator

        generator, n_batches = balanced_batch_generator(
            self.X, self.labels, batch_size=BATCH, random_state=int(self.rng.integers(2**31))
        )
        assert n_batches == self.n_batches
        return generator

    def check(self, contender):
        got = []

        def keep(x_batch, y_batch):
            rows = x_batch[:, 0].astype(np.int64)
            assert len(rows) == BATCH
            assert np.array_equal(x_batch, self.X[rows]), "these are no rows of the table"
            assert np.array_equal(y_batch, self.labels[rows]), "rows and labels do not belong together"
            got.append(rows)

        contender(self, keep)
        assert len(got) == self.n_batches, "a batch is lost or doubled"
        order = np.concatenate(got)
        assert len(np.unique(order)) == len(order), "a row is doubled"
        counts = np.bincount(self.labels[order], minlength=N_CLASSES)
        assert counts.max() <= self.deals, "a class has more than its share"
        assert counts.min() > self.deals - BATCH, "a class has less than its share"


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


def numpy_index(stage, keep=None):
    order = numpy_choice(stage)
    for start in range(0, stage.n_batches * BATCH, BATCH):
        rows = order[start : start + BATCH]
        x_batch, y_batch = stage.X[rows], stage.labels[rows]
        if keep is not None:
            keep(x_batch, y_batch)


@needs("imbalanced-learn")
def imblearn_new_rows(stage, keep=None):
    """Other rows in every epoch, as all others here have them: a new balanced_batch_generator for each.

    It is the one of imblearn.tensorflow, a generator that needs no TensorFlow; BalancedBatchGenerator of imblearn.keras
    takes its rows and its batches with the same lines, but cannot be made without Keras.
    """
    generator = stage.new_generator()
    for _ in range(stage.n_batches):
        x_batch, y_batch = next(generator)
        if keep is not None:
            keep(x_batch, y_batch)


@needs("imbalanced-learn")
def imblearn_same_rows(stage, keep=None):
    """One generator for all epochs, as Keras would have it: the same rows in the same order every time."""
    if stage.generator is None:
        stage.generator = stage.new_generator()
    for _ in range(stage.n_batches):
        x_batch, y_batch = next(stage.generator)
        if keep is not None:
            keep(x_batch, y_batch)
    if stage.deals * N_CLASSES % BATCH:
        next(stage.generator)  # the shorter one, behind which it begins again


def fastbatch_loader(stage, keep=None):
    for x_batch, y_batch in stage.loader:
        if keep is not None:
            keep(x_batch, y_batch)


CASES = [
    *(
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
    ),
    Case(
        name="balanced-epoch",
        work='Balanced epoch, 1e6 rows of 64 B + label, 10 classes 60:...:1, "stop", batch 256',
        stage=Batches,
        contenders=(imblearn_new_rows, imblearn_same_rows, numpy_index, fastbatch_loader),
        goals=(Faster(fastbatch_loader, (imblearn_new_rows,), 50),),
        unit="epoch",
    ),
]


def test_balanced(timed, stage, contender):
    timed(stage, contender)
