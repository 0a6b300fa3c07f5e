"""Memory of PyTorch's as the buffers of an engine: pinned memory, which a GPU copies from by itself."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fastbatch._native.column import Column
from fastbatch._native.shelf import Shelf, block_of
from fastbatch.delivery.destination import Equipment, Wrap
from fastbatch.delivery.torch import torch_dtype

# Of the buffers of an engine, in bytes.
ALIGNMENT = 64


def empty(size: tuple[int, ...], dtype: torch.dtype, *, pin_memory: bool = True) -> torch.Tensor:
    """An ordinary tensor in pinned memory, whatever mode the caller is in.

    Raises
    ------
    MemoryError
        There is none.
    """
    try:
        with torch.inference_mode(False):
            return torch.empty(size, dtype=dtype, device="cpu", pin_memory=pin_memory)
    except RuntimeError as error:  # all that torch raises for the CPU's memory
        raise MemoryError(f"no memory for a tensor of shape {size} and dtype {dtype}: {error}") from error


class LentMemory:
    """Blocks of torch's memory for every column of an engine.

    Each block becomes the tensor that is handed out, and another one takes its place: so it goes back to torch's own
    allocator, which knows of the copies out of pinned memory that have not ended, whoever began them. None of it is
    used again before they have.

    Parameters
    ----------
    columns : sequence of Column
    wraps : sequence of callable
        What makes a tensor of a DLPack capsule; used for columns whose rows take no memory.
    n_blocks : int
        Blocks of each column that are ready or in use.
    empty : callable
        What makes blocks.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        wraps: Sequence[Wrap | None],
        n_blocks: int,
        empty: Callable[..., torch.Tensor],
    ) -> None:
        self._wraps = wraps
        self._lenders = [_Lender(column, n_blocks, empty) if column.row_nbytes else None for column in columns]
        self._n_restocks = 0
        self._restocking = threading.RLock()  # reentrant, because signal handlers may iterate too

    def equipment(self) -> Equipment:
        """For the engine of these columns. It keeps no idle buffer: what comes back is a shell."""
        wraps = [lent.wrap if lent else wrap for lent, wrap in zip(self._lenders, self._wraps, strict=True)]
        allocators = [lent.allocator if lent else None for lent in self._lenders]
        return Equipment(wraps, allocators, self.restock, n_spare=0, close=self.close)

    def restock(self) -> int:
        """Provide the blocks that were asked for in vain; returns how often that was done, by any thread."""
        with self._restocking:
            self._n_restocks += sum(lent.restock() for lent in self._lenders if lent)
            return self._n_restocks

    def close(self) -> None:
        """Give the memory back that nobody uses; what is in use follows."""
        for lent in self._lenders:
            if lent:
                lent.close()


class _Lender:
    """The blocks of one column."""

    def __init__(self, column: Column, n_blocks: int, empty: Callable[..., torch.Tensor]) -> None:
        self._dtype = torch_dtype(column.dtype, column.dlpack_type)
        # Batches of rows that differ in size have any shape: blocks are cut from items.
        self._is_flat = column.sized_axis is not None
        self._row_shape = () if self._is_flat else column.row_shape
        self._row_nbytes = self._dtype.itemsize if self._is_flat else column.row_nbytes
        self._n_blocks = n_blocks
        self._n_rows = 0  # of a block
        self._empty = empty
        self._is_closed = False
        self._shelf = Shelf()
        self._blocks: dict[int, torch.Tensor] = {}  # by address

    @property
    def allocator(self) -> tuple[int, int, int]:
        return self._shelf.allocator

    def restock(self) -> bool:
        wanted = self._shelf.take_wanted()
        if wanted == 0:
            return False
        self._n_rows = math.ceil(wanted / self._row_nbytes)
        self._give_back()
        for _ in range(self._n_blocks):
            self._lend()
        return True

    def close(self) -> None:
        self._is_closed = True
        self._give_back()

    def wrap(self, capsule: object) -> Any:
        """The block that a capsule is over, which leaves the engine."""
        address, shape = block_of(capsule)
        self._lend()  # first: where this fails the batch stays where it is
        self._shelf.recall(address)
        block = self._blocks.pop(address)
        if self._is_flat:
            return block[: math.prod(shape)].view(shape)
        return block if len(block) == shape[0] else block[: shape[0]]

    def _give_back(self) -> None:
        for address in self._shelf.clear():
            del self._blocks[address]

    def _lend(self) -> None:
        if self._is_closed:
            return
        block = self._empty((self._n_rows, *self._row_shape), dtype=self._dtype)
        if block.data_ptr() % ALIGNMENT:  # as torch pins memory with pinned_use_cuda_host_register
            block = self._aligned(block.nbytes)
        self._blocks[block.data_ptr()] = block
        self._shelf.lend(block.data_ptr(), block.nbytes)

    def _aligned(self, nbytes: int) -> torch.Tensor:
        block = self._empty((nbytes + ALIGNMENT - 1,), dtype=torch.uint8)
        first = -block.data_ptr() % ALIGNMENT
        return block[first : first + nbytes].view(self._dtype).view(self._n_rows, *self._row_shape)
