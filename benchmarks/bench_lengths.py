"""Rows that have lengths: batches by their padded size, neighbours of like length, several sequences in a row.

A million lengths from 1 to 512, distributed as those of sentences are (log-normally).
"""

from bisect import bisect_left

import numpy as np

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage, Under

TOKENS = 16_384
N_ROWS = 10**6


def padding(lengths, order, starts):
    """The share of padding, where the batches that begin at `starts` are padded to their longest row."""
    widths = np.maximum.reduceat(lengths[order], starts)
    return 1 - lengths.sum() / (widths @ np.diff(starts, append=len(order)))


class Lengths(Stage):
    def __init__(self, scale):
        self.n = self.units = int(N_ROWS * scale)
        self.rng = np.random.default_rng(0)
        self.lengths = np.clip(np.exp(self.rng.normal(4, 1, self.n)), 1, 512).astype(np.int64)
        self.epoch = 0

    def check_rows(self, order):
        assert np.array_equal(np.sort(order), np.arange(self.n)), "a row is lost or doubled"
        assert not np.array_equal(order, np.arange(self.n)), "the rows are in order"


class Budget(Lengths):
    """Batches of at most 16,384 tokens, padding included; a contender gives the rows and where batches begin."""

    def __init__(self, scale):
        super().__init__(scale)
        self.sampler = fb.TokenBudget(self.lengths, TOKENS)
        self.window = self.sampler.window
        by_length = np.argsort(self.lengths, kind="stable")
        self.least = padding(self.lengths, by_length, np.array(cut(self.lengths[by_length].tolist())))

    def check(self, contender):
        order, starts = contender(self)
        self.check_rows(order)
        sizes = np.maximum.reduceat(self.lengths[order], starts) * np.diff(starts, append=self.n)
        assert sizes.max() <= TOKENS, "a batch is too large"
        assert np.count_nonzero(np.diff(self.lengths[order[starts]]) < 0) > len(starts) / 4, "the batches are in order"
        assert padding(self.lengths, order, starts) <= self.least + 0.03, "there is more padding than has to be"


class Windows(Lengths):
    """The same rows, 16,384 of which are sorted together, in blocks of 64: a contender gives the order."""

    block, window = 64, 16_384

    def __init__(self, scale):
        super().__init__(scale)
        self.sampler = fb.Bucketed(self.lengths, window=self.window, block=self.block)

    def check(self, contender):
        order = contender(self)
        self.check_rows(order)
        starts = np.arange(0, self.n, self.block)
        assert padding(self.lengths, order, starts) < 0.03, "there is more padding than has to be"


