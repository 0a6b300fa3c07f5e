"""Batches of as many rows as their length allows."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fastbatch._native.lengths import plan_batches
from fastbatch._native.take import check_rows
from fastbatch.arguments import as_integer
from fastbatch.samplers.lengths import check_lengths, digest_of, padding_of
from fastbatch.samplers.rows import as_picked, digest_of_rows
from fastbatch.seeding import check_epoch, check_seed, root_key

# Full batches whose rows are sorted together, where nobody says how many rows: 3 of 100 tokens are padding with 64, 1.6
# with 128 and 0.9 with 256, for lengths of 1 to 512.
WINDOW_BATCHES = 256


class Plan(NamedTuple):
    """The batches of an epoch.

    Attributes
    ----------
    rows : uint32 of shape (len,)
        Batch after batch.
    starts : int64 of shape (n_batches + 1,)
        Where each begins in them, and where the last one ends.
    """

    rows: np.ndarray
    starts: np.ndarray


class TokenBudget:
    """Batches whose padded size, rows x the longest of them, stays within a budget [1]_: for `batch_sampler`.

    The NumPy equivalent of one epoch is::

        rows = fastbatch.Shuffle(n).order(seed, epoch)
        for i, first in enumerate(range(0, n, window)):
            own = rows[first : first + window]
            keys = lengths[own].astype(int) * (-1 if i % 2 else 1)
            rows[first : first + window] = own[numpy.argsort(keys, kind="stable")]
        batches = [[]]
        for row in rows:
            longest = max(lengths[i] for i in [*batches[-1], row])
            if len(batches[-1]) == max_rows or (len(batches[-1]) + 1) * longest > tokens:
                batches.append([])
            batches[-1].append(row)
        numpy.random.default_rng((seed, epoch)).shuffle(batches)

    with another order of the batches. Every row comes once an epoch. Within windows of the random order rows go from
    short to long and back in turn, so that few batches have rows of two windows. The plan of an epoch is made when it
    begins, or `len` is asked for: some 15 ms for 1e6 rows. Of some `rows` the order is that of their own lengths,
    ``rows[TokenBudget(lengths[rows], tokens).order(seed, epoch)]``.

    On W ranks the next W batches are those of one step, one for each rank, so that all have equally many. What is left
    at the end, fewer than W batches, is split, the one of most rows first, so that each rank has one; where there are
    fewer rows than ranks, some come twice or some ranks have none, as `uneven` has it. ``len(loader)`` and
    ``loader.remaining`` are those of the present epoch: epochs differ by a few batches. The seed is the Loader's; a
    state can be loaded on any number of ranks.

    Parameters
    ----------
    lengths : array_like of int, of shape (n,)
        From 1 to below 2**31, of fewer than 2**32 rows: those of a `Ragged`, say. They are copied.
    tokens : int
        What rows x width of a batch may be.
    max_rows : int, optional
        Rows that a batch may have.
    multiple : int
        To which whoever pads rounds up the width of a batch: it counts.
    window : int, optional
        Rows that are sorted together. The more they are, the less padding, and the less random the batches; from n on
        all rows are sorted, and only those of one length are mixed. None: as many as 256 full batches have on average.
    rows : array_like of int, of shape (k,), optional
        Which rows of the data come: those of a `split`, say. Not negative; a row may come more than once. They are
        copied. None: all of them.

    Attributes
    ----------
    tokens, multiple, window : int
    max_rows : int or None
    rows : integer array of shape (k,), or None

    Raises
    ------
    TypeError
        An argument is no integer, or `rows` are none.
    ValueError
        Lengths are not 1-D, too many or out of range; `tokens` are fewer than the longest row needs; an argument is not
        positive; `rows` are negative or not 1-D. By the Loader: a `Ragged` of the data has longer rows than these, or
        pads them to more.
    IndexError
        One of `rows` is out of range.

    See Also
    --------
    Bucketed : Rows of like length in batches of one size.

    References
    ----------
    .. [1] Morishita, Oda, Neubig, Yoshino, Sudoh and Nakamura, "An empirical study of mini-batch creation strategies
       for neural machine translation", WNMT 2017, arXiv:1706.05765.
    """

    def __init__(
        self,
        lengths: Any,
        tokens: int,
        max_rows: int | None = None,
        *,
        multiple: int = 1,
        window: int | None = None,
        rows: Any = None,
    ) -> None:
        self._lengths = check_lengths(lengths)  # of what is drawn
        self._n = len(self._lengths)
        self.rows: np.ndarray | None = None if rows is None else check_rows(as_picked(rows), self._n)
        if self.rows is not None:
            self._lengths = self._lengths[self.rows]
            self.rows.flags.writeable = self._lengths.flags.writeable = False
        self.tokens, self.multiple = as_integer(tokens, "tokens"), as_integer(multiple, "multiple")
        if not 1 <= self.multiple <= 2**31:
            raise ValueError(f"multiple must be at least 1 and at most 2**31, got {self.multiple}")
        if not 1 <= self.tokens < 2**62:
            raise ValueError(f"tokens must be at least 1 and below 2**62, got {self.tokens}")
        if len(self._lengths) > 0:
            longest = int(self._lengths.argmax())
            row, length = longest if self.rows is None else self.rows[longest], int(self._lengths[longest])
            width = self._padded(length)
            if width > self.tokens:
                rounded = f", {width} as a multiple of {self.multiple}" if width > length else ""
                raise ValueError(f"tokens must be at least {width}: row {row} has {length}{rounded}, got {self.tokens}")
        self.max_rows = None if max_rows is None else as_integer(max_rows, "max_rows")
        if self.max_rows is not None and self.max_rows < 1:
            raise ValueError(f"max_rows must be at least 1, got {self.max_rows}")
        self.window = self._default_window() if window is None else as_integer(window, "window")
        if not 1 <= self.window < 2**62:
            raise ValueError(f"window must be at least 1 and below 2**62, got {self.window}")

    @property
    def n(self) -> int:
        """Rows of the data."""
        return self._n

    def __len__(self) -> int:
        """Rows of an epoch."""
        return len(self._lengths)

    @property
    def widths(self) -> np.ndarray:
        """What it counts each row that it draws as, int64: its length, rounded up."""
        return -(-self._lengths.astype(np.int64) // self.multiple) * self.multiple

    def plan(self, key: tuple[int, int], epoch: int) -> Plan:
        """The batches of an epoch, by a Loader's root key."""
        places, starts = self._plan_places(key, epoch)
        return Plan(places if self.rows is None else self.rows[places], starts)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """The rows of one epoch, batch after batch.

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
        return self._plan_of(seed, epoch).rows.astype(np.int64)

    def batches(self, seed: int, epoch: int) -> list[np.ndarray]:
        """The batches of one epoch, each an array of row numbers.

        Parameters
        ----------
        seed, epoch : int
            As for `order`.

        Returns
        -------
        list of int64 arrays
        """
        plan = self._plan_of(seed, epoch)
        return np.split(plan.rows.astype(np.int64), plan.starts[1:-1]) if len(self) > 0 else []

    def padding(self, seed: int, epoch: int) -> float:
        """The share of padding in the batches of one epoch.

        Parameters
        ----------
        seed, epoch : int
            As for `order`.
        """
        places, starts = self._plan_places(*_checked(seed, epoch))
        return padding_of(self._lengths[places], starts[:-1], self.multiple)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of its lengths, and of its rows."""
        kind = f"tokens={self.tokens}, max_rows={self.max_rows}, multiple={self.multiple}, window={self.window}"
        if self.rows is not None:
            kind += f", rows={digest_of_rows(self.rows)}"
        return f"TokenBudget({self.n}, {kind}, digest={digest_of(self._lengths)})"

    def __repr__(self) -> str:
        """Rows, and what a batch may have."""
        limit = "" if self.max_rows is None else f", max_rows={self.max_rows}"
        some = "" if self.rows is None else f"{len(self)} of "
        return f"TokenBudget({some}{self.n} rows, tokens={self.tokens}{limit})"

    def _plan_of(self, seed: int, epoch: int) -> Plan:
        return self.plan(*_checked(seed, epoch))

    def _plan_places(self, key: tuple[int, int], epoch: int) -> Plan:
        """A plan whose rows are places among those that are drawn."""
        max_rows = self.max_rows or 2**62
        places, starts = plan_batches(self._lengths, self.tokens, max_rows, self.multiple, self.window, key, epoch)
        return Plan(places, starts.astype(np.int64))

    def _padded(self, length: int) -> int:
        return -(-length // self.multiple) * self.multiple

    def _default_window(self) -> int:
        """The rows of as many full batches; at least those of one."""
        n_full = -(-int(self._lengths.sum(dtype=np.int64)) // self.tokens)
        if self.max_rows is not None:
            n_full = max(n_full, -(-len(self) // self.max_rows))
        return max(1, WINDOW_BATCHES * len(self) // max(1, n_full))


def _checked(seed: int, epoch: int) -> tuple[tuple[int, int], int]:
    return root_key(check_seed(seed)), check_epoch(epoch)
