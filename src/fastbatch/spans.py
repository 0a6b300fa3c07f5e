"""Some rows of an array, or all, read a span at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastbatch._native.take import take

Array = npt.NDArray[Any]


class Rows:
    """All rows of an array, where they are.

    Parameters
    ----------
    array : ndarray
    """

    def __init__(self, array: Array) -> None:
        self.array = array

    def __len__(self) -> int:
        """How many."""
        return len(self.array)

    def read(self, first: int, end: int) -> Array:
        """Those at some places."""
        return self.array[first:end]


class Some(Rows):
    """Some rows of an array, copied as they are read.

    Parameters
    ----------
    array : ndarray
    rows : integers of shape (k,)
        Which ones.
    """

    def __init__(self, array: Array, rows: Array) -> None:
        super().__init__(array)
        self._rows = rows

    def __len__(self) -> int:
        """How many."""
        return len(self._rows)

    def read(self, first: int, end: int) -> Array:
        """Those at some places."""
        return _taken(self.array, self._rows[first:end])


class Runs(Rows):
    """Runs of rows of an array, copied as they are read.

    Parameters
    ----------
    array : ndarray
    starts, lengths : int64 of shape (n_runs,)
        The first row of each, and how many they are: 1 at least.
    """

    def __init__(self, array: Array, starts: Array, lengths: Array) -> None:
        super().__init__(array)
        self._bounds = np.concatenate([[0], np.cumsum(lengths)])
        self._shifts = starts - self._bounds[:-1]

    def __len__(self) -> int:
        """How many."""
        return int(self._bounds[-1])

    def read(self, first: int, end: int) -> Array:
        """Those at some places."""
        low, high = np.searchsorted(self._bounds, first, side="right") - 1, np.searchsorted(self._bounds, end)
        n_of_runs = np.diff(np.clip(self._bounds[low : high + 1], first, end))
        return _taken(self.array, np.arange(first, end) + np.repeat(self._shifts[low:high], n_of_runs))


def rows_of(array: Array, rows: Array) -> Rows:
    """Rows that rise: where they are, if they lie one behind the other."""
    if len(rows) > 0 and (np.diff(rows) == 1).all():
        return Rows(array[int(rows[0]) : int(rows[-1]) + 1])
    return Some(array, rows)


def runs_of(array: Array, starts: Array, lengths: Array) -> Rows:
    """Runs of rows, whose starts rise: where they are, if they lie one behind the other."""
    if len(starts) > 0 and np.array_equal(starts[1:], starts[:-1] + lengths[:-1]):
        return Rows(array[starts[0] : starts[-1] + lengths[-1]])
    return Runs(array, starts, lengths)


def _taken(array: Array, rows: Array) -> Array:
    return take(array, rows) if array[:1].flags.c_contiguous else array[rows]
