"""Some rows of an array, as one column."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbatch._native.take import check_rows


class Picked:
    """Rows of an array that stand for an array of their own, not copied.

    Attributes
    ----------
    array : array, of shape (n, ...)
    rows : integer array of shape (k,)
        Checked.
    """

    def __init__(self, array: Any, rows: Any) -> None:
        self.array = array
        self.rows = check_rows(np.asarray(rows).reshape(-1), len(array))

    def __len__(self) -> int:
        """How many rows."""
        return len(self.rows)
