"""Gathering random rows of a table that no cache holds into a reused buffer."""

from functools import partial

import numpy as np
import torch

import fastbatch as fb
from benchmarks import roofline
from benchmarks.measure import Case, Faster, Stage

TABLE_NBYTES = 2 * 10**9
BATCH = 4096
N_DRAWS = 32


class Table(Stage):
    """2 GB of int32 rows, and 32 draws of 4096 row numbers, new ones for every contender and repeat."""

    units = N_DRAWS * BATCH

    def __init__(self, row_nbytes, scale):
        self.n = int(TABLE_NBYTES * scale) // row_nbytes
        n_columns = row_nbytes // 4
        self.table = np.empty((self.n, n_columns), np.int32)
        np.add(np.arange(self.n)[:, None], np.arange(n_columns), out=self.table, casting="unsafe")
        self.tensor = torch.from_numpy(self.table)
        self.out = np.ones((BATCH, n_columns), np.int32)
        self.out_tensor = torch.from_numpy(self.out)
        self.out_bare = roofline.aligned((1, BATCH, n_columns), np.int32)
        self.rng = np.random.default_rng(0)

    def refresh(self, contender):
        self.draws = list(self.rng.integers(0, self.n, (N_DRAWS, BATCH)))
        self.draws_torch = [torch.from_numpy(rows) for rows in self.draws]
        self.draws_bare = np.concatenate(self.draws).astype(np.uint32)

    def check(self, contender):
        self.refresh(contender)
        got = []
        contender(self, lambda batch: got.append(np.array(batch)))
        assert len(got) == N_DRAWS
        for rows, batch in zip(self.draws, got, strict=True):
            assert np.array_equal(batch, self.table[rows]), "rows differ"


# Every contender passes its batches to `keep` when it is checked, and to nobody when it is timed.


def numpy_index(stage, keep=None):
    table = stage.table
    for rows in stage.draws:
        out = table[rows]
        if keep is not None:
            keep(out)


def numpy_take(stage, keep=None):
    table, out = stage.table, stage.out
    for rows in stage.draws:
        np.take(table, rows, axis=0, out=out, mode="clip")
        if keep is not None:
            keep(out)


def torch_index_select(stage, keep=None):
    table, out = stage.tensor, stage.out_tensor
    for rows in stage.draws_torch:
        torch.index_select(table, 0, rows, out=out)
        if keep is not None:
            keep(out)


def fastbatch_take(stage, keep=None):
    table, out = stage.table, stage.out
    for rows in stage.draws:
        fb.take(table, rows, out=out)
        if keep is not None:
            keep(out)


def bare_loop_l1(stage, keep=None):
    seen = None if keep is None else lambda batch, _: keep(batch)
    roofline.gather(stage.table, None, stage.draws_bare, stage.out_bare, None, in_l2=False, keep=seen)


def bare_loop_l2(stage, keep=None):
    seen = None if keep is None else lambda batch, _: keep(batch)
    roofline.gather(stage.table, None, stage.draws_bare, stage.out_bare, None, in_l2=True, keep=seen)


CASES = [
    Case(
        name=f"take-{words.replace(' ', '')}",
        work=f"take 4096 random rows of {words} from 2 GB into out",
        stage=partial(Table, row_nbytes),
        contenders=(numpy_index, numpy_take, torch_index_select, fastbatch_take, bare_loop_l1, bare_loop_l2),
        goals=(Faster(fastbatch_take, (numpy_take,), times),),
    )
    for words, row_nbytes, times in [("64 B", 64, 3), ("256 B", 256, 1.6), ("1 KB", 1024, 1.5), ("4 KB", 4096, 1.1)]
]


def test_take(timed, stage, contender):
    timed(stage, contender)
