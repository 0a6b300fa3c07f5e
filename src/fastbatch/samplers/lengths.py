"""Lengths of rows, and what padding them to the longest of a batch costs."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def check_lengths(lengths: Any) -> np.ndarray:
    """The lengths of rows, read-only uint32 of shape (n,), copied.

    Raises
    ------
    TypeError
        They are no integers.
    ValueError
        They are not 1-D, too many, or out of range.
    """
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or len(lengths) >= 2**32:
        raise ValueError(f"lengths must be of shape (n,) with n < 2**32, got shape {lengths.shape}")
    if lengths.size > 0:  # to NumPy an empty list is float64
        if lengths.dtype.kind not in "iu":
            raise TypeError(f"lengths must be integers, got dtype {lengths.dtype}")
        for row, is_right in ((lengths.argmin(), lengths.min() >= 1), (lengths.argmax(), lengths.max() < 2**31)):
            if not is_right:
                raise ValueError(f"lengths must be at least 1 and below 2**31, got {lengths[row]} for row {row}")
    checked: np.ndarray = lengths.astype(np.uint32)
    checked.flags.writeable = False
    return checked


def padding_of(lengths: np.ndarray, starts: np.ndarray, multiple: int = 1) -> float:
    """The share of padding, where the batches that begin at `starts` are padded to their longest row.

    Parameters
    ----------
    lengths : integers of shape (n,)
        In the order in which rows come.
    starts : integers of shape (n_batches,)
        Rising from 0.
    multiple : int
        To which the width of a batch is rounded up.
    """
    if len(lengths) == 0:
        return 0.0
    widths = -(-np.maximum.reduceat(lengths, starts).astype(np.int64) // multiple) * multiple
    size = int(widths @ np.diff(starts, append=len(lengths)))
    return 1 - int(lengths.sum(dtype=np.int64)) / size


def digest_of(lengths: np.ndarray) -> str:
    """What tells lengths from others."""
    return hashlib.blake2b(lengths.astype("<u4", copy=False).data, digest_size=16).hexdigest()
