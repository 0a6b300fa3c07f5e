"""Class numbers as rows of probabilities."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastbatch._native.cast import Cast, OneHotColumn
from fastbatch._native.column import Column
from fastbatch.arguments import as_integer, as_number
from fastbatch.transforms.rows import Rows


class OneHot:
    """Class numbers as rows of one probability for each class.

    The NumPy equivalent is::

        numpy.eye(k, dtype="float32")[y[rows]] * (1 - smoothing) + smoothing / k

    Parameters
    ----------
    k : int
        Classes: the labels are integers from 0 to k - 1, of shape (n,).
    smoothing : float
        From 0 to 1: what is taken from the class and given to all alike [1]_.

    Raises
    ------
    TypeError, ValueError
        `k` or `smoothing` is of another type, or out of range.

    Notes
    -----
    float32, or what a `Cast` behind it says. That all labels are classes is checked when the Loader is made, and of
    each row again when it is read, because a file may have changed.

    References
    ----------
    .. [1] Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception architecture for computer vision",
       CVPR 2016.
    """

    def __init__(self, k: int, smoothing: float = 0.0) -> None:
        self.k = as_integer(k, "k")
        self.smoothing = as_number(smoothing, "smoothing")
        if not 0 < self.k < 2**31:
            raise ValueError(f"k must be at least 1 and below 2**31, got {k}")
        if not 0 <= self.smoothing <= 1:
            raise ValueError(f"smoothing must be from 0 to 1, got {smoothing}")

    def extend(self, rows: Rows) -> None:
        """Let the rows be probabilities."""
        if rows.make is not None or rows.affine is not None or rows.writable is not None:
            raise ValueError(f"{rows.path}: {self!r} must come first, got it behind {', '.join(rows.done)}")
        if rows.shape != () or rows.dtype.kind not in "iu":
            raise TypeError(
                f"{rows.path}: {self!r} reads integers, one in each row, got {rows.dtype} in rows of shape {rows.shape}"
            )
        rows.require_native(self)
        rows.shape = (self.k,)
        rows.writable = "float32"
        rows.make = partial(self._column, rows)

    def _column(self, rows: Rows, source: np.ndarray[Any, Any], *, blocking: bool) -> Column:
        for bad in (source < 0, source >= self.k):
            if bad.any():
                row = int(np.argmax(bad))
                raise ValueError(
                    f"{rows.path}: labels must be from 0 to {self.k - 1} for {self!r}, got {source[row]} in row {row}"
                )
        dtype, dlpack_type = rows.element_type()
        off = self.smoothing / self.k
        values = np.array([1 - self.smoothing + off, off])
        on, off = Cast("float64", rows.written, 2).apply(values, dtype)
        return OneHotColumn(source, self.k, on, off, dtype, dlpack_type=dlpack_type, blocking=blocking)

    def __repr__(self) -> str:
        """As it is made."""
        smoothing = f", smoothing={self.smoothing}" if self.smoothing else ""
        return f"OneHot({self.k}{smoothing})"
