"""Rows by weights that follow the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbatch import lifetimes
from fastbatch._native.prioritized import Prioritized as NativePrioritized
from fastbatch._native.prioritized import check_priorities
from fastbatch.arguments import as_integer
from fastbatch.samplers.sampler import Sampler, check_num_samples

# What a saved state holds.
ENTRIES = ("weights", "exponent", "due", "rows", "values")


class Prioritized(Sampler):
    """Rows drawn by weights that training changes: prioritized replay [1]_, hard examples [2]_.

    The NumPy equivalent of drawing the row at a position of an epoch's order is::

        rng = numpy.random.default_rng((seed, epoch, position))
        rng.choice(len(weights), p=weights / weights.sum())

    with another order, and with the weights of that time. Each row is drawn independently of the others. An update made
    after some batch was delivered applies from the very next batch on, whatever the threads are doing; with `lag`, so
    many batches later, which is how many batches threads may then fill ahead. A batch's rows are the same wherever and
    however often it is drawn, if the same updates are made after the same batches, with the same seed: ranks have to
    make the same ones, and `digest` tells whether they did.

    A draw and an update go down a tree of sums [1]_ of 16 children to a node: 9 bytes per row, made once. Sums are of
    float64, always added in the same order, so that no error grows. The stream is sfc64, keyed by Philox.

    `order` is that of an epoch that is drawn from the present weights as a whole; ValueError where all are 0.

    With ``Loader(..., rows=True)`` each batch carries "weights" (float32): ``(1 / (N * P)) ** exponent`` of each row,
    where P is its probability when it was drawn, and N how many rows had a weight. They undo, in a mean over many
    batches, that some rows come more often; in part with an exponent below 1.

    Parameters
    ----------
    weights : array_like of real numbers, of shape (n,)
        To begin with: not negative, below 2**990; fewer than 2**32. They are copied. A row of weight 0 is not drawn.
        All may be 0 as long as nothing is drawn: a buffer that is filled while training goes on.
    exponent : float
        Of the weights that batches carry: 1 undoes all, 0 nothing.
    lag : int
        By how many batches updates apply late.
    num_samples : int, optional
        Rows of an epoch. None: n.

    Attributes
    ----------
    lag : int
    exponent : float
        May be set: that applies as an update does.
    weights : float64 array of shape (n,)
        A copy of those that the next batch is drawn from.
    digest : str
        Equal where weights, exponent and updates to come are.

    Raises
    ------
    TypeError
        Weights are no real numbers, or `lag` or `num_samples` no integer.
    ValueError
        Weights are not 1-D, none or too many; negative, infinite, NaN or too large; the exponent is not finite; `lag`
        or `num_samples` is negative. While iterating: all weights are 0; the iterator can be asked again after an
        update, which then applies at once, whatever the `lag`.
    RuntimeError
        While iterating: a later iterator draws from this sampler, which feeds one at a time.

    References
    ----------
    .. [1] Schaul, Quan, Antonoglou and Silver, "Prioritized experience replay", ICLR 2016.
    .. [2] Loshchilov and Hutter, "Online batch selection for faster training of neural networks", ICLR 2016 workshop.

    Examples
    --------
    >>> import numpy as np
    >>> import fastbatch as fb
    >>> x = np.arange(10.0)
    >>> sampler = fb.Prioritized(np.ones(10))
    >>> loader = fb.Loader((x,), 4, sampler=sampler, seed=0, rows=True)
    >>> for batch, rows, weights in loader:
    ...     losses = batch**2
    ...     sampler.update(rows, losses)
    """

    native: NativePrioritized

    def __init__(self, weights: Any, *, exponent: float = 1.0, lag: int = 0, num_samples: int | None = None) -> None:
        checked = check_priorities(weights)
        if checked.ndim != 1 or not 0 < len(checked) < 2**32:
            raise ValueError(f"weights must be of shape (n,) with 0 < n < 2**32, got shape {checked.shape}")
        lag = as_integer(lag, "lag")
        if not 0 <= lag < 2**31:
            raise ValueError(f"lag must be at least 0 and below 2**31, got {lag}")
        n_drawn = len(checked) if num_samples is None else check_num_samples(num_samples)
        self.native = NativePrioritized(checked, n_drawn, _check_exponent(exponent), lag)
        lifetimes.hold_through_forks(self)

    def update(self, rows: Any, values: Any) -> None:
        """Give rows other weights.

        Parameters
        ----------
        rows : array_like of int
            Negative ones count from the end. Of a row that comes twice the last weight counts.
        values : array_like of real numbers, of the shape of `rows`, or one for all
            Their weights from now on: not negative, below 2**990. They replace the old ones.

        Raises
        ------
        TypeError
            Rows are not integers, or values no real numbers.
        IndexError
            A row is out of range.
        ValueError
            A value is negative, infinite, NaN or too large, or there is not one for each row. Nothing has changed then.
        MemoryError
            There is none for an update that has to wait. Nothing has changed then.

        Notes
        -----
        Any thread may call it. It applies from batch `lag` + 1 after the one that was delivered last on.
        """
        self.native.update(rows, values)

    @property
    def lag(self) -> int:
        """By how many batches updates apply late."""
        return self.native.lag

    @property
    def exponent(self) -> float:
        """Of the weights that batches carry; of the next batch."""
        return self.native.exponent

    @exponent.setter
    def exponent(self, exponent: float) -> None:
        self.native.update_exponent(_check_exponent(exponent))

    @property
    def weights(self) -> np.ndarray:
        """A copy of those that the next batch is drawn from."""
        return self.native.save()[0]

    @property
    def digest(self) -> str:
        """Equal where weights, exponent and updates to come are: on all ranks, and when a state is loaded."""
        return f"{self.native.digest:016x}"

    @property
    def order_memory(self) -> str:
        """What an epoch's order takes, in words."""
        return (
            f"in no memory; updates apply {self.lag} batches late"
            if self.lag
            else "in no memory; updates apply at once"
        )

    def _frozen_at(self, epoch: int) -> NativePrioritized:
        """The present weights, from which all of an epoch is drawn."""
        weights, exponent, *_ = self.native.save()
        if not weights.any() and len(self) > 0:
            raise ValueError("weights must not all be 0 when rows are drawn: no row can be")
        return NativePrioritized(weights, len(self), exponent, 0)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Weights, exponent and updates to come, as arrays: ``numpy.savez(path, **sampler.state_dict())``.

        They belong to the state of a Loader that is taken at the same place, which has their digest.
        """
        return dict(zip(ENTRIES, map(np.asarray, self.native.save()), strict=True))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, before the Loader's own is loaded. Iterators over the present one are over.

        Raises
        ------
        ValueError
            The state lacks an entry, or is of another number of rows, or of another `lag`, or holds what no update can.
            Nothing has changed then.
        """
        missing = set(ENTRIES) - set(state)
        if missing:
            raise ValueError(f"the state lacks {', '.join(map(repr, sorted(missing)))}")
        weights = check_priorities(state["weights"])
        if weights.shape != (self.n,):
            raise ValueError(f"the state does not fit this sampler: it has {weights.shape} weights, not ({self.n},)")
        due, rows, values = (np.asarray(state[name]) for name in ("due", "rows", "values"))
        if due.dtype.kind not in "iu" or rows.dtype.kind not in "iu" or (len(rows) and rows.min() < 0):
            raise ValueError("due and rows must be integers, and not negative")
        if not due.shape == rows.shape == values.shape or due.ndim != 1:
            raise ValueError(
                f"due, rows and values must be of one shape, got {due.shape}, {rows.shape}, {values.shape}"
            )
        if len(due) and (int(due.max()) > self.lag or int(due.min()) < 1 or np.any(due[1:] < due[:-1])):
            raise ValueError(f"the state does not fit this sampler: updates are due in 1 to {self.lag} batches here")
        of_rows = rows < self.n
        check_priorities(values[of_rows])
        for exponent in values[~of_rows]:
            _check_exponent(exponent)
        self.native.load(weights, _check_exponent(float(state["exponent"])), due, rows, values)

    @property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state; its weights are told by `digest`."""
        return repr(self)

    def __repr__(self) -> str:
        """Rows and how updates apply."""
        return f"Prioritized({self.n} rows, lag={self.lag}, num_samples={len(self)})"

    def __getstate__(self) -> dict[str, Any]:
        """What pickle keeps."""
        return {"state": self.state_dict(), "lag": self.lag, "num_samples": len(self)}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """A sampler at the same place."""
        self.__init__(  # type: ignore[misc]
            kept["state"]["weights"], lag=kept["lag"], num_samples=kept["num_samples"]
        )
        self.load_state_dict(kept["state"])

    def _before_fork(self) -> None:
        self.native.hold()

    def _after_fork(self) -> None:
        self.native.release()


def _check_exponent(exponent: float) -> float:
    exponent = float(exponent)
    if not math.isfinite(exponent):
        raise ValueError(f"exponent must be finite, got {exponent}")
    return exponent
