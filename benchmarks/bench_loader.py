"""Whole shuffled epochs of Loader((X, y), batch)."""

from benchmarks.epochs import (
    Epoch,
    bare_loop_l1,
    bare_loop_l2,
    fastbatch_given_order,
    fastbatch_loader,
    fastbatch_tensors,
    numpy_index,
    numpy_take,
    torch_dataloader,
    torch_index_select,
)
from benchmarks.measure import Case, Faster, Under, Within

BARE = (bare_loop_l1, bare_loop_l2)
IN_MEMORY = (numpy_index, numpy_take, torch_index_select, fastbatch_loader, fastbatch_given_order, *BARE)


def rows_of_64_bytes(scale):
    return Epoch(int(10_000_000 * scale), 16, 256)


def rows_of_1_kb(scale):
    return Epoch(int(2_000_000 * scale), 256, 256)


def rows_of_4_kb(scale):
    return Epoch(int(500_000 * scale), 1024, 256)


def small_table(_scale):
    """In cache as a whole, and an epoch is over in microseconds: 100 of them make one repeat."""
    stage = Epoch(1000, 10, 32, calls=100)
    stage.units = len(range(0, stage.n, stage.batch))
    return stage


CASES = [
    Case(
        name="epoch-64B",
        work="shuffled epoch, 10 M rows of 64 B + label, batch 256",
        stage=rows_of_64_bytes,
        contenders=IN_MEMORY,
        goals=(
            Faster(fastbatch_loader, (numpy_take,), 5),
            Faster(fastbatch_loader, (numpy_index,), 10),
            Within(fastbatch_loader, BARE, 1.5),
            Within(fastbatch_given_order, BARE, 1.2),
        ),
    ),
    Case(
        name="epoch-1KB",
        work="shuffled epoch, 2 M rows of 1 KB + label, batch 256",
        stage=rows_of_1_kb,
        contenders=IN_MEMORY,
        goals=(Faster(fastbatch_loader, (numpy_take,), 2),),
    ),
    Case(
        name="epoch-4KB",
        work="shuffled epoch, 500 k rows of 4 KB + label, batch 256",
        stage=rows_of_4_kb,
        contenders=IN_MEMORY,
        goals=(Faster(fastbatch_loader, (numpy_take,), 1.4),),
    ),
    Case(
        name="epoch-small",
        work="shuffled epochs, 1000 x 10 float32 + label, batch 32",
        stage=small_table,
        contenders=(numpy_index, numpy_take, fastbatch_loader),
        goals=(Under(fastbatch_loader, 0.3e-6, "under 0.3 us per batch"), Faster(fastbatch_loader, (numpy_index,), 6)),
        unit="batch",
    ),
    Case(
        name="epoch-small-torch",
        work="shuffled epochs, 1000 x 10 float32 + label, batch 32, torch tensors",
        stage=small_table,
        contenders=(torch_dataloader, torch_index_select, fastbatch_tensors),
        goals=(Faster(fastbatch_tensors, (torch_dataloader,), 80),),
        unit="batch",
    ),
]


def test_loader(timed, stage, contender):
    timed(stage, contender)
