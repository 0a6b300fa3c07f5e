"""Elements cast, shifted and scaled: every pair of types, on every SIMD path, against NumPy."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastbatch as fb
from fastbatch._native.cast import READABLE, WRITABLE, Affine, Cast, CastColumn, OneHotColumn, arithmetic_type
from fastbatch._native.curriculum import Ladder
from fastbatch._native.ragged import PackedColumn, PaddedColumn
from fastbatch._native.runs import Runs
from fastbatch._native.simd import SUPPORTED
from reference_cast import float_of_bfloat_bits, written

PAIRS = [(readable, writable) for readable in READABLE for writable in WRITABLE]
every_path = pytest.mark.parametrize("simd", SUPPORTED)


def held_as(name):
    """The dtype in which NumPy holds elements of a type."""
    return np.dtype("uint16" if name == "bfloat16" else name)


def elements(name, n, seed=0):
    """Any bits, and among the first those that are special."""
    rng = np.random.default_rng(seed)
    if name == "bool":
        return rng.integers(0, 2, n).astype(bool)
    dtype = held_as(name)
    x = rng.integers(0, 256, n * dtype.itemsize, dtype=np.uint8).view(dtype)
    if "float" in name:
        special = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            np.inf,
            -np.inf,
            np.nan,
            65504,
            65519.99,
            65520,
            1e-45,
            6e-8,
            2.0**-25,
            2.0**-14,
        ]
        special = np.array(special)
        x[: len(special)] = written(name, special)
        x[len(special) : n // 2] = elements_near_one(name, n // 2 - len(special), rng)
    return x


def elements_near_one(name, n, rng):
    return written(name, rng.normal(0, 100, n))


def numbers(name, x):
    """What elements are, as float64."""
    return float_of_bfloat_bits(x) if name == "bfloat16" else x.astype(np.float64)


def expected(readable, writable, x, centers=None, scales=None):
    real = arithmetic_type(readable, writable)
    with np.errstate(all="ignore"):
        y = numbers(readable, x).astype(real)
        if centers is not None:
            y = (y - centers.astype(real)) * scales.astype(real)
        return written(writable, y)


def assert_same(writable, actual, wanted):
    actual = float_of_bfloat_bits(actual) if writable == "bfloat16" else actual
    wanted = float_of_bfloat_bits(wanted) if writable == "bfloat16" else wanted
    np.testing.assert_array_equal(actual, wanted)
    np.testing.assert_array_equal(np.signbit(actual)[~np.isnan(wanted)], np.signbit(wanted)[~np.isnan(wanted)])


@every_path
@pytest.mark.parametrize(("readable", "writable"), PAIRS)
def test_every_pair_of_types(readable, writable, simd):
    x = elements(readable, 5003)
    cast = Cast(readable, writable, len(x), simd=simd)
    assert_same(writable, cast.apply(x, held_as(writable)), expected(readable, writable, x))


@every_path
@pytest.mark.parametrize(("readable", "writable"), PAIRS)
@pytest.mark.parametrize("period", [1, 3, 700])
def test_every_pair_of_types_with_arithmetic(readable, writable, simd, period):
    x = elements(readable, 2100, 1).reshape(-1, period)
    rng = np.random.default_rng(2)
    centers, scales = rng.normal(0, 50, period), rng.uniform(0.01, 3, period)
    cast = Cast(readable, writable, x.size, centers, scales, simd=simd)
    assert_same(
        writable, cast.apply(x.ravel(), held_as(writable)), expected(readable, writable, x, centers, scales).ravel()
    )


@pytest.mark.parametrize("writable", ["float16", "bfloat16"])
def test_a_double_is_rounded_once(writable):
    """Halfway between two halves, and a little more: float32 would drop that, and then the result would be even."""
    digits = {"float16": 10, "bfloat16": 7}[writable]
    halfway = 1 + 2.0 ** -(digits + 1) + np.array([0, 2.0**-40, -(2.0**-40)])
    x = np.concatenate([halfway, halfway + 2.0**-digits, -halfway])
    assert_same(writable, Cast("float64", writable, 9).apply(x, held_as(writable)), written(writable, x))


def test_all_halves_go_there_and_back():
    bits = np.arange(2**16, dtype=np.uint16)
    for name in ("float16", "bfloat16"):
        x = bits.view(held_as(name))
        there = Cast(name, "float32", 2**16).apply(x, np.dtype("float32"))
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(there, numbers(name, x))
        back = Cast("float32", name, 2**16).apply(there, held_as(name))
        assert_same(name, back, x)


@every_path
@settings(max_examples=60, deadline=None)
@given(
    period=st.sampled_from([1, 2, 3, 5, 64, 511, 512, 513, 600]),
    run=st.sampled_from([1, 2, 3, 100, 511, 512, 700]),
    repeats=st.integers(1, 3),
    writable=st.sampled_from(["float32", "bfloat16", "float64"]),
    seed=st.integers(0, 100),
)
def test_each_element_has_its_center_and_scale(simd, period, run, repeats, writable, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (repeats, period, run), dtype=np.uint8)
    centers, scales = rng.normal(100, 50, period), rng.uniform(0.01, 3, period)
    cast = Cast("uint8", writable, x.size, centers, scales, run=run, simd=simd)
    wanted = expected("uint8", writable, x, centers[:, None], scales[:, None])
    assert_same(writable, cast.apply(x, held_as(writable)), wanted)


def test_rows_need_no_alignment():
    memory = np.zeros(1000, np.uint8)
    x = memory[1:801].view(np.float64)
    x[:] = np.arange(100)
    column = CastColumn(x.reshape(20, 5), Cast("float64", "float32", 5), np.dtype("f4"), dlpack_type=None)
    assert column.row_nbytes == 20
    np.testing.assert_array_equal(Cast("float64", "float32", 100).apply(x.copy(), np.dtype("f4")), np.arange(100))


def test_refusals_of_the_native_cast():
    with pytest.raises(TypeError, match="int64 cannot be cast to float32: from uint8, bool"):
        Cast("int64", "float32", 4)
    with pytest.raises(TypeError, match="uint8 cannot be cast to int32"):
        Cast("uint8", "int32", 4)
    with pytest.raises(ValueError, match="3 centers of 1 elements each do not fit a row of 4"):
        Cast("uint8", "float32", 4, np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="two arrays of one length, got"):
        Cast("uint8", "float32", 4, np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="must be finite in float32, and scales not 0"):
        Cast("uint8", "float32", 4, np.zeros(1), np.full(1, 1e-60))
    with pytest.raises(ValueError, match="must be finite in float32"):
        Affine(np.zeros(1), np.full(1, 1e60), 1, 4, np.dtype("f4"))
    cast = Cast("uint8", "float32", 4)
    with pytest.raises(ValueError, match="a cast from uint8 does not read int16"):
        cast.apply(np.zeros(4, np.int16), np.dtype("f4"))
    with pytest.raises(ValueError, match="a cast to float32 does not write float64"):
        cast.apply(np.zeros(4, np.uint8), np.dtype("f8"))
    with pytest.raises(ValueError, match="hold whole rows of 4 elements"):
        cast.apply(np.zeros(5, np.uint8), np.dtype("f4"))
    with pytest.raises(ValueError, match="contiguous"):
        cast.apply(np.zeros(8, np.uint8)[::2], np.dtype("f4"))
    with pytest.raises(ValueError, match="must have rows, each of them contiguous"):
        CastColumn(np.zeros((4, 8), np.uint8)[:, ::2], cast, np.dtype("f4"), dlpack_type=None)
    with_arithmetic = Cast("uint8", "float32", 4, np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="rows of 4 elements got rows of 8"):
        CastColumn(np.zeros((4, 8), np.uint8), with_arithmetic, np.dtype("f4"), dlpack_type=None)


def test_what_threads_read_is_not_cleared_by_the_garbage_collector():
    """A cycle that holds a Loader is cleared while its threads are at work."""
    slot_of = ctypes.pythonapi.PyType_GetSlot
    slot_of.argtypes, slot_of.restype = [ctypes.py_object, ctypes.c_int], ctypes.c_void_p
    for kind in (Affine, Cast, CastColumn, Ladder, PackedColumn, PaddedColumn, Runs):
        assert slot_of(kind, 51) is None  # Py_tp_clear


def test_refusals_of_native_one_hot_labels():
    on, off = np.ones((), "f4"), np.zeros((), "f4")
    with pytest.raises(ValueError, match="integers of shape"):
        OneHotColumn(np.zeros(3), 4, on, off, np.dtype("f4"), dlpack_type=None)
    with pytest.raises(ValueError, match="numbers of 2, 4 or 8 bytes"):
        OneHotColumn(np.zeros(3, int), 4, on, off, np.dtype("f8"), dlpack_type=None)
    with pytest.raises(ValueError, match="n_classes must be at least 1"):
        OneHotColumn(np.zeros(3, int), 0, on, off, np.dtype("f4"), dlpack_type=None)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
@pytest.mark.parametrize("bad", [7, -1, 100])
def test_a_label_that_is_no_class_any_more_is_refused_when_it_is_read(dtype, bad):
    if bad < 0 and dtype[0] == "u":
        bad = np.iinfo(dtype).max
    labels = np.arange(20).astype(dtype) % 7
    loader = fb.Loader(labels, 4, transforms=fb.OneHot(7), rows=True)
    labels[9] = bad
    batches = iter(loader)
    assert [next(batches)[0].argmax(1).tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 0]]
    with pytest.raises(IndexError, match="row 9 cannot be read"):
        next(batches)
