"""What an order costs in memory while an epoch is under way: the growth of the resident memory of a fresh process.

A contender is a generator. Up to its first `yield` it makes everything that is not the order; at every later `yield`
the order is alive and the memory is read. Linux only: resident memory comes from /proc.
"""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import fastbatch as fb
from benchmarks.measure import Case, Stage, Under

BATCH = 4096


class Rows(Stage):
    """A number of rows, one byte each."""

    def __init__(self, n, scale):
        self.n = self.units = int(n * scale)

    def check(self, contender):
        assert sum(1 for _ in contender(self)) > 1, "the memory was never read"


class Order(Rows):
    """A number of rows of no bytes; what is read is for all of them together."""

    def __init__(self, n, scale):
        super().__init__(n, scale)
        self.units = 1


def numpy_permutation(stage):
    rng = np.random.default_rng(0)
    yield
    order = rng.permutation(stage.n)
    yield
    del order


def torch_dataloader(stage):
    data = torch.ones(stage.n, dtype=torch.uint8)
    loader = DataLoader(TensorDataset(data), batch_size=BATCH, shuffle=True)
    yield
    batches = iter(loader)
    next(batches)
    yield


def fastbatch_loader(stage):
    data = np.ones(stage.n, np.uint8)
    loader = fb.Loader(data, BATCH, shuffle=True, seed=0, threads=0)  # else the next epoch's order is begun ahead
    yield
    yield from while_consumed(loader)


def fastbatch_streaming(stage):
    data = np.empty((stage.n, 0), np.uint8)
    loader = fb.Loader(data, BATCH, sampler=fb.Shuffle(stage.n, "streaming"), seed=0, rows=True, threads=0)
    yield
    yield from while_consumed(loader)


def while_consumed(loader):
    """To the end of the epoch, because an order may grow while it is consumed."""
    for number, _batch in enumerate(loader):
        if number % 64 == 0:
            yield


def resident_nbytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(contender, stage):
    readings = contender(stage)
    next(readings)
    before = resident_nbytes()
    return max(resident_nbytes() - before for _ in readings)


def growth_of_fresh_process(contender, stage):
    """Bytes. In a process of its own, so that no memory freed by an earlier contender is used again unseen."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(growth, contender, stage).result()


CASES = [
    Case(
        name="memory",
        work="memory of a live order, 5e7 rows",
        stage=partial(Rows, 50_000_000),
        contenders=(numpy_permutation, torch_dataloader, fastbatch_loader),
        # To a tenth of a byte: slots, and code that the first batch touches, are some 100 KB beside 80 MB.
        goals=(Under(fastbatch_loader, 4.05, "4.0 bytes per row"),),
        meter=growth_of_fresh_process,
        quantity="B",
    ),
    *(
        Case(
            name=f"memory-streaming-{words}",
            work=f'memory of a live order, Shuffle({words}, "streaming")',
            stage=partial(Order, n),
            contenders=(fastbatch_streaming,),
            # The same for any number of rows.
            goals=(Under(fastbatch_streaming, 1e6, "under 1 MB"),),
            unit="order",
            meter=growth_of_fresh_process,
            quantity="B",
            fewest=3,
        )
        for words, n in [("1e7", 10**7), ("1e9", 10**9)]
    ),
]


def test_memory(benchmark, stage, contender):
    """The time is that of the whole process; the figure that matters is beside it."""
    stage.check(contender)
    nbytes = benchmark.pedantic(growth_of_fresh_process, args=(contender, stage), rounds=1)
    benchmark.extra_info["bytes_per_row"] = nbytes / stage.units