class Sequences(Lengths):
    """The same, to be packed into rows of 2,048 tokens; a contender gives the sequences, and how many each row has."""

    context = 2048

    def check(self, contender):
        sequences, counts = contender(self)
        self.check_rows(sequences)
        of_rows = np.add.reduceat(self.lengths[sequences], np.cumsum([0, *counts[:-1]]))
        assert of_rows.max() <= self.context, "a row has too many tokens"
        fewest = -(-self.lengths.sum() // self.context)
        assert len(counts) <= 1.01 * fewest + 1, "there are more rows than have to be"


class Epoch(Stage):
    """Batches of about 8 short rows, which are numbers: what a batch costs, whatever is in it."""

    def __init__(self, scale):
        n = int(200_000 * scale)
        self.x = np.arange(n)
        sampler = fb.TokenBudget(np.random.default_rng(0).integers(1, 9, n), 64)
        self.batches = sampler.batches(0, 0)
        self.units = len(self.batches)
        self.planned = fb.Loader(self.x, batch_sampler=sampler, seed=0, threads=0)
        self.listed = fb.Loader(self.x, batch_sampler=self.batches, seed=0, threads=0)

    def refresh(self, contender):
        self.planned.set_epoch(0)

    def check(self, contender):
        self.refresh(contender)
        got = []
        contender(self, got.append)
        assert len(got) == self.units
        assert all(map(np.array_equal, got, self.batches))


def cut(lengths):
    """Where the batches begin, row after row."""
    starts, first, longest = [], 0, 0
    for i, length in enumerate(lengths):
        longest = max(longest, length)
        if i == first or (i + 1 - first) * longest > TOKENS:
            starts.append(i)
            first, longest = i, length
    return starts


def cut_by_halving(lengths, first):
    """The same within one window of rising lengths, where a batch's end is found in a few steps."""
    starts, at = [], 0
    while at < len(lengths):
        starts.append(first + at)
        low, high = 1, len(lengths) - at
        while low < high:
            middle = (low + high + 1) // 2
            if middle * lengths[at + middle - 1] <= TOKENS:
                low = middle
            else:
                high = middle - 1
        at += low
    return starts


def shuffle_batches(rng, rows, starts):
    batches = np.split(rows, starts[1:])
    order = rng.permutation(len(batches))
    sizes = np.array([len(batch) for batch in batches])[order]
    return np.concatenate([batches[i] for i in order]), np.concatenate([[0], np.cumsum(sizes[:-1])])


def python_greedy(stage):
    """As it is often written: Python's sort in each window, and one row after the other."""
    rows = stage.rng.permutation(stage.n).tolist()
    lengths = stage.lengths.tolist()
    for first in range(0, stage.n, stage.window):
        rows[first : first + stage.window] = sorted(rows[first : first + stage.window], key=lengths.__getitem__)
    return shuffle_batches(stage.rng, np.array(rows), cut([lengths[row] for row in rows]))


def sorted_in_windows(stage):
    """A random order, each window of it sorted by length: one sort of small numbers."""
    rows = stage.rng.permutation(stage.n)
    keys = (np.arange(stage.n) // stage.window).astype(np.int32) * 1024 + stage.lengths[rows].astype(np.int32)
    return rows[np.argsort(keys, kind="stable")]


def numpy_windows(stage):
    """As it is written well: one sort for all windows, and a few steps for each batch."""
    rows = sorted_in_windows(stage)
    lengths, starts = stage.lengths[rows], []
    for first in range(0, stage.n, stage.window):
        starts += cut_by_halving(lengths[first : first + stage.window].tolist(), first)
    return shuffle_batches(stage.rng, rows, starts)


def fastbatch_token_budget(stage):
    """What a Loader does when an epoch begins."""
    stage.epoch += 1
    plan = stage.sampler.plan((0, 0), stage.epoch)
    return plan.rows, plan.starts[:-1]


def numpy_blocks(stage):
    rows = sorted_in_windows(stage)
    n_whole = stage.n // stage.window * stage.window
    windows = rows[:n_whole].reshape(-1, stage.window // stage.block, stage.block)
    shuffled = [stage.rng.permutation(window) for window in windows]
    rest = rows[n_whole:]
    n_blocks = len(rest) // stage.block
    blocks = stage.rng.permutation(rest[: n_blocks * stage.block].reshape(n_blocks, stage.block))
    return np.concatenate([*(window.ravel() for window in shuffled), blocks.ravel(), rest[n_blocks * stage.block :]])


def fastbatch_bucketed(stage):
    stage.epoch += 1
    return stage.sampler.order(0, stage.epoch)


def python_best_fit(stage):
    """As it can be in Python: the longest first, each into the row with the least room that suffices."""
    lengths = stage.lengths.tolist()
    rows, rooms, of_room = [], [], {}  # rooms: those that some row has, rising
    for sequence in np.argsort(-stage.lengths, kind="stable").tolist():
        length = lengths[sequence]
        place = bisect_left(rooms, length)
        if place == len(rooms):
            row, room = len(rows), stage.context
            rows.append([])
        else:
            room = rooms[place]
            row = of_room[room].pop()
            if not of_room[room]:
                del rooms[place]
        rows[row].append(sequence)
        room -= length
        if not of_room.setdefault(room, []):
            rooms.insert(bisect_left(rooms, room), room)
        of_room[room].append(row)
    return np.concatenate([np.array(row) for row in rows]), [len(row) for row in rows]


def fastbatch_first_fit(stage):
    packing = fb.FirstFit(stage.lengths, stage.context)
    return packing.sequences, np.diff(packing.offsets)


def numpy_index(stage, keep=None):
    for rows in stage.batches:
        batch = stage.x[rows]
        if keep is not None:
            keep(batch)


def fastbatch_listed(stage, keep=None):
    """A Loader that is given the batches, each an array."""
    for batch in stage.listed:
        if keep is not None:
            keep(batch)


def fastbatch_planned(stage, keep=None):
    for batch in stage.planned:
        if keep is not None:
            keep(batch)


CASES = [
    Case(
        name="token-budget",
        work="1e6 lengths from 1 to 512 into batches of 16,384 tokens, padding included",
        stage=Budget,
        contenders=(python_greedy, numpy_windows, fastbatch_token_budget),
        goals=(
            Under(fastbatch_token_budget, 0.1 / N_ROWS, "1e6 lengths under 0.1 s"),
            Faster(fastbatch_token_budget, (numpy_windows,), 5),
        ),
        fewest=5,
    ),
    Case(
        name="bucketed",
        work="Bucketed order, 1e6 lengths, windows of 16,384, blocks of 64",
        stage=Windows,
        contenders=(numpy_blocks, fastbatch_bucketed),
        goals=(Faster(fastbatch_bucketed, (numpy_blocks,), 5),),
    ),
    Case(
        name="first-fit",
        work="1e6 sequences from 1 to 512 packed into rows of 2,048",
        stage=Sequences,
        contenders=(python_best_fit, fastbatch_first_fit),
        goals=(Faster(fastbatch_first_fit, (python_best_fit,), 20),),
        fewest=5,
    ),
    Case(
        name="token-budget-batches",
        work="batches of 8 numbers by a TokenBudget, or by a list of arrays",
        stage=Epoch,
        contenders=(numpy_index, fastbatch_listed, fastbatch_planned),
        goals=(Faster(fastbatch_planned, (fastbatch_listed,), 3),),
        unit="batch",
    ),
]


def test_lengths(timed, stage, contender):
    timed(stage, contender)
