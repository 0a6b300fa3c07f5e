"""Where batches are handed over: in the CPU's memory, in pinned memory, or on a device."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from fastbatch._native.column import Column

Wrap = Callable[[object], Any]


class Carrier(Protocol):
    """What copies batches to a device, ahead of whoever iterates."""

    def wrap(self, wrap: Wrap) -> Wrap:
        """What makes an array on the device of a DLPack capsule, where `wrap` makes one in the CPU's memory."""

    def mark(self) -> Any:
        """What stands for the end of all copies that were begun so far."""

    def receive(self, batch: Any, mark: Any) -> None:
        """Let what the calling thread does from here on find the batch there."""

    def call(self, function: Callable[[Any], Any], batch: Any) -> tuple[Any, Any]:
        """What a function makes of a batch that this thread has received, and a mark for whoever receives that."""


class Equipment(NamedTuple):
    """What an engine is made with so that its batches get to a destination; see `Engine`.

    Attributes
    ----------
    close : callable
        To be called once the engine is closed.
    """

    wraps: Sequence[Wrap | None]
    allocators: Sequence[tuple[int, int, int] | None] | None = None
    restock: Callable[[], int] | None = None
    n_spare: int | None = None
    close: Callable[[], None] = lambda: None


class Destination(NamedTuple):
    """Where the batches of a Loader are handed over.

    Attributes
    ----------
    output : {"numpy", "torch", "jax"}, optional
        What they are made of; None: what the data is made of.
    carrier : Carrier, optional
        What takes them to a device.
    empty : callable, optional
        What makes the torch tensors that they are filled in, as `torch.empty` does: of pinned memory. None: the engine
        has memory of its own.
    """

    output: str | None
    carrier: Carrier | None = None
    empty: Callable[..., Any] | None = None

    def equip(self, columns: Sequence[Column], wraps: Sequence[Wrap | None], n_ahead: int) -> Equipment:
        """What an engine needs that fills up to `n_ahead` batches ahead."""
        equipment = Equipment(wraps)
        if self.empty is not None:
            from fastbatch.delivery.pinned import LentMemory

            # One more is being handed over while its successor is filled.
            equipment = LentMemory(columns, wraps, n_ahead + 2, self.empty).equipment()
        if self.carrier is None:
            return equipment
        # What stays a NumPy array, because the framework has no such numbers, stays where it is.
        carried = [None if wrap is None else self.carrier.wrap(wrap) for wrap in equipment.wraps]
        return equipment._replace(wraps=carried)

    def __str__(self) -> str:
        """In words, for `explain`."""
        memory = "the CPU's memory" if self.empty is None else "pinned memory"
        return f"in {memory}" if self.carrier is None else f"on {self.carrier}, copied from {memory}"


def check_destination(output: str | None, device: Any, pin_memory: bool | None) -> Destination:
    """The destination that a Loader's arguments ask for.

    Warns where there is nothing that memory could be pinned for.

    Raises
    ------
    TypeError
        `device` names none, or `pin_memory` is neither true nor false.
    ValueError
        The arguments exclude each other, or `device` is of another kind.
    RuntimeError
        There is no such device.
    ImportError
        The framework is not installed.
    """
    if pin_memory is not None and not isinstance(pin_memory, bool):
        raise TypeError(f"pin_memory must be True, False or None, got {pin_memory!r}")
    if output == "jax":
        if pin_memory:
            raise ValueError("pin_memory=True is for torch, and output is 'jax'")
        return Destination(output, None if device is None else _jax_carrier(device))
    if device is None and not pin_memory:
        return Destination(output)
    if output not in (None, "torch"):
        raise ValueError(f"output={output!r} excludes device={device!r} and pin_memory={pin_memory}")
    return _torch_destination(device, pin_memory)


def _jax_carrier(device: Any) -> Carrier:
    from fastbatch.delivery.jax import JaxCarrier

    return JaxCarrier(device)


def _torch_destination(device: Any, pin_memory: bool | None) -> Destination:
    from fastbatch.delivery import cuda, pinned

    carrier = None if device is None else cuda.carrier_to(device)
    if carrier is None and pin_memory and not cuda.is_available():
        warnings.warn(
            "pin_memory=True has no effect: torch finds no CUDA device to pin memory for", UserWarning, stacklevel=4
        )
        pin_memory = False
    is_pinned = carrier is not None if pin_memory is None else pin_memory
    empty = pinned.empty if carrier is None else carrier.empty
    return Destination("torch", carrier, empty if is_pinned else None)
