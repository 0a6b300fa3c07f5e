"""Ranks: processes that share one order, each with its own slice of every batch."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import numpy as np

from fastbatch.arguments import as_integer

#: What becomes of the last rows, where they do not divide evenly.
UNEVEN = ("wrap", "exact", "pad")


class Ranks(NamedTuple):
    """Which of how many processes this is.

    Attributes
    ----------
    uneven : {"wrap", "exact", "pad"}
    """

    rank: int = 0
    world_size: int = 1
    uneven: str = "wrap"

    def __str__(self) -> str:
        """In words, for `explain`."""
        return f"rank {self.rank} of {self.world_size}, the last rows by {self.uneven!r}"


def check_ranks(rank: int | str | None, world_size: int | None, uneven: str, seed: int | None) -> Ranks:
    """The ranks that a Loader's arguments ask for.

    Raises
    ------
    TypeError
        They are no integers.
    ValueError
        They are out of range, or one is missing, or there are several and no seed.
    """
    if uneven not in UNEVEN:
        raise ValueError(f"uneven must be one of {', '.join(map(repr, UNEVEN))}, got {uneven!r}")
    if isinstance(rank, str):
        if rank != "auto":
            raise ValueError(f'rank must be an integer or "auto", got {rank!r}')
        if world_size is not None:
            raise ValueError('world_size is found out where rank is "auto": give one of them')
        rank, world_size = _found()
    if (rank is None) != (world_size is None):
        raise ValueError("rank and world_size go together: one of them is missing")
    if rank is None or world_size is None:
        return Ranks(uneven=uneven)
    rank, world_size = as_integer(rank, "rank"), as_integer(world_size, "world_size")
    if not 1 <= world_size < 2**31:
        raise ValueError(f"world_size must be at least 1 and below 2**31, got {world_size}")
    if not 0 <= rank < world_size:
        raise ValueError(f"rank must be at least 0 and below world_size = {world_size}, got {rank}")
    if world_size > 1 and seed is None:
        raise ValueError(f"seed is required with {world_size} ranks: each would draw another one")
    return Ranks(rank, world_size, uneven)


def _found() -> tuple[int, int]:
    """Those of torch.distributed where it is in use, else of the environment (as torchrun sets it), else one."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    rank, world_size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if rank is None and world_size is None:
        return 0, 1
    if rank is None or world_size is None or not (rank.isdecimal() and world_size.isdecimal()):
        raise ValueError(f"the environment must have integers RANK and WORLD_SIZE, got {rank!r} and {world_size!r}")
    return int(rank), int(world_size)


def cut(rows: np.ndarray, head: list[int], ranks: Ranks) -> tuple[np.ndarray, int]:
    """One rank's slice of a batch of all, as the engine cuts it, and where in the batch it begins.

    `head` are the first rows of the epoch.
    """
    missing = -len(rows) % ranks.world_size
    if missing and ranks.uneven != "exact":
        rows = np.concatenate([rows, np.resize(np.array(head or rows, np.int64), missing)])
    slices = np.array_split(rows, ranks.world_size)
    return slices[ranks.rank], sum(map(len, slices[: ranks.rank]))
