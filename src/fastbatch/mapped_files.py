"""Files mapped into memory beneath a user's arrays."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

# On Linux, what lies where in this process's memory.
MAPS = "/proc/self/maps"


@dataclass(frozen=True)
class MappedFile:
    """A file that an array's bytes lie in.

    Attributes
    ----------
    mapping : mmap.mmap
    path : str or None
        Under which it was opened, where that is known.
    needed : int
        Bytes from the beginning of the file to the end of the highest byte that the array views.
    """

    mapping: mmap.mmap
    path: str | None
    needed: int

    def check(self, name: str) -> None:
        """Raise OSError if the file has been truncated, for to read what it lacks would kill the process (SIGBUS).

        It costs one fstat, of the descriptor that the mapping keeps: the path may by now be that of another file.

        Parameters
        ----------
        name : str
            What the message calls the array.
        """
        size = _size(self.mapping)
        if size is not None and size < self.needed:
            file = "a mapped file" if self.path is None else f"the file {self.path}"
            raise OSError(
                f"{name} needs the first {self.needed:,} bytes of {file}, which is now {size:,} bytes long: "
                "it was truncated after it was mapped"
            )


def open_npy(name: Any) -> Any:
    """A .npy file, mapped into memory, where `name` is the path of one; anything else as it is.

    Raises
    ------
    OSError, ValueError
        It cannot be read, or mapped.
    """
    if isinstance(name, (str, os.PathLike)) and os.path.splitext(os.fspath(name))[1] == ".npy":
        return np.load(name, mmap_mode="r")
    return name


def mapped_file(array: np.ndarray) -> MappedFile | None:
    """The file that an array's bytes lie in; None for other memory, anonymous maps, devices and arrays without bytes.

    Where in its file a bare `mmap.mmap` begins, only Linux tells. Elsewhere it is taken to begin at byte 0, so that
    `MappedFile.needed` may be too small there, and a good file is never refused. Where anonymous maps have a size
    (Windows, and any system from Python 3.15 on), they are taken for files, which always pass.
    """
    low, high = address_range(array)
    mapping = next((base for base in _bases(array) if isinstance(base, mmap.mmap)), None)
    if mapping is None or low == high:
        return None
    size = _size(mapping)
    if size is None:
        return None
    file = file_beneath(array)
    if isinstance(file, np.memmap) and file.offset is not None:
        path = None if file.filename is None else str(file.filename)
        needed = int(file.offset) + high - address_range(file)[0]
    else:
        first = address_range(np.frombuffer(mapping, np.uint8))[0]
        path, offset = _file_at(first)
        needed = offset + high - first
    if size == 0 and (path is None or not os.path.isfile(path)):
        return None  # a device has no size
    return MappedFile(mapping, path, needed)


def is_file_backed(array: np.ndarray) -> bool:
    """Whether the memory under an array, or under what it views, is a mapped file."""
    return file_beneath(array) is not None


def file_beneath(array: Any) -> np.memmap | mmap.mmap | None:
    """The `numpy.memmap` nearest to the file that an array views, or the bare map; None for ordinary memory."""
    found = None
    for base in _bases(array):
        if isinstance(base, np.memmap):
            found = base
        elif isinstance(base, mmap.mmap):
            return base if found is None else found
    return None  # copies of memmaps are memmaps too, with no file beneath


def address_range(array: np.ndarray) -> tuple[int, int]:
    """The addresses of an array's lowest byte and of the one behind its highest; the same twice if it has no bytes."""
    low = high = array.__array_interface__["data"][0]
    if array.nbytes == 0:
        return low, low
    for length, stride in zip(array.shape, array.strides, strict=True):
        low += min(0, (length - 1) * stride)
        high += max(0, (length - 1) * stride)
    return low, high + array.itemsize


def _bases(array: Any) -> Iterator[Any]:
    """An array, what it views, and so on down to what holds the memory."""
    while array is not None:
        yield array
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)


def _size(mapping: mmap.mmap) -> int | None:
    """The present size of a mapped file; None for memory without a file, and where the map keeps no descriptor."""
    try:
        return mapping.size()
    except (OSError, ValueError):
        return None


def _file_at(address: int) -> tuple[str | None, int]:
    """The path of the file mapped at an address, and the offset in it; (None, 0) where the system does not say."""
    try:
        with open(MAPS, encoding="utf-8", errors="surrogateescape") as maps:
            for line in maps:
                span, _, offset, _, inode, *path = line.rstrip("\n").split(maxsplit=5)
                first, behind = (int(part, 16) for part in span.split("-"))
                if first <= address < behind:
                    if inode == "0":
                        break  # no file: memory that later Pythons tell the size of too
                    return path[0] if path else None, int(offset, 16) + address - first
    except (OSError, ValueError):
        pass
    return None, 0
