"""A shuffled order that takes no memory: its row numbers, batch after batch.

The table has rows of no bytes, so that a batch is its row numbers and nothing else.
"""

from functools import partial

import numpy as np
import torch

import fastbatch as fb
from benchmarks.measure import Case, Stage, Under

BATCH = 4096


class Numbers(Stage):
    """Rows of no bytes, and a Loader of their numbers for each way to order them."""

    def __init__(self, n, scale):
        self.n = self.units = int(n * scale)
        self.rng = np.random.default_rng(0)
        samplers = {
            fastbatch_sequential: fb.Sequential(self.n),
            fastbatch_exact: fb.Shuffle(self.n),
            fastbatch_streaming: fb.Shuffle(self.n, "streaming"),
        }
        nothing = np.empty((self.n, 0), np.uint8)
        self.loaders = {
            contender: fb.Loader(nothing, BATCH, sampler=sampler, seed=0, rows=True, threads=0)
            for contender, sampler in samplers.items()
        }

    def refresh(self, contender):
        np.empty(self.n, np.int64).fill(0)  # idle memory may go back to a virtual machine's host

    def check(self, contender):
        got = []
        contender(self, lambda rows: got.append(np.array(rows)))
        order = np.concatenate(got)
        assert order.dtype == np.int64
        is_in_order = np.all(order[1:] > order[:-1])
        assert is_in_order == (contender is fastbatch_sequential), "the order is another"
        seen = np.zeros(self.n, bool)
        seen[order] = True
        assert len(order) == self.n, "a row is doubled"
        assert seen.all(), "a row is lost"


def in_batches(order, keep):
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        if keep is not None:
            keep(rows)


def of_loader(loader, keep):
    for _nothing, rows in loader:
        if keep is not None:
            keep(rows)


def numpy_permutation(stage, keep=None):
    in_batches(stage.rng.permutation(stage.n), keep)


def torch_randperm(stage, keep=None):
    in_batches(torch.randperm(stage.n), keep)


def fastbatch_exact(stage, keep=None):
    of_loader(stage.loaders[fastbatch_exact], keep)


def fastbatch_streaming(stage, keep=None):
    of_loader(stage.loaders[fastbatch_streaming], keep)


def fastbatch_sequential(stage, keep=None):
    """Numbers that nobody has to draw: what it costs to hand them out."""
    of_loader(stage.loaders[fastbatch_sequential], keep)


CASES = [
    Case(
        name="streaming",
        work="row numbers of 1e8 rows in random order, batches of 4096",
        stage=partial(Numbers, 10**8),
        contenders=(numpy_permutation, torch_randperm, fastbatch_exact, fastbatch_streaming, fastbatch_sequential),
        goals=(Under(fastbatch_streaming, 2.5e-9, "under 2.5 ns per row"),),
        fewest=5,
    ),
]


def test_streaming(timed, stage, contender):
    timed(stage, contender)
