"""Which rows, in which order: pure functions of (seed, epoch).

Every sampler has `n`, the rows it draws from, `len`, the rows of an epoch, and ``order(seed, epoch)``. Orders do not
depend on batch size, ranks, threads or machine; they change with `order_version` only.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from fastbatch._native import sampler as native_samplers
from fastbatch._native.random import ORDER_VERSION
from fastbatch._native.take import check_rows
from fastbatch.seeding import check_epoch, check_seed, root_key

order_version: int = ORDER_VERSION


class Sampler:
    """What the samplers of this package share.

    Attributes
    ----------
    n : int
        Rows it draws from.
    native
        What the engine draws from.
    """

    native: native_samplers.Sampler

    @property
    def n(self) -> int:
        """Rows it draws from."""
        return self.native.n

    def __len__(self) -> int:
        """Rows of an epoch."""
        return len(self.native)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """The whole order of one epoch.

        Parameters
        ----------
        seed, epoch : int
            Not negative.

        Returns
        -------
        int64 of shape (len,)

        Raises
        ------
        TypeError
            Not integers.
        ValueError
            Negative, or an epoch beyond 64 bits.
        MemoryError
            There is none for the order.
        """
        return self.native.order(root_key(check_seed(seed)), check_epoch(operator.index(epoch)))

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state."""
        return repr(self)

    def __repr__(self) -> str:
        """Name and rows."""
        return f"{type(self).__name__}({self.n})"


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
        self.native = native_samplers.Sequential(_check_n(n))


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
        self.native = native_samplers.Shuffled(_check_n(n))


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
        self._rows = check_rows(rows, _check_n(n)).reshape(-1)
        self.native = native_samplers.Given(n, self._rows)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of its rows."""
        digest = hashlib.blake2b(self._rows.data, digest_size=16)
        return f"Given({self.n}, digest={digest.hexdigest()})"

    def __repr__(self) -> str:
        """How many rows of how many."""
        return f"Given({len(self)} of {self.n} rows)"


class Balanced(Sampler):
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
        leave out one that does.

    References
    ----------
    .. [1] Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980).
    """

    classes: np.ndarray
    _shares: np.ndarray | None

    def __init__(
        self,
        labels: Any,
        *,
        exhausted: str = "stop",
        proportions: Mapping[Any, float] | Sequence[float] | None = None,
    ) -> None:
        if exhausted not in ("stop", "recycle"):
            raise ValueError(f'exhausted must be "stop" or "recycle", got {exhausted!r}')
        self.exhausted = exhausted
        self.classes, self._members, self._starts = _group(labels)
        counts = np.diff(self._starts.astype(np.int64)).tolist()
        shares = [1] * len(counts) if proportions is None else _shares(proportions, self.classes)
        # Rows until a class is used up at its share: the first of them ends "stop", the last "recycle".
        total = sum(shares)
        used_up = [Fraction(count * total, share) for count, share in zip(counts, shares, strict=True) if share > 0]
        length = math.floor(min(used_up)) if exhausted == "stop" else math.ceil(max(used_up))
        self._shares = None
        if len(used_up) == 1:  # nothing to deal: that class alone
            only = shares.index(total)
            self._members = self._members[int(self._starts[only]) : int(self._starts[only + 1])]
            self._starts = np.array([0, len(self._members)], np.uint64)
        elif len(set(shares)) > 1:
            self._shares = np.array(shares, np.uint64)
        self.native = native_samplers.Balanced(sum(counts), self._members, self._starts, length, self._shares)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of the classes' rows and shares."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self._members, self._starts, self._shares):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
        return f"Balanced({self.n}, exhausted={self.exhausted!r}, digest={digest.hexdigest()})"

    def __repr__(self) -> str:
        """Rows, classes and how they are dealt."""
        shares = "" if self._shares is None else f", shares={self._shares.tolist()}"
        return f"Balanced({self.n} rows, {len(self.classes)} classes, exhausted={self.exhausted!r}{shares})"


def _check_n(n: int) -> int:
    n = operator.index(n)
    if not 0 <= n < 2**63:
        raise ValueError(f"n must be at least 0 and below 2**63, got {n}")
    return n


def _group(labels: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The classes, the rows of each behind those of the one before, and where each begins."""
    if isinstance(labels, np.ma.MaskedArray):
        raise TypeError("labels must not be a masked array; give masked rows a label of their own: labels.filled(-1)")
    labels = np.asarray(labels)
    if labels.dtype.kind == "T":  # strings of variable width
        labels = labels.astype(np.str_)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"labels must be of shape (n,) with n > 0, got shape {labels.shape}")
    if labels.dtype.kind not in "iubUS":
        raise TypeError(f"labels must be integers, bools or strings, got dtype {labels.dtype}")
    low = span = 0
    counts_directly = labels.dtype.kind in "iub"
    if counts_directly:
        low = int(labels.min())
        span = int(labels.max()) - low + 1
        counts_directly = span <= max(1 << 16, 4 * labels.size) and span < 2**32
    if not counts_directly:  # strings, and numbers too far apart to count in a table
        classes, codes = np.unique(labels, return_inverse=True)
        return classes, *native_samplers.group_rows(codes.astype(np.uint32), len(classes))
    wide = labels.astype(np.uint64 if labels.dtype.kind == "u" else np.int64).view(np.uint64)
    members, starts = native_samplers.group_rows((wide - np.uint64(low % 2**64)).astype(np.uint32), span)
    present = np.flatnonzero(np.diff(starts.astype(np.int64)))
    classes = (present.astype(np.uint64) + np.uint64(low % 2**64)).astype(labels.dtype)
    return classes, members, np.append(starts[present], starts[-1])


def _shares(proportions: Any, classes: np.ndarray) -> list[int]:
    """Integers in the given proportions, one for each class, with a sum of at most 2**40."""
    labels = classes.tolist()
    if isinstance(proportions, Mapping):
        given = {key.item() if isinstance(key, np.generic) else key: weight for key, weight in proportions.items()}
        if set(given) != set(labels):
            unknown, missing = sorted(set(given) - set(labels), key=str), sorted(set(labels) - set(given), key=str)
            raise ValueError(
                "proportions must give a weight for every class, 0 to leave it out, and for no other: "
                f"missing {missing}, unknown {unknown}"
            )
        weights = [given[label] for label in labels]
    else:
        weights = list(proportions)
        if len(weights) != len(labels):
            raise ValueError(f"proportions must have one weight for each of {len(labels)} classes, got {len(weights)}")
    if len(weights) > 1 << 20:
        raise ValueError(f"proportions are dealt for up to 2**20 classes, got {len(weights)}")
    for weight in weights:
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"proportions must be finite and not negative, got {weight}")
    if not any(weights):
        raise ValueError("proportions must not all be 0")
    exact = [_as_fraction(weight) for weight in weights]
    total = sum(exact)
    scale = math.lcm(*((weight / total).denominator for weight in exact))
    if scale <= 1 << 40:
        return [int(weight / total * scale) for weight in exact]
    # Too fine for integers of that size: the nearest there are, none of them 0 that was not.
    return [max(1, round(weight / total * ((1 << 40) - 2 * len(exact)))) if weight else 0 for weight in exact]


def _as_fraction(weight: Any) -> Fraction:
    """The simple fraction that a float stands for, such as 1/10 for 0.1; otherwise the float exactly."""
    if not isinstance(weight, (float, np.floating)):
        return Fraction(weight.item() if isinstance(weight, np.generic) else weight)
    simple = Fraction(float(weight)).limit_denominator(1_000_000)
    return simple if float(simple) == float(weight) else Fraction(float(weight))
