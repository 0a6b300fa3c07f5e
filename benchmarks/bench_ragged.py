"""Epochs over rows of different lengths, each batch padded to its longest row, with lengths and a mask."""

from functools import partial

import numpy as np
import torch

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage

torch.set_num_threads(1)  # one core for everyone

BATCH = 64
LONGEST = 256


class Sequences(Stage):
    """n rows of 1 to 256 int32, each beginning with its own number, as one array and as a list of its parts."""

    def __init__(self, n, calls, scale):
        n, self.calls = max(int(n * scale), BATCH), calls
        self.rng = np.random.default_rng(0)
        self.lengths = self.rng.integers(1, LONGEST + 1, n)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.values = self.rng.integers(1, 50_000, self.offsets[-1], dtype=np.int32)
        self.values[self.offsets[:-1]] = np.arange(n)
        self.arrays = np.split(self.values, self.offsets[1:-1])
        self.tensors = [torch.from_numpy(array) for array in self.arrays]
        self.lengths_tensor = torch.from_numpy(self.lengths)
        ragged = fb.Ragged(self.values, self.offsets)
        self.loader = fb.Loader(ragged, BATCH, shuffle=True, seed=0, threads=0, drop_last=True)
        self.tensor_loader = fb.Loader(ragged, BATCH, shuffle=True, seed=0, threads=0, drop_last=True, output="torch")
        self.units = n // BATCH

    def refresh(self, contender):
        self.batches = self.rng.permutation(len(self.lengths))[: self.units * BATCH].reshape(-1, BATCH)

    def check(self, contender):
        seen = []

        def keep(values, lengths, mask):
            values, lengths, mask = np.asarray(values), np.asarray(lengths), np.asarray(mask)
            rows = values[:, 0]
            assert np.array_equal(lengths, self.lengths[rows]), "rows and lengths do not belong together"
            assert values.shape == mask.shape == (BATCH, lengths.max()), "the batch is not as wide as its longest row"
            assert lengths.dtype == np.int64
            assert mask.dtype == np.bool_
            assert np.array_equal(mask, np.arange(lengths.max()) < lengths[:, None]), "the mask is another"
            assert np.array_equal(values[mask], np.concatenate([self.arrays[row] for row in rows])), "rows differ"
            assert not values[~mask].any(), "the padding is another"
            seen.append(rows.copy())

        self.refresh(contender)
        contender(self, keep)
        assert len(np.unique(np.concatenate(seen))) == self.units * BATCH, "a row is lost or doubled"


# Every contender passes its batches to `keep` when it is checked, and to nobody when it is timed.


def numpy_row_by_row(stage, keep=None):
    """As it is often written."""
    arrays = stage.arrays
    for rows in stage.batches:
        chosen = [arrays[row] for row in rows]
        lengths = np.array([len(array) for array in chosen])
        values = np.zeros((len(rows), lengths.max()), np.int32)
        for i, array in enumerate(chosen):
            values[i, : len(array)] = array
        mask = np.arange(values.shape[1]) < lengths[:, None]
        if keep is not None:
            keep(values, lengths, mask)


def numpy_scatter(stage, keep=None):
    """All rows one behind the other, written where the mask is."""
    table, offsets = stage.values, stage.offsets
    for rows in stage.batches:
        starts = offsets[rows]
        lengths = offsets[rows + 1] - starts
        mask = np.arange(lengths.max()) < lengths[:, None]
        ends = np.cumsum(lengths)
        values = np.zeros(mask.shape, np.int32)
        values[mask] = table[np.arange(ends[-1]) + np.repeat(starts + lengths - ends, lengths)]
        if keep is not None:
            keep(values, lengths, mask)


def numpy_concatenate(stage, keep=None):
    """The same from a list of arrays."""
    arrays = stage.arrays
    for rows in stage.batches:
        lengths = stage.lengths[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]
        values = np.zeros(mask.shape, np.int32)
        values[mask] = np.concatenate([arrays[row] for row in rows])
        if keep is not None:
            keep(values, lengths, mask)


def numpy_take(stage, keep=None):
    """As many elements of each row as of the longest, and then the padding."""
    table, offsets = stage.values, stage.offsets
    for rows in stage.batches:
        starts = offsets[rows]
        lengths = offsets[rows + 1] - starts
        columns = np.arange(lengths.max())
        mask = columns < lengths[:, None]
        values = np.take(table, starts[:, None] + columns, mode="clip")
        values *= mask
        if keep is not None:
            keep(values, lengths, mask)


def torch_pad_sequence(stage, keep=None):
    tensors = stage.tensors
    for rows in stage.batches:
        values = torch.nn.utils.rnn.pad_sequence([tensors[row] for row in rows], batch_first=True)
        lengths = stage.lengths_tensor[rows]
        mask = torch.arange(values.shape[1]) < lengths[:, None]
        if keep is not None:
            keep(values, lengths, mask)


def fastbatch_loader(stage, keep=None):
    for values, lengths, mask in stage.loader:
        if keep is not None:
            keep(values, lengths, mask)


def fastbatch_tensors(stage, keep=None):
    for values, lengths, mask in stage.tensor_loader:
        if keep is not None:
            keep(values, lengths, mask)


NUMPY = (numpy_row_by_row, numpy_scatter, numpy_concatenate, numpy_take)

CASES = [
    Case(
        name=f"ragged-{name}",
        work=f"pad 64 rows of 1 to 256 int32, of {size}, with lengths and mask",
        stage=partial(Sequences, n, calls),
        contenders=(*NUMPY, torch_pad_sequence, fastbatch_loader, fastbatch_tensors),
        goals=(Faster(fastbatch_loader, NUMPY, 10), Faster(fastbatch_tensors, (torch_pad_sequence,), 20)),
        unit="batch",
    )
    for name, n, size, calls in [("cached", 8_000, "4 MB", 60), ("large", 200_000, "103 MB", 3)]
]


def test_ragged(timed, stage, contender):
    timed(stage, contender)
