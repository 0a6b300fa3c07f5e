"""PyTorch's nested tensors: the buffer beneath them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch

from fastbatch.delivery import source_of
from fastbatch.ragged.sources import Lists, as_elements, lists_of


def lists_of_nested(nested: Any, path: str) -> Lists:
    """The rows of a nested tensor of either layout.

    Raises
    ------
    ValueError
        It is transposed, or not on the CPU; or its rows differ in other axes than the first.
    """
    if nested.layout == torch.jagged:
        if isinstance(nested.shape[1], int):
            raise ValueError(f"{path} must have its rows' lengths as axis 1, got a nested tensor that is transposed")
        lengths = nested.lengths()
        values = as_elements(source_of(nested.values()), path)
        starts = nested.offsets().numpy()
        if lengths is None:
            return Lists((values,), starts)
        return Lists((values,), starts[:-1], lengths.numpy())
    rows = nested.detach().unbind()
    if rows and all(_follows(before, behind) for before, behind in pairwise(rows)) and rows[0].is_contiguous():
        lengths = [len(row) for row in rows]
        whole = rows[0].as_strided((sum(lengths), *rows[0].shape[1:]), rows[0].stride())
        return Lists((source_of(whole),), np.cumsum([0, *lengths], dtype=np.int64))
    return lists_of(list(rows), path)


def _follows(before: Any, behind: Any) -> bool:
    return bool(
        behind.is_contiguous()
        and before.shape[1:] == behind.shape[1:]
        and before.data_ptr() + before.nbytes == behind.data_ptr()
        and before.untyped_storage().data_ptr() == behind.untyped_storage().data_ptr()
    )
