"""Where an epoch begins: its first batch and its order, and the gap between one epoch and the next."""

import time
from itertools import pairwise
from statistics import mean, median

import numpy as np

import fastbatch as fb
from benchmarks.measure import Stage
from benchmarks.steps import table


class Turn(Stage):
    """A step for each of 1000 batches of an epoch, and then the first batch of the next."""

    def __init__(self, step, scale):
        self.n = int(1_000_000 * scale)
        self.X, self.y = table(self.n, 256)
        self.step = step
        self.loader = fb.Loader((self.X, self.y), 1024, shuffle=True, seed=0, threads=1)
        self.batches = iter(self.loader)
        self.batch = next(self.batches)

    def check(self, contender):
        ids = []

        def keep(x_batch, y_batch):
            assert np.array_equal(x_batch, self.X[y_batch]), "rows and labels do not belong together"
            ids.append(np.array(y_batch))

        for _ in range(2):
            contender(self, keep)
            order = np.concatenate(ids)
            assert not np.array_equal(order, np.arange(self.n)), "the epoch is not shuffled"
            assert np.array_equal(np.sort(order), np.arange(self.n)), "a row is lost or doubled"
            ids.clear()

    def turn(self, keep):
        """Goes on from the first batch of an epoch to that of the next.

        Returns the seconds between the epochs, and when each other `next` began and returned.
        """
        clock, step, batches, batch = time.perf_counter, self.step, self.batches, self.batch
        self.batches = self.batch = None
        asked, arrived = [], []
        while True:
            if step is not None:
                step(batch)
            if keep is not None:
                keep(*batch)
            start = clock()
            batch = next(batches, None)
            if batch is None:
                break
            arrived.append(clock())
            asked.append(start)
        del batches  # as at the end of a `for`
        batches = iter(self.loader)
        batch = next(batches)
        gap = clock() - start
        self.batches, self.batch = batches, batch
        return gap, asked, arrived


def turn_of_epoch(stage, keep=None):
    """The `next` that ends an epoch, the new iterator and its first `next`."""
    gap, _asked, _arrived = stage.turn(keep)
    return gap


def steady_next(stage, keep=None):
    """A `next` in the middle of the epoch."""
    _gap, asked, arrived = stage.turn(keep)
    return median(end - start for start, end in zip(asked, arrived, strict=True))


def steady_period(stage, keep=None):
    """From the return of a `next` to that of the one after it, the step between them included: the mean."""
    _gap, _asked, arrived = stage.turn(keep)
    return mean(end - start for start, end in pairwise(arrived))


def new_object(stage, keep=None):
    """In the place of a new iterator, an instance of an empty class: what any code costs that has left the caches."""
    stage.turn(keep)
    start = time.perf_counter()
    Empty()
    return time.perf_counter() - start


class Empty:
    """Nothing."""


def returned(contender, stage):
    return contender(stage)


class Column(Stage):
    """1e8 rows of one byte, and a new Loader for each repeat: nothing is prepared before the clock starts."""

    def __init__(self, scale):
        self.n = int(100_000_000 * scale)
        self.x = (np.arange(self.n) % 251).astype(np.uint8)
        self.rng = np.random.default_rng(0)
        self.loader = self.result = None

    def refresh(self, contender, **options):
        # What the last repeat left goes off the clock, and so do its threads.
        self.loader = self.result = None
        # Idle memory may go back to a virtual machine's host, and costs ten times as much to touch.
        np.empty(self.n, np.int64).fill(0)
        self.loader = fb.Loader(self.x, 256, shuffle=True, seed=int(self.rng.integers(2**32)), **options)

    def check(self, contender):
        got = []

        def keep(batch, rows):
            assert np.array_equal(batch, self.x[rows]), "rows differ"
            got.append(np.array(rows))

        self.refresh(contender, rows=True)
        contender(self, keep)
        order = np.concatenate(got)
        assert len(order) == (256 if contender is fastbatch_first_batch else self.n)
        assert np.any(order[1:] < order[:-1]), "the order is not shuffled"
        seen = np.zeros(self.n, bool)
        seen[order] = True
        assert seen.sum() == len(order), "a row is lost or doubled"


def numpy_permutation(stage, keep=None):
    stage.result = stage.rng.permutation(stage.n)
    if keep is not None:
        keep(stage.x[stage.result], stage.result)


def fastbatch_first_batch(stage, keep=None):
    stage.result = iter(stage.loader)
    batch = next(stage.result)
    if keep is not None:
        keep(*batch)


def fastbatch_whole_order(stage, keep=None):
    """The order that the Loader draws from, made at once."""
    stage.result = fb.permutation(stage.n, rng=stage.rng)
    if keep is not None:
        keep(stage.x[stage.result], stage.result)
