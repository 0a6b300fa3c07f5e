"""Memory of PyTorch's as the buffers of an engine: pinned memory, which a GPU copies from by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fastbatch._native.column import Column
from fastbatch._native.shelf import Shelf, block_of
from fastbatch.delivery.destination import Equipment, Wrap
from fastbatch.delivery.torch import torch_dtype


def empty(size: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """A tensor in pinned memory."""
    return torch.empty(size, dtype=dtype, pin_memory=True)


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

    def equipment(self) -> Equipment:
        """For the engine of these columns. It keeps no idle buffer: what comes back is a shell."""
        wraps = [lent.wrap if lent else wrap for lent, wrap in zip(self._lenders, self._wraps, strict=True)]
        allocators = [lent.allocator if lent else None for lent in self._lenders]
        return Equipment(wraps, allocators, self.restock, n_spare=0)

    def restock(self) -> bool:
        """Provide the blocks that were asked for in vain; whether there were any."""
        return sum(lent.restock() for lent in self._lenders if lent) > 0


class _Lender:
    """The blocks of one column."""

    def __init__(self, column: Column, n_blocks: int, empty: Callable[..., torch.Tensor]) -> None:
        self._row_shape = column.row_shape
        self._dtype = torch_dtype(column.dtype, column.dlpack_type)
        self._row_nbytes = column.row_nbytes
        self._n_blocks = n_blocks
        self._n_rows = 0  # of a block
        self._empty = empty
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
        for address in self._shelf.clear():
            del self._blocks[address]
        for _ in range(self._n_blocks):
            self._lend()
        return True

    def wrap(self, capsule: object) -> Any:
        """The block that a capsule is over, which leaves the engine."""
        address, n_rows = block_of(capsule)
        self._lend()  # first: where this fails the batch stays where it is
        self._shelf.recall(address)
        block = self._blocks.pop(address)
        return block if len(block) == n_rows else block[:n_rows]

    def _lend(self) -> None:
        block = self._empty((self._n_rows, *self._row_shape), dtype=self._dtype)
        address = block.data_ptr()
        self._blocks[address] = block
        self._shelf.lend(address, block.nbytes)
