"""Blocks of neighbouring rows in random order."""

from __future__ import annotations

from fastbatch._native import sampler as native_samplers
from fastbatch.arguments import as_integer
from fastbatch.samplers.sampler import Sampler, check_n


class Blocks(Sampler):
    """Every row once: blocks of neighbouring rows in random order, and rows mixed within a window of blocks.

    The NumPy equivalent of its order is::

        rng = numpy.random.default_rng((seed, epoch))
        blocks = rng.permutation(numpy.arange(0, n, block))
        windows = [blocks[i : i + window] for i in range(0, len(blocks), window)]
        rows = [[numpy.arange(first, min(first + block, n)) for first in firsts] for firsts in windows]
        numpy.concatenate([rng.permutation(numpy.concatenate(parts)) for parts in rows])

    with another order. For tables in mapped files that do not fit the memory: the rows of a window are those of a few
    blocks, which are read once and from one end to the other. From a file of 4 GB, rows of 4 KB, with 768 MB of memory
    on a fast virtual disk, 1 MB came per second by `Shuffle`, 36 by blocks of 64 rows, 145 by blocks of 256 and 241 by
    blocks of 1024, 64 of them in a window; 2583 in the order of the data. The price is randomness: rows that stand
    together in the data, and are alike, come within the same ``block * window`` rows of the epoch, and a batch has rows
    of at most twice ``window`` blocks. With a window of all blocks every order is equally likely; to shuffle the data
    itself, once, makes up for small windows. Windows are prepared as the epoch gets there, ahead where there are
    threads (Fisher-Yates, sfc64 keyed by Philox). 4 bytes per row, 8 from 2**32 rows on.

    Parameters
    ----------
    n : int
        Rows to draw from.
    block : int
        Rows of a block.
    window : int
        Blocks whose rows are mixed.

    Raises
    ------
    TypeError
        An argument is no integer.
    ValueError
        An argument is out of range.
    """

    def __init__(self, n: int, *, block: int, window: int) -> None:
        n = check_n(n)
        self.block, self.window = as_integer(block, "block"), as_integer(window, "window")
        for name, value in (("block", self.block), ("window", self.window)):
            if not 1 <= value < 2**63:
                raise ValueError(f"{name} must be at least 1 and below 2**63, got {value}")
        # Beyond n they change nothing.
        of_rows = max(1, min(self.block, n))
        self.native = native_samplers.Blocks(n, of_rows, min(self.window, max(1, -(-n // of_rows))))

    def __repr__(self) -> str:
        """Rows, and how they are mixed."""
        return f"Blocks({self.n}, block={self.block}, window={self.window})"
