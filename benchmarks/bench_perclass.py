"""Groups of some rows of each of some classes: the order of an epoch, and its batches."""

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage
from benchmarks.optional import needs

torch.set_num_threads(1)  # one core for everyone

N_TOGETHER, N_SAMPLES = 32, 4
BATCH = N_TOGETHER * N_SAMPLES


class Labels(Stage):
    """100,000 labels of classes of about 100 rows each, in random order."""

    def __init__(self, scale):
        self.n = int(100_000 * scale)
        n_classes = max(self.n // 100, 2 * N_TOGETHER)
        self.rng = np.random.default_rng(0)
        self.labels = self.rng.permutation(np.arange(self.n) % n_classes)
        self.members = np.split(np.argsort(self.labels, kind="stable"), np.cumsum(np.bincount(self.labels))[:-1])
        self.sampler = fb.PerClass(self.labels, N_TOGETHER, N_SAMPLES)
        self.units = len(self.sampler)
        self.epoch = 0
        self.rival = None  # made at the first call, when a contender is checked

    def check_groups(self, order):
        assert len(order) == self.units, "the epoch has another length"
        groups = np.asarray(order).reshape(-1, BATCH)
        for group, of_each in zip(groups, self.labels[groups], strict=True):
            counts = np.unique(of_each, return_counts=True)[1]
            assert np.array_equal(counts, np.full(N_TOGETHER, N_SAMPLES)), "a group has other classes"
            assert len(np.unique(group)) == BATCH, "a row comes twice in a group"

    def check(self, contender):
        order = contender(self)
        assert np.asarray(order).dtype == np.int64
        self.check_groups(order)

    @property
    def metric_learning(self):
        """MPerClassSampler for an epoch of the same length."""
        if self.rival is None:
            from pytorch_metric_learning.samplers import MPerClassSampler

            self.rival = MPerClassSampler(self.labels, N_SAMPLES, BATCH, length_before_new_iter=self.units)
        return self.rival


class Batches(Labels):
    """Tensors of 16 float32, the first of them the row's own number, and the labels."""

    def __init__(self, scale):
        super().__init__(scale)
        self.X = torch.rand(self.n, 16)
        self.X[:, 0] = torch.arange(self.n)
        self.y = torch.from_numpy(self.labels)
        self.loader = fb.Loader((self.X, self.y), BATCH, sampler=self.sampler, seed=0, threads=0)

    def dataloader(self, sampler):
        return DataLoader(TensorDataset(self.X, self.y), batch_size=BATCH, sampler=sampler)

    def check(self, contender):
        got = []

        def keep(x_batch, y_batch):
            rows = x_batch[:, 0].long()
            assert torch.equal(x_batch, self.X[rows]), "these are no rows of the table"
            assert torch.equal(y_batch, self.y[rows]), "rows and labels do not belong together"
            got.append(rows.numpy())

        contender(self, keep)
        self.check_groups(np.concatenate(got))


def numpy_choice(stage):
    """As it is often written; the rows were sorted by class once and for all."""
    rng, members = stage.rng, stage.members
    return np.concatenate(
        [
            rng.choice(members[label], N_SAMPLES, replace=False)
            for _ in range(stage.units // BATCH)
            for label in rng.choice(len(members), N_TOGETHER, replace=False)
        ]
    )


@needs("pytorch-metric-learning")
def metric_learning_sampler(stage):
    """Its list of row numbers, as an array."""
    return np.fromiter(stage.metric_learning, np.int64, stage.units)


def fastbatch_perclass(stage):
    stage.epoch += 1
    return stage.sampler.order(0, stage.epoch)


def numpy_index(stage, keep=None):
    order = torch.from_numpy(numpy_choice(stage))
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        x_batch, y_batch = stage.X[rows], stage.y[rows]
        if keep is not None:
            keep(x_batch, y_batch)


@needs("pytorch-metric-learning")
def metric_learning_dataloader(stage, keep=None):
    """Torch's DataLoader with MPerClassSampler, as its documentation has it."""
    for x_batch, y_batch in stage.dataloader(stage.metric_learning):
        if keep is not None:
            keep(x_batch, y_batch)


def fastbatch_loader(stage, keep=None):
    for x_batch, y_batch in stage.loader:
        if keep is not None:
            keep(x_batch, y_batch)


WORK = f"groups of {N_TOGETHER} x {N_SAMPLES} of 1000 classes"

CASES = [
    Case(
        name="perclass-order",
        work=f"PerClass order, {WORK}",
        stage=Labels,
        contenders=(numpy_choice, metric_learning_sampler, fastbatch_perclass),
        goals=(Faster(fastbatch_perclass, (metric_learning_sampler,), 50),),
    ),
    Case(
        name="perclass-epoch",
        work=f"PerClass epoch, {WORK}, 64 B + label, torch tensors",
        stage=Batches,
        contenders=(numpy_index, metric_learning_dataloader, fastbatch_loader),
        goals=(Faster(fastbatch_loader, (metric_learning_dataloader,), 50),),
    ),
]


def test_perclass(timed, stage, contender):
    timed(stage, contender)
