"""Feeding an epoch whose batches were planned: each rank has one of every step, handed in many at a time."""

from __future__ import annotations

import heapq

import numpy as np

from fastbatch._native.batches import BatchFeed, Epoch
from fastbatch.ranks import Ranks


class Steps:
    """What the batches of an epoch are to ranks, from a position on.

    W batches that follow each other are a step, one for each of W ranks. The last step has as many, too: its batches
    are split where they are fewer.

    Parameters
    ----------
    starts : int64 of shape (n_batches + 1,)
        Where each batch begins among the rows of the epoch, and where the last one ends.
    position : int
        Rows before it have come. Inside a batch, the rest of it is one.
    ranks : Ranks

    Attributes
    ----------
    begins, ends : int64 of shape (n_steps,)
        Where the batch of this rank lies in each step.
    reached : int64 of shape (n_steps,)
        Where each step ends, of all ranks.
    """

    def __init__(self, starts: np.ndarray, position: int, ranks: Ranks) -> None:
        bounds = np.append(position, starts[np.searchsorted(starts, position, side="right") :])
        world_size, n_batches = ranks.world_size, len(bounds) - 1
        n_whole = n_batches // world_size * world_size
        self.begins = bounds[ranks.rank : n_whole : world_size]
        self.ends = bounds[ranks.rank + 1 : n_whole + 1 : world_size]
        self.reached = bounds[world_size : n_whole + 1 : world_size]
        if n_whole < n_batches:
            begin, end = share_of(bounds[n_whole:].tolist(), ranks)
            self.begins, self.ends = np.append(self.begins, begin), np.append(self.ends, end)
            self.reached = np.append(self.reached, bounds[-1])

    def __len__(self) -> int:
        """How many."""
        return len(self.begins)


def share_of(bounds: list[int], ranks: Ranks) -> tuple[int, int]:
    """Where the batch of a rank begins and ends, in a step that has fewer batches than there are ranks.

    As long as there are too few, the one of most rows is cut into one more part, all of them near-even. Of fewer rows
    than ranks the last ranks have none, or with "wrap" the first ones once more.
    """
    n_parts = [1] * (len(bounds) - 1)
    largest = [(bounds[i] - bounds[i + 1], i) for i in range(len(n_parts))]  # of its parts, negative
    heapq.heapify(largest)
    for _ in range(min(ranks.world_size, bounds[-1] - bounds[0]) - len(n_parts)):
        i = largest[0][1]
        n_parts[i] += 1
        heapq.heapreplace(largest, ((bounds[i] - bounds[i + 1]) // n_parts[i], i))
    cuts = [bounds[0]]
    for i, n in enumerate(n_parts):
        size, n_longer = divmod(bounds[i + 1] - bounds[i], n)
        for part in range(n):
            cuts.append(cuts[-1] + size + (part < n_longer))
    rank = ranks.rank
    if rank >= len(cuts) - 1:
        if ranks.uneven == "exact":
            return bounds[-1], bounds[-1]
        rank %= len(cuts) - 1
    return cuts[rank], cuts[rank + 1]


class PlannedFeed:
    """One epoch of planned batches: what the engine asks for rows when it needs them.

    Parameters
    ----------
    n : int
        Rows of the data.
    rows : row numbers, as the native layer has them
        Of the epoch, batch after batch.
    steps : Steps
    position : int
        Where they begin.
    """

    def __init__(self, n: int, rows: np.ndarray, steps: Steps, position: int) -> None:
        self._position, self._reached = position, steps.reached
        self._own_ends = position + np.cumsum(steps.ends - steps.begins)  # as the epoch counts rows of this rank
        self._feed = BatchFeed(n, rows, steps.begins.astype(np.uint64), steps.ends.astype(np.uint64))

    def __call__(self, epoch: Epoch) -> bool:
        """Hand in some batches; False at the end."""
        return self._feed(epoch)

    def place(self, epoch: Epoch) -> tuple[int, None]:
        """The position reached, of all ranks; nothing else is needed to begin there."""
        n_delivered = epoch.n_delivered
        n_reached = min(int(np.searchsorted(self._own_ends, epoch.position, side="right")), n_delivered)
        return int(self._reached[n_reached - 1]) if n_reached > 0 else self._position, None

    def make_lock(self) -> None:
        """It has none."""
