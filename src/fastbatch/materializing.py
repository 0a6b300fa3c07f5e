"""Datasets that yield one sample at a time, read once into arrays."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbatch._native.structure import Structure, flatten
from fastbatch.delivery import is_array, source_of
from fastbatch.progress import ProgressBar

if TYPE_CHECKING:
    from pathlib import Path

# Samples that are read by one thread, and noted together.
CHUNK = 256

# How often it is written down what was read.
SAVE_SECONDS = 1.0

#: In the folder of a dataset that is materialized: how far it has got.
PROGRESS = "progress.json"


def materialize(dataset: Any, path: Any = None, *, threads: int = 1, progress: bool | None = None) -> Any:
    """Read a dataset that yields one sample at a time, once, into arrays.

    The NumPy equivalent, for samples that are arrays, is::

        numpy.stack([dataset[i] for i in range(len(dataset))])

    Parameters
    ----------
    dataset : map-style dataset
        Has ``len(dataset)`` and ``dataset[i]``: torch's Datasets, lists, or one's own. A sample is an array, a tensor
        or a number, or a tuple, list, dict, namedtuple or dataclass of them, nested; all of one structure, of the
        shapes and dtypes of the first.
    path : path, optional
        A folder for the arrays, as .npy files that are mapped: for what is larger than the memory. Called again, it
        reads what is missing, also after the process was killed in the middle.
    threads : int
        Python threads that ask for samples: more than one only where the dataset allows it.
    progress : bool, optional
        Whether to show how far it has got, on stderr. None: where that is a terminal.

    Returns
    -------
    structure of arrays
        For `Loader`: NumPy arrays of shape (n, ...), read-only ones with a `path`.

    Raises
    ------
    TypeError
        It has no length, or a sample holds what is no number.
    ValueError
        It is empty; samples differ in structure, shape or dtype; or the folder holds another dataset.
    Exception
        What the dataset raises, with a note that says at which sample. With a `path`, what was read is kept.
    """
    # Here, because they take a fifth of what importing fastbatch does.
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise TypeError(f"dataset must have a length and samples by number, got {type(dataset).__name__}")
    n = len(dataset)
    if n == 0:
        raise ValueError("dataset must have a sample at least: shapes and dtypes are those of the first")
    structure, leaves = _flat(_sample(dataset, 0), 0)
    target = _InMemory(n, leaves) if path is None else _InFolder(Path(path), n, leaves)
    chunks = [first for first in range(0, n, CHUNK) if first not in target.done]
    n_done = n - sum(min(CHUNK, n - first) for first in chunks)

    def read(first: int) -> None:
        rows = range(first, min(first + CHUNK, n))
        for row in rows:
            other, values = _flat(_sample(dataset, row), row)
            _store(target.arrays, structure, other, values, row)
        target.note(first)
        bar.advance(len(rows))

    with (
        ProgressBar("samples", n, sys.stderr, n_done=n_done, shown=progress) as bar,
        ThreadPoolExecutor(max(1, threads)) as pool,
    ):
        pending = [pool.submit(read, first) for first in chunks]
        try:
            for future in pending:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            target.save()
            raise
    return structure.unflatten(target.finished())


def _sample(dataset: Any, row: int) -> Any:
    try:
        return dataset[row]
    except Exception as error:
        error.add_note(f"raised by sample {row}")
        raise


def _flat(sample: Any, row: int) -> tuple[Structure, list[np.ndarray]]:
    def is_leaf(leaf: Any) -> bool:
        return isinstance(leaf, (bool, int, float, complex, np.generic)) or is_array(leaf)

    structure, leaves, paths = flatten(sample, is_leaf, path=f"sample {row}")
    values = []
    for leaf, path in zip(leaves, paths, strict=True):
        value = source_of(leaf).array if is_array(leaf) and not isinstance(leaf, np.generic) else np.asarray(leaf)
        if value.dtype.hasobject:
            raise TypeError(f"{path} must be of numbers, got dtype {value.dtype}")
        values.append(value)
    return structure, values


def _store(
    arrays: list[np.ndarray], structure: Structure, other: Structure, values: list[np.ndarray], row: int
) -> None:
    if other != structure:
        raise ValueError(f"sample {row} must have the structure of sample 0")
    for array, value in zip(arrays, values, strict=True):
        if value.shape != array.shape[1:] or value.dtype != array.dtype:
            raise ValueError(
                f"sample {row} must be as sample 0, of shape {array.shape[1:]} and dtype {array.dtype}, "
                f"got {value.shape} and {value.dtype}"
            )
        array[row] = value


class _InMemory:
    def __init__(self, n: int, first: list[np.ndarray]) -> None:
        self.arrays = [np.empty((n, *value.shape), value.dtype) for value in first]
        self.done: set[int] = set()

    def note(self, first: int) -> None:
        self.done.add(first)

    def save(self) -> None:
        pass

    def finished(self) -> list[np.ndarray]:
        return self.arrays


class _InFolder:
    """Arrays in a folder, and which chunks of them were written."""

    def __init__(self, folder: Path, n: int, first: list[np.ndarray]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._lock, self._saved = folder, threading.Lock(), time.monotonic()
        kinds = [[str(value.dtype), list(value.shape)] for value in first]
        self._kept = {"samples": n, "chunk": CHUNK, "arrays": kinds}
        self._names = [folder / f"{i}.npy" for i in range(len(first))]
        self.done: set[int] = set()
        if (folder / PROGRESS).exists():
            found = json.loads((folder / PROGRESS).read_text())
            self.done = set(found.pop("done"))
            if found != self._kept:
                raise ValueError(f"{folder} holds another dataset: {found}, not {self._kept}")
            self.arrays = [np.load(name, mmap_mode="r+") for name in self._names]
        else:
            self.arrays = [
                np.lib.format.open_memmap(name, "w+", value.dtype, (n, *value.shape))
                for name, value in zip(self._names, first, strict=True)
            ]
            self.save()

    def note(self, first: int) -> None:
        with self._lock:
            self.done.add(first)
            is_due = time.monotonic() - self._saved > SAVE_SECONDS
        if is_due:
            self.save()

    def save(self) -> None:
        """Write it down, after what it speaks of, at once or not at all: the process may be killed."""
        with self._lock:
            self._saved, done = time.monotonic(), sorted(self.done)
            for array in self.arrays:
                array.flush()
            self._write(done)

    def _write(self, done: list[int]) -> None:
        written = self._folder / f"{PROGRESS}.new"
        written.write_text(json.dumps({**self._kept, "done": done}))
        os.replace(written, self._folder / PROGRESS)

    def finished(self) -> list[np.ndarray]:
        self.save()
        return [np.load(name, mmap_mode="r") for name in self._names]
