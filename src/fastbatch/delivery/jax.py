"""JAX: arrays out by DLPack capsules, without a copy where JAX works on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from fastbatch.delivery import BFLOAT16


class _Capsule:
    """What `jax.dlpack.from_dlpack` takes: it asks for the capsule once, and ends its lease in the end."""

    def __init__(self, capsule: object) -> None:
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> object:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # the CPU


def wrapper(dtype: np.dtype, dlpack_type: tuple[int, int, int] | None) -> Callable[[object], Any]:
    """What makes a jax.Array of a DLPack capsule.

    Raises
    ------
    TypeError
        JAX has no such dtype, or has it only with ``jax_enable_x64``.
    """
    if dlpack_type is None or (dlpack_type != BFLOAT16 and jax.dtypes.canonicalize_dtype(dtype) != dtype):
        raise TypeError(f"JAX has no dtype for {dtype}, or only with jax_enable_x64; convert the data")

    def from_capsule(capsule: object) -> Any:
        return jax.dlpack.from_dlpack(_Capsule(capsule))

    return from_capsule
