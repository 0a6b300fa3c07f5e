"""Rows drawn by their weights: batch by batch, in one long run, each row once; and what is prepared for it."""

from functools import partial
from itertools import chain, islice, repeat

import numpy as np
import torch

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage, Under

torch.set_num_threads(1)  # one core for everyone

BATCH = 256
N_BATCHES = 100


class Weights(Stage):
    """Exponentially distributed weights, and how many rows one call draws."""

    replacement = True

    def __init__(self, n, scale):
        self.n = self.units = self.size = int(n * scale)
        self.rng = np.random.default_rng(0)
        torch.manual_seed(0)
        self.weights = self.rng.exponential(size=self.n)
        self.tensor = torch.from_numpy(self.weights)
        self.p = self.weights / self.weights.sum()
        self.epoch = 0

    def refresh(self, contender):
        np.empty(self.size, np.int64).fill(0)  # idle memory may go back to a virtual machine's host

    def check_shares(self, rows, expected):
        """That as many rows come of the lightest tenth, the next one, ... as are expected, to six deviations."""
        tenth = np.argsort(np.argsort(self.weights)) * 10 // self.n
        expected = np.bincount(tenth, expected, minlength=10)
        seen = np.bincount(tenth[rows], minlength=10)
        assert np.all(np.abs(seen - expected) < 6 * np.sqrt(expected) + 6), "rows do not come by their weights"


