"""CUDA by way of PyTorch: copies on a stream of their own, ordered against whatever stream uses the batch."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

from fastbatch.delivery import pinned
from fastbatch.delivery.destination import Wrap


def is_available() -> bool:
    """Whether torch was built for CUDA and finds a device; does not keep the process from being forked."""
    return int(torch.cuda.device_count()) > 0


def carrier_to(device: Any) -> CudaCarrier | None:
    """What takes batches to a torch device; None where that is the CPU.

    Raises
    ------
    TypeError
        `device` names none.
    ValueError
        It is neither the CPU nor a CUDA device.
    RuntimeError
        It is not there.
    """
    try:
        wanted = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    except (RuntimeError, TypeError) as error:  # of a name that torch does not know, or of what is no name
        kind = TypeError if isinstance(error, TypeError) else ValueError
        said = f"device must be a CUDA device of torch, got {device!r}; one of JAX's needs output='jax'"
        raise kind(said) from error
    if wanted.type == "cpu":
        return None
    if wanted.type != "cuda":
        raise ValueError(f"device must be a CUDA device of torch, got {device!r}")
    if not is_available():
        raise RuntimeError(f"device={device!r} needs a CUDA device, and torch {torch.__version__} finds none")
    if wanted.index is not None and wanted.index >= torch.cuda.device_count():
        raise RuntimeError(f"device={device!r} is not there: torch finds {torch.cuda.device_count()} CUDA devices")
    return CudaCarrier(wanted)


class CudaCarrier:
    """Copies to a device, on a stream of their own.

    The tensors are made on that stream, and torch's allocator is told of the stream that uses them: their memory is
    used again when both have come so far. Of pinned memory its allocator knows when the copy out of it has ended; other
    memory was read when the call returns.

    Parameters
    ----------
    device : torch.device
        Without an index, the one that is current when the first batch is copied.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._module = getattr(torch, device.type)
        self._stream: Any = None
        self._beginning = threading.RLock()  # reentrant, because signal handlers may iterate too

    def wrap(self, wrap: Wrap) -> Wrap:
        """What makes a tensor on the device of a DLPack capsule, where `wrap` makes one in the CPU's memory."""

        def send(capsule: object) -> torch.Tensor:
            host = wrap(capsule)
            try:
                # Ordinary tensors, whatever mode the caller is in: they may be used in another.
                with self._module.stream(self._copying()), torch.inference_mode(False):
                    return host.to(self._device, non_blocking=host.is_pinned())
            except torch.cuda.OutOfMemoryError as error:
                raise MemoryError(f"no memory on {self._device} for a batch: {error}") from error

        return send

    def mark(self) -> Any:
        """An event behind all copies that were begun so far."""
        event = self._module.Event()
        event.record(self._copying())
        return event

    def receive(self, batch: Any, mark: Any) -> None:
        """Let the current stream of the calling thread wait for the batch; the CPU does not."""
        current = self._module.current_stream(self._device)
        mark.wait(current)
        for tensor in tensors_in(batch):
            if tensor.is_cuda and tensor.device == self._device:  # the CPU has no streams
                tensor.record_stream(current)

    def call(self, function: Callable[[Any], Any], batch: Any) -> tuple[Any, Any]:
        """What a function makes of a batch, and an event behind what it has begun on the thread's current stream."""
        with self._current():
            result = function(batch)
            event = self._module.Event()
            event.record(self._module.current_stream(self._device))
        return result, event

    def empty(self, size: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """A tensor in memory that is pinned for the device: for another one, CUDA would begin work there."""
        with self._current():
            return pinned.empty(size, dtype)

    def _current(self) -> Any:
        """The device as the calling thread's current one."""
        return torch.cuda.device(self._device if self._device.type == "cuda" else -1)

    def __str__(self) -> str:
        """The device."""
        return str(self._device)

    def _copying(self) -> Any:
        """The stream of the copies, made at the first one: the process may be forked before, and choose its device."""
        if self._stream is None:
            with self._beginning:
                if self._device.index is None and self._device.type == "cuda":
                    self._device = torch.device("cuda", torch.cuda.current_device())
                if self._stream is None:
                    self._stream = self._module.Stream(*([] if self._device.index is None else [self._device]))
        return self._stream


def tensors_in(tree: Any) -> Iterator[torch.Tensor]:
    """The tensors in what a Loader hands out, or in what a user's function has made of it."""
    if torch.is_tensor(tree):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from tensors_in(value)
    elif isinstance(tree, (tuple, list)):
        for value in tree:
            yield from tensors_in(value)
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        for field in dataclasses.fields(tree):
            yield from tensors_in(getattr(tree, field.name))
