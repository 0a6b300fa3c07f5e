"""Arrays in, arrays out: one module for each framework, imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastbatch._native.column import dlpack_type_of

#: The frameworks a batch can be handed over to.
OUTPUTS = ("numpy", "torch", "jax")

#: DLPack's type of bfloat16, which NumPy lacks: such elements travel as 16-bit integers.
BFLOAT16 = (4, 16, 1)


class Source(NamedTuple):
    """One array of the user's data, as the native layer takes it."""

    array: np.ndarray[Any, Any]
    framework: str
    dlpack_type: tuple[int, int, int] | None = None  # where the elements are not what the dtype says
    copied: str = ""  # why it is not the user's own memory


def is_array(leaf: object) -> bool:
    """Whether an object is one array rather than a structure of them."""
    if isinstance(leaf, (np.ndarray, Source)) or hasattr(leaf, "__dlpack__"):
        return True
    if isinstance(leaf, (str, bytes)):
        return False
    try:
        memoryview(leaf)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def source_of(leaf: Any) -> Source:
    """The memory of an array of any framework, without a copy.

    Raises
    ------
    TypeError, ValueError
        Not on the CPU, or of a dtype that has no place in memory of its own.
    """
    if isinstance(leaf, Source):
        return leaf
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(leaf, torch.Tensor):
        from fastbatch.delivery.torch import source_of_tensor

        return source_of_tensor(leaf)
    if isinstance(leaf, np.ndarray):
        return Source(leaf, "numpy", BFLOAT16 if leaf.dtype.name == "bfloat16" else None)  # that of ml_dtypes
    if hasattr(leaf, "__dlpack__"):
        return Source(np.from_dlpack(leaf), "numpy")
    return Source(np.asarray(memoryview(leaf)), "numpy")


def element_type(name: str, framework: str, path: str) -> tuple[np.dtype[Any], tuple[int, int, int] | None]:
    """The dtype in which a framework's batches hold elements of a type, and DLPack's type.

    Raises
    ------
    TypeError
        NumPy has no such dtype.
    """
    if name != "bfloat16":
        dtype = np.dtype(name)
        return dtype, dlpack_type_of(dtype)
    if framework != "numpy":
        return np.dtype(np.uint16), BFLOAT16
    try:
        import ml_dtypes
    except ImportError:
        raise TypeError(
            f"{path}: NumPy has no bfloat16; install ml_dtypes, use output='torch', or convert the data"
        ) from None
    return np.dtype(ml_dtypes.bfloat16), BFLOAT16


def wrapper_for(
    output: str, dtype: np.dtype[Any], dlpack_type: tuple[int, int, int] | None
) -> Callable[[object], Any] | None:
    """What makes a framework's tensor of a DLPack capsule; None for NumPy, whose arrays the engine makes itself.

    Raises
    ------
    TypeError
        The framework has no such elements.
    ImportError
        It is not installed.
    """
    if output == "numpy":
        return None
    if output == "jax":
        from fastbatch.delivery import jax

        return jax.wrapper(dtype, dlpack_type)
    from fastbatch.delivery import torch

    return torch.wrapper(dtype, dlpack_type)
