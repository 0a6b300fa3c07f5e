"""Samplers that users bring: iterables of row numbers, drawn under the GIL, checked and handed to the engine."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastbatch._native.engine import Batches
from fastbatch._native.sampler import Fed
from fastbatch._native.take import check_rows
from fastbatch.samplers import Sampler, Sequential, Shuffle

#: Rows of a long index array handed over at once.
PIECE_ROWS = 1 << 16


class UserSampler:
    """An iterable of row numbers, or of batches of them.

    Parameters
    ----------
    iterable : iterable of int, or of index arrays
        With `batches`, each item is one batch. Its ``set_epoch(epoch)`` is called before an epoch, if it has one.
    n : int
        Rows of the data: row numbers are checked against it.
    batches : bool
        Whether items are batches (torch's ``batch_sampler``) or a stream of rows (``sampler``).
    """

    def __init__(self, iterable: Iterable[Any], n: int, *, batches: bool) -> None:
        if not isinstance(iterable, Iterable):
            raise TypeError(
                f"a sampler must be one of fastbatch's, or iterable over row numbers, got {type(iterable).__name__}"
            )
        if not batches and isinstance(iterable, (np.ndarray, list, tuple, range)):
            # A fixed order: checked once, and any place of it can be reached.
            iterable = FixedOrder(check_rows(iterable, n))
        self.iterable = iterable
        self.n = n
        self.batches = batches
        self.native = Fed(n)

    def __len__(self) -> int:
        """Rows of an epoch, or batches; TypeError where the iterable does not say."""
        return len(self.iterable)  # type: ignore[arg-type]

    def can_resume(self, state: Any) -> bool:
        """Whether an epoch can be taken up in the middle, given what `Feed.state` saved there."""
        if isinstance(self.iterable, FixedOrder):
            return True
        return state is not None and hasattr(self.iterable, "load_state_dict")

    @property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state, as far as can be told."""
        return f"{type(self.iterable).__module__}.{type(self.iterable).__qualname__}"

    def feed(self, epoch: int, position: int, batch_size: int | None, state: Any) -> Feed:
        """Begin an epoch at `position`, with what `Feed.state` saved there; None: items are batches."""
        if isinstance(self.iterable, FixedOrder):
            return Feed(self, self.iterable.pieces(position), batch_size, position, skip=0)
        if hasattr(self.iterable, "set_epoch"):
            self.iterable.set_epoch(epoch)
        skip = 0
        if state is not None and position > 0:
            self.iterable.load_state_dict(state["state"])  # type: ignore[attr-defined]
            skip = state["skip"]
        return Feed(self, iter(self.iterable), batch_size, position, skip)


class FixedOrder:
    """The same rows in the same order every epoch."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows.reshape(-1)

    def __len__(self) -> int:
        """Rows of an epoch."""
        return len(self.rows)

    def __iter__(self) -> Iterator[np.ndarray]:
        """The rows in pieces."""
        return self.pieces(0)

    def pieces(self, position: int) -> Iterator[np.ndarray]:
        """The rows from `position` on."""
        return (self.rows[first : first + PIECE_ROWS] for first in range(position, len(self.rows), PIECE_ROWS))


class Feed:
    """One epoch of a `UserSampler`: what the engine asks for rows before each batch.

    Parameters
    ----------
    batch_size : int or None
        None: each item is a batch.
    position : int
        Rows of the epoch delivered before.
    skip : int
        Rows of the first item that were delivered already.
    """

    def __init__(
        self, sampler: UserSampler, items: Iterator[Any], batch_size: int | None, position: int, skip: int
    ) -> None:
        self.sampler = sampler
        self.items = items
        self.batch_size = batch_size
        self.skip = skip
        self.fed = position - skip
        # Where each item fed and not yet delivered begins, and the sampler's state before it was drawn.
        self.begun: deque[tuple[int, Any]] = deque()

    def __call__(self, batches: Batches) -> int:
        """Hand in rows for the next batch; its size, or 0 at the end."""
        while self.begun and self._end_of_first() <= batches.position:
            self.begun.popleft()
        if self.batch_size is None:
            return self._feed_item(batches)
        while batches.n_waiting < self.batch_size and self._feed_item(batches):
            pass
        return min(self.batch_size, batches.n_waiting)

    def state(self, position: int) -> dict[str, Any] | None:
        """What brings a fresh sampler to `position`: its state before an item, and rows of that item to skip."""
        snapshot = self._snapshot()
        if snapshot is None:
            return None
        while self.begun and self._end_of_first() <= position:
            self.begun.popleft()
        if not self.begun:
            return {"state": snapshot(), "skip": 0}
        begin, before = self.begun[0]
        return {"state": before, "skip": position - begin}

    def _end_of_first(self) -> int:
        return self.begun[1][0] if len(self.begun) > 1 else self.fed

    def _snapshot(self) -> Callable[[], Any] | None:
        """The state of the iterator, if it keeps one, or else of the sampler."""
        return getattr(self.items, "state_dict", None) or getattr(self.sampler.iterable, "state_dict", None)

    def _feed_item(self, batches: Batches) -> int:
        snapshot = self._snapshot()
        before = snapshot() if snapshot is not None else None
        item = next(self.items, None)
        if item is None:
            return 0
        if self.batch_size is None or np.ndim(item) > 0:
            rows = item
        else:  # a stream of single rows: as many as the batch wants
            wanted = self.batch_size - batches.n_waiting
            rows = [item, *itertools.islice(self.items, wanted - 1)]
        checked = check_rows(rows, self.sampler.n).reshape(-1)
        self.begun.append((self.fed, before))
        self.fed += len(checked)
        skip, self.skip = self.skip, 0
        batches.feed(np.ascontiguousarray(checked[skip:]))
        return len(checked) - skip


def as_sampler(n_rows: int, shuffle: bool, sampler: Any, batch_sampler: Any) -> Sampler | UserSampler:
    """The sampler that a Loader's arguments ask for.

    Raises
    ------
    TypeError
        It is neither one of fastbatch's nor iterable.
    ValueError
        It draws from another number of rows.
    """
    if batch_sampler is not None:
        return UserSampler(batch_sampler, n_rows, batches=True)
    if sampler is None:
        return Shuffle(n_rows) if shuffle else Sequential(n_rows)
    if not isinstance(sampler, Sampler):
        return UserSampler(sampler, n_rows, batches=False)
    if sampler.n != n_rows:
        raise ValueError(f"the sampler draws from {sampler.n} rows, the data has {n_rows}")
    return sampler
