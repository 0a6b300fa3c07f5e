"""Mean, deviation, smallest and largest, against NumPy in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastbatch as fb
from fastbatch import describing
from fastbatch._native.moments import moments
from fastbatch._native.simd import SUPPORTED

RNG = np.random.default_rng(0)
TYPES = ["uint8", "int8", "int16", "uint16", "int32", "float16", "float32", "float64"]


def assert_agrees(found, x, axes=(0,)):
    x = np.asarray(x, np.float64)
    np.testing.assert_allclose(found.mean, x.mean(axes), rtol=1e-12, atol=1e-12 * np.abs(x).max(initial=1e-300))
    np.testing.assert_allclose(found.std, x.std(axes), rtol=1e-12, atol=1e-300)
    np.testing.assert_array_equal(found.min, x.min(axes))
    np.testing.assert_array_equal(found.max, x.max(axes))
    assert found.n == len(x)
    assert all(numbers.dtype == np.float64 for numbers in found[:4])


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "int16", "uint16", "int32", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("shape", [(1,), (3, 2), (1000,), (777, 3), (50, 64), (301, 100), (40, 5, 7), (9, 0)])
def test_every_type_and_shape(dtype, shape):
    x = RNG.integers(0, 2, shape).astype(bool) if dtype == "bool" else RNG.integers(0, 120, shape).astype(dtype)
    if "float" in dtype:
        x = RNG.normal(3, 10, shape).astype(dtype)
    found = fb.statistics(x)
    assert found.mean.shape == shape[1:]
    if x.size:
        assert_agrees(found, x)


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 700),
    n_features=st.integers(1, 90),
    scale=st.sampled_from([1e-3, 1.0, 1e6]),
    offset=st.sampled_from([0, 1, 1e4]),
    seed=st.integers(0, 1000),
)
def test_any_table(n, n_features, scale, offset, seed):
    x = np.random.default_rng(seed).normal(offset, 1, (n, n_features)) * scale
    assert_agrees(fb.statistics(x), x)


def test_a_deviation_that_is_small_beside_the_mean():
    """Sums of squares would leave nothing of it: it is 1e-8 of the mean."""
    x = 1e8 + RNG.normal(0, 1, (20_000, 5))
    exact = (x - 1e8).std(0)  # of numbers that float64 holds as they are
    np.testing.assert_allclose(fb.statistics(x).std, exact, rtol=1e-12)


def test_numbers_that_drift_and_a_first_block_far_from_the_rest():
    drifting = np.linspace(0, 1e6, 100_000)[:, None] + RNG.normal(0, 1, (100_000, 3))
    assert_agrees(fb.statistics(drifting), drifting)
    outlying = RNG.normal(0, 1, (100_000, 64))
    outlying[:256] += 1e9
    assert_agrees(fb.statistics(outlying), outlying)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "NHW"])
def test_channels_of_images(layout):
    shape = {"NHWC": (20, 9, 11, 3), "NCHW": (20, 3, 9, 11), "NHW": (20, 9, 11)}[layout]
    axes = {"NHWC": (0, 1, 2), "NCHW": (0, 2, 3), "NHW": (0, 1, 2)}[layout]
    x = RNG.integers(0, 256, shape, dtype=np.uint8)
    assert_agrees(fb.statistics(x, layout=layout), x, axes)


def test_what_it_finds_normalizes():
    x = RNG.integers(0, 256, (500, 8, 8, 3), dtype=np.uint8)
    found = fb.statistics(x, layout="NHWC")
    batch = next(iter(fb.Loader(x, 500, transforms=fb.Normalize(found.mean, found.std))))
    np.testing.assert_allclose(batch.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(batch.std((0, 1, 2)), 1, atol=1e-5)


@pytest.mark.parametrize("n_features", [1, 3, 70])
def test_any_number_of_threads_gives_the_same_bits(n_features, monkeypatch):
    monkeypatch.setattr(describing, "SPAN_NBYTES", 10_000)
    x = RNG.normal(5, 2, (20_011, n_features)).astype(np.float32)
    wanted = fb.statistics(x, threads=1)
    for threads in (0, 2, 5, None):
        for numbers, expected in zip(fb.statistics(x, threads=threads), wanted, strict=True):
            np.testing.assert_array_equal(numbers, expected)
    assert_agrees(wanted, x)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "uint16", "int32", "float16", "bfloat16", "float32", "float64"]
)
def test_every_simd_path_gives_the_same_bits(dtype):
    x = RNG.integers(0, 2**14, (333, 101)).astype(np.uint16 if "16" in dtype else dtype)
    if "16" in dtype:
        x = x.view("uint16" if dtype == "bfloat16" else dtype)
    center = np.full(101, 50.0)
    wanted = moments(x, dtype, center, simd="baseline")
    for simd in SUPPORTED:
        for numbers, expected in zip(moments(x, dtype, center, simd=simd), wanted, strict=True):
            np.testing.assert_array_equal(numbers, expected)


def test_what_is_no_number():
    x = np.tile(np.arange(6.0), (600, 1))
    x[300, 1] = np.nan
    x[300, 2] = np.inf
    x[0, 3] = -np.inf
    x[0, 4], x[1, 4] = np.inf, np.nan
    x[5, 5], x[500, 5] = np.inf, -np.inf
    found = fb.statistics(x)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found.mean, x.mean(0))
        np.testing.assert_array_equal(found.std, x.std(0))
    np.testing.assert_array_equal(found.min, x.min(0))
    np.testing.assert_array_equal(found.max, x.max(0))


def test_rows_that_lie_apart_or_in_another_order():
    x = RNG.normal(0, 1, (500, 20))
    for view in (x[::3], x[::-1], x[:, ::2], x.T, x[:, 3:7]):
        assert_agrees(fb.statistics(view), view)


def test_files_and_concatenations(tmp_path, monkeypatch):
    monkeypatch.setattr(describing, "SPAN_NBYTES", 5000)
    x = RNG.normal(0, 1, (1000, 12)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    assert_agrees(fb.statistics(str(tmp_path / "x.npy")), x)
    assert_agrees(fb.statistics(np.load(tmp_path / "x.npy", mmap_mode="r")), x)
    assert_agrees(fb.statistics(fb.concat([x[:300], x[300:301], x[301:]])), x)


def test_tensors():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(RNG.normal(0, 1, (300, 12)).astype(np.float32))
    assert_agrees(fb.statistics(x), x)
    assert_agrees(fb.statistics(x.to(torch.bfloat16)), x.to(torch.bfloat16).double())


@pytest.mark.parametrize(
    ("x", "options", "error", "match"),
    [
        (np.zeros((0, 3)), {}, ValueError, "x must have a row at least"),
        (np.zeros(()), {}, ValueError, "x must have rows"),
        (np.zeros(3, int), {}, TypeError, "statistics reads uint8, bool, .*, got int64"),
        (np.zeros(3, "c8"), {}, TypeError, "got complex64"),
        (np.zeros(3, ">f4"), {}, TypeError, "got >f4 of another byte order"),
        ({"x": np.zeros(3)}, {}, TypeError, "x must be an array, got dict"),
        (3, {}, TypeError, "x must be an array, got int"),
        (
            np.zeros((3, 4)),
            {"layout": "NHWC"},
            ValueError,
            r"layout NHWC have 3 axes, and pixels, got rows of",
        ),
        (np.zeros((3, 0, 4)), {"layout": "NHW"}, ValueError, "and pixels"),
        (np.zeros((3, 4)), {"layout": "HW"}, ValueError, "layout must be one of NHWC, NCHW, NHW, got 'HW'"),
        (np.zeros(3), {"threads": -1}, ValueError, "threads must be from 0 to 256, got -1"),
        (np.zeros(3), {"threads": 1.5}, TypeError, "threads must be an integer or None"),
    ],
)
def test_refusals(x, options, error, match):
    with pytest.raises(error, match=match):
        fb.statistics(x, **options)


def test_refusals_of_the_native_door():
    with pytest.raises(ValueError, match="rows must be a table of a row at least"):
        moments(np.zeros((0, 3)), "float64", np.zeros(3))
    with pytest.raises(ValueError, match="each of them contiguous"):
        moments(np.zeros((4, 6))[:, ::2], "float64", np.zeros(3))
    with pytest.raises(TypeError, match="rows of float64 are not read as float32"):
        moments(np.zeros((4, 6)), "float32", np.zeros(6))
    with pytest.raises(TypeError, match="not read as int64"):
        moments(np.zeros((4, 6), int), "int64", np.zeros(6))
    for center in (np.zeros(5), np.zeros(6, "f4"), np.full(6, np.nan), np.zeros(12)[::2]):
        with pytest.raises(ValueError, match="center must be 6 finite numbers"):
            moments(np.zeros((4, 6)), "float64", center)
