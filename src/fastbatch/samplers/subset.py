"""Some rows of the data, and how to cut the data into such subsets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from fastbatch._native import sampler as native_samplers
from fastbatch._native.take import check_rows
from fastbatch.samplers.balanced import Stratified
from fastbatch.samplers.rows import Shuffle, as_picked, digest_of_rows
from fastbatch.samplers.sampler import Sampler, check_n
from fastbatch.seeding import check_seed


class Subset(Sampler):
    """Some rows of the data, in the order that another sampler gives them.

    The NumPy equivalent of its order is::

        rows[sampler.order(seed, epoch)]

    Parameters
    ----------
    rows : array_like of int, of shape (k,)
        Not negative. A row may come more than once. They are copied.
    sampler : sampler, optional
        Draws from the k positions in `rows`: ``fb.Balanced(labels[rows])``, for instance. None: `Shuffle`.

    Attributes
    ----------
    n : int
        One more than the largest of `rows`: data of at least so many rows can be drawn from.

    Raises
    ------
    TypeError
        `rows` are not integers, or `sampler` is none of this package's, or one whose weights change.
    ValueError
        `rows` are negative or not 1-D, or `sampler` draws from another number of rows.
    """

    def __init__(self, rows: Any, sampler: Sampler | None = None) -> None:
        rows = as_picked(rows)
        n = int(rows.max()) + 1 if rows.dtype.kind in "iu" and rows.size else 0
        self._rows = check_rows(rows, check_n(n))
        if sampler is None:
            sampler = Shuffle(len(self._rows))
        elif not isinstance(sampler, Sampler):
            raise TypeError(f"sampler must be one of fastbatch's, got {type(sampler).__name__}")
        if sampler.n != len(self._rows):
            raise ValueError(f"sampler draws from {sampler.n} rows, the subset has {len(self._rows)}")
        if sampler.native.live or sampler.native_at(0) is not sampler.native:
            kind = type(sampler).__name__
            raise TypeError(
                f"sampler must not be a {kind}, which draws from all of the data: give other rows no weight"
            )
        self.sampler, self.multiple = sampler, sampler.multiple
        self.native = native_samplers.Subset(n, self._rows, sampler.native)

    @property
    def weighs(self) -> bool:
        """Whether the sampler does."""
        return self.sampler.weighs

    def importances(self) -> np.ndarray | None:
        """Those of the sampler, by row of the data; of a row that comes more than once, of all its places."""
        of_places = self.sampler.importances()
        if of_places is None:
            return None
        shares = np.zeros(self.n)
        np.add.at(shares, self._rows, 1 / of_places)
        with np.errstate(divide="ignore"):
            return (1 / shares).astype(np.float32)

    @property
    def order_memory(self) -> str:
        """What an epoch's order takes, in words."""
        return self.sampler.order_memory

    def fits(self, n_rows: int) -> bool:
        """Whether data of so many rows has all that it draws."""
        return self.n <= n_rows

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of its rows, and the sampler's own."""
        return f"Subset({len(self._rows)} rows, digest={digest_of_rows(self._rows)}, {self.sampler.fingerprint})"

    def __repr__(self) -> str:
        """How many rows, and in which order."""
        return f"Subset({len(self._rows)} rows, {self.sampler!r})"


def split(n: int, fractions: Sequence[float], *, labels: Any = None, seed: int | None = None) -> tuple[np.ndarray, ...]:
    """Cut rows 0..n-1 at random into parts of given sizes, for training, validation and the like.

    The NumPy equivalent, without `labels`, is::

        ends = numpy.round(numpy.cumsum(fractions) * n).astype(int)
        parts = numpy.split(numpy.random.default_rng(seed).permutation(n), ends)[: len(fractions)]
        tuple(numpy.sort(part) for part in parts)

    Parameters
    ----------
    n : int
        Rows to cut.
    fractions : sequence of float
        The share of each part, with a sum of at most 1; what is left is in no part.
    labels : array_like of int, bool or str, of shape (n,), optional
        The class of each row: then each part has the classes of the whole, each to within two rows of its share.
    seed : int, optional
        None: another one every time.

    Returns
    -------
    tuple of int64 arrays
        The rows of each part, ascending: for `Subset`, or for `take`.

    Raises
    ------
    TypeError
        `n` or `seed` is no integer; labels are neither integers, bools nor strings.
    ValueError
        Fractions are not positive, or more than 1 together; there is not one label for each row.
    """
    n = check_n(n)
    fractions = [float(fraction) for fraction in fractions]
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise ValueError(f"fractions must be above 0 and at most 1, got {fraction}")
    if math.fsum(fractions) > 1 + 1e-9:
        raise ValueError(f"fractions must be at most 1 together, got {math.fsum(fractions)}")
    ends = [min(n, round(math.fsum(fractions[: i + 1]) * n)) for i in range(len(fractions))]
    sampler: Sampler = Shuffle(n) if labels is None else Stratified(labels)
    if sampler.n != n:
        raise ValueError(f"labels must be of shape ({n},), got shape ({sampler.n},)")
    order = sampler.order(check_seed(seed), 0)
    return tuple(np.sort(order[first:end]) for first, end in zip([0, *ends], ends, strict=False))
