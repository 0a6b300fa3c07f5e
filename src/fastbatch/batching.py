"""The arguments that say what makes a batch, checked against each other."""

from __future__ import annotations

import operator


def check_batching(
    batch_size: int | None, shuffle: bool, sampler: object, batch_sampler: object, drop_last: bool
) -> int | None:
    """The batch size, or None with a `batch_sampler`.

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
    if isinstance(batch_size, bool):
        raise TypeError(f"batch_size must be an integer, got {batch_size}")
    batch_size = operator.index(batch_size)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if batch_size >= 2**48:
        raise ValueError(f"batch_size must be below 2**48, got {batch_size}")
    return batch_size
