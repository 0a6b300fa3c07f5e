"""One shuffled epoch over (X, y): the stage, and the loops that people write.

Every loop does nothing with its batches when it is timed; when it is checked it passes each to `keep`.
"""

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import fastbatch as fb
from benchmarks import roofline
from benchmarks.measure import Stage

# One core for everyone (bench_engine.py has the threads): with more, torch sometimes stalls in its thread pool for
# longer than an epoch.
torch.set_num_threads(1)


class Epoch(Stage):
    """X: n rows of n_columns float32. y: the row's own number as its label, so that a batch can be checked."""

    def __init__(self, n, n_columns, batch, *, calls=1):
        self.n, self.units, self.batch, self.calls = n, n, batch, calls
        self.X = np.empty((n, n_columns), np.float32)
        np.add(np.arange(n)[:, None], np.arange(n_columns), out=self.X, casting="unsafe")
        self.y = np.arange(n)
        self.X_tensor, self.y_tensor = torch.from_numpy(self.X), torch.from_numpy(self.y)
        self.rng = np.random.default_rng(0)

        self.loader = fb.Loader((self.X, self.y), batch, shuffle=True, seed=0, threads=0)
        self.tensor_loader = fb.Loader((self.X_tensor, self.y_tensor), batch, shuffle=True, seed=0, threads=0)
        self.dataloader = DataLoader(TensorDataset(self.X_tensor, self.y_tensor), batch_size=batch, shuffle=True)

        self.order = np.arange(n, dtype=np.uint32)
        self.out_x = roofline.aligned((2, batch, n_columns), np.float32)
        self.out_y = roofline.aligned((2, batch), np.int64)

    def refresh(self, contender):
        """A new order for those that are given one: a predictor learns an order that is repeated."""
        if contender in GIVEN_ORDER:
            self.rng.shuffle(self.order)
        if contender is fastbatch_given_order:
            self.given_loader = fb.Loader((self.X, self.y), self.batch, sampler=self.order, threads=0)

    def check(self, contender):
        ids = []

        def keep(x_batch, y_batch):
            rows = np.array(y_batch)
            assert len(rows) <= self.batch
            assert np.array_equal(np.asarray(x_batch), self.X[rows]), "rows and labels do not belong together"
            ids.append(rows)

        self.refresh(contender)
        contender(self, keep)
        order = np.concatenate(ids)
        assert not np.array_equal(order, np.arange(self.n)), "the epoch is not shuffled"
        assert np.array_equal(np.sort(order), np.arange(self.n)), "a row is lost or doubled"


def numpy_index(stage, keep=None):
    X, y, n, batch = stage.X, stage.y, stage.n, stage.batch
    order = stage.rng.permutation(n)
    for start in range(0, n, batch):
        rows = order[start : start + batch]
        x_batch, y_batch = X[rows], y[rows]
        if keep is not None:
            keep(x_batch, y_batch)


def numpy_take(stage, keep=None):
    """The strongest NumPy loop: nothing allocated, and the method, because the function np.take costs 1 us a call."""
    X, y, n, batch = stage.X, stage.y, stage.n, stage.batch
    x_batch, y_batch = np.empty((batch, *X.shape[1:]), X.dtype), np.empty(batch, y.dtype)
    order = stage.rng.permutation(n)
    for start in range(0, n, batch):
        rows = order[start : start + batch]
        if len(rows) < batch:
            x_batch, y_batch = x_batch[: len(rows)], y_batch[: len(rows)]
        X.take(rows, axis=0, out=x_batch, mode="clip")
        y.take(rows, axis=0, out=y_batch, mode="clip")
        if keep is not None:
            keep(x_batch, y_batch)


def torch_index_select(stage, keep=None):
    X, y, n, batch = stage.X_tensor, stage.y_tensor, stage.n, stage.batch
    x_batch, y_batch = torch.empty((batch, *X.shape[1:]), dtype=X.dtype), torch.empty(batch, dtype=y.dtype)
    order = torch.randperm(n)
    for start in range(0, n, batch):
        rows = order[start : start + batch]
        if len(rows) < batch:
            x_batch, y_batch = x_batch[: len(rows)], y_batch[: len(rows)]
        torch.index_select(X, 0, rows, out=x_batch)
        torch.index_select(y, 0, rows, out=y_batch)
        if keep is not None:
            keep(x_batch, y_batch)


def torch_dataloader(stage, keep=None):
    for x_batch, y_batch in stage.dataloader:
        if keep is not None:
            keep(x_batch, y_batch)


def fastbatch_loader(stage, keep=None):
    for x_batch, y_batch in stage.loader:
        if keep is not None:
            keep(x_batch, y_batch)


def fastbatch_tensors(stage, keep=None):
    for x_batch, y_batch in stage.tensor_loader:
        if keep is not None:
            keep(x_batch, y_batch)


def fastbatch_given_order(stage, keep=None):
    for x_batch, y_batch in stage.given_loader:
        if keep is not None:
            keep(x_batch, y_batch)


def bare_loop_l1(stage, keep=None):
    roofline.gather(stage.X, stage.y, stage.order, stage.out_x, stage.out_y, in_l2=False, keep=keep)


def bare_loop_l2(stage, keep=None):
    roofline.gather(stage.X, stage.y, stage.order, stage.out_x, stage.out_y, in_l2=True, keep=keep)


GIVEN_ORDER = {fastbatch_given_order, bare_loop_l1, bare_loop_l2}
