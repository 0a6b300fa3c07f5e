"""Numbers of another type, shifted and scaled."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbatch._native.cast import WRITABLE
from fastbatch.arguments import as_numbers
from fastbatch.transforms.rows import Rows


class Cast:
    """Elements written as another floating type, rounded once, to the nearest, ties to even.

    The NumPy equivalent is::

        x[rows].astype(dtype)

    Parameters
    ----------
    dtype : str, or dtype of NumPy, torch or ml_dtypes
        float32, float16, bfloat16 or float64. Of the last but one tensors are made, and arrays where ml_dtypes is
        installed.

    Raises
    ------
    TypeError
        There is no such type, or none that can be written.

    Notes
    -----
    For columns of arrays, and for the elements of a `Ragged`; so are `Scale` and `Normalize`.

    Read are bool, uint8, int8, int16, uint16, int32, float16, bfloat16, float32 and float64. Where other transforms
    shift and scale, they do so in float32, or in float64 where int32 or float64 is read or float64 written, and the
    result is rounded to `dtype` at the end, wherever this stands among them.
    """

    def __init__(self, dtype: Any) -> None:
        name = str(dtype).removeprefix("torch.")
        if name not in WRITABLE and dtype is not None:  # which NumPy takes for float64
            with contextlib.suppress(TypeError):
                name = np.dtype(dtype).name
        if name not in WRITABLE:
            raise TypeError(f"Cast writes {', '.join(WRITABLE)}, got {dtype!r}")
        self.dtype = name

    def extend(self, rows: Rows) -> None:
        """Let the rows be written as this type."""
        if rows.make is None or rows.images is not None:
            rows.require_numbers(self)
        rows.writable = self.dtype

    def __repr__(self) -> str:
        """As it is made."""
        return f"Cast({self.dtype!r})"


class Scale:
    """Elements multiplied by a number, as in ``Scale(1 / 255)``.

    The NumPy equivalent is::

        x[rows].astype("float32") * factor

    Parameters
    ----------
    factor : float, or array_like
        Finite and not 0. An array is broadcast to the rows, of a `Ragged` to each element: one factor for each of
        their last axis, or of shape (C,) for the channels of images.

    Raises
    ------
    TypeError
        `factor` is no real number, nor an array of such.
    ValueError
        By the Loader: it does not fit the rows, or is not finite, or 0, in the type of the arithmetic (see `Cast`).

    Notes
    -----
    Integers become float32 unless `Cast` says otherwise. Scale and `Normalize` become one subtraction and one product.
    """

    def __init__(self, factor: npt.ArrayLike) -> None:
        self.factor = as_numbers(factor, "factor")

    def extend(self, rows: Rows) -> None:
        """Multiply the rows."""
        rows.require_numbers(self)
        factor = rows.fitted(self.factor, "factor", repr(self))
        refuse_bad(factor, (factor == 0) | ~np.isfinite(factor), "factor must be finite and not 0", rows)
        rows.shift_and_scale(np.zeros(()), factor, self)

    def __repr__(self) -> str:
        """As it is made."""
        return f"Scale({_shown(self.factor)})"


class Normalize:
    """Elements less their mean, divided by their standard deviation.

    The NumPy equivalent is::

        (x[rows].astype("float32") - mean) / std

    Parameters
    ----------
    mean, std : float, or array_like
        Finite, `std` above 0. Arrays are broadcast to the rows, of a `Ragged` to each element: one number for each
        feature, or of shape (C,) for the channels of images. `statistics` gives both.

    Raises
    ------
    TypeError
        They are no real numbers, nor arrays of such.
    ValueError
        By the Loader: they do not fit the rows; they, or 1 / `std`, are out of range in the type of the arithmetic (see
        `Cast`).

    Notes
    -----
    Computed as (x - mean) * (1 / std), so that x equal to a mean that float32 holds becomes 0. Integers become float32
    unless `Cast` says otherwise.
    """

    def __init__(self, mean: npt.ArrayLike, std: npt.ArrayLike) -> None:
        self.mean, self.std = as_numbers(mean, "mean"), as_numbers(std, "std")

    def extend(self, rows: Rows) -> None:
        """Shift and scale the rows."""
        rows.require_numbers(self)
        mean, std = rows.fitted(self.mean, "mean", repr(self)), rows.fitted(self.std, "std", repr(self))
        refuse_bad(mean, ~np.isfinite(mean), "mean must be finite", rows)
        refuse_bad(std, ~(np.isfinite(std) & (std > 0)), "std must be finite and above 0", rows)
        with np.errstate(over="ignore"):
            rows.shift_and_scale(mean, 1 / std, self)

    def __repr__(self) -> str:
        """As it is made."""
        return f"Normalize({_shown(self.mean)}, {_shown(self.std)})"


def refuse_bad(numbers: npt.NDArray[np.float64], bad: npt.NDArray[np.bool_], rule: str, rows: Rows) -> None:
    """ValueError where a number is bad, which names the first."""
    if not bad.any():
        return
    at = np.unravel_index(int(np.argmax(bad)), bad.shape)
    where = f" at {tuple(map(int, at))}" if at else ""
    raise ValueError(f"{rows.path}: {rule}, got {numbers[at]}{where}")


def _shown(numbers: npt.NDArray[np.float64]) -> str:
    """Few numbers as they are, many by their shape."""
    return repr(numbers.tolist()) if numbers.size <= 4 else f"<{' x '.join(map(str, numbers.shape))} numbers>"
