"""How many native threads fill batches, and how far ahead."""

from __future__ import annotations

import operator
from typing import NamedTuple

from fastbatch.cores import allowed_cores

# More threads than these gain nothing by themselves: a few of them read as fast as memory delivers.
MOST_BY_ITSELF = 4

# Batches filled ahead where nobody says how many: as many as fit, within bounds. With the one that was delivered last,
# seven of them make a ring of eight.
FEWEST_AHEAD, MOST_AHEAD, AHEAD_NBYTES = 2, 7, 64 * 2**20

# What nobody asks for on purpose.
MOST_THREADS, MOST_PREFETCH = 256, 1024


class Workers(NamedTuple):
    """What an engine is told of its threads.

    Attributes
    ----------
    n_threads : int
        That may be started.
    n_ahead : int
        Batches that may be filled ahead.
    measured : bool
        Whether they are filled ahead only where that was found to be faster.
    """

    n_threads: int
    n_ahead: int
    measured: bool


def check_workers(threads: object, prefetch: object) -> tuple[int | None, int | None]:
    """The arguments `threads` and `prefetch` of a Loader.

    Raises
    ------
    TypeError
        One is no integer.
    ValueError
        One is negative, or more than anybody can mean.
    """
    return _check("threads", threads, MOST_THREADS), _check("prefetch", prefetch, MOST_PREFETCH)


def choose_workers(threads: int | None, prefetch: int | None, batch_nbytes: int | None) -> Workers:
    """What `threads` and `prefetch` come to here, for batches of so many bytes, or of a size that nobody knows."""
    n_threads = min(allowed_cores() - 1, MOST_BY_ITSELF) if threads is None else threads
    if n_threads == 0:
        return Workers(0, 0, measured=False)
    if prefetch is None:
        fitting = FEWEST_AHEAD if batch_nbytes is None else AHEAD_NBYTES // max(1, batch_nbytes)
        prefetch = max(FEWEST_AHEAD, min(MOST_AHEAD, fitting))
    return Workers(n_threads, prefetch, measured=threads is None)


def _check(name: str, value: object, most: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer or None, got {value}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer or None, got {type(value).__name__}") from None
    if not 0 <= number <= most:
        raise ValueError(f"{name} must be from 0 to {most}, got {number}")
    return number
