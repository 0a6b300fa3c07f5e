"""The engine: what waiting for data costs a consumer that computes, and what threads gain one that does nothing."""

from functools import partial

from benchmarks.measure import Case, Faster, Gain, PairsWithin, Under
from benchmarks.steps import (
    Steps,
    bare_loop_l1,
    bare_loop_l2,
    compute_alone,
    fastbatch_threads_0,
    fastbatch_threads_1,
    fastbatch_threads_none,
    matmul_step,
    median_wait,
    python_step,
    table,
    two_bare_loops_l1,
    two_bare_loops_l2,
)
from benchmarks.training import Training, torch_dataloader_0, torch_dataloader_2, waiting_share
from benchmarks.turns import (
    Column,
    Turn,
    fastbatch_first_batch,
    fastbatch_whole_order,
    new_object,
    numpy_permutation,
    returned,
    steady_next,
    steady_period,
    turn_of_epoch,
)

TABLE_NBYTES = 2 * 10**9
BARE = (bare_loop_l1, bare_loop_l2)
TWO_BARE = (two_bare_loops_l1, two_bare_loops_l2)
PACED = (compute_alone, fastbatch_threads_0, fastbatch_threads_1, fastbatch_threads_none)


def paced(make_step, n_torch_threads, scale):
    """256 rows of 4 KB from 2 GB for each step."""
    X, y = table(int(TABLE_NBYTES * scale) // 4096, 4096)
    return Steps(X, y, 256, make_step=make_step, n_torch_threads=n_torch_threads)


def of_repeats(make_stage, scale):
    """The same stage, for a meter that says one thing of a whole repeat."""
    stage = make_stage(scale)
    stage.units = 1
    return stage


def unpaced(batch, row_nbytes, scale):
    X, y = table(int(TABLE_NBYTES * scale) // row_nbytes, row_nbytes)
    return Steps(X, y, batch)


def tiny(scale):
    """A table in cache, its epochs over in microseconds: 8000 of them make one repeat."""
    X, y = table(1000, 40)
    return Steps(X, y, 32, n_batches=int(8000 * scale) * len(range(0, 1000, 32)))


def paced_turn(scale):
    return Turn(python_step(), scale)


AGAINST_THREADS_0 = PairsWithin(fastbatch_threads_none, (fastbatch_threads_0,), 1.10)
GAIN = Gain(
    fastbatch_threads_none,
    fastbatch_threads_0,
    TWO_BARE,
    BARE,
    0.7,
    "threads_0 / threads_none - 1 at least 0.7 of bare_loop / two_bare_loops - 1",
)

CASES = [
    Case(
        name="paced-python",
        work="300 us of Python per batch of 256 x 4 KB",
        stage=partial(paced, python_step, 1),
        contenders=PACED,
        goals=tuple(PairsWithin(f, (compute_alone,), 1.10) for f in (fastbatch_threads_1, fastbatch_threads_none)),
        unit="batch",
    ),
    Case(
        name="paced-python-wait",
        work="300 us of Python per batch of 256 x 4 KB, median wait in next",
        stage=partial(of_repeats, partial(paced, python_step, 1)),
        contenders=PACED,
        goals=tuple(
            Under(f, 10e-6, f"{f.__name__} under 10 us") for f in (fastbatch_threads_1, fastbatch_threads_none)
        ),
        unit="next",
        meter=median_wait,
        fewest=5,
    ),
    Case(
        name="paced-matmul-1",
        work="300 us of matrix product on one core per batch of 256 x 4 KB",
        stage=partial(paced, partial(matmul_step, 1), 1),
        contenders=PACED,
        goals=tuple(PairsWithin(f, (compute_alone,), 1.15) for f in (fastbatch_threads_1, fastbatch_threads_none)),
        unit="batch",
    ),
    Case(
        name="paced-matmul-2",
        work="300 us of matrix product on two cores per batch of 256 x 4 KB",
        stage=partial(paced, partial(matmul_step, 2), 2),
        contenders=PACED,
        # Never slower: 5 % is the noise of such a median.
        goals=(PairsWithin(fastbatch_threads_none, (fastbatch_threads_0,), 1.05),),
        unit="batch",
    ),
    Case(
        name="auto-tiny",
        work="nothing done with batches of 32 x 10 float32 in cache",
        stage=tiny,
        contenders=(fastbatch_threads_0, fastbatch_threads_none),
        # No slower: 5 % is the noise of such a median.
        goals=(PairsWithin(fastbatch_threads_none, (fastbatch_threads_0,), 1.05),),
        unit="batch",
        fewest=31,
    ),
    *(
        Case(
            name=f"auto-{batch}x{words.replace(' ', '')}",
            work=f"nothing done with batches of {batch} x {words} from 2 GB",
            stage=partial(unpaced, batch, row_nbytes),
            contenders=(fastbatch_threads_0, fastbatch_threads_none, *limits),
            goals=(AGAINST_THREADS_0, GAIN) if limits else (AGAINST_THREADS_0,),
            unit="batch",
            fewest=31,
        )
        # From 0.5 us to 5 ms of work per batch; with the limit from 200 us on.
        for batch, words, row_nbytes, limits in [
            (64, "64 B", 64, ()),
            (256, "64 B", 64, ()),
            (32_768, "64 B", 64, BARE + TWO_BARE),
            (256, "256 B", 256, ()),
            (256, "1 KB", 1024, ()),
            (256, "4 KB", 4096, ()),
            (2048, "4 KB", 4096, BARE + TWO_BARE),
            (16_384, "4 KB", 4096, BARE + TWO_BARE),
        ]
    ),
    Case(
        name="first-batch",
        work="first batch of a shuffled epoch, 1e8 rows of 1 byte, batch 256",
        stage=Column,
        contenders=(numpy_permutation, fastbatch_first_batch),
        goals=(Faster(fastbatch_first_batch, (numpy_permutation,), 10),),
        unit="order",
        fewest=3,
    ),
    Case(
        name="whole-order",
        work="whole order of 1e8 rows",
        stage=Column,
        contenders=(numpy_permutation, fastbatch_whole_order),
        goals=(Faster(fastbatch_whole_order, (numpy_permutation,), 10),),
        unit="order",
        fewest=4,
    ),
    Case(
        name="epoch-gap",
        work="from an epoch's end to the next one's first batch, batches of 1024 x 256 B asked for at once, threads=1",
        stage=partial(Turn, None),
        contenders=(turn_of_epoch, steady_period),
        goals=(PairsWithin(turn_of_epoch, (steady_period,), 5),),
        unit="turn",
        meter=returned,
        fewest=21,
    ),
    Case(
        name="epoch-gap-paced",
        work="the same with 300 us of Python per batch",
        stage=paced_turn,
        contenders=(turn_of_epoch, steady_next, steady_period, new_object),
        goals=(PairsWithin(turn_of_epoch, (steady_next,), 5),),
        unit="turn",
        meter=returned,
        fewest=15,
    ),
    Case(
        name="training",
        work="training of a 3-layer network, 1 M x 128 float32, batch 512",
        stage=Training,
        contenders=(torch_dataloader_0, torch_dataloader_2, fastbatch_threads_none),
        unit="batch",
        fewest=5,
    ),
    Case(
        name="training-wait",
        work="training of a 3-layer network, 1 M x 128 float32, batch 512: waiting for data",
        stage=partial(of_repeats, Training),
        contenders=(torch_dataloader_0, torch_dataloader_2, fastbatch_threads_none),
        goals=(Under(fastbatch_threads_none, 0.01, "under 10 ms per second: 1 %"),),
        unit="second",
        meter=waiting_share,
        fewest=5,
    ),
]


def test_engine(timed, stage, contender):
    timed(stage, contender)
