"""Feeding an epoch: what a user's sampler gives is drawn under the GIL, checked, and handed to the engine as rows."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastbatch._native.batches import Epoch
from fastbatch._native.take import check_rows
from fastbatch.arguments import as_integer
from fastbatch.ranks import Ranks, cut

#: What no iterable gives.
END = object()


class Feed:
    """One epoch of a `UserSampler`: what the engine asks for rows when it needs them.

    Parameters
    ----------
    items : iterator
        Of row numbers, index arrays, or batches.
    snapshot : callable or None
        What gives the sampler's state, where it keeps one.
    batch_size : int or None
        None: each item is a batch.
    position : int
        Rows of the epoch delivered before.
    skip : int
        Rows of the first item among them.

    Attributes
    ----------
    batch_size : int or None
    """

    def __init__(
        self,
        items: Iterator[Any],
        snapshot: Callable[[], Any] | None,
        batch_size: int | None,
        position: int,
        skip: int,
    ) -> None:
        self._items = items
        self._snapshot = snapshot
        self.batch_size = batch_size
        self._skip = skip
        self._fed = position - skip
        self._ended = False
        # Where each item begins that was drawn and not delivered, and the sampler's state before it was.
        self._begun: deque[tuple[int, Any]] = deque()
        self.make_lock()

    def make_lock(self) -> None:
        """A lock over what is noted, also in a child after a fork. Nobody holds it while items are drawn."""
        self._lock = threading.RLock()  # reentrant, because a sampler's state_dict may ask for the place

    def set_batch_size(self, epoch: Epoch, batch_size: int) -> None:
        """From the next batch on. What was drawn for others is cut anew."""
        self.batch_size = batch_size
        epoch.set_batch_size(batch_size)

    def position_drawn(self, epoch: Epoch) -> int:
        """Where the next batch begins, whether or not the user has all those before."""
        return epoch.delivered

    def place(self, epoch: Epoch) -> tuple[int, Any]:
        """The position reached, and what brings a fresh sampler there, whatever other threads draw meanwhile."""
        with self._lock:
            position = self._reached(epoch)
            return position, self.state(position)

    def state(self, position: int) -> dict[str, Any] | None:
        """What brings a fresh sampler to `position`: its state before an item, and rows of that item to skip."""
        if self._snapshot is None:
            return None
        self._forget_before(position)
        if not self._begun:
            return {"state": self._snapshot(), "skip": 0}
        begin, before = self._begun[0]
        return {"state": before, "skip": position - begin}

    def _forget_before(self, position: int) -> None:
        """Drop items that were delivered whole, but not the last: at its end a sampler may have begun anew."""
        while len(self._begun) > 1 and self._begun[1][0] <= position:
            self._begun.popleft()
        if len(self._begun) == 1 and self._begun[0][0] < self._fed <= position and not self._ended:
            self._begun.popleft()

    def __call__(self, epoch: Epoch) -> bool:
        """Hand in the next item, or for single rows as many as complete a batch; False at the end.

        Raises
        ------
        ValueError
            A batch is empty.
        """
        batch_size = self.batch_size  # which other threads may change
        wanted = None if batch_size is None else batch_size - epoch.n_waiting % batch_size
        rows = self._draw(epoch, wanted)
        while rows is not None and len(rows) == 0 and batch_size is not None:  # delivered before, or empty
            rows = self._draw(epoch, wanted)
        if rows is None:
            return False
        epoch.feed(rows)
        return True

    def _draw(self, epoch: Epoch, wanted: int | None) -> Any:
        """The rows of the next item, or up to `wanted` of an iterable of single rows; None at the end.

        Raises
        ------
        ValueError
            A batch is empty.
        """
        if self._ended:
            return None
        # Noted before anything is drawn: should that fail or take long, the state is that of the place reached.
        with self._lock:
            self._forget_before(self._reached(epoch))
            self._begun.append((self._fed, self._snapshot() if self._snapshot is not None else None))
        rows: Any = next(self._items, END)
        if rows is END:
            self._ended = True
            return None
        if wanted is not None and np.ndim(rows) == 0:
            wanted += self._skip
            rows = [as_integer(row, "a row number") for row in (rows, *itertools.islice(self._items, wanted - 1))]
            self._ended = len(rows) < wanted
        rows = check_rows(rows, epoch.n_rows).reshape(-1)
        if wanted is None and len(rows) == 0:
            raise ValueError("a batch_sampler must not give an empty batch")
        self._fed += len(rows)
        skip = min(self._skip, len(rows))
        self._skip -= skip
        return rows[skip:]

    def _reached(self, epoch: Epoch) -> int:
        """The position up to which rows were delivered."""
        return epoch.position


class Cut(NamedTuple):
    """A batch that was fed, and is kept until it is delivered.

    Attributes
    ----------
    number : int
        The engine's.
    own_end, end : int
        Where it ends among the rows of this rank, and of all.
    rows : ndarray
        Of all ranks.
    """

    number: int
    own_end: int
    end: int
    rows: Any


class SharedFeed(Feed):
    """One rank's slices of what a `UserSampler` gives: all ranks draw the same.

    Parameters
    ----------
    ranks : Ranks
    head : list of int or None
        The first rows of the epoch, where they were drawn before.
    drop_last : bool
    """

    def __init__(
        self,
        items: Iterator[Any],
        snapshot: Callable[[], Any] | None,
        batch_size: int | None,
        position: int,
        skip: int,
        ranks: Ranks,
        head: list[int] | None,
        *,
        drop_last: bool,
    ) -> None:
        super().__init__(items, snapshot, batch_size, position, skip)
        self._ranks, self._drop_last = ranks, drop_last
        self._head = [] if head is None else list(head)
        self._wants_head = head is None
        self._left = np.empty(0, np.int64)  # drawn, and in no batch
        self._n_delivered, self._n_cut = position, position
        self._n_fed = position  # rows of this rank: the engine counts them from there
        self._n_batches = 0
        self._cuts: deque[Cut] = deque()

    def state(self, position: int) -> dict[str, Any] | None:
        """What brings a fresh sampler to `position`."""
        state = super().state(position)
        return state if state is None else {**state, "head": self._head}

    def _reached(self, epoch: Epoch) -> int:
        """The position up to which rows were delivered, of all ranks."""
        n_delivered = epoch.n_delivered
        while self._cuts and self._cuts[0].own_end <= epoch.position and self._cuts[0].number < n_delivered:
            self._n_delivered = self._cuts.popleft().end
        return self._n_delivered

    def position_drawn(self, epoch: Epoch) -> int:
        """Where the next batch of all ranks begins, whether or not the user has all those before."""
        n_delivered = epoch.n_delivered
        with self._lock:
            return max([cut.end for cut in self._cuts if cut.number < n_delivered], default=self._n_delivered)

    def make_lock(self) -> None:
        """Another one over what is cut, so that a size does not change in the middle."""
        super().make_lock()
        self._cutting = threading.RLock()  # reentrant, because a sampler may change the size

    def set_batch_size(self, epoch: Epoch, batch_size: int) -> None:
        """From the next batch on. What was drawn for others is cut anew."""
        with self._cutting:
            self._cut_anew(epoch, batch_size)

    def _cut_anew(self, epoch: Epoch, batch_size: int) -> None:
        was_over = epoch.forget_fed()
        n_delivered, reached = epoch.n_delivered, self.position_drawn(epoch)
        with self._lock:
            dropped = [cut for cut in self._cuts if cut.number >= n_delivered]
            self._cuts = deque(cut for cut in self._cuts if cut.number < n_delivered)
            self._left = np.concatenate([*(cut.rows for cut in dropped), self._left])
        self.batch_size = batch_size
        self._n_batches, self._n_cut, self._n_fed = n_delivered, reached, epoch.delivered
        wanted = batch_size * self._ranks.world_size
        while len(self._left) >= (1 if was_over and not self._drop_last else wanted):
            self._feed_rows(epoch, wanted)
        if was_over:
            epoch.end_feed()

    def __call__(self, epoch: Epoch) -> bool:
        """Hand in this rank's slice of the next batch of all ranks; False at the end."""
        with self._cutting:
            return self._feed_batch(epoch) if self.batch_size is None else self._feed_next(epoch, self.batch_size)

    def _feed_next(self, epoch: Epoch, batch_size: int) -> bool:
        wanted = batch_size * self._ranks.world_size
        while len(self._left) < wanted:
            rows = self._draw(epoch, wanted - len(self._left))
            if rows is None:
                break
            if self._wants_head and len(self._head) < self._ranks.world_size:
                self._head += rows[: self._ranks.world_size - len(self._head)].tolist()
            self._left = np.concatenate([self._left, rows.astype(np.int64)])
        if len(self._left) < (wanted if self._drop_last else 1):
            return False
        self._feed_rows(epoch, wanted)
        return True

    def _feed_rows(self, epoch: Epoch, wanted: int) -> None:
        """A batch of the next rows that are left."""
        rows, self._left = self._left[:wanted], self._left[wanted:]
        self._feed_cut(epoch, *cut(rows, self._head, self._ranks), rows)

    def _feed_cut(self, epoch: Epoch, own: Any, first: int, rows: Any) -> None:
        """A batch: the rows of this rank, where they begin among those of all, and those of all."""
        epoch.feed(own, self._n_cut + first)
        self._n_cut += len(rows)
        self._n_fed += len(own)
        with self._lock:
            self._cuts.append(Cut(self._n_batches, self._n_fed, self._n_cut, rows))
        self._n_batches += 1

    def _feed_batch(self, epoch: Epoch) -> bool:
        """The batch of this rank: each takes one in turn. False at the end."""
        batches: list[Any] = []
        while len(batches) < self._ranks.world_size and (batch := self._draw(epoch, None)) is not None:
            batches.append(batch)
        if not batches:
            return False
        rank = self._ranks.rank
        if rank >= len(batches) and self._ranks.uneven == "wrap":
            rank %= len(batches)
        own = batches[rank] if rank < len(batches) else []
        self._feed_cut(epoch, own, sum(map(len, batches[:rank])), np.concatenate(batches))
        return True
