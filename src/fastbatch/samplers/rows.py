"""Rows in the order of the data, in random order, or as they are given."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbatch._native import sampler as native_samplers
from fastbatch._native.take import check_rows
from fastbatch.samplers.sampler import Sampler, check_n


class Sequential(Sampler):
    """Every row once, in the order of the data.

    The NumPy equivalent of its order is::

        numpy.arange(n)

    Parameters
    ----------
    n : int
        Rows to draw from.
    """

    def __init__(self, n: int) -> None:
        self.native = native_samplers.Sequential(check_n(n))


class Shuffle(Sampler):
    """Every row once, in random order.

    The NumPy equivalent of its order is::

        numpy.random.default_rng((seed, epoch)).permutation(n)

    with another order.

    Parameters
    ----------
    n : int
        Rows to draw from.
    method : {"exact", "streaming"}
        "exact": every order is equally likely. Up to 2**22 rows one Fisher-Yates shuffle; above it rows go to random
        buckets, each then shuffled with a stream of its own when the epoch gets there [1]_, so that an epoch of 1e8
        rows begins in a fraction of a second. The streams are sfc64, keyed by Philox. 4 bytes per row, 8 from 2**32
        rows on, on each rank.
        "streaming": no order is in memory, and a rank computes its own share only; it begins and is taken up anywhere
        at once, with 1e12 rows as with 1e6. The row at each place is computed by a keyed bijection: 12 rounds of a
        Feistel network [2]_ over a grid of sqrt(n) x sqrt(n) cells. Only some of all orders can come, but positions,
        pairs and lags are distributed as in all of them. Below 2**16 rows it is "exact". n is below 2**62.

    Raises
    ------
    TypeError
        `n` is no integer.
    ValueError
        `n` is out of range, or `method` is another.

    References
    ----------
    .. [1] Sanders, "Random permutations on distributed, external and hierarchical memory", Information Processing
       Letters 67 (1998).
    .. [2] Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
    """

    def __init__(self, n: int, method: str = "exact") -> None:
        n = check_n(n)
        if method not in ("exact", "streaming"):
            raise ValueError(f'method must be "exact" or "streaming", got {method!r}')
        self.method = method
        streams = method == "streaming" and n >= native_samplers.STREAMED_MIN_ROWS
        self.native = native_samplers.Streamed(n) if streams else native_samplers.Shuffled(n)

    @property
    def order_memory(self) -> str:
        """What an epoch's order takes, in words."""
        return "in no memory" if isinstance(self.native, native_samplers.Streamed) else super().order_memory

    def __repr__(self) -> str:
        """Rows, and the method where it is another than "exact"."""
        return f"Shuffle({self.n})" if self.method == "exact" else f"Shuffle({self.n}, method={self.method!r})"


class Given(Sampler):
    """Given rows in their given order, the same every epoch: what a Loader makes of an array as its `sampler`.

    The NumPy equivalent of its order is::

        numpy.asarray(rows)

    Parameters
    ----------
    n : int
        Rows of the data.
    rows : array_like of int, of shape (len,)
        Negative ones count from the end.

    Raises
    ------
    TypeError
        `rows` are not integers.
    IndexError
        A row is out of range.
    """

    def __init__(self, n: int, rows: Any) -> None:
        self._rows = check_rows(rows, check_n(n)).reshape(-1)
        self.native = native_samplers.Given(n, self._rows)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of its rows."""
        digest = hashlib.blake2b(self._rows.data, digest_size=16)
        return f"Given({self.n}, digest={digest.hexdigest()})"

    def __repr__(self) -> str:
        """How many rows of how many."""
        return f"Given({len(self)} of {self.n} rows)"


def as_picked(rows: Any) -> npt.NDArray[Any]:
    """Rows to draw from, as an array; whether they are integers, and there, is another question.

    Raises
    ------
    ValueError
        They are negative, or not 1-D.
    """
    array: npt.NDArray[Any] = np.asarray(rows)
    if array.ndim != 1:
        raise ValueError(f"rows must be of shape (k,), got shape {array.shape}")
    if array.size == 0:  # to NumPy an empty list is float64
        return array.astype(np.int64)
    if array.dtype.kind in "iu" and int(array.min()) < 0:
        raise ValueError(f"rows must not be negative, got {array.min()}")
    return array


def digest_of_rows(rows: np.ndarray) -> str:
    """What tells rows from others, whatever their type."""
    return hashlib.blake2b(rows.astype("<u8").data, digest_size=16).hexdigest()
