"""PyTorch: tensors in by their memory, tensors out by DLPack capsules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fastbatch.delivery import BFLOAT16, Source


def source_of_tensor(tensor: Any) -> Source:
    """A tensor's memory as an array, without a copy unless it is lazily computed; gradients are left behind.

    Raises
    ------
    ValueError
        The tensor is not on the CPU, or not strided.
    """
    if tensor.device.type != "cpu" or tensor.layout != torch.strided:
        raise ValueError(
            f"tensors must be strided and on the CPU, got {tensor.layout} on {tensor.device}; "
            "use tensor.cpu() or tensor.to_dense()"
        )
    copied = "its elements were conjugated or negated lazily" if tensor.is_conj() or tensor.is_neg() else ""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        return Source(tensor.view(torch.int16).numpy(), "torch", BFLOAT16)
    return Source(tensor.numpy(), "torch", copied=copied)


def wrapper(dtype: np.dtype, dlpack_type: tuple[int, int, int] | None) -> Callable[[object], Any]:
    """What makes a tensor of a DLPack capsule.

    Raises
    ------
    TypeError
        torch has no such dtype.
    """
    torch_dtype(dtype, dlpack_type)
    # The C entry beneath torch.utils.dlpack.from_dlpack, which takes twice as long to find out that this is a capsule.
    from_capsule: Callable[[object], Any] = getattr(torch._C, "_from_dlpack", torch.utils.dlpack.from_dlpack)
    return from_capsule


def torch_dtype(dtype: np.dtype | None, dlpack_type: tuple[int, int, int] | None) -> torch.dtype:
    """The torch dtype of elements of a column.

    Raises
    ------
    TypeError
        There is none.
    """
    if dlpack_type == BFLOAT16:
        return torch.bfloat16
    try:
        if dlpack_type is not None:
            return torch.from_numpy(np.empty(0, dtype)).dtype
    except TypeError:
        pass
    raise TypeError(f"torch has no dtype for {dtype}; use output='numpy'")
