"""Rows by their weights."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np

from fastbatch._native.weighted import Race, alias_table, alias_weights, check_weights, log_weights
from fastbatch._native.weighted import Weighted as NativeWeighted
from fastbatch.samplers.sampler import Sampler, check_num_samples

# Of the largest weight that a batch carries, in float32.
LOG_MOST = 88.7


class Weighted(Sampler):
    """Rows drawn by their weights.

    The NumPy equivalent of its order is::

        rng = numpy.random.default_rng((seed, epoch))
        rng.choice(len(weights), num_samples, replace=replacement, p=weights / weights.sum())

    with another order. With replacement each row of the epoch is drawn independently of the others, from Walker's alias
    table [1]_ [2]_ over weights that were rounded to multiples of 2**-32 of their mean (and none but 0 to 0): 8 bytes
    per row, made once, and no order of the epoch in memory. Without replacement each next row is drawn from those left,
    in proportion to its weight, by exponentially distributed times [3]_ whose logarithms are sorted as the epoch gets
    there: 8 bytes per row, and 24 in an epoch. The streams are sfc64, keyed by Philox.

    With ``Loader(..., rows=True)`` each batch carries "weights" (float32): ``1 / (N * P)`` of each row, where P is its
    share of all weights, and N how many rows have one. They undo, in a mean over many batches, that some rows come more
    often; without replacement, for the first rows of an epoch only.

    Parameters
    ----------
    weights : array_like of real numbers, of shape (n,)
        In any unit; fewer than 2**32. They are copied. A row of weight 0 is never drawn.
    replacement : bool
        Whether a row may come more than once.
    num_samples : int, optional
        Rows of an epoch. None: n with replacement; without, the rows that have a weight.

    Raises
    ------
    TypeError
        Weights are no real numbers, or `num_samples` no integer.
    ValueError
        Weights are not 1-D, none or too many; negative, infinite or NaN; or all 0. `num_samples` is negative, or more
        than the rows that have a weight, without replacement.

    References
    ----------
    .. [1] Walker, "An efficient method for generating discrete random variables with general distributions", ACM
       Transactions on Mathematical Software 3 (1977).
    .. [2] Huebschle-Schneider and Sanders, "Parallel weighted random sampling", ESA 2019.
    .. [3] Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information Processing Letters 97
       (2006).
    """

    _tables: tuple[np.ndarray, ...]

    def __init__(self, weights: Any, *, replacement: bool = True, num_samples: int | None = None) -> None:
        checked = check_weights(weights)
        n = len(checked)
        self.replacement = bool(replacement)
        if num_samples is not None:
            num_samples = check_num_samples(num_samples)
        if replacement:
            cells = alias_table(checked)
            self._tables = (cells,)
            self.native = NativeWeighted(cells, n if num_samples is None else num_samples)
        else:
            runners = None
            if checked.min() == 0:
                runners = np.flatnonzero(checked).astype(np.uint32)
                checked = checked[runners]
            if num_samples is not None and num_samples > len(checked):
                raise ValueError(
                    f"num_samples must be at most {len(checked)}, the rows that have a weight, without replacement, "
                    f"got {num_samples}"
                )
            logs = log_weights(checked)
            self._tables = (logs,) if runners is None else (logs, runners)
            self.native = Race(n, logs, runners, len(logs) if num_samples is None else num_samples)

    @property
    def order_memory(self) -> str:
        """What an epoch's order takes, in words."""
        return "in no memory" if self.replacement else "24 bytes per row while an epoch is alive"

    @property
    def weighs(self) -> bool:
        """It gives "weights"."""
        return True

    def importances(self) -> np.ndarray:
        """1 / (N P) of each row, float32 of shape (n,); infinite for rows that are not drawn."""
        if self.replacement:
            weights = alias_weights(self._tables[0])
            with np.errstate(divide="ignore"):
                ratios: np.ndarray = weights.sum() / np.count_nonzero(weights) / weights
            return ratios.astype(np.float32)
        logs, *runners = self._tables
        log_mean = logs.max() + np.log(np.mean(np.exp(logs - logs.max())))
        importances: np.ndarray = np.full(self.n, np.inf, np.float32)
        importances[runners[0] if runners else slice(None)] = np.exp(np.minimum(log_mean - logs, LOG_MOST))
        return importances

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of its weights."""
        digest = hashlib.blake2b(digest_size=16)
        for table in self._tables:
            digest.update(table.astype(table.dtype.newbyteorder("<"), copy=False).data)
        kind = f"replacement={self.replacement}, num_samples={len(self)}"
        return f"Weighted({self.n}, {kind}, digest={digest.hexdigest()})"

    def __repr__(self) -> str:
        """Rows and how they are drawn."""
        return f"Weighted({self.n} rows, replacement={self.replacement}, num_samples={len(self)})"
