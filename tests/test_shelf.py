"""Blocks of memory that somebody lends to an engine, and what becomes of them among threads."""

import ctypes
import threading

import numpy as np
import pytest

from fastbatch._native.column import GatherColumn, RowNumberColumn
from fastbatch._native.engine import Engine
from fastbatch._native.sampler import Shuffled
from fastbatch._native.shelf import Shelf, block_of
from fastbatch._native.structure import LEAF, Structure
from iterating import iterate, open_epoch
from threads import run_threads

N, WIDTH, BATCH = 1000, 24, 16
X = np.arange(N)[:, None] + np.zeros(WIDTH, np.int64)


class Lender:
    """What lends blocks of NumPy's memory for one column, each of which becomes the batch that is handed out."""

    def __init__(self, width, n_blocks):
        self.width, self.n_blocks = width, n_blocks
        self.shelf, self.blocks = Shelf(), {}

    def lend(self):
        memory = np.full(8 * BATCH * self.width + 64, 0xA5, np.uint8)
        first = -memory.ctypes.data % 64
        block = memory[first : first + 8 * BATCH * self.width].view(np.int64).reshape(BATCH, self.width)
        self.blocks[block.ctypes.data] = block
        self.shelf.lend(block.ctypes.data, block.nbytes)

    def restock(self):
        if self.shelf.take_wanted() == 0:
            return 0
        for address in self.shelf.clear():
            del self.blocks[address]
        for _ in range(self.n_blocks):
            self.lend()
        return 1

    def wrap(self, capsule):
        address, (n_rows, *_) = block_of(capsule)
        self.lend()
        self.shelf.recall(address)
        return self.blocks.pop(address)[:n_rows]


class Lenders:
    """Those of two columns, for threads that ask at once."""

    def __init__(self, n_blocks):
        self.lenders = [Lender(WIDTH, n_blocks), Lender(1, n_blocks)]
        self.lock, self.n_restocks = threading.RLock(), 0

    def restock(self):
        with self.lock:
            self.n_restocks += sum(lender.restock() for lender in self.lenders)
            return self.n_restocks

    def engine(self, **options):
        return Engine(
            [GatherColumn(X), RowNumberColumn()],
            Structure("tuple", (LEAF, LEAF)),
            [lender.wrap for lender in self.lenders],
            allocators=[lender.shelf.allocator for lender in self.lenders],
            restock=self.restock,
            n_spare=0,
            **options,
        )


@pytest.mark.parametrize("n_threads", [0, 2, 3])
@pytest.mark.parametrize("n_consumers", [1, 3])
@pytest.mark.parametrize("n_blocks", [1, 6])
def test_batches_are_made_in_lent_memory_and_nobody_else_writes_to_it(n_threads, n_consumers, n_blocks):
    lenders = Lenders(n_blocks)
    engine = lenders.engine(n_threads=n_threads, n_ahead=4 if n_threads else 0)
    for number in range(3):
        shared, got = iterate(open_epoch(engine, Shuffled(N), BATCH, number=number)), []
        run_threads(*[lambda shared=shared, got=got: got.extend(shared)] * n_consumers)
        assert sorted(np.concatenate([rows[:, 0] for _, rows in got])) == list(range(N))
        assert all((values == rows).all() for values, rows in got)


def test_where_nothing_can_be_lent_the_batch_is_asked_for_in_vain():
    shelf = Shelf()
    engine = Engine([GatherColumn(X)], LEAF, [block_of], allocators=[shelf.allocator], restock=lambda: 0, n_spare=0)
    batches = iterate(open_epoch(engine, Shuffled(N), BATCH))
    with pytest.raises(MemoryError, match="no memory for a batch of 16 rows"):
        next(batches)
    assert shelf.take_wanted() == 8 * BATCH * WIDTH


def test_a_shelf_lends_what_suffices_and_forgets_what_was_recalled():
    shelf = Shelf()
    memory = np.zeros(4096, np.uint8)
    base = -(-memory.ctypes.data // 64) * 64
    with pytest.raises(ValueError, match="aligned to 64 bytes"):
        shelf.lend(base + 8, 64)
    with pytest.raises(ValueError, match="aligned to 64 bytes"):
        shelf.lend(0, 64)
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(shelf.allocator[0])
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(shelf.allocator[1])
    context = shelf.allocator[2]
    shelf.lend(base, 256)
    shelf.lend(base + 256, 64)
    assert allocate(context, 65) == base
    assert allocate(context, 65) is None
    assert allocate(context, 30) == base + 256
    assert allocate(context, 30) is None
    assert shelf.take_wanted() == 65
    assert shelf.take_wanted() == 0
    assert shelf.clear() == []
    shelf.recall(base)
    free(context, base, 256)
    free(context, base + 256, 64)
    assert allocate(context, 65) is None  # it was recalled
    assert shelf.clear() == [base + 256]
    shelf.lend(base, 128)
    taken = allocate(context, 128)
    del shelf  # it lives on until what was taken is back
    free(context, taken, 128)
