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


def assert_agrees(found, x, axes=(0,), atol=1e-300):
    """`atol`: where a row is repeated, NumPy's deviation from a rounded mean is not 0."""
    x = np.asarray(x, np.float64)
    np.testing.assert_allclose(found.mean, x.mean(axes), rtol=1e-12, atol=1e-12 * np.abs(x).max(initial=1e-300))
    np.testing.assert_allclose(found.std, x.std(axes), rtol=1e-12, atol=atol)
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


# ---------------------------------------------------------------------------------------------------------------------
# Some rows, and rows of different lengths
# ---------------------------------------------------------------------------------------------------------------------


def assert_same_bits(found, wanted):
    for numbers, expected in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(numbers, expected)


@given(
    parts=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    n_features=st.sampled_from([1, 3, 70]),
    span=st.sampled_from([1, 100, 1000, 2**20]),
    threads=st.sampled_from([0, 2]),
    data=st.data(),
)
def test_some_rows(parts, n_features, span, threads, data):
    n = sum(parts)
    x = np.random.default_rng(n).normal(3, 10, (n, n_features)).astype(np.float32)
    rows = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=60)) if n else []
    given_as = fb.concat(np.split(x, np.cumsum(parts)[:-1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(describing, "SPAN_NBYTES", span)
        if not rows:
            with pytest.raises(ValueError, match=r"^rows must have a row at least$"):
                fb.statistics(given_as, rows=rows)
            return
        assert_agrees(fb.statistics(given_as, rows=rows, threads=threads), x[rows], atol=1e-12)
        wanted = fb.statistics(x[sorted(rows)])
        assert_same_bits(fb.statistics(x, rows=rows, threads=threads), wanted)
        assert_same_bits(fb.statistics(x, rows=rows[::-1]), wanted)


def test_some_rows_of_images_files_and_rows_that_lie_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(describing, "SPAN_NBYTES", 5000)
    x = RNG.integers(0, 256, (200, 9, 11, 3), dtype=np.uint8)
    training, _ = fb.split(200, [0.7, 0.3], seed=0)
    np.save(tmp_path / "x.npy", x)
    wanted = fb.statistics(x[training], layout="NHWC")
    assert_agrees(wanted, x[training], (0, 1, 2))
    assert_same_bits(fb.statistics(str(tmp_path / "x.npy"), rows=training, layout="NHWC"), wanted)
    assert_same_bits(fb.statistics(x, rows=np.arange(30, 90)), fb.statistics(x[30:90]))
    for view in (x[::-1], x[:, ::2], x.T):
        rows = np.arange(0, len(view), 2)
        assert_same_bits(fb.statistics(view, rows=rows), fb.statistics(view[rows]))
    mixed = fb.concat([x[:50], x[50:].astype(np.float64)])
    assert_agrees(fb.statistics(mixed, rows=training), x[training])


def test_few_rows_are_copied_at_a_time(monkeypatch):
    """A table of 2**40 bytes that all lie in one row: what is copied is a span."""
    monkeypatch.setattr(describing, "SPAN_NBYTES", 2**16)
    x = np.broadcast_to(np.arange(8, dtype=np.float32), (2**35, 8))
    found = fb.statistics(x, rows=np.arange(0, 2**35, 2**20))
    np.testing.assert_array_equal(found.mean, np.arange(8))
    np.testing.assert_array_equal(found.std, np.zeros(8))
    assert found.n == 2**15


@pytest.mark.parametrize(
    ("rows", "error", "match"),
    [
        ([0, 3], IndexError, "^row 3 is out of range for 3 rows$"),
        ([0, -1], ValueError, "^rows must not be negative, got -1$"),
        ([[0]], ValueError, r"^rows must be of shape \(k,\), got shape \(1, 1\)$"),
        ([0.5], TypeError, "^indices must be integers, got dtype float64$"),
        ([True, False, True], TypeError, "^indices must be integers, got dtype bool; use numpy.flatnonzero"),
        ([], ValueError, "^rows must have a row at least$"),
    ],
)
def test_rows_that_are_none(rows, error, match):
    for x in (np.zeros((3, 2)), fb.concat([np.zeros(1), np.zeros(2)]), fb.Ragged(np.zeros(6), [0, 1, 3, 6])):
        with pytest.raises(error, match=match):
            fb.statistics(x, rows=rows)


@given(
    lengths=st.lists(st.integers(0, 9), max_size=40),
    n_features=st.sampled_from([None, 1, 3, 70]),
    span=st.sampled_from([1, 100, 2**20]),
    length=st.none() | st.integers(1, 9),
    first=st.integers(0, 3),
    data=st.data(),
)
def test_elements_of_rows_of_different_lengths(lengths, n_features, span, length, first, data):
    offsets = first + np.cumsum([0, *lengths])
    shape = (offsets[-1] + 2,) if n_features is None else (offsets[-1] + 2, n_features)
    values = np.random.default_rng(len(lengths)).normal(3, 10, shape)
    values[:first] = values[offsets[-1] :] = 1e30  # nobody has them
    layout = data.draw(st.sampled_from(["padded", "packed"]))
    ragged = fb.Ragged(values, offsets, length=length, layout=layout)
    rows = data.draw(st.none() | st.lists(st.integers(0, len(lengths) - 1), max_size=30)) if lengths else None
    seen = range(len(lengths)) if rows is None else sorted(rows)
    of_rows = [values[offsets[row] : offsets[row + 1]][:length] for row in seen]
    wanted = np.concatenate([values[:0], *of_rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(describing, "SPAN_NBYTES", span)
        if len(wanted) == 0:
            with pytest.raises(ValueError, match=r"must have a row at least$"):
                fb.statistics(ragged, rows=rows)
            return
        found = fb.statistics(ragged, rows=rows)
        assert_agrees(found, wanted, atol=1e-12)
        assert_same_bits(found, fb.statistics(wanted))


def test_elements_of_other_libraries_lists_and_of_several():
    parts = [RNG.normal(3, 10, (n, 4)).astype(np.float32) for n in (5, 1, 9, 30)]
    whole = np.concatenate(parts)
    assert_same_bits(fb.statistics(fb.Ragged(parts)), fb.statistics(whole))
    both = fb.concat([fb.Ragged(parts[:2]), fb.Ragged(parts[2:])])
    assert_agrees(fb.statistics(both), whole)
    assert_agrees(fb.statistics(both, rows=[3, 1, 3]), np.concatenate([parts[3], parts[1], parts[3]]))
    with pytest.raises(TypeError, match=r"^statistics reads .*, got int64$"):
        fb.statistics(fb.Ragged(np.arange(3), [0, 1, 3]))
    pyarrow = pytest.importorskip("pyarrow")
    lists = pyarrow.chunked_array([[[1.0, 2.0], [4.0]], [[5.0, 6.0, 9.0]]])
    assert_agrees(fb.statistics(lists), np.array([1.0, 2, 4, 5, 6, 9]))


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
        (np.zeros((3, 4)), {"layout": ["NHW"]}, TypeError, r"layout must be one of .*, got \['NHW'\]$"),
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


@pytest.mark.parametrize(("x", "layout"), [(np.ones((4, 3, 3)), "NHW"), (np.ones(4), None), (np.ones((4, 3, 3)), None)])
def test_all_four_are_arrays(x, layout):
    found = fb.statistics(x, layout=layout)[:4]
    assert all(isinstance(of, np.ndarray) and of.dtype == np.float64 for of in found)
    assert len({of.shape for of in found}) == 1
