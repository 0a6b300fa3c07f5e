"""The arguments that say what makes a batch, checked against each other."""

from __future__ import annotations

import operator
from collections.abc import Callable

#: Called with an epoch and how many of its samples were delivered, on all ranks; gives the rows of the next batch.
Schedule = Callable[[int, int], int]


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
    if isinstance(batch_size, bool):
        raise TypeError(f"batch_size must be an integer, got {batch_size}")
    number = operator.index(batch_size)  # type: ignore[arg-type]
    if number < 1:
        raise ValueError(f"batch_size must be at least 1, got {number}")
    if number >= 2**48:
        raise ValueError(f"batch_size must be below 2**48, got {number}")
    return number
