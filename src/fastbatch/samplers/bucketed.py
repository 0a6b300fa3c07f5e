"""Rows of like length beside each other."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from fastbatch._native.lengths import Bucketed as NativeBucketed
from fastbatch.arguments import as_integer
from fastbatch.samplers.lengths import check_lengths, digest_of, padding_of
from fastbatch.samplers.sampler import Sampler

# Blocks of a window, where nobody says how large it is.
WINDOW_BLOCKS = 256


class Bucketed(Sampler):
    """Every row once, neighbours of like length, so that a batch padded to its longest row has little padding [1]_.

    Give the Loader's batch size as `block`: a batch of several blocks has rows of several lengths.

    The NumPy equivalent of its order is::

        rows = fastbatch.Shuffle(n, "streaming").order(seed, epoch)
        rng = numpy.random.default_rng((seed, epoch))
        for first in range(0, n, window):
            own = rows[first : first + window]
            own = own[numpy.argsort(lengths[own], kind="stable")]
            blocks = numpy.split(own, range(block, len(own), block))
            rows[first : first + window] = numpy.concatenate([blocks[i] for i in rng.permutation(len(blocks))])

    with another order of the blocks. Windows of a random order are sorted by length, and cut into blocks that come in
    random order, so that lengths do not rise through a window. A batch within a block has little padding, one of
    several blocks has the rows of short ones and of long ones (of lengths from 1 to 512, in blocks of 64, 1 in 100 is
    padding with batches of 64, and 34 with batches of 128). The larger the window, the less padding, and the less
    random the order. Windows are prepared as the epoch gets there, ahead where there are threads; nothing that takes
    longer with more rows stands before the first batch. Where n is no multiple of `block`, the short block is the
    epoch's last. 12 bytes per row, 8 of them in an epoch.

    Parameters
    ----------
    lengths : array_like of int, of shape (n,)
        From 1 to below 2**31, of fewer than 2**32 rows: those of a `Ragged`, say. They are copied.
    window : int, optional
        Rows that are sorted together, a multiple of `block`. None: 256 blocks.
    block : int
        Rows that stay together: as many as a batch has, or a multiple of that.

    Raises
    ------
    TypeError
        An argument is no integer.
    ValueError
        Lengths are not 1-D, too many or out of range; `window` or `block` is, or `window` is no multiple of `block`.

    See Also
    --------
    TokenBudget : Batches of as many rows as their length allows.

    References
    ----------
    .. [1] Khomenko, Shyshkov, Radyvonenko and Bokhan, "Accelerating recurrent neural network training using sequence
       bucketing and multi-GPU data parallelization", DSMP 2016, arXiv:1708.05604.
    """

    def __init__(self, lengths: Any, *, window: int | None = None, block: int = 64) -> None:
        self._lengths = check_lengths(lengths)
        self.block = as_integer(block, "block")
        if not 1 <= self.block < 2**32:
            raise ValueError(f"block must be at least 1 and below 2**32, got {self.block}")
        self._window_is_default = window is None
        self.window = WINDOW_BLOCKS * self.block if window is None else as_integer(window, "window")
        if not 1 <= self.window < 2**62 or self.window % self.block != 0:
            raise ValueError(f"window must be a multiple of block = {self.block} and below 2**62, got {self.window}")
        # Beyond n they change nothing.
        blocks_of_all = max(1, -(-len(self._lengths) // self.block))
        self.native = NativeBucketed(self._lengths, min(self.window, blocks_of_all * self.block), self.block)

    @property
    def order_memory(self) -> str:
        """What an epoch's order takes, in words."""
        return "8 bytes per row, on each rank, while an epoch is alive"

    def padding(self, seed: int, epoch: int, batch_size: int) -> float:
        """The share of padding in an epoch's batches, each padded to its longest row.

        Parameters
        ----------
        seed, epoch : int
            As for `order`.
        batch_size : int

        Raises
        ------
        TypeError
            Not integers.
        ValueError
            They are out of range.
        """
        batch_size = as_integer(batch_size, "batch_size")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        lengths = self._lengths[self.order(seed, epoch)]
        return padding_of(lengths, np.arange(0, len(lengths), batch_size))

    def of_blocks(self, block: int) -> Bucketed:
        """The same rows in blocks of another size, in windows that are about as large or the default."""
        window = None if self._window_is_default else max(1, self.window // block) * block
        return Bucketed(self._lengths, window=window, block=block)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state: a digest of its lengths."""
        kind = f"window={self.window}, block={self.block}"
        return f"Bucketed({self.n}, {kind}, digest={digest_of(self._lengths)})"

    def __repr__(self) -> str:
        """Rows, and how they are sorted."""
        return f"Bucketed({self.n} rows, window={self.window}, block={self.block})"
