"""How the rows of an epoch are cut into batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from fastbatch.arguments import as_integer

#: Called with an epoch and how many of its samples were delivered, on all ranks; gives the rows of the next batch.
Schedule = Callable[[int, int], int]


class Batching:
    """Batches of one size, of a size that moves, or of a schedule's.

    Parameters
    ----------
    batch_size : int, callable or None
        Checked. None: a sampler says what a batch is.
    multiple : int
        A batch has to be a multiple of so many rows.
    n_ranks : int
        So many batches are delivered at a time.
    drop_last : bool
        Whether rows that make no whole batch are left out.

    Attributes
    ----------
    size : int or None
        Rows of a batch; with a schedule, of the epoch's first when it began.
    schedule : callable or None
    moved : int or None
        The size, where it is another than this was made with.
    """

    def __init__(self, batch_size: int | Schedule | None, multiple: int, n_ranks: int, *, drop_last: bool) -> None:
        self._multiple, self._n_ranks = multiple, n_ranks
        self.drop_last = drop_last
        self.moved: int | None = None
        self.schedule: Schedule | None = None
        self.size: int | None = None
        if callable(batch_size):
            self.schedule = batch_size
            self.begin(0, 0)
        elif batch_size is not None:
            self.size = self._check(batch_size)

    def at(self, epoch: int, position: int) -> int | None:
        """Rows of the batch that begins at a position."""
        return self.size if self.schedule is None else self._check(self.schedule(epoch, position))

    def begin(self, epoch: int, position: int) -> int | None:
        """The same, where an epoch begins."""
        self.size = self.at(epoch, position)
        return self.size

    def resize(self, batch_size: int) -> int:
        """Another size from now on.

        Raises
        ------
        TypeError
            It is no integer.
        ValueError
            It is out of range, no multiple of the rows of a group, or there is a schedule or a `batch_sampler`.
        """
        if self.schedule is not None:
            raise ValueError("batch_size cannot be set with a schedule, which says what comes next")
        if self.size is None:
            raise ValueError("batch_size cannot be set with a batch_sampler, which says what a batch is")
        self.size = self.moved = self._check(batch_size)
        return self.size

    def load(self, batch_size: int | None) -> None:
        """The size that a state has, if it has one; a schedule or a `batch_sampler` goes on as it is."""
        if batch_size is not None and self.size is not None and self.schedule is None:
            self.size = self.moved = self._check(batch_size)

    def n_batches(self, epoch: int, position: int, n_rows: int) -> int:
        """How many begin at a position or behind it.

        Raises
        ------
        TypeError
            The sizes are a `batch_sampler`'s, and some were delivered.
        """
        if self.schedule is not None:
            return sum(1 for _ in self._positions(epoch, position, n_rows))
        if self.size is None:
            if position > 0:
                raise TypeError("the batches left are not known with a batch_sampler")
            return n_rows  # the sampler's items are batches
        n_left, n_of_all = max(0, n_rows - position), self.size * self._n_ranks
        return n_left // n_of_all if self.drop_last else -(-n_left // n_of_all)

    def batch(self, epoch: int, i: int, n_rows: int) -> tuple[int, int]:
        """Where batch i of an epoch begins, and its rows; it has a size, and there are so many."""
        position = i * (self.size or 0) * self._n_ranks
        if self.schedule is not None:
            position = next(itertools.islice(self._positions(epoch, 0, n_rows), i, None))
        return position, self.at(epoch, position) or 0

    def _positions(self, epoch: int, position: int, n_rows: int) -> Iterator[int]:
        """Where each batch begins."""
        while position < n_rows:
            end = position + (self.at(epoch, position) or 0) * self._n_ranks
            if end > n_rows and self.drop_last:
                return
            yield position
            position = end

    def _check(self, batch_size: int) -> int:
        batch_size = check_batch_size(batch_size)
        if batch_size % self._multiple != 0:
            raise ValueError(f"batch_size must be a multiple of {self._multiple}, a group's rows, got {batch_size}")
        if batch_size * self._n_ranks >= 2**62:
            raise ValueError(f"batch_size x world_size must be below 2**62, got {batch_size} x {self._n_ranks}")
        return batch_size


def check_batching(
    batch_size: int | Schedule | None, shuffle: bool, sampler: object, batch_sampler: object, drop_last: bool
) -> int | Schedule | None:
    """The batch size or its schedule, or None with a `batch_sampler`.

    Raises
    ------
    TypeError
        It is no integer.
    ValueError
        It is missing or out of range, or arguments exclude each other.
    """
    if batch_sampler is not None:
        if batch_size is not None or shuffle or sampler is not None or drop_last:
            raise ValueError("batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        return None
    if sampler is not None and shuffle:
        raise ValueError("sampler excludes shuffle: the sampler decides the order")
    if batch_size is None:
        raise ValueError("batch_size is required, unless a batch_sampler is given")
    return batch_size if callable(batch_size) else check_batch_size(batch_size)


def check_batch_size(batch_size: object) -> int:
    """Rows of a batch.

    Raises
    ------
    TypeError
        It is no integer.
    ValueError
        It is out of range.
    """
    number = as_integer(batch_size, "batch_size")
    if number < 1:
        raise ValueError(f"batch_size must be at least 1, got {number}")
    if number >= 2**48:
        raise ValueError(f"batch_size must be below 2**48, got {number}")
    return number
