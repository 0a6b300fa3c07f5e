"""Whole epochs in storage order: here a batch is nothing but a copy."""

import numpy as np

import fastbatch as fb
from benchmarks import roofline
from benchmarks.measure import Case, Stage, Within

BATCH = 256


class Strip(Stage):
    """2 M rows of 1 KB. Batches belong to their holder, so a Loader copies them, and so do all others."""

    def __init__(self, scale):
        self.units = int(2_000_000 * scale)
        self.X = np.empty((self.units, 256), np.float32)
        np.add(np.arange(self.units)[:, None], np.arange(256), out=self.X, casting="unsafe")
        self.loader = fb.Loader(self.X, BATCH, threads=0)
        self.out = np.ones((BATCH, 256), np.float32)
        self.out_bare = roofline.aligned((BATCH, 256), np.float32)

    def check(self, contender):
        starts = iter(range(0, self.units, BATCH))

        def keep(batch):
            start = next(starts)
            assert np.array_equal(batch, self.X[start : start + BATCH]), "rows differ"

        contender(self, keep)
        assert next(starts, None) is None, "batches are missing"


def numpy_slice_copy(stage, keep=None):
    X = stage.X
    for start in range(0, len(X), BATCH):
        batch = X[start : start + BATCH].copy()
        if keep is not None:
            keep(batch)


def numpy_copyto(stage, keep=None):
    X, out = stage.X, stage.out
    for start in range(0, len(X), BATCH):
        rows = X[start : start + BATCH]
        batch = out[: len(rows)]
        np.copyto(batch, rows)
        if keep is not None:
            keep(batch)


def fastbatch_loader(stage, keep=None):
    for batch in stage.loader:
        if keep is not None:
            keep(batch)


def bare_memcpy(stage, keep=None):
    if keep is None:
        roofline.copy(stage.X, stage.out_bare)
        return
    for start in range(0, len(stage.X), BATCH):
        rows = stage.X[start : start + BATCH]
        roofline.copy(rows, stage.out_bare)
        keep(stage.out_bare[: len(rows)])


CASES = [
    Case(
        name="sequential-1KB",
        work="unshuffled epoch, 2 M rows of 1 KB, batch 256",
        stage=Strip,
        contenders=(numpy_slice_copy, numpy_copyto, fastbatch_loader, bare_memcpy),
        goals=(Within(fastbatch_loader, (bare_memcpy, numpy_copyto), 1.15),),
    ),
]


def test_sequential(timed, stage, contender):
    timed(stage, contender)
