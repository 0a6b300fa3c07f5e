"""What samplers share."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fastbatch._native import sampler as native_samplers
from fastbatch._native.random import ORDER_VERSION
from fastbatch.arguments import as_integer
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
    #: A batch has to be a multiple of so many rows.
    multiple: int = 1

    @property
    def n(self) -> int:
        """Rows it draws from."""
        return self.native.n

    def __len__(self) -> int:
        """Rows of an epoch."""
        return len(self.native)

    @property
    def order_memory(self) -> str:
        """What an epoch's order takes, in words."""
        return f"{4 if self.n < 2**32 else 8} bytes per row, on each rank, while an epoch is alive"

    def native_at(self, epoch: int) -> native_samplers.Sampler:
        """What the engine draws an epoch from."""
        return self.native

    @property
    def weighs(self) -> bool:
        """Whether it gives "weights" with the rows that it draws: what undoes that some come more often."""
        return self.native.weighs

    @property
    def digest(self) -> str | None:
        """Of a live sampler, whose weights may change while an epoch runs, what tells them from others; else None."""
        return None

    def importances(self) -> np.ndarray | None:
        """These weights of all rows, float32 of shape (n,), where they are the same at any time; else None."""
        return None

    def fits(self, n_rows: int) -> bool:
        """Whether it is for data of so many rows."""
        return self.n == n_rows

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
        key, epoch = root_key(check_seed(seed)), check_epoch(epoch)
        return self._frozen_at(epoch).order(key, epoch)

    def _frozen_at(self, epoch: int) -> native_samplers.Sampler:
        """What `order` draws an epoch from: nothing that an epoch at work draws from changes by it."""
        return self.native_at(epoch)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state."""
        return repr(self)

    def __repr__(self) -> str:
        """Name and rows."""
        return f"{type(self).__name__}({self.n})"


def check_num_samples(num_samples: int) -> int:
    """Rows of an epoch; ValueError where there cannot be so many."""
    num_samples = as_integer(num_samples, "num_samples")
    if not 0 <= num_samples < 2**63:
        raise ValueError(f"num_samples must be at least 0 and below 2**63, got {num_samples}")
    return num_samples


def check_n(n: int) -> int:
    """Rows to draw from; ValueError where there cannot be so many."""
    n = as_integer(n, "n")
    if not 0 <= n < 2**63:
        raise ValueError(f"n must be at least 0 and below 2**63, got {n}")
    return n
