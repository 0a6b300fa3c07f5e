"""Classes, or sources of data, in equal or given shares."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from fastbatch._native.classes import Balanced as NativeBalanced
from fastbatch.arguments import as_integer
from fastbatch.samplers.classes import group, integer_shares
from fastbatch.samplers.sampler import Sampler, check_n


class Dealt(Sampler):
    """What deals classes of rows round-robin, or by integer shares."""

    _members: np.ndarray | None
    _starts: np.ndarray
    _shares: np.ndarray | None

    def _deal(self, members: np.ndarray | None, starts: np.ndarray, shares: list[int], exhausted: str) -> None:
        """Deal `members` by class, where each begins at its start; without `members` rows stand in that order."""
        if exhausted not in ("stop", "recycle"):
            raise ValueError(f'exhausted must be "stop" or "recycle", got {exhausted!r}')
        counts = np.diff(starts.astype(np.int64)).tolist()
        # Rows until a class is used up at its share: the first of them ends "stop", the last "recycle".
        total = sum(shares)
        used_up = [Fraction(count * total, share) for count, share in zip(counts, shares, strict=True) if share > 0]
        length = math.floor(min(used_up)) if exhausted == "stop" else math.ceil(max(used_up))
        self._members, self._starts, self._shares = members, starts, None
        if len(used_up) == 1:  # nothing to deal: that class alone
            only = shares.index(total)
            first, end = int(starts[only]), int(starts[only + 1])
            rows = np.arange(first, end, dtype=np.uint64 if sum(counts) >= 2**32 else np.uint32)
            self._members = rows if members is None else members[first:end]
            self._starts = np.array([0, end - first], np.uint64)
        elif len(set(shares)) > 1:
            self._shares = np.array(shares, np.uint64)
        self.exhausted = exhausted
        self.native = NativeBalanced(sum(counts), self._members, self._starts, length, self._shares)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of the classes' rows and shares."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self._members, self._starts, self._shares):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
        return f"{type(self).__name__}({self.n}, exhausted={self.exhausted!r}, digest={digest.hexdigest()})"


class Balanced(Dealt):
    """Classes in equal or given shares, in every batch of any size.

    The NumPy equivalent of its order, with equal shares and ``exhausted="stop"``, is::

        rng = numpy.random.default_rng((seed, epoch))
        classes = [numpy.flatnonzero(labels == label) for label in rng.permutation(numpy.unique(labels))]
        fewest = min(map(len, classes))
        numpy.stack([rng.permutation(rows)[:fewest] for rows in classes], axis=1).ravel()

    with another order. Classes are dealt round-robin, in an order of classes drawn for each epoch, so that any run of
    consecutive rows, and so every batch whatever its size, the ranks or the place of a resume, holds classes in counts
    that differ by at most one. A batch smaller than the number of classes holds at most one row of each, and the next
    batches the others.

    With `proportions`, every prefix of the epoch holds each class to within one row of its share, and any batch to
    within two [1]_; to be taken up in the middle, it deals what came before once more, at some tens of nanoseconds per
    row. Inside a class rows come in that class's own shuffled passes (Fisher-Yates, sfc64 keyed by Philox).

    Parameters
    ----------
    labels : array_like of int, bool or str, of shape (n,)
        The class of each row. Classes are the labels that occur: numbers between them that do not are no classes. One
        class alone is dealt as `Shuffle` deals it.
    exhausted : {"stop", "recycle"}
        What happens when a class has no rows left. "stop": the epoch ends when the first class cannot keep its share
        any longer, and no row comes twice; it has ``floor(min(count / share))`` rows, with equal shares the smallest
        class's count times the classes. "recycle": classes are shuffled anew until every row has been seen;
        ``ceil(max(count / share))`` rows, with equal shares the largest class's count times the classes.
    proportions : mapping of label to weight, or sequence of weights, optional
        Shares of the classes, in any unit; a sequence follows `classes`. A class of weight 0 is left out. Weights
        become integers with a sum of at most 2**40 before they decide anything.

    Attributes
    ----------
    classes : ndarray
        The labels that occur, sorted.

    Raises
    ------
    TypeError
        Labels are neither integers, bools nor strings.
    ValueError
        Labels are empty or not 1-D; weights are negative, infinite, NaN or all 0, or name classes that do not occur, or
        leave out one that does, or are for more than 2**20 classes; `exhausted` is neither.

    References
    ----------
    .. [1] Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980).
    """

    classes: np.ndarray

    def __init__(
        self,
        labels: Any,
        *,
        exhausted: str = "stop",
        proportions: Mapping[Any, float] | Sequence[float] | None = None,
    ) -> None:
        self.classes, members, starts = group(labels)
        shares = [1] * len(self.classes) if proportions is None else integer_shares(proportions, self.classes)
        self._deal(members, starts, shares, exhausted)

    def __repr__(self) -> str:
        """Rows, classes and how they are dealt."""
        shares = "" if self._shares is None else f", shares={self._shares.tolist()}"
        return f"Balanced({self.n} rows, {len(self.classes)} classes, exhausted={self.exhausted!r}{shares})"


class Stratified(Dealt):
    """Every row once, and every stretch of the epoch with the classes of the whole.

    The order is that of `Balanced`, which has the details, with the classes' own numbers of rows as proportions::

        counts = numpy.unique(labels, return_counts=True)[1]
        Balanced(labels, proportions=counts).order(seed, epoch)

    Every prefix of the epoch holds each class to within one row of its share of the data [1]_, any batch to within two,
    and all classes are used up together.

    Parameters
    ----------
    labels : array_like of int, bool or str, of shape (n,)
        The class of each row, in up to 2**20 classes.

    Attributes
    ----------
    classes : ndarray
        The labels that occur, sorted.

    Raises
    ------
    TypeError
        Labels are neither integers, bools nor strings.
    ValueError
        Labels are empty or not 1-D, or have too many classes.

    References
    ----------
    .. [1] Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980).
    """

    classes: np.ndarray

    def __init__(self, labels: Any) -> None:
        self.classes, members, starts = group(labels)
        if len(self.classes) > 1 << 20:
            raise ValueError(f"labels must have at most 2**20 classes, got {len(self.classes)}")
        self._deal(members, starts, np.diff(starts.astype(np.int64)).tolist(), "stop")

    def __repr__(self) -> str:
        """Rows and classes."""
        return f"Stratified({self.n} rows, {len(self.classes)} classes)"


class Mixture(Dealt):
    """Rows of several sources in given shares, in every batch of any size.

    The rows of the sources are numbered one source behind the other, as `concat` joins them. The order is that of
    `Balanced`, which has the details, with sources for classes::

        sources = numpy.repeat(numpy.arange(len(sizes)), sizes)
        Balanced(sources, proportions=ratios, exhausted=exhausted).order(seed, epoch)

    but takes no memory for labels. Every prefix of the epoch holds each source to within one row of its share, any
    batch to within two.

    Parameters
    ----------
    sizes : sequence of int
        Rows of each source.
    ratios : sequence of float
        The share of each source, in any unit. A source of ratio 0 is left out.
    exhausted : {"stop", "recycle"}
        When the epoch ends, as for `Balanced`. "stop": before a source would fall behind its share, or a row come
        twice. "recycle": when every row of every source has been seen.

    Raises
    ------
    TypeError
        Sizes are no integers.
    ValueError
        There are no sources, or more than 2**20, or one without rows; ratios are negative, infinite, NaN or all 0, or
        not one for each; `exhausted` is neither.
    """

    def __init__(self, sizes: Sequence[int], ratios: Sequence[float], *, exhausted: str = "stop") -> None:
        self.sizes = [as_integer(size, f"sizes[{i}]") for i, size in enumerate(sizes)]
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"sizes must be at least 1, of at least one source, got {self.sizes}")
        check_n(sum(self.sizes))
        self.ratios = list(ratios)
        starts = np.cumsum([0, *self.sizes], dtype=np.uint64)
        self._deal(None, starts, integer_shares(self.ratios, np.arange(len(self.sizes)), "ratios"), exhausted)

    def __repr__(self) -> str:
        """Sources and how they are dealt."""
        return f"Mixture({self.sizes}, {self.ratios}, exhausted={self.exhausted!r})"
