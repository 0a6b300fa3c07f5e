"""Groups of some rows of each of some classes, for metric learning."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np

from fastbatch._native.classes import PerClass as NativePerClass
from fastbatch.arguments import as_integer
from fastbatch.samplers.classes import group
from fastbatch.samplers.sampler import Sampler


class PerClass(Sampler):
    """Groups of P classes and K rows of each, for losses that compare rows of a batch [1]_.

    The NumPy equivalent of one group is::

        chosen = rng.choice(numpy.unique(labels), classes, replace=False)
        [rng.choice(numpy.flatnonzero(labels == label), samples, replace=False) for label in chosen]

    but over the epoch classes and rows come as evenly as can be: in a random order of the classes each has its turn
    before one has another, and in a random order of its rows each comes before one comes again. So the numbers of turns
    of two classes, and of two rows of one class, differ by at most one at any time. The rows of a group are different,
    but for classes of fewer than K rows; where K does not divide a class's rows, its order is gone through so often
    that they make whole groups, before the next one is drawn (Fisher-Yates, sfc64 keyed by Philox). Place p of the
    epoch is computed from p alone.

    Parameters
    ----------
    labels : array_like of int, bool or str, of shape (n,)
        The class of each row.
    classes : int
        P: classes of a group.
    samples : int
        K: rows of each of them. The batch size has to be a multiple of P x K.
    exhausted : {"recycle", "stop"}
        When the epoch ends, always after a whole group. "recycle": when every row of every class has come. "stop":
        before the first row comes twice.

    Attributes
    ----------
    classes : ndarray
        The labels that occur, sorted.
    multiple : int
        P x K.

    Raises
    ------
    TypeError
        Labels are neither integers, bools nor strings; `classes` or `samples` are no integers.
    ValueError
        Labels are empty or not 1-D; there are fewer classes than P; `samples` is not positive; with "stop", some class
        has fewer than K rows.

    References
    ----------
    .. [1] Hermans, Beyer and Leibe, "In defense of the triplet loss for person re-identification", arXiv:1703.07737.
    """

    classes: np.ndarray

    def __init__(self, labels: Any, classes: int, samples: int, *, exhausted: str = "recycle") -> None:
        if exhausted not in ("recycle", "stop"):
            raise ValueError(f'exhausted must be "recycle" or "stop", got {exhausted!r}')
        self.exhausted = exhausted
        self.n_together, self.samples = as_integer(classes, "classes"), as_integer(samples, "samples")
        self.classes, self._members, self._starts = group(labels)
        n_classes = len(self.classes)
        if not 1 <= self.n_together <= n_classes:
            raise ValueError(f"classes must be from 1 to {n_classes}, those there are, got {self.n_together}")
        if not 1 <= self.samples < 2**31:
            raise ValueError(f"samples must be at least 1 and below 2**31, got {self.samples}")
        counts = np.diff(self._starts.astype(np.int64))
        fewest, most = int(counts.min()), int(counts.max())
        if exhausted == "stop" and fewest < self.samples:
            label = self.classes[int(counts.argmin())]
            raise ValueError(f"samples must be at most {fewest}, the rows of class {label}, got {self.samples}")
        self.multiple = self.n_together * self.samples
        if exhausted == "recycle":
            n_groups = -(-n_classes * -(-most // self.samples) // self.n_together)
        else:
            n_groups = max(1, n_classes * (fewest // self.samples) // self.n_together)
        self.native = NativePerClass(
            len(self._members), self._members, self._starts, self.n_together, self.samples, n_groups * self.multiple
        )

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of the classes' rows."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self._members, self._starts):
            digest.update(np.ascontiguousarray(array).data)
        kind = f"classes={self.n_together}, samples={self.samples}, exhausted={self.exhausted!r}"
        return f"PerClass({self.n}, {kind}, digest={digest.hexdigest()})"

    def __repr__(self) -> str:
        """Rows, classes and groups."""
        return (
            f"PerClass({self.n} rows, {len(self.classes)} classes, groups of {self.n_together} x {self.samples}, "
            f"exhausted={self.exhausted!r})"
        )
