"""What other libraries keep arrays in, opened into structures of arrays: without a copy where that can be."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbatch.concatenation import Concat
from fastbatch.delivery import Source
from fastbatch.delivery.arrow import array_of, refuse_nulls
from fastbatch.mapped_files import open_npy
from fastbatch.picking import Picked
from fastbatch.ragged import Ragged
from fastbatch.ragged.sources import lists_of


def opened(data: Any, path: str) -> Any:
    """The arrays in a container of another library, or a structure of them; anything else as it is.

    Parameters
    ----------
    path : str
        What to call it in messages.

    Raises
    ------
    TypeError
        It yields what it holds one by one, or lazily.
    ValueError
        A column has nulls, which arrays have not, or empty lists; two have one name.
    OSError
        A file cannot be read.
    """
    opener = _opener_of(data)
    found = data if opener is None else opener(data, path)
    ragged = _as_ragged(found, path)
    return found if ragged is None else ragged.opened(path)


def is_container(data: Any) -> bool:
    """Whether `opened` makes something else of it, or may."""
    return isinstance(data, Ragged) or _opener_of(data) is not None


def _opener_of(data: Any) -> Callable[[Any, str], Any] | None:
    """That of the first library that the object's class, or one beneath it, is of."""
    if isinstance(data, (str, os.PathLike)):
        return _open_file
    libraries = (base.__module__.partition(".")[0] for base in type(data).__mro__[:-1])
    return next((OPENERS[library] for library in libraries if library in OPENERS), None)


def _named(names: list[Any], columns: list[Any], path: str) -> dict[Any, Any]:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path} must not have two columns of one name, got {twice!r} twice")
    return dict(zip(names, columns, strict=True))


