"""Where rows of different lengths lie, and the native columns of them: what they refuse, and what they find."""

import ctypes

import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native.cast import Cast
from fastbatch._native.column import IndexedColumn
from fastbatch._native.engine import Engine
from fastbatch._native.ragged import BoundsColumn, LengthsColumn, MaskColumn, PackedColumn, PaddedColumn
from fastbatch._native.runs import N_LOOKED_AT, Runs
from fastbatch._native.sampler import Sequential
from fastbatch._native.simd import SUPPORTED
from fastbatch._native.structure import LEAF
from iterating import iterate, open_epoch
from reference_ragged import padded, rows_of

X = np.arange(10, dtype=np.int32)
RUNS = Runs([X], [0, 3, 4, 10])
PAD = bytes(4)
F4 = np.dtype(np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Runs([], [0]), ValueError, "there must be one source at least"),
        (lambda: Runs([3], [0]), TypeError, "values must be a numpy.ndarray, got int"),
        (lambda: Runs([X[::2]], [0, 5]), ValueError, "values must have an axis of elements, and be contiguous"),
        (lambda: Runs([np.array(3)], [0]), ValueError, "values must have an axis of elements"),
        (lambda: Runs([X.astype(object)], [0]), TypeError, "values must have items of fixed size"),
        (lambda: Runs([X, X.astype("i8")], [0]), ValueError, r"elements of one kind, got int64 \(\) beside int32 \(\)"),
        (lambda: Runs([X, X.reshape(5, 2)], [0]), ValueError, r"elements of one kind, got int32 \(2,\) beside"),
        (lambda: Runs([X], [0, 1], [1]), ValueError, "starts and lengths must be one for each row, got 2 and 1"),
        (lambda: Runs([X], [0, 1], [1, -1]), ValueError, "lengths must not be negative, got -1 of row 1"),
        (lambda: Runs([X], [0, 8], [1, 3]), ValueError, "must lie within the values, .* 10: row 1 is from 8 to 11"),
        (lambda: Runs([X], [0, 2**63 - 1], [1, 3]), ValueError, "must lie within the values, of which there are 10"),
        (lambda: Runs([X], [0, 5], [1.0, 2.0]), TypeError, "lengths must be integers on one axis, got float64"),
        (lambda: Runs([X, X], [0, 9], [1, 2]), ValueError, "within one source: row 1 is from 9 to 11, .* ends at 10"),
        (lambda: PaddedColumn(RUNS, pad=b""), ValueError, "pad must be one item of 4 bytes, .* got 0 bytes"),
        (lambda: PaddedColumn(RUNS, pad=bytes(8)), ValueError, "pad must be one item of 4 bytes, .* got 8 bytes"),
        (
            lambda: PaddedColumn(Runs([np.zeros(3, "V3")], [0]), pad=bytes(3)),
            ValueError,
            "pad must be one item of 3 bytes, of which some are 64",
        ),
        (
            lambda: PaddedColumn(RUNS, pad=PAD, multiple=0),
            ValueError,
            "multiple must be at least 1 and width 0 or more",
        ),
        (lambda: PaddedColumn(RUNS, pad=PAD, width=-1), ValueError, "and width 0 or more, .* got 1 and -1 of 4 bytes"),
        (lambda: PaddedColumn(RUNS, pad=PAD, width=2**46), ValueError, "below 140737488355328 bytes, got 1 and 7036"),
        (lambda: MaskColumn(RUNS, multiple=2**48), ValueError, "below 140737488355328 bytes, got 2814"),
        (lambda: LengthsColumn(RUNS, most=-1), ValueError, "most must be 0 or more, got -1"),
        (lambda: PackedColumn(RUNS, most=-2), ValueError, "most must be 0 or more, got -2"),
        (lambda: BoundsColumn(RUNS, most=-1), ValueError, "most must be 0 or more, got -1"),
        (
            lambda: PackedColumn(RUNS, cast=Cast("int16", "float32", 1), dtype=F4),
            ValueError,
            "int16 does not read int32",
        ),
        (lambda: PackedColumn(RUNS, cast=Cast("int32", "float32", 1)), ValueError, "float32 does not write float64"),
        (
            lambda: PackedColumn(RUNS, cast=Cast("int32", "float32", 2, np.zeros(1), np.ones(1)), dtype=F4),
            ValueError,
            "a cast of 2 numbers each got elements of 1",
        ),
        (
            lambda: PaddedColumn(RUNS, pad=PAD, cast=Cast("int32", "float64", 1), dtype=np.dtype("f8")),
            ValueError,
            "pad must be one item of 8 bytes, .* got 4 bytes",
        ),
        (lambda: IndexedColumn(MaskColumn(RUNS), np.zeros(1, np.uint32)), ValueError, "all rows of a batch at once"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_rows_are_where_they_were_said_to_be():
    assert (RUNS.n_rows, RUNS.longest) == (3, 6)
    assert RUNS.lengths.tolist() == [3, 1, 6]
    picked = Runs([X], np.array([4, 0], np.uint8), np.array([6, 3], np.int16))
    assert (picked.n_rows, picked.longest) == (2, 6)
    assert picked.lengths.tolist() == [6, 3]
    none = Runs([X], [4])
    assert (none.n_rows, none.longest, none.lengths.tolist()) == (0, 0, [])
    several = Runs([X, X[:0], X], [0, 10, 10, 20])  # a row at an edge is in the source that begins there
    assert several.lengths.tolist() == [10, 0, 10]


def test_what_was_given_is_copied():
    offsets = np.array([0, 3, 10])
    runs = Runs([X], offsets)
    offsets[:] = 100
    assert runs.starts.tolist() == [0, 3, 10]
    assert not runs.starts.flags.writeable


def test_shapes_and_room():
    column = PaddedColumn(RUNS, pad=PAD, multiple=4)
    assert (column.row_shape, column.sized_axis, column.row_nbytes) == ((8,), 1, 32)
    column = PaddedColumn(RUNS, pad=PAD, width=5)
    assert (column.row_shape, column.sized_axis, column.row_nbytes) == ((5,), None, 20)
    column = PackedColumn(Runs([X.reshape(5, 2)], [0, 4, 5]))
    assert (column.row_shape, column.sized_axis, column.row_nbytes) == ((2,), 0, 32)
    assert BoundsColumn(RUNS).sized_axis == 0
    assert LengthsColumn(RUNS).sized_axis is None


@pytest.mark.parametrize("n_rows", [0, 1, 100, 10 * N_LOOKED_AT])
def test_how_long_rows_usually_are(n_rows):
    lengths = np.random.default_rng(0).permutation(np.arange(n_rows) % 100 + 1)
    runs = Runs([np.zeros(lengths.sum(), np.int8)], np.concatenate([[0], np.cumsum(lengths)]))
    for n in (1, 8, 64):
        expected = np.quantile(lengths, n / (n + 1)) if n_rows else 0
        assert abs(runs.usual_longest(n) - expected) <= 0.05 * 100
    assert PackedColumn(runs).usual_nbytes(10) == pytest.approx(10 * lengths.mean() if n_rows else 0, rel=0.05)
    assert MaskColumn(runs, width=7).usual_nbytes(10) == 70


@pytest.mark.parametrize("simd", SUPPORTED)
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f8", "c16"])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("options", [{}, {"multiple": 16}, {"width": 100}], ids=str)
def test_every_simd_path_pads_alike(simd, dtype, left, options):
    lengths = np.random.default_rng(0).integers(1, 150, 200)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = (np.arange(offsets[-1]) % 100 + 1).astype(dtype)
    pad = np.array(101, dtype)
    column = PaddedColumn(Runs([values], offsets), pad=pad.tobytes(), left=left, simd=simd, **options)
    engine = Engine([column], LEAF, [None])
    side = "left" if left else "right"
    for i, batch in enumerate(iterate(open_epoch(engine, Sequential(200), 9))):
        rows = rows_of(values, offsets)[9 * i : 9 * i + 9]
        expected, _, _ = padded(rows, values, pad, side, options.get("multiple", 1), options.get("width"))
        assert np.array_equal(batch, expected)


def test_simd_paths_that_the_machine_lacks_are_refused():
    with pytest.raises(ValueError, match="the SIMD path must be one that this machine has"):
        PaddedColumn(RUNS, pad=PAD, simd="avx9")


ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Guarded:
    """Memory for slots, with bytes behind each of them that nobody may write."""

    def __init__(self):
        self.blocks = []
        self.functions = ALLOCATE(self.allocate), FREE(lambda context, memory, nbytes: None)
        self.allocator = (*(ctypes.cast(function, ctypes.c_void_p).value for function in self.functions), 0)

    def allocate(self, context, nbytes):
        memory = np.full(nbytes + 256, 0xAA, np.uint8)
        first = -memory.ctypes.data % 64
        self.blocks.append(memory[first + nbytes :])
        return memory.ctypes.data + first

    def assert_whole(self):
        assert len(self.blocks) > 0
        assert all((block == 0xAA).all() for block in self.blocks)


@pytest.mark.parametrize(
    "make",
    [
        *(
            lambda runs, simd=simd, options=options: PaddedColumn(runs, pad=np.int32(7).tobytes(), simd=simd, **options)
            for simd in SUPPORTED
            for options in ({}, {"left": True}, {"width": 5}, {"width": 300, "left": True}, {"multiple": 7})
        ),
        lambda runs: PaddedColumn(runs, pad=bytes(4), multiple=64),
        lambda runs: MaskColumn(runs, multiple=3),
        lambda runs: MaskColumn(runs, width=2000, left=True),
        LengthsColumn,
        PackedColumn,
        BoundsColumn,
    ],
)
@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("longest", [4, 40])
def test_nothing_is_written_behind_a_slot(make, n, longest):
    lengths = np.arange(n)[::-1] * 13 % longest + 1
    runs = Runs([np.arange(lengths.sum(), dtype=np.int32)], np.concatenate([[0], np.cumsum(lengths)]))
    guarded = Guarded()
    engine = Engine([make(runs)], LEAF, [None], allocators=[guarded.allocator])
    for batch_size in (1, 4, n):
        assert len(list(iterate(open_epoch(engine, Sequential(n), batch_size)))) == -(-n // batch_size)
        guarded.assert_whole()
    engine.close()


def test_more_elements_than_bounds_can_count_are_refused():
    """Elements without bytes, of which there may be any number."""
    values = np.zeros((2**31, 0), np.int32)
    ragged = fb.Ragged(values, [0, 2**30, 2**31 - 1, 2**31], layout="packed")
    loader = fb.Loader(ragged, 2)
    assert [batch.cu_seqlens.tolist() for batch in loader] == [[0, 2**30, 2**31 - 1], [0, 1]]
    with pytest.raises(IndexError, match="row 2 cannot be read"):
        next(iter(fb.Loader(ragged, 3)))
