"""Rows in the order of the data, in random order, or as they are given."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

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
    """Every row once, in random order, every order equally likely.

    The NumPy equivalent of its order is::

        numpy.random.default_rng((seed, epoch)).permutation(n)

    with another order. Up to 2**22 rows one Fisher-Yates shuffle; above it rows go to random buckets, each then
    shuffled with a stream of its own when the epoch gets there (Sanders 1998), so that an epoch of 1e8 rows begins in
    a fraction of a second. The streams are sfc64, keyed by Philox. 4 bytes per row, 8 from 2**32 rows on.

    Parameters
    ----------
    n : int
        Rows to draw from.
    """

    def __init__(self, n: int) -> None:
        self.native = native_samplers.Shuffled(check_n(n))


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
