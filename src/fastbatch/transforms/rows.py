"""Rows on their way through transforms: what they are so far, and the column that writes them in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fastbatch._native.cast import READABLE, Cast, CastColumn, arithmetic_type, name_of_type
from fastbatch._native.column import Column, GatherColumn, dlpack_type_of
from fastbatch.arguments import Numbers
from fastbatch.delivery import element_type

if TYPE_CHECKING:
    from fastbatch.transforms.geometry import Geometry


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
    kind : str
        What to call the rows in messages.

    Attributes
    ----------
    shape : tuple of int
        Of a row in the slot, so far.
    channels : int or None
        How many, where the rows are images: numbers belong to channels then.
    channel_run : int
        Elements that follow each other in one channel.
    readable : str
        The type of the elements that are cast: the source's, unless these are resized before.
    writable : str or None
        The type that is asked for. None: that of the source, unless it is an integer one and there is arithmetic.
    affine : tuple of 2 arrays, or None
        Centers and scales of (x - center) * scale, which broadcast to the shape; of images, of shape () or (channels,).
    arithmetic : list of str
        The transforms that they are of.
    images : Geometry or None
        What is done with their pixels, where they are images.
    make : callable or None
        What makes the column, called as make(source, blocking=...), where it is not a cast of rows as they are.
    done : list of str
        The transforms so far.
    """

    def __init__(
        self,
        path: str,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        *,
        dlpack_type: tuple[int, int, int] | None = None,
        framework: str = "numpy",
        kind: str = "rows",
    ) -> None:
        self.path, self.dtype, self.shape, self.framework = path, dtype, shape, framework
        self.dlpack_type, self.kind = dlpack_type, kind
        self.readable = name_of_type(dtype, dlpack_type)
        self.writable: str | None = None
        self.affine: tuple[Numbers, Numbers] | None = None
        self.arithmetic: list[str] = []
        self.channels: int | None = None
        self.channel_run = 1
        self.images: Geometry | None = None
        self.make: Callable[..., Column] | None = None
        self.done: list[str] = []

    def then(self, transform: Transform) -> None:
        """Let a transform come next."""
        transform.extend(self)
        self.done.append(repr(transform))

    def require_numbers(self, what: object) -> None:
        """Refuse rows that no arithmetic is done with."""
        if self.make is not None and self.images is None:
            raise ValueError(f"{self.path}: {what!r} cannot follow one-hot labels")
        if self.readable not in READABLE:
            raise TypeError(f"{self.path}: {what!r} reads {', '.join(READABLE)}, got {self.readable}")

    def require_native(self, what: object) -> None:
        """Refuse rows that are read as this machine's own numbers, and are of the other byte order."""
        if not self.dtype.isnative:
            native = self.dtype.newbyteorder("=").name
            raise TypeError(
                f"{self.path}: {what!r} needs numbers in this machine's byte order, got {self.dtype}: "
                f"convert them once, by astype({native!r})"
            )

    def fitted(self, numbers: Numbers, name: str, what: str) -> Numbers:
        """Numbers in a shape that belongs to the rows.

        Raises
        ------
        ValueError
            There is none.
        """
        if self.channels is not None:
            if numbers.size == 1:
                return numbers.reshape(())
            if numbers.size == self.channels == max(numbers.shape):
                return numbers.reshape(-1)
            raise ValueError(
                f"{self.path}: {name} of shape {numbers.shape} does not fit {self.channels} channels in {what}: "
                "each channel of images has one number, as statistics gives them with a layout"
            )
        try:
            fits = np.broadcast_shapes(numbers.shape, self.shape) == self.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"{self.path}: {name} of shape {numbers.shape} does not fit {self.kind} of shape {self.shape} in {what}"
            )
        return numbers

    def shift_and_scale(self, center: Numbers, scale: Numbers, what: object) -> None:
        """Let y become (y - center) * scale, because of a transform."""
        self.arithmetic.append(repr(what))
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
        return self.readable if self.affine is None or "float" in self.readable else "float32"

    @property
    def stay(self) -> bool:
        """Whether elements are written as they are."""
        return self.affine is None and self.written == self.readable

    def column(self, source: np.ndarray[Any, Any], *, blocking: bool = False) -> Column:
        """What writes rows of a source of this kind."""
        if self.make is not None:
            return self.make(source, blocking=blocking)
        if self.stay:
            return GatherColumn(source, dlpack_type=self.dlpack_type, blocking=blocking)
        dtype, dlpack_type = self.element_type()
        return CastColumn(source, self.cast(), dtype, dlpack_type=dlpack_type, blocking=blocking)

    def element_type(self) -> tuple[np.dtype[Any], tuple[int, int, int] | None]:
        """What is written, as NumPy and as DLPack call it."""
        if self.written == name_of_type(self.dtype, self.dlpack_type):
            return self.dtype, self.dlpack_type or dlpack_type_of(self.dtype)
        return element_type(self.written, self.framework, self.path)

    def cast(self) -> Cast:
        """What becomes of the elements."""
        centers, scales, run = self._table()
        if centers is not None and scales is not None:
            self._check_range(centers, "subtract numbers that are finite")
            self._check_range(scales, "multiply by numbers that are finite and not 0", is_scale=True)
        return Cast(self.readable, self.written, int(np.prod(self.shape)), centers, scales, run=run)

    def _check_range(self, numbers: Numbers, rule: str, *, is_scale: bool = False) -> None:
        """ValueError where the type of the arithmetic holds one of the numbers not at all, or only as 0."""
        real = arithmetic_type(self.readable, self.written)
        with np.errstate(over="ignore", under="ignore"):
            held = numbers.astype(real)
        bad = ~np.isfinite(held) | (is_scale & (held == 0))
        if bad.any():
            what = ", ".join(self.arithmetic)
            raise ValueError(f"{self.path}: {what} must {rule} in {real}, got {numbers[int(np.argmax(bad))]}")

    def _table(self) -> tuple[Numbers | None, Numbers | None, int]:
        """Centers, scales, and how many elements that follow each other share one of them."""
        if self.affine is None or 0 in self.shape:
            return None, None, 1
        shape = np.broadcast_shapes(*(numbers.shape for numbers in self.affine))
        if self.channels is not None:
            centers, scales = (np.broadcast_to(numbers, shape).reshape(-1) for numbers in self.affine)
            return centers, scales, self.channel_run if shape else 1
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
