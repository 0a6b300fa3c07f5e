"""Samplers that users bring: iterables of row numbers, drawn under the GIL, checked and handed to the engine."""

from __future__ import annotations

import itertools
import operator
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastbatch._native.batches import Epoch
from fastbatch._native.sampler import Fed
from fastbatch.delivery import is_array
from fastbatch.samplers import Given, Sampler, Sequential, Shuffle

#: What no iterable gives.
END = object()


class UserSampler:
    """An iterable of row numbers, or of batches of them.

    Parameters
    ----------
    iterable : iterable of int, or of index arrays
        With `batches`, each item is one batch. Before an epoch its ``set_epoch(epoch)`` is called, if it has one.
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
        self.iterable = iterable
        self.batches = batches
        self.native = Fed(n)
        self._was_used = False

    def __len__(self) -> int:
        """Rows of an epoch, or batches; TypeError where the iterable does not say."""
        return len(self.iterable)  # type: ignore[arg-type]

    def can_resume(self, state: Any) -> bool:
        """Whether an epoch can be taken up in the middle, given what `Feed.state` saved there."""
        return state is not None and hasattr(self.iterable, "load_state_dict")

    @property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state, as far as can be told."""
        return f"{type(self.iterable).__module__}.{type(self.iterable).__qualname__}"

    def feed(self, epoch: int, position: int, batch_size: int | None, state: Any) -> Feed:
        """Begin an epoch at `position`, with what `Feed.state` saved there; no `batch_size`: items are batches.

        Raises
        ------
        RuntimeError
            The iterable is an iterator: it has one epoch, and that is over.
        """
        if hasattr(self.iterable, "set_epoch"):
            self.iterable.set_epoch(epoch)
        skip = 0
        if state is not None and position > 0:
            self.iterable.load_state_dict(state["state"])  # type: ignore[attr-defined]
            skip = state["skip"]
        items = iter(self.iterable)
        if items is self.iterable and self._was_used and not hasattr(items, "state_dict"):
            raise RuntimeError("the sampler is an iterator, which has one epoch: give an iterable that begins anew")
        self._was_used = True
        snapshot = getattr(items, "state_dict", None) or getattr(self.iterable, "state_dict", None)
        return Feed(items, snapshot, batch_size, position, skip)

    def __repr__(self) -> str:
        """What it is."""
        return f"{'batches' if self.batches else 'rows'} from {self.iterable!r}"


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
        self._batch_size = batch_size
        self._skip = skip
        self._fed = position - skip
        self._ended = False
        # Where each item begins that was drawn and not delivered, and the sampler's state before it was.
        self._begun: deque[tuple[int, Any]] = deque()
        self.make_lock()

    def make_lock(self) -> None:
        """A lock over what is noted, also in a child after a fork. Nobody holds it while items are drawn."""
        self._lock = threading.RLock()  # reentrant, because a sampler's state_dict may ask for the place

    def __call__(self, epoch: Epoch) -> bool:
        """Hand in more rows; False at the end.

        Raises
        ------
        ValueError
            A batch is empty.
        """
        n = self._feed_item(epoch)
        if self._batch_size is None and n == 0:
            raise ValueError("a batch_sampler must not give an empty batch")
        return n >= 0

    def place(self, epoch: Epoch) -> tuple[int, Any]:
        """The position reached, and what brings a fresh sampler there, whatever other threads draw meanwhile."""
        with self._lock:
            position = epoch.position
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

    def _feed_item(self, epoch: Epoch) -> int:
        """Hand in the next item, or for single rows as many as complete a batch; how many rows, -1 at the end."""
        if self._ended:
            return -1
        # Noted before anything is drawn: should that fail or take long, the state is that of the place reached.
        with self._lock:
            self._forget_before(epoch.position)
            self._begun.append((self._fed, self._snapshot() if self._snapshot is not None else None))
        rows: Any = next(self._items, END)
        if rows is END:
            self._ended = True
            return -1
        if self._batch_size is not None and np.ndim(rows) == 0:
            wanted = self._batch_size - epoch.n_waiting % self._batch_size + self._skip
            rows = [_row_number(row) for row in (rows, *itertools.islice(self._items, wanted - 1))]
            self._ended = len(rows) < wanted
        skip, self._skip = self._skip, 0
        n = epoch.feed(rows if skip == 0 else np.asarray(rows).reshape(-1)[skip:])
        self._fed += n + skip
        if n == 0 and skip > 0:  # all of it was delivered before
            return self._feed_item(epoch)
        return n


def _row_number(row: Any) -> int:
    if isinstance(row, bool):
        raise TypeError(f"row numbers must be integers, got {row}")
    return operator.index(row)


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
    if isinstance(sampler, (list, tuple, range)) or is_array(sampler):
        return Given(n_rows, sampler)  # checked once, and any place of it can be reached
    if not isinstance(sampler, Sampler):
        return UserSampler(sampler, n_rows, batches=False)
    if not sampler.fits(n_rows):
        raise ValueError(f"the sampler draws from {sampler.n} rows, the data has {n_rows}")
    return sampler
