"""Pickling by reference: data that lies in a file is mapped again by the copy, not held by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbatch._native.structure import flatten
from fastbatch.columns import is_column
from fastbatch.concatenation import Concat
from fastbatch.containers import is_container
from fastbatch.mapped_files import address_range, file_beneath
from fastbatch.packed import PackedPart
from fastbatch.ragged import Ragged
from fastbatch.ragged.sources import Lists


@dataclasses.dataclass(frozen=True)
class FileReference:
    """An array that views a mapped file.

    Attributes
    ----------
    path : str
    offset : int
        Bytes before its first element.
    span : int
        Bytes from the lowest element to the end of the highest.
    before : int
        Bytes from the lowest element to the first: not 0 where strides are negative.
    """

    path: str
    offset: int
    span: int
    before: int
    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def open(self) -> np.ndarray:
        """The array, over a read-only map of the file."""
        file = np.memmap(self.path, np.uint8, mode="r", offset=self.offset - self.before, shape=(self.span,))
        return np.ndarray(self.shape, self.dtype, file, offset=self.before, strides=self.strides)


@dataclasses.dataclass(frozen=True)
class RaggedReference:
    """A `Ragged` whose elements are `FileReference`s where they can be."""

    lists: Lists
    options: Any

    def open(self) -> Ragged:
        """The same over the same files."""
        return Ragged.of(_with_arrays(self.lists, _opened), self.options)


def by_reference(data: Any) -> Any:
    """The data with `FileReference`s where arrays view a memmap that knows its path."""
    structure, leaves, _ = flatten(data, lambda leaf: is_container(leaf) or is_column(leaf))
    return structure, [_reference(leaf) for leaf in leaves]


def from_reference(kept: Any) -> Any:
    """The data that `by_reference` was given."""
    structure, leaves = kept
    return structure.unflatten([_opened(leaf) for leaf in leaves])


def _opened(leaf: Any) -> Any:
    if isinstance(leaf, Concat):
        return Concat(_opened(array) for array in leaf.arrays)
    if isinstance(leaf, PackedPart):
        return leaf.over(_opened(leaf.ragged))
    return leaf.open() if isinstance(leaf, (FileReference, RaggedReference)) else leaf


def _reference(leaf: Any) -> Any:
    if isinstance(leaf, Ragged):
        return RaggedReference(_with_arrays(leaf.lists, _reference), leaf.options)
    if isinstance(leaf, Concat):
        return Concat(_reference(array) for array in leaf.arrays)
    if isinstance(leaf, PackedPart):
        return leaf.over(_reference(leaf.ragged))
    if isinstance(leaf, memoryview):
        return np.asarray(leaf)  # memoryviews cannot be pickled
    file = file_beneath(leaf) if isinstance(leaf, np.ndarray) else None
    # A copy-on-write map holds changes that its file does not.
    if not isinstance(file, np.memmap) or file.filename is None or file.mode == "c" or leaf.size == 0:
        return leaf
    low, high = address_range(leaf)
    first = leaf.__array_interface__["data"][0]
    return FileReference(
        path=str(file.filename),
        offset=file.offset + first - address_range(file)[0],
        span=high - low,
        before=first - low,
        dtype=leaf.dtype,
        shape=leaf.shape,
        strides=leaf.strides,
    )


def _with_arrays(lists: Lists, change: Callable[[Any], Any]) -> Lists:
    return lists._replace(sources=tuple(source._replace(array=change(source.array)) for source in lists.sources))
