"""The elements of rows of different lengths, and what they are padded with."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbatch.delivery import BFLOAT16, Source

# Kinds of dtypes: bool, integers, floating-point and complex numbers.
NUMBERS = "biufc"


def check_numbers(sources: tuple[Source, ...], path: str) -> None:
    """Refuse elements that are no numbers.

    Raises
    ------
    TypeError
        They are not.
    """
    for source in sources:
        if source.array.dtype.kind not in NUMBERS:
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


def pad_item(pad: Any, source: Source) -> bytes:
    """A number as the bytes of an item of the source.

    Raises
    ------
    ValueError
        An item cannot hold it: integers have to be held exactly, others may be rounded.
    """
    if source.dlpack_type == BFLOAT16:
        from fastbatch.delivery.torch import bfloat16_bits

        return bfloat16_bits(pad)
    dtype = source.array.dtype
    try:
        item = _whole(pad, dtype) if dtype.kind in "biu" else _rounded(pad, dtype)
    except (OverflowError, TypeError, ValueError):
        item = None
    if item is None:
        raise ValueError(f"pad must be a number that {dtype} can hold, got {pad!r}")
    return item.tobytes()


def _whole(pad: Any, dtype: np.dtype) -> np.ndarray | None:
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return np.array(int(pad), dtype) if int(pad) == pad and low <= int(pad) <= high else None


def _rounded(pad: Any, dtype: np.dtype) -> np.ndarray | None:
    with np.errstate(over="ignore"):
        item = np.array(pad, dtype)
    return item if np.isfinite(item) or not np.isfinite(pad) else None
