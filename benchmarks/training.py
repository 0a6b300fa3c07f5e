"""Training of a small network on the CPU: the stage, and what torch's own DataLoader does for it."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import fastbatch as fb
from benchmarks.measure import elapsed
from benchmarks.steps import Steps


def training_step():
    """Forward, backward and a step of SGD for a network of three layers."""
    model = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    cross_entropy = nn.CrossEntropyLoss()

    def step(batch):
        x, labels = batch
        optimizer.zero_grad()
        cross_entropy(model(x), labels).backward()
        optimizer.step()

    return step


class Training(Steps):
    """A network of three layers, 1 M x 128 float32, batches of 512, of which a repeat takes the next 300.

    torch has two threads, as by default on two cores. The first two columns hold the thousands and the rest of the
    row's number, so that a batch can be checked.
    """

    def __init__(self, scale):
        n = int(1_000_000 * scale)
        X = np.random.default_rng(0).standard_normal((n, 128), np.float32)
        X[:, 0], X[:, 1] = np.divmod(np.arange(n), 1000)
        X[:, :2] /= 1000
        y = np.arange(n) % 10
        super().__init__(X, y, 512, n_batches=int(300 * scale), make_step=training_step, n_torch_threads=2)
        self.tensors = (torch.from_numpy(X), torch.from_numpy(y))

    def rows_of(self, x_batch, _y_batch):
        thousands, units = np.rint(x_batch[:, :2].astype(float) * 1000).T
        return (thousands * 1000 + units).astype(np.int64)

    def fastbatch(self, threads):
        return self.next_of(
            f"threads={threads}", lambda: fb.Loader(self.tensors, self.batch, shuffle=True, seed=0, threads=threads)
        )

    def dataloader(self, num_workers):
        return self.next_of(
            f"num_workers={num_workers}",
            lambda: DataLoader(TensorDataset(*self.tensors), self.batch, shuffle=True, num_workers=num_workers),
        )


def waiting_share(contender, stage):
    """Seconds of all `next` per second of the repeat."""
    stage.waits = []
    seconds = elapsed(contender, stage)
    waits, stage.waits = stage.waits, None
    return sum(waits) / seconds


def torch_dataloader_0(stage, keep=None):
    stage.consume(stage.dataloader(num_workers=0), keep)


def torch_dataloader_2(stage, keep=None):
    stage.consume(stage.dataloader(num_workers=2), keep)
