"""Arrow: arrays in by their buffers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbatch.delivery import Source


def array_of(chunk: Any) -> np.ndarray | Source:
    """The memory of an Arrow array without nulls, or a copy of what Arrow holds in another form."""
    if hasattr(chunk, "to_numpy_ndarray"):  # tensors of one shape
        tensors: np.ndarray = chunk.to_numpy_ndarray()
        return tensors
    if hasattr(chunk, "storage"):  # another extension type
        return array_of(chunk.storage)
    if hasattr(chunk.type, "list_size"):
        values = array_of(chunk.flatten())
        array = values.array if isinstance(values, Source) else values
        array = array.reshape(len(chunk), chunk.type.list_size, *array.shape[1:])
        return values._replace(array=array) if isinstance(values, Source) else array
    try:
        numbers: np.ndarray = chunk.to_numpy(zero_copy_only=True)
        return numbers
    except ValueError:  # pyarrow.ArrowInvalid is one
        return Source(chunk.to_numpy(zero_copy_only=False), "numpy", copied=f"Arrow holds it as {chunk.type}")


def refuse_nulls(n_nulls: int, path: str) -> None:
    """Raise ValueError if there are some, which arrays have not."""
    if n_nulls:
        raise ValueError(f"{path} must have no nulls, got {n_nulls}: fill them, or drop these rows")