def _as_ragged(data: Any, path: str) -> Ragged | None:
    """Rows of different lengths; None where they are of one."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(data, torch.Tensor) and data.is_nested:
        return Ragged.of(lists_of(data, path), path=path)
    if isinstance(data, Picked):
        inside = _as_ragged(data.array, path)
        return None if inside is None else inside.picked(data.rows)
    if isinstance(data, Concat):
        parts = [_as_ragged(array, path) for array in data.arrays]
        ragged = [part for part in parts if part is not None]
        return Ragged.joined(ragged, path) if len(ragged) == len(parts) else None
    return data if isinstance(data, Ragged) else None


def _parts(parts: list[Any]) -> Any:
    """One array, or several as one column."""
    return parts[0] if len(parts) == 1 else Concat(parts)


# ---------------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------------


def _open_file(name: str | os.PathLike[str], path: str) -> Any:
    """A .npy file mapped, a .npz file read; another path as it is."""
    if os.path.splitext(os.fspath(name))[1] == ".npz":
        with np.load(name) as arrays:
            return dict(arrays)
    return open_npy(name)


# ---------------------------------------------------------------------------------------------------------------------
# Tables
# ---------------------------------------------------------------------------------------------------------------------


def _open_pandas(data: Any, path: str) -> Any:
    if hasattr(data, "columns"):
        names = list(data.columns)
        return _named(names, [_open_pandas(data.iloc[:, i], f"{path}[{name!r}]") for i, name in enumerate(names)], path)
    if not hasattr(data, "to_numpy"):
        return data
    array = data.to_numpy()
    return (
        array if isinstance(data.dtype, np.dtype) else Source(array, "numpy", copied=f"pandas holds it as {data.dtype}")
    )


def _open_polars(data: Any, path: str) -> Any:
    if hasattr(data, "collect"):
        raise TypeError(f"{path} must be in memory, got a {type(data).__name__}: use collect()")
    if hasattr(data, "get_columns"):
        columns = data.get_columns()
        names = [column.name for column in columns]
        return _named(names, [_open_polars(column, f"{path}[{column.name!r}]") for column in columns], path)
    if not hasattr(data, "get_chunks"):
        return data
    refuse_nulls(data.null_count(), path)
    return _parts([_open_polars_chunk(chunk) for chunk in data.get_chunks()])


def _open_polars_chunk(chunk: Any) -> Any:
    try:
        return chunk.to_numpy(allow_copy=False)
    except RuntimeError:
        return Source(chunk.to_numpy(), "numpy", copied=f"polars holds it as {chunk.dtype}")


def _open_arrow(data: Any, path: str) -> Any:
    from fastbatch.ragged.arrow import is_list

    if hasattr(data, "column_names"):
        names = list(data.column_names)
        return _named(names, [_open_arrow(data.column(i), f"{path}[{name!r}]") for i, name in enumerate(names)], path)
    if is_list(data):
        return Ragged.of(lists_of(data, path), path=path)
    if hasattr(data, "chunks"):
        refuse_nulls(data.null_count, path)
        chunks = [chunk for chunk in data.chunks if len(chunk) > 0] or [data.combine_chunks()]
        return _parts([array_of(chunk) for chunk in chunks])
    if not hasattr(data, "null_count"):
        return data
    refuse_nulls(data.null_count, path)
    return array_of(data)


def _open_dataset(data: Any, path: str) -> Any:
    """A Hugging Face Dataset, whatever its format: the Arrow table beneath it, and the rows that it has of that."""
    if isinstance(data, dict):  # of Datasets
        return data
    if not hasattr(data, "data"):
        return _refuse_lazy(data, path)
    columns = _open_arrow(data.data.table, path)
    columns = {name: columns[name] for name in data.column_names}
    if data._indices is None:
        return columns
    rows = data._indices.column(0).to_numpy()
    return {name: _picked(column, rows) for name, column in columns.items()}


def _refuse_lazy(data: Any, path: str) -> Any:
    raise TypeError(
        f"{path} must be in memory or mapped, got a {type(data).__name__}, which yields its rows one by one"
    )


def _picked(column: Any, rows: np.ndarray) -> Any:
    return Picked(column.array, column.rows[rows]) if isinstance(column, Picked) else Picked(column, rows)


# ---------------------------------------------------------------------------------------------------------------------
# Arrays with more to them
# ---------------------------------------------------------------------------------------------------------------------


def _open_xarray(data: Any, path: str) -> Any:
    if hasattr(data, "data_vars"):
        return {name: _open_xarray(data[name], f"{path}[{name!r}]") for name in data.data_vars}
    if not hasattr(data, "data"):
        return data
    if isinstance(data.data, np.ndarray):
        return data.data
    return Source(data.to_numpy(), "numpy", copied=f"xarray holds it as {type(data.data).__name__}")


def _open_zarr(data: Any, path: str) -> Any:
    if hasattr(data, "arrays"):
        return {name: _open_zarr(array, f"{path}[{name!r}]") for name, array in data.arrays()}
    if not hasattr(data, "chunks"):
        return data
    return Source(np.asarray(data[...]), "numpy", copied="zarr holds it in compressed chunks")


def _open_awkward(data: Any, path: str) -> Any:
    from awkward import Array

    from fastbatch.ragged.awkward import array_of_awkward, columns_of_awkward

    if not isinstance(data, Array):
        return data
    columns = columns_of_awkward(data)
    if columns is not None:
        return {name: _open_awkward(column, f"{path}[{name!r}]") for name, column in columns.items()}
    array = array_of_awkward(data, path)
    return Ragged.of(lists_of(data, path), path=path) if array is None else array


def _open_torch(data: Any, path: str) -> Any:
    """The datasets of torch.utils.data that hold tensors."""
    if hasattr(data, "tensors") and isinstance(data.tensors, tuple):
        return data.tensors
    if hasattr(data, "datasets") and hasattr(data, "cumulative_sizes"):
        parts = [opened(part, f"{path}.datasets[{i}]") for i, part in enumerate(data.datasets)]
        columns = [part if isinstance(part, tuple) else (part,) for part in parts]
        if len({len(of_part) for of_part in columns}) > 1:
            raise ValueError(f"{path}.datasets must have equally many tensors each, got {[len(c) for c in columns]}")
        whole = tuple(Concat(of_column) for of_column in zip(*columns, strict=True))
        return whole if isinstance(parts[0], tuple) else whole[0]
    if hasattr(data, "dataset") and hasattr(data, "indices"):
        rows = np.asarray(data.indices)
        inside = opened(data.dataset, f"{path}.dataset")
        if isinstance(inside, tuple):
            return tuple(_picked(column, rows) for column in inside)
        return _picked(inside, rows)
    if any(base.__module__.startswith("torch.utils.data") for base in type(data).__mro__):
        raise TypeError(
            f"{path} must be an array, or hold arrays, got {type(data).__name__}: fastbatch.materialize reads it once"
        )
    return data


OPENERS: dict[str, Callable[[Any, str], Any]] = {
    "pandas": _open_pandas,
    "polars": _open_polars,
    "pyarrow": _open_arrow,
    "datasets": _open_dataset,
    "xarray": _open_xarray,
    "zarr": _open_zarr,
    "torch": _open_torch,
    "awkward": _open_awkward,
}
