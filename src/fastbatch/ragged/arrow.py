"""Arrow's list arrays: their elements by reference, of all chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbatch.delivery import source_of
from fastbatch.delivery.arrow import array_of, refuse_nulls
from fastbatch.ragged.sources import Lists, as_elements


def is_list(data: Any) -> bool:
    """Whether an Arrow array, chunked or not, is of lists of different lengths."""
    import pyarrow

    kind = getattr(data, "type", None)
    return isinstance(kind, pyarrow.DataType) and (
        pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind) or _is_list_view(kind)
    )


def lists_of_arrow(data: Any, path: str) -> Lists | None:
    """The lists of an Arrow array; None where it has none.

    Raises
    ------
    ValueError
        There are nulls.
    """
    if not is_list(data) and not hasattr(getattr(data, "type", None), "list_size"):
        return None
    refuse_nulls(data.null_count, path)
    chunks = [data]
    if hasattr(data, "chunks"):
        chunks = [chunk for chunk in data.chunks if len(chunk) > 0] or [data.combine_chunks()]
    parts = [_lists_of_chunk(chunk, path) for chunk in chunks]
    if len(parts) == 1:
        return parts[0]
    n_before = np.cumsum([0, *(len(part.sources[0].array) for part in parts)], dtype=np.int64)
    return Lists(
        tuple(part.sources[0] for part in parts),
        np.concatenate([_starts(part) + n for part, n in zip(parts, n_before[:-1], strict=True)]),
        np.concatenate([np.diff(part.starts) if part.lengths is None else part.lengths for part in parts]),
    )


def _lists_of_chunk(chunk: Any, path: str) -> Lists:
    kind = chunk.type
    if _is_list_view(kind):
        elements, starts, lengths = chunk.values, chunk.offsets.to_numpy(), chunk.sizes.to_numpy()
    elif hasattr(kind, "list_size"):
        elements, starts, lengths = chunk.flatten(), np.arange(len(chunk) + 1) * kind.list_size, None
    else:
        offsets = chunk.offsets.to_numpy()
        elements, starts, lengths = chunk.flatten(), offsets - offsets[0], None  # of a slice of a longer array
    refuse_nulls(elements.null_count, f"{path}: the values in its lists")
    return Lists((as_elements(source_of(array_of(elements)), path),), starts, lengths)


def _starts(part: Lists) -> np.ndarray:
    starts: np.ndarray = part.starts if part.lengths is not None else part.starts[:-1]
    return starts


def _is_list_view(kind: Any) -> bool:
    import pyarrow

    # Older ones have none.
    return any(
        check(kind)
        for check in (getattr(pyarrow.types, name, None) for name in ("is_list_view", "is_large_list_view"))
        if check is not None
    )
