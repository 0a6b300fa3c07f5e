"""Awkward Arrays of lists: the buffers beneath them."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from fastbatch.delivery import Source, source_of
from fastbatch.delivery.arrow import refuse_nulls
from fastbatch.ragged.sources import Lists, as_elements


def lists_of_awkward(data: Any, path: str) -> Lists | None:
    """The lists of an Array; None where it has none.

    Raises
    ------
    TypeError
        They are nested deeper than one list of different lengths.
    ValueError
        There are nulls.
    """
    layout = _without_nulls(ak.to_layout(data), path)
    if layout.is_numpy and layout.purelist_depth > 1:
        layout = layout.to_RegularArray()
    if not layout.is_list or layout.parameter("__array__") is not None:  # strings are lists of characters
        return None
    content = _without_nulls(layout.content, f"{path}: the values in its lists")
    if content.is_list and not content.is_regular:
        raise TypeError(f"{path} must have elements of one shape, got {data.type}")
    elements = as_elements(source_of(ak.to_numpy(content, allow_missing=False)), path)
    if hasattr(layout, "stops"):
        starts = np.asarray(layout.starts.data)
        return Lists((elements,), starts, np.asarray(layout.stops.data)[: len(starts)] - starts)
    if layout.is_regular:
        return Lists((elements,), np.arange(len(layout) + 1) * layout.size)
    return Lists((elements,), np.asarray(layout.offsets.data))


def columns_of_awkward(data: Any) -> dict[str, Any] | None:
    """The fields of an Array of records; None where it has none."""
    return {name: data[name] for name in ak.fields(data)} or None


def array_of_awkward(data: Any, path: str) -> np.ndarray | Source | None:
    """An Array whose rows are of one shape, as an array; None where they are lists of different lengths.

    Raises
    ------
    ValueError
        There are nulls.
    """
    layout = _without_nulls(ak.to_layout(data), path)
    if layout.is_list and not layout.is_regular and layout.parameter("__array__") is None:
        return None
    array: np.ndarray = ak.to_numpy(layout, allow_missing=False)
    return array if layout.is_numpy else Source(array, "numpy", copied=f"awkward holds it as {data.type}")


def _without_nulls(layout: Any, path: str) -> Any:
    while layout.is_option or layout.is_indexed:
        if layout.is_option:
            refuse_nulls(int(np.asarray(layout.mask_as_bool(valid_when=False)).sum()), path)
        layout = layout.project()
    return layout
