"""Arrays one behind the other, as one column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Concat:
    """Several arrays that stand for one: what `concat` gives.

    Attributes
    ----------
    arrays : tuple of arrays
    """

    def __init__(self, arrays: Iterable[Any]) -> None:
        self.arrays = tuple(arrays)
        if not self.arrays:
            raise ValueError("concat needs at least one array")

    def __len__(self) -> int:
        """Rows of all."""
        return sum(len(array) for array in self.arrays)

    def __repr__(self) -> str:
        """How many rows of how many arrays."""
        return f"concat of {len(self.arrays)} arrays, {len(self)} rows"


def concat(arrays: Iterable[Any]) -> Concat:
    """Arrays one behind the other as one column of a Loader, without copying them.

    The NumPy equivalent is::

        numpy.concatenate(arrays)

    Parameters
    ----------
    arrays : iterable of arrays, of shape (n_i, ...)
        Of one dtype and one shape of rows, of any kind that a Loader takes; memory-mapped ones among them.

    Returns
    -------
    Concat
        For the `data` of a Loader, alone or within a structure. Rows are numbered one array behind the other, as
        `Mixture` numbers them.

    Raises
    ------
    ValueError
        There is no array; or, by the Loader, their rows differ.
    TypeError
        By the Loader: one of them is no array.
    """
    return Concat(arrays)
