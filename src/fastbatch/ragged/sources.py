"""Lists that other libraries hold, opened into their elements: without a copy where that can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from fastbatch.delivery import Source, is_array, source_of
from fastbatch.mapped_files import mapped_file


class Lists(NamedTuple):
    """Elements, and which of them each row has; see `Runs`."""

    sources: tuple[Source, ...]
    starts: Any
    lengths: Any = None


def lists_of(data: Any, path: str) -> Lists:
    """The lists that an object holds.

    Parameters
    ----------
    path : str
        What to call it in messages.

    Raises
    ------
    TypeError
        It holds none, or what they hold is no array.
    ValueError
        There are nulls, which arrays have not, or the elements differ in kind.
    """
    if isinstance(data, (list, tuple)):
        return _open_arrays(data, path)
    libraries = (base.__module__.partition(".")[0] for base in type(data).__mro__[:-1])
    opener = next((OPENERS[library] for library in libraries if library in OPENERS), None)
    lists = None if opener is None else opener(data, path)
    if lists is None:
        raise TypeError(
            f"{path} must come with offsets, or be a list of arrays or of lists, an Arrow list array, a nested tensor "
            f"or an awkward array, got {type(data).__name__}"
        )
    return lists


def as_elements(source: Source, path: str) -> Source:
    """The source, or a copy of it that is contiguous."""
    array = source.array
    if array.ndim == 0:
        raise ValueError(f"{path} must have an axis of elements, got a 0-d array")
    if array.flags.c_contiguous or isinstance(array, np.ma.MaskedArray):  # which is refused later
        return source
    if (file := mapped_file(array)) is not None:
        file.check(path)  # the copy reads all of it
    copied = source.copied or f"its elements are not contiguous (strides {array.strides})"
    return source._replace(array=np.ascontiguousarray(array), copied=copied)


def _open_arrays(arrays: Sequence[Any], path: str) -> Lists:
    if not arrays:
        raise ValueError(f"{path} must hold a row at least, whose dtype is that of all")
    if all(isinstance(row, (list, tuple)) for row in arrays):
        return _open_numbers(arrays, path)
    for row, array in enumerate(arrays):
        if not is_array(array):
            raise TypeError(
                f"{path} must be a list of arrays, or of lists of numbers, got {type(array).__name__} as row {row}"
            )
    sources = [source_of(array) for array in arrays]
    first = sources[0]
    for row, (array, _, kind, _) in enumerate(sources):
        if array.ndim == 0:
            raise ValueError(f"{path} must be a list of arrays with an axis of elements, row {row} is 0-d")
        if (array.dtype, array.shape[1:], kind) != (first.array.dtype, first.array.shape[1:], first.dlpack_type):
            raise ValueError(
                f"{path} must have elements of one kind, got {array.dtype} {array.shape[1:]} in row {row} and "
                f"{first.array.dtype} {first.array.shape[1:]} in row 0"
            )
    elements = np.concatenate([array for array, *_ in sources])
    offsets = np.cumsum([0, *(len(array) for array, *_ in sources)], dtype=np.int64)
    return Lists((first._replace(array=elements, copied="it is a list of arrays"),), offsets)


def _open_numbers(rows: Sequence[Sequence[Any]], path: str) -> Lists:
    """Lists of numbers, or of what NumPy makes an array of: one array of all, so that empty rows have its dtype."""
    whole = list(chain.from_iterable(rows))
    if not whole:
        raise ValueError(f"{path} must hold an element at least, whose dtype is that of all")
    try:
        elements = np.array(whole)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} must have elements of one shape: {error}") from error
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Lists((Source(elements, "numpy", copied="it is a list of lists"),), offsets)


def _open_arrow(data: Any, path: str) -> Lists | None:
    from fastbatch.ragged.arrow import lists_of_arrow

    return lists_of_arrow(data, path)


def _open_torch(data: Any, path: str) -> Lists | None:
    from fastbatch.ragged.torch import lists_of_nested

    return lists_of_nested(data, path) if getattr(data, "is_nested", False) else None


def _open_awkward(data: Any, path: str) -> Lists | None:
    from fastbatch.ragged.awkward import lists_of_awkward

    return lists_of_awkward(data, path)


OPENERS: dict[str, Callable[[Any, str], Lists | None]] = {
    "pyarrow": _open_arrow,
    "torch": _open_torch,
    "awkward": _open_awkward,
}