class EachOnce(Weights):
    """An order of all rows: each next one by its weight among those that are left."""

    replacement = False

    def __init__(self, n, scale):
        super().__init__(n, scale)
        self.sampler = fb.Weighted(self.weights, replacement=False)

    def check(self, contender):
        rows = np.asarray(contender(self))
        assert rows.dtype == np.int64
        assert np.array_equal(np.sort(rows), np.arange(self.n)), "a row is lost or doubled"
        # Where each row has an exponentially distributed time, those of the first tenth are the rows that come till t.
        first = rows[: self.n // 10]
        low, high = 0.0, 1.0
        for _ in range(60):
            t = (low + high) / 2
            low, high = (t, high) if -np.expm1(-self.weights * t).sum() < len(first) else (low, t)
        self.check_shares(first, -np.expm1(-self.weights * t))


class Run(Weights):
    """As many draws as there are rows, each of any row."""

    def __init__(self, n, scale):
        super().__init__(n, scale)
        self.cdf = self.p.cumsum()
        self.sampler = fb.Weighted(self.weights)
        nothing = np.empty((self.n, 0), np.uint8)  # rows of no bytes
        self.numbers = fb.Loader(nothing, BATCH, sampler=self.sampler, seed=0, rows=True, threads=0)

    def refresh(self, contender):
        super().refresh(contender)
        if contender in (fastbatch_order, fastbatch_batches):  # the middle of a long run: an epoch goes off the clock
            contender(self)

    def check(self, contender):
        if contender is fastbatch_batches:
            got = []
            contender(self, got.append)
            rows = np.concatenate(got)
        else:
            rows = np.asarray(contender(self))
        assert rows.dtype == np.int64
        assert len(rows) == self.size
        self.check_shares(rows, self.p * len(rows))


class Batches(Run):
    """Batches of the labels of rows; the label is the row's own number.

    Here too it is the middle of a long run: for those who go through a table at random, a whole epoch goes off the
    clock before each repeat. The others go through all of theirs for each batch.
    """

    def __init__(self, n, scale):
        super().__init__(n, scale)
        self.units, self.size = N_BATCHES, BATCH
        self.y = np.arange(self.n)
        self.y_tensor = torch.from_numpy(self.y)
        self.batches, self.tensors = (
            chain.from_iterable(repeat(fb.Loader(y, BATCH, sampler=self.sampler, seed=0, threads=0, drop_last=True)))
            for y in (self.y, self.y_tensor)
        )

    def refresh(self, contender):
        if contender in (numpy_search_labels, fastbatch_labels, fastbatch_tensors):
            for _ in range(self.n // (N_BATCHES * BATCH)):
                contender(self)

    def check(self, contender):
        got = []
        contender(self, lambda batch: got.append(np.array(batch)))
        assert [len(batch) for batch in got] == [BATCH] * N_BATCHES
        self.check_shares(np.concatenate(got), self.p * BATCH * N_BATCHES)


def numpy_choice(stage):
    return stage.rng.choice(stage.n, stage.size, replace=stage.replacement, p=stage.p)


def numpy_search(stage):
    """What choice does, but for the sums, which are made once."""
    return stage.cdf.searchsorted(stage.rng.random(stage.size) * stage.cdf[-1], side="right")


def numpy_sorted_times(stage):
    """As it is written well: the rows of a race, where each has an exponentially distributed time."""
    return np.argsort(stage.rng.standard_exponential(stage.n) / stage.weights)


def torch_multinomial(stage):
    return torch.multinomial(stage.tensor, stage.size, replacement=stage.replacement)


def fastbatch_order(stage):
    stage.epoch += 1
    return stage.sampler.order(0, stage.epoch)


def fastbatch_batches(stage, keep=None):
    """The same in batches, as a training loop takes them; they carry what undoes the weights, too."""
    for _nothing, rows, _weights in stage.numbers:
        if keep is not None:
            keep(rows)


def numpy_choice_labels(stage, keep=None):
    for _ in range(N_BATCHES):
        batch = stage.y[numpy_choice(stage)]
        if keep is not None:
            keep(batch)


def numpy_search_labels(stage, keep=None):
    for _ in range(N_BATCHES):
        batch = stage.y[numpy_search(stage)]
        if keep is not None:
            keep(batch)


def torch_multinomial_labels(stage, keep=None):
    for _ in range(N_BATCHES):
        batch = stage.y_tensor[torch_multinomial(stage)]
        if keep is not None:
            keep(batch)


def fastbatch_labels(stage, keep=None):
    for batch in islice(stage.batches, N_BATCHES):
        if keep is not None:
            keep(batch)


def fastbatch_tensors(stage, keep=None):
    for batch in islice(stage.tensors, N_BATCHES):
        if keep is not None:
            keep(batch)


class Building(Weights):
    """Weights, and what is made of them before the first row can be drawn."""

    def check(self, contender):
        made, few = contender(self), self.n // 1000  # so few that it does not matter whether a row may come twice
        if isinstance(made, fb.Weighted):
            rows = made.order(0, 0)[:few]
        else:
            rows = made.searchsorted(self.rng.random(few), side="right")
        self.check_shares(rows, self.p * few)


def numpy_sums(stage):
    """What choice makes of p in each call."""
    cdf = stage.p.cumsum()
    cdf /= cdf[-1]
    return cdf


def fastbatch_weighted(stage):
    return fb.Weighted(stage.weights)


def fastbatch_without_replacement(stage):
    return fb.Weighted(stage.weights, replacement=False)


CASES = [
    Case(
        name="weighted-batch",
        work="256 labels by weight, of 1e6 rows, in a run of batches",
        stage=partial(Batches, 10**6),
        contenders=(
            numpy_choice_labels,
            numpy_search_labels,
            torch_multinomial_labels,
            fastbatch_labels,
            fastbatch_tensors,
        ),
        goals=(
            Faster(fastbatch_labels, (numpy_choice_labels,), 2000),
            Faster(fastbatch_tensors, (torch_multinomial_labels,), 300),
        ),
        unit="batch",
    ),
    Case(
        name="weighted-run",
        work="1e6 row numbers by weight, of 1e6, in a long run",
        stage=partial(Run, 10**6),
        contenders=(numpy_choice, numpy_search, torch_multinomial, fastbatch_order, fastbatch_batches),
        goals=(Faster(fastbatch_order, (numpy_choice,), 60),),
    ),
    Case(
        name="weighted-once",
        work="1e6 row numbers by weight, each once",
        stage=partial(EachOnce, 10**6),
        contenders=(numpy_choice, numpy_sorted_times, torch_multinomial, fastbatch_order),
        goals=(Faster(fastbatch_order, (numpy_choice,), 10),),
    ),
    Case(
        name="weighted-build",
        work="what is made of 1e7 weights before the first draw",
        stage=partial(Building, 10**7),
        contenders=(numpy_sums, fastbatch_weighted, fastbatch_without_replacement),
        goals=tuple(
            Under(f, 25e-9, f"{f.__name__} under 25 ns per row")
            for f in (fastbatch_weighted, fastbatch_without_replacement)
        ),
    ),
]


def test_weighted(timed, stage, contender):
    timed(stage, contender)
