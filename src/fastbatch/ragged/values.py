"""The elements of rows of different lengths, and what they are padded with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastbatch._native.cast import Cast
from fastbatch.delivery import BFLOAT16, Source

# Kinds of dtypes: bool, integers, floating-point and complex numbers.
NUMBERS = "biufc"


class Written(NamedTuple):
    """What elements become, where they do not stay as they are.

    Attributes
    ----------
    cast : Cast
        Of the numbers of one element.
    dtype, dlpack_type
        Of those that are written.
    """

    cast: Cast
    dtype: np.dtype[Any]
    dlpack_type: tuple[int, int, int] | None


def check_numbers(sources: tuple[Source, ...], path: str) -> None:
    """Refuse elements that are no numbers.

    Raises
    ------
    TypeError
        They are not.
    """
    for source in sources:
        if source.array.dtype.kind not in NUMBERS and source.dlpack_type != BFLOAT16:
            raise TypeError(f"{path} must be numbers, got dtype {source.array.dtype}")


def check_pad(pad: object) -> None:
    """Refuse what is no number.

    Raises
    ------
    TypeError
        It is not.
    """
    if not isinstance(pad, (bool, int, float, complex, np.number, np.bool_)):
        raise TypeError(f"pad must be a number, got {type(pad).__name__}")


def pad_item(pad: Any, dtype: np.dtype[Any], dlpack_type: tuple[int, int, int] | None, name: str = "pad") -> bytes:
    """A number, called `name` in messages, as the bytes of an item.

    Raises
    ------
    ValueError
        An item cannot hold it: integers have to be held exactly, others may be rounded.
    """
    is_bfloat16 = dlpack_type == BFLOAT16
    try:
        if is_bfloat16:
            item = _rounded_to_bfloat16(pad)
        else:
            item = _whole(pad, dtype) if dtype.kind in "biu" else _rounded(pad, dtype)
    except (OverflowError, TypeError, ValueError):
        item = None
    if item is None:
        raise ValueError(f"{name} must be a number that {'bfloat16' if is_bfloat16 else dtype} can hold, got {pad!r}")
    return item.tobytes()


def _whole(pad: Any, dtype: np.dtype) -> np.ndarray | None:
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return np.array(int(pad), dtype) if int(pad) == pad and low <= int(pad) <= high else None


def _rounded(pad: Any, dtype: np.dtype) -> np.ndarray | None:
    with np.errstate(over="ignore"):
        item = np.array(pad, dtype)
    return item if np.isfinite(item) or not np.isfinite(pad) else None


def _rounded_to_bfloat16(pad: Any) -> np.ndarray | None:
    """Its bits."""
    bits = Cast("float64", "bfloat16", 1).apply(np.array([pad], np.float64), np.dtype(np.uint16))
    return bits if bits[0] & 0x7FFF != 0x7F80 or np.isinf(pad) else None
