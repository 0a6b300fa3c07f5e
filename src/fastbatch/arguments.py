"""What users give, as numbers."""

from __future__ import annotations

import operator
import reprlib
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def as_numbers(given: Any, name: str, what: str = "real numbers") -> Numbers:
    """A number, or an array of numbers, as float64.

    Parameters
    ----------
    name : str
        What to call it in messages.
    what : str
        What it has to be.

    Raises
    ------
    TypeError
        There are others than real numbers, to which bools and strings of digits do not belong.
    ValueError
        Lists in it differ in length, or an integer is beyond float64.
    """
    try:
        array = np.asarray(given)
    except ValueError:
        raise ValueError(f"{name} must be an array, got lists that differ in length: {reprlib.repr(given)}") from None
    if not _is_real(array):
        said = f"dtype {given.dtype}" if isinstance(given, np.ndarray) else reprlib.repr(given)
        raise TypeError(f"{name} must be {what}, got {said}")
    try:
        return array.astype(np.float64)
    except OverflowError:
        raise ValueError(f"{name} must be finite in float64, got {reprlib.repr(given)}") from None


def as_number(given: Any, name: str) -> float:
    """One number, as `as_numbers` reads them; TypeError where there are several."""
    numbers = as_numbers(given, name, "a real number")
    if numbers.ndim > 0:
        raise TypeError(f"{name} must be a real number, got {reprlib.repr(given)}")
    return float(numbers)


def as_integer(given: Any, name: str) -> int:
    """An integer; TypeError where it is none, or a bool."""
    if not isinstance(given, bool):
        try:
            return operator.index(given)
        except TypeError:
            pass
    raise TypeError(f"{name} must be an integer, got {reprlib.repr(given)}")


def _is_real(array: npt.NDArray[Any]) -> bool:
    """Whether it holds real numbers: also what NumPy has no type of its own for, such as bfloat16 and fractions."""
    if array.dtype.kind == "O":
        return all(isinstance(x, (Real, Decimal)) and not isinstance(x, bool) for x in array.flat)
    return array.dtype.kind in "iuf" or (array.dtype.kind == "V" and array.dtype.type is not np.void)
