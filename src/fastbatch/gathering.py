"""Batches of rows that somebody else chooses."""

from __future__ import annotations

import threading
from typing import Any

from fastbatch import lifetimes
from fastbatch._native.batches import Batches, Epoch
from fastbatch._native.engine import Engine
from fastbatch._native.sampler import Fed
from fastbatch._native.structure import flatten
from fastbatch.columns import make_columns
from fastbatch.delivery import is_array


class Gatherer:
    """Data, and any rows of it as one batch: one native gather for each column, without the GIL.

    Parameters
    ----------
    data, output
        As `Loader` takes them.
    """

    def __init__(self, data: Any, *, output: str | None = None) -> None:
        self.columns = make_columns(data, output=output)
        self._start_afresh()
        lifetimes.register(self)

    def __len__(self) -> int:
        """Rows of the data."""
        return self.columns.n_rows

    def batch(self, rows: Any) -> Any:
        """The rows in the structure of the data; the arrays are the caller's, as those of a Loader are.

        Parameters
        ----------
        rows : array_like of int
            Negative ones count from the end.

        Raises
        ------
        TypeError
            They are no integers.
        IndexError
            One of them is out of range.
        """
        with self._lock:
            self._epoch.feed(rows)
            return next(self._batches)

    def sample(self, row: int) -> Any:
        """One row, without the axis of rows."""
        structure, leaves, _ = flatten(self.batch([row]), is_array)
        packed = [column.sized_axis == 0 for column in self.columns.columns]  # those have none
        return structure.unflatten([leaf if whole else leaf[0] for leaf, whole in zip(leaves, packed, strict=True)])

    def _start_afresh(self) -> None:
        """In a child after a fork, too: buffers and a lock of its own."""
        columns = self.columns
        self._lock = threading.RLock()
        self._engine = Engine(columns.columns, columns.structure, columns.wraps, names=columns.paths)
        self._epoch = Epoch(self._engine, Fed(columns.n_rows), (0, 0), 0, 0, 0, fed=True, helped=False)
        self._batches = Batches(lambda batches: None)
        self._batches.start(self._epoch)

    def _stop_threads(self) -> None:
        """It has none."""
