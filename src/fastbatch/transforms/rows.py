"""Rows on their way through transforms: what they are so far, and the column that writes them in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastbatch._native.cast import READABLE, Cast, CastColumn, name_of_type
from fastbatch._native.column import Column, GatherColumn
from fastbatch.delivery import element_type

Numbers = npt.NDArray[np.float64]


class Transform(Protocol):
    """One thing to do with each row of a column."""

    def extend(self, rows: Rows) -> None:
        """Add this to what is done with the rows.

        Raises
        ------
        TypeError, ValueError
            It cannot be done with these: the message names the column and the value.
        """


class Rows:
    """The rows of one column, and what is to be done with them.

    Parameters
    ----------
    path : str
        What to call the column in messages.
    dtype, dlpack_type
        Of the source.
    shape : tuple of int
        Of a row of the source.
    framework : str
        That the batches are for.

    Attributes
    ----------
    readable : str
        The type of the source's elements.
    writable : str or None
        The type that is asked for; None: that of the source where it is a floating type, else float32.
    affine : tuple of 2 arrays, or None
        Centers and scales of (x - center) * scale, which broadcast to the shape.
    """

    def __init__(
        self,
        path: str,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        *,
        dlpack_type: tuple[int, int, int] | None = None,
        framework: str = "numpy",
    ) -> None:
        self.path, self.dtype, self.shape, self.framework = path, dtype, shape, framework
        self.dlpack_type = dlpack_type
        self.readable = name_of_type(dtype, dlpack_type)
        self.writable: str | None = None
        self.affine: tuple[Numbers, Numbers] | None = None
        self.is_done = False  # nothing but a type may follow
        # What makes the column, where it is no cast.
        self.make: Callable[..., Column] | None = None

    def require_numbers(self, what: Transform) -> None:
        """Refuse rows that no arithmetic is done with."""
        if self.is_done:
            raise ValueError(f"{self.path}: {what!r} cannot follow one-hot labels")
        if self.readable not in READABLE:
            raise TypeError(f"{self.path}: {what!r} reads {', '.join(READABLE)}, got {self.readable}")

    def shift_and_scale(self, center: Numbers, scale: Numbers) -> None:
        """Let y become (y - center) * scale. Both broadcast to the shape."""
        if self.affine is None:
            self.affine = center, scale
        else:
            before_center, before_scale = self.affine
            self.affine = before_center + center / before_scale, before_scale * scale

    @property
    def written(self) -> str:
        """The type that is written."""
        if self.writable is not None:
            return self.writable
        return self.readable if "float" in self.readable else "float32"

    def column(self, source: np.ndarray[Any, Any], *, blocking: bool = False) -> Column:
        """What writes rows of a source of this kind."""
        if self.make is not None:
            return self.make(source, blocking=blocking)
        if self.affine is None and self.written == self.readable:
            return GatherColumn(source, dlpack_type=self.dlpack_type, blocking=blocking)
        centers, scales, run = self._table()
        try:
            cast = Cast(self.readable, self.written, int(np.prod(self.shape)), centers, scales, run=run)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        dtype, dlpack_type = element_type(self.written, self.framework, self.path)
        return CastColumn(source, cast, dtype, dlpack_type=dlpack_type, blocking=blocking)

    def _table(self) -> tuple[Numbers | None, Numbers | None, int]:
        """Centers, scales, and how many elements that follow each other share one of them."""
        if self.affine is None or 0 in self.shape:
            return None, None, 1
        shape = np.broadcast_shapes(*(numbers.shape for numbers in self.affine))
        shape = (1,) * (len(self.shape) - len(shape)) + shape
        differing = [axis for axis, n in enumerate(shape) if n > 1] or [0]
        # From the first to the last axis along which they differ: before those they repeat, behind them they stay.
        first, end = differing[0], differing[-1] + 1
        full = self.shape[first:end] if max(shape, default=1) > 1 else ()
        centers, scales = (
            np.broadcast_to(np.broadcast_to(numbers, shape).reshape(shape[first:end] if full else ()), full).ravel()
            for numbers in self.affine
        )
        return centers, scales, int(np.prod(self.shape[end:])) if full else 1
