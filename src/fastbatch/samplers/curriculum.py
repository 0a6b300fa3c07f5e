"""Rows from easy to hard."""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from typing import Any

import numpy as np

from fastbatch._native.curriculum import Curriculum as NativeCurriculum
from fastbatch._native.curriculum import Ladder
from fastbatch._native.weighted import check_weights
from fastbatch.pacing import Pacing
from fastbatch.samplers.sampler import Sampler, check_num_samples

# In an epoch the pacing is asked so often.
N_STEPS = 1024

# Where two pacings are compared.
PROBED = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89)


class Curriculum(Sampler):
    """Easy rows first: rows become eligible as training goes on [1]_.

    The NumPy equivalent of drawing the row at a position of an epoch's order is::

        share = pacing(epoch, position / num_samples)
        eligible = difficulty <= numpy.quantile(difficulty, share, method="inverted_cdf")
        p = weights * eligible
        numpy.random.default_rng((seed, epoch, position)).choice(len(p), p=p / p.sum())

    with another order: each row is drawn independently of the others, so that one may come more than once. The pacing
    is asked at 1024 places of an epoch (or at each row of a shorter one), all of them when the epoch begins. The stream
    is sfc64, keyed by Philox; weights are rounded to multiples of 2**-32 of their mean, and none but 0 to 0.

    Parameters
    ----------
    difficulty : array_like of real numbers, of shape (n,)
        In any unit; fewer than 2**32. Rows of one difficulty become eligible together.
    pacing : callable
        ``pacing(epoch, progress)``, with how much of the epoch is over, from 0 to below 1, gives the share of rows that
        are eligible: `fastbatch.pacing` has `linear`, `root` and `step`. What is out of range is taken as 0 or 1. One
        row with a weight is always eligible. It has to be a pure function.
    weights : array_like of real numbers, of shape (n,), optional
        By which the eligible rows are drawn. None: all alike.
    num_samples : int, optional
        Rows of an epoch. None: n.

    Raises
    ------
    TypeError
        Difficulties or weights are no real numbers, the pacing is not callable or gives none, or `num_samples` is no
        integer.
    ValueError
        Difficulties are not 1-D, none, too many or NaN; weights are of another shape, negative, infinite, NaN or all 0;
        the pacing gives NaN; `num_samples` is negative.

    References
    ----------
    .. [1] Bengio, Louradour, Collobert and Weston, "Curriculum learning", ICML 2009.
    """

    def __init__(self, difficulty: Any, pacing: Pacing, weights: Any = None, *, num_samples: int | None = None) -> None:
        difficulty = np.asarray(difficulty)
        if difficulty.ndim != 1 or not 0 < len(difficulty) < 2**32:
            raise ValueError(f"difficulty must be of shape (n,) with 0 < n < 2**32, got shape {difficulty.shape}")
        if difficulty.dtype.kind not in "iufb":
            raise TypeError(f"difficulty must be real numbers, got dtype {difficulty.dtype}")
        if np.isnan(difficulty).any():
            raise ValueError(f"difficulty must not be NaN, got it for row {np.flatnonzero(np.isnan(difficulty))[0]}")
        if not callable(pacing):
            raise TypeError(f"pacing must be callable, got {type(pacing).__name__}")
        n = len(difficulty)
        if weights is not None:
            weights = check_weights(weights)
            if len(weights) != n:
                raise ValueError(f"weights must be of shape ({n},), as difficulty is, got shape {weights.shape}")
        self.pacing = pacing
        self._n_drawn = n if num_samples is None else check_num_samples(num_samples)
        rows = np.argsort(difficulty, kind="stable").astype(np.uint32)
        self._ladder = Ladder(rows, weights)
        # How many rows are eligible with the i-th easiest: all of its difficulty.
        rungs = difficulty[rows]
        self._ends = np.append(np.flatnonzero(rungs[1:] != rungs[:-1]) + 1, n)
        self.native = self.native_at(0)

    def native_at(self, epoch: int) -> NativeCurriculum:
        """What the engine draws an epoch from: the pacing is asked for it now."""
        n_steps = max(1, min(N_STEPS, self._n_drawn))
        shares = [_check_share(self.pacing(epoch, i / n_steps)) for i in range(n_steps)]
        n = len(self._ladder)
        eligible = np.clip(np.ceil(np.array(shares) * n), self._first_heavy + 1, n)
        eligible = self._ends[np.searchsorted(self._ends, eligible)]
        starts = np.array([-(-i * self._n_drawn // n_steps) for i in range(n_steps)], np.uint64)
        changes = np.append(True, eligible[1:] != eligible[:-1])
        return NativeCurriculum(
            self._ladder, self._n_drawn, np.ascontiguousarray(starts[changes]), eligible[changes].astype(np.uint64)
        )

    @property
    def order_memory(self) -> str:
        """What an epoch's order takes, in words."""
        return "in no memory"

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of its rows, and of how many come when."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr([self._share_at(epoch, progress) for epoch in PROBED for progress in (0.0, 0.5)]).encode())
        for table, kind in ((self._ladder.rows, "<u4"), (self._ends, "<i8"), (self._ladder.sums, "<u8")):
            if table is not None:
                digest.update(table.astype(kind).data)
        return f"Curriculum({self.n}, num_samples={len(self)}, digest={digest.hexdigest()})"

    def __repr__(self) -> str:
        """Rows, and the pacing."""
        name = getattr(self.pacing, "__qualname__", None) or repr(self.pacing)
        return f"Curriculum({self.n} rows, pacing={name}, num_samples={len(self)})"

    @cached_property
    def _first_heavy(self) -> int:
        """The first place of the ladder that has a weight."""
        sums = self._ladder.sums
        return 0 if sums is None else int(np.searchsorted(sums, 0, side="right"))

    def _share_at(self, epoch: int, progress: float) -> str:
        """What the pacing says, where it says something; to so many places as are the same everywhere."""
        try:
            return f"{_check_share(self.pacing(epoch, progress)):.6f}"
        except Exception as error:  # a schedule may have an end
            return type(error).__name__


def _check_share(share: float) -> float:
    share = float(share)
    if math.isnan(share):
        raise ValueError("pacing must give a share of the rows, got NaN")
    return min(1.0, max(0.0, share))
