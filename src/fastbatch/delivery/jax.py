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


class JaxCarrier:
    """Copies to a device of JAX, which it does by itself, behind the scenes.

    Parameters
    ----------
    device : jax.Device, jax.sharding.Sharding or str
        A name is that of a platform, and stands for the first of its devices that are this process's.

    Raises
    ------
    TypeError
        It is none of these.
    ValueError
        The sharding has devices of other processes: each process has batches of its own.
    RuntimeError
        There is no such platform.
    """

    def __init__(self, device: Any) -> None:
        if not isinstance(device, (str, jax.Device, jax.sharding.Sharding)):
            raise TypeError(f"device must be a jax.Device, a Sharding or a platform's name, got {device!r}")
        if isinstance(device, jax.sharding.Sharding) and not device.is_fully_addressable:
            raise ValueError(f"device must be a sharding over devices of this process, got {device!r}")
        self._device = jax.local_devices(backend=device)[0] if isinstance(device, str) else device

    def wrap(self, wrap: Callable[[object], Any]) -> Callable[[object], Any]:
        """What makes an array on the device of a DLPack capsule; JAX holds the lease until it has read the buffer."""
        return lambda capsule: jax.device_put(wrap(capsule), self._device)

    def mark(self) -> None:
        """Nothing: whatever uses an array of JAX waits for it."""

    def receive(self, batch: Any, mark: None) -> None:
        """Nothing, for the same reason."""

    def call(self, function: Callable[[Any], Any], batch: Any) -> tuple[Any, None]:
        """What a function makes of a batch."""
        return function(batch), None

    def __str__(self) -> str:
        """The device."""
        return str(self._device)


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
