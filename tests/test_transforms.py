"""What a Loader does with rows while it writes them: types, scales, labels."""

import pickle
from collections import namedtuple
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastbatch as fb
from fastbatch.picking import Picked
from fastbatch.transforms import Rows
from reference_cast import bfloat_bits

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (103, 4, 6, 3), dtype=np.uint8)
F = RNG.normal(3, 5, (103, 7)).astype(np.float32)
Y = np.arange(103) % 10
MEAN, STD = [0.5, 0.25, 0.125], [0.5, 0.25, 2.0]


def batches(data, transforms, **options):
    return list(fb.Loader(data, 16, transforms=transforms, **({"seed": 4} | options)))


def whole(data, transforms, **options):
    """All rows, in the order of the data."""
    return np.concatenate(batches(data, transforms, **options))


def test_cast_gives_what_astype_gives():
    for dtype in ("float32", "float16", "float64"):
        batch = whole(X, fb.Cast(dtype))
        assert batch.dtype == dtype
        np.testing.assert_array_equal(batch, X.astype(dtype))
    np.testing.assert_array_equal(whole(F, [fb.Cast("float16")]), F.astype(np.float16))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float16", "float32", "float64"])
def test_scale_and_normalize_give_what_numpy_gives(dtype):
    x = F.astype(dtype) if "float" in dtype else RNG.integers(0, 100, (50, 7)).astype(dtype)
    mean, std = RNG.normal(0, 10, 7), RNG.uniform(0.5, 5, 7)
    actual = whole(x, [fb.Scale(1 / 255), fb.Normalize(mean, std)])
    assert actual.dtype == (dtype if "float" in dtype else "float32")
    wanted = (x.astype(np.float64) / 255 - mean) / std
    np.testing.assert_allclose(
        actual, wanted, rtol=2e-3 if dtype == "float16" else 2e-6, atol=1e-2 if dtype == "float16" else 1e-6
    )


def test_x_equal_to_the_mean_becomes_zero():
    """Also where both are large: the mean is taken away before anything is rounded."""
    x = np.full((5, 2), 12_345_678, np.float32)
    np.testing.assert_array_equal(whole(x, fb.Normalize(12_345_678, 0.001)), 0)


@pytest.mark.parametrize(
    "shape", [(), (1,), (3,), (6, 1), (6, 3), (4, 1, 1), (4, 1, 3), (4, 6, 1), (4, 6, 3), (1, 6, 1)]
)
def test_numbers_are_broadcast_to_the_rows(shape):
    mean, std = RNG.normal(100, 30, shape), RNG.uniform(10, 50, shape)
    np.testing.assert_allclose(whole(X, fb.Normalize(mean, std)), (X - mean) / std, rtol=1e-6, atol=1e-6)


def test_mean_and_std_of_different_shapes():
    mean, std = RNG.normal(100, 30, (4, 1, 1)), RNG.uniform(10, 50, 3)
    np.testing.assert_allclose(whole(X, fb.Normalize(mean, std)), (X - mean) / std, rtol=1e-6, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    row=st.lists(st.integers(1, 5), max_size=3),
    factors=st.lists(st.sampled_from([0.5, 2.0, -3.0, 1 / 255]), min_size=1, max_size=4),
    threads=st.sampled_from([0, 2]),
    seed=st.integers(0, 1000),
)
def test_any_chain_is_one_shift_and_one_product(row, factors, threads, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-100, 100, (37, *row)).astype(np.int16)
    transforms, wanted = [], x.astype(np.float64)
    for factor in factors:
        shape = tuple(n if rng.random() < 0.5 else 1 for n in row)
        mean, std = rng.normal(0, 3, shape), rng.uniform(0.5, 2, shape)
        transforms += [fb.Scale(factor), fb.Normalize(mean, std)]
        wanted = (wanted * factor - mean) / std
    loader = fb.Loader(x, 8, transforms=transforms, threads=threads, shuffle=True, seed=seed, rows=True)
    for batch, rows in loader:
        np.testing.assert_allclose(batch, wanted[rows], rtol=1e-4, atol=1e-4 * max(1, np.abs(wanted).max()))


def test_the_last_type_is_written_wherever_it_stands():
    normalize = fb.Normalize(100, 50)
    for transforms in ([fb.Cast("float64"), normalize], [normalize, fb.Cast("float64")]):
        np.testing.assert_allclose(whole(X, transforms), (X - 100.0) / 50, rtol=1e-15)
    assert whole(X, [fb.Cast("float16"), normalize, fb.Cast("float32")]).dtype == np.float32


def test_nothing_to_do_is_a_gather():
    assert "gather" in fb.Loader(F, 4, transforms=fb.Cast("float32")).explain()
    assert "gather" in fb.Loader(F, 4, transforms=[]).explain()


def test_explain_says_what_is_done():
    said = fb.Loader({"x": X, "y": Y}, 4, transforms={"x": fb.Scale(1 / 255), "y": fb.OneHot(10)}).explain()
    assert "data['x']: uint8 to float32, (x - center) * scale" in said
    assert "data['y']: one-hot of 10 classes" in said


# ---------------------------------------------------------------------------------------------------------------------
# Labels
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
@pytest.mark.parametrize("smoothing", [0, 0.1, 1])
def test_one_hot_labels(dtype, smoothing):
    actual = whole(Y.astype(dtype), fb.OneHot(10, smoothing))
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, np.eye(10)[Y] * (1 - smoothing) + smoothing / 10, rtol=1e-6)


def test_one_hot_labels_of_another_type():
    np.testing.assert_array_equal(whole(Y, [fb.OneHot(12), fb.Cast("float16")]), np.eye(12, dtype=np.float16)[Y])
    np.testing.assert_array_equal(whole(Y, [fb.OneHot(12), fb.Cast("float64")]), np.eye(12)[Y])


# ---------------------------------------------------------------------------------------------------------------------
# Which column
# ---------------------------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "x y")


@dataclass
class Sample:
    x: object
    y: object


SCALE, ONE_HOT = [fb.Scale(2)], fb.OneHot(10)


@pytest.mark.parametrize(
    ("data", "transforms"),
    [
        ((F, Y), (SCALE, ONE_HOT)),
        ((F, Y), [SCALE, [ONE_HOT]]),
        ([F, Y], {0: SCALE, 1: ONE_HOT}),
        ({"x": F, "y": Y}, {"x": SCALE, "y": ONE_HOT}),
        (Pair(F, Y), {"x": SCALE, "y": ONE_HOT}),
        (Sample(F, Y), {"x": SCALE, "y": ONE_HOT}),
    ],
)
def test_transforms_have_the_shape_of_the_data(data, transforms):
    batch = batches(data, transforms)[0]
    x, y = (
        batch
        if isinstance(batch, (tuple, list))
        else (batch["x"], batch["y"])
        if isinstance(batch, dict)
        else (batch.x, batch.y)
    )
    np.testing.assert_array_equal(x, 2 * F[:16])
    np.testing.assert_array_equal(y, np.eye(10)[Y[:16]])


def test_nested_data_and_columns_left_as_they_are():
    data = {"in": (F, X), "out": {"y": Y}}
    batch = batches(data, {"in": (None, fb.Cast("float16")), "out": None})[0]
    np.testing.assert_array_equal(batch["in"][0], F[:16])
    assert batch["in"][1].dtype == np.float16
    assert batch["out"]["y"].dtype == Y.dtype
    assert batches(data, {"out": {"y": ONE_HOT}})[0]["out"]["y"].shape == (16, 10)


@pytest.mark.parametrize(
    ("data", "transforms", "error", "match"),
    [
        (
            F,
            {"x": SCALE},
            TypeError,
            r"transforms of data must be of fastbatch's, .* got \{'x'",
        ),
        (F, "float32", TypeError, r"must be of fastbatch's, such as Cast\('float32'\), got 'float32'"),
        (F, fb.Cast, TypeError, "must be of fastbatch's"),
        (F, [[fb.Scale(2)]], TypeError, "must be of fastbatch's"),
        ((F, Y), SCALE, ValueError, "data has 2 items, and transforms 1"),
        ((F, Y), fb.Scale(2), TypeError, "transforms of data must be a mapping from the numbers of its items"),
        ((F, Y), {2: SCALE}, ValueError, "transforms has the key 2, and data has 0, 1"),
        ({"x": F}, [SCALE], TypeError, "must be a mapping from the names of its items"),
        ({"x": F}, {"z": SCALE}, ValueError, "transforms has the key 'z', and data has 'x'"),
        ({"x": {"y": F}}, {"x": {"z": SCALE}}, ValueError, r"the key 'z', and data\['x'\] has 'y'"),
    ],
)
def test_transforms_of_another_shape_are_refused(data, transforms, error, match):
    with pytest.raises(error, match=match):
        fb.Loader(data, 4, transforms=transforms)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "transforms", "error", "match"),
    [
        (
            X,
            fb.Normalize([0, 0], 1),
            ValueError,
            r"data\['x'\]: mean of shape \(2,\) does not fit rows of shape \(4, 6, 3\)",
        ),
        (
            X,
            fb.Normalize(0, np.ones((2, 4, 6, 3))),
            ValueError,
            r"data\['x'\]: std of shape \(2, 4, 6, 3\) does not fit",
        ),
        (Y.astype("i4"), fb.Normalize([0], 1), ValueError, r"mean of shape \(1,\) does not fit rows of shape \(\)"),
        (X, fb.Normalize([0, np.nan, 0], 1), ValueError, r"data\['x'\]: mean must be finite, got nan at \(1,\)"),
        (X, fb.Normalize(0, [1, 1, 0]), ValueError, r"data\['x'\]: std must be finite and above 0, got 0.0 at \(2,\)"),
        (X, fb.Normalize(0, -1), ValueError, "std must be finite and above 0, got -1.0$"),
        (X, fb.Normalize(0, np.nan), ValueError, "std must be finite and above 0, got nan$"),
        (X, fb.Normalize(0, np.inf), ValueError, "std must be finite and above 0, got inf$"),
        (
            X,
            fb.Normalize(0, 1e-60),
            ValueError,
            r"^data\['x'\]: Normalize\(0.0, 1e-60\) must multiply by numbers that are finite and not 0 in float32, got "
            r"1e\+60$",
        ),
        (
            X,
            fb.Normalize([0, 1e60, 0], 1),
            ValueError,
            r"\) must subtract numbers that are finite in float32, got 1e\+60$",
        ),
        (
            X,
            fb.Scale(1e-60),
            ValueError,
            r"Scale\(1e-60\) must multiply by numbers that .* not 0 in float32, got 1e-60$",
        ),
        (X, fb.Scale(1e60), ValueError, r"Scale\(1e\+60\) must multiply by numbers that .* in float32, got 1e\+60$"),
        (
            X,
            [fb.Scale([1, 1e-30, 1]), fb.Scale([1, 1e-20, 1])],
            ValueError,
            r"Scale\(\[1.0, 1e-30, 1.0\]\), Scale\(\[1.0, 1e-20, 1.0\]\) must multiply by .* got 1e-50$",
        ),
        (X.astype("f8"), fb.Normalize(0, 5e-324), ValueError, "finite and not 0 in float64, got inf$"),
        (X, fb.Scale(0), ValueError, "factor must be finite and not 0, got 0.0$"),
        (X, fb.Scale([1, np.inf, 1]), ValueError, r"factor must be finite and not 0, got inf at \(1,\)"),
        (Y, fb.Cast("float32"), TypeError, r"data\['x'\]: Cast\('float32'\) reads uint8, bool.*, got int64"),
        (X.astype(">u2"), fb.Cast("float32"), TypeError, "got >u2 of another byte order"),
        (np.zeros(3, "M8[s]"), fb.Scale(2), TypeError, r"Scale\(2.0\) reads .* got datetime64"),
        (np.zeros(3, "c16"), fb.Scale(2), TypeError, "got complex128"),
        (
            F,
            fb.OneHot(10),
            TypeError,
            r"OneHot\(10\) reads integers, one in each row, got float32 in rows of",
        ),
        (
            Y.astype(">i4"),
            fb.OneHot(10),
            TypeError,
            r"OneHot\(10\) needs .* byte order, got >i4: .* astype\('int32'\)$",
        ),
        (X, fb.OneHot(10), TypeError, "one in each row, got uint8 in rows of shape"),
        (Y, fb.OneHot(9), ValueError, r"data\['x'\]: labels must be from 0 to 8 for OneHot\(9\), got 9 in row 9"),
        (Y - 3, fb.OneHot(9), ValueError, "got -3 in row 0"),
        (Y, [fb.Cast("float32"), fb.OneHot(10)], TypeError, "Cast"),
        (Y, [fb.OneHot(10), fb.OneHot(10)], ValueError, r"OneHot\(10\) must come first, got it behind OneHot\(10\)$"),
        (Y, [fb.OneHot(10), fb.Scale(2)], ValueError, r"Scale\(2.0\) cannot follow one-hot labels"),
    ],
)
def test_what_cannot_be_done_is_refused_when_the_loader_is_made(x, transforms, error, match):
    with pytest.raises(error, match=match):
        fb.Loader({"x": x}, 4, transforms={"x": transforms})


def test_what_is_out_of_float32_may_be_of_float64():
    np.testing.assert_allclose(whole(X.astype("f8"), fb.Scale(1e-60)), X * 1e-60, rtol=1e-15)
    np.testing.assert_allclose(whole(X, [fb.Scale(1e-60), fb.Cast("float64")]), X * 1e-60, rtol=1e-15)
    np.testing.assert_allclose(whole(X, [fb.Scale(1e-60), fb.Scale(1e60)]), X, rtol=1e-6)


NO_NUMBERS = [
    (None, "None"),
    ("1", "'1'"),
    (["1", "2"], r"\['1', '2'\]"),
    (1j, "1j"),
    (np.ones(3, np.complex64), "dtype complex64"),
    (True, "True"),
    ([True, False, True], r"\[True, False, True\]"),
    (np.ones(3, bool), "dtype bool"),
    ([True, 10**30], r"\[True, 1"),
    ([1, None, 1], r"\[1, None, 1\]"),
    (np.array([1, 2, 3], "M8[s]"), r"dtype datetime64\[s\]"),
    (np.zeros(3, "i4,i4"), "dtype "),
    ({}, r"\{\}"),
]


@pytest.mark.parametrize(("given", "said"), NO_NUMBERS)
def test_what_is_no_number_is_refused(given, said):
    for make, name in (
        (fb.Scale, "factor"),
        (lambda numbers: fb.Normalize(numbers, 1), "mean"),
        (lambda numbers: fb.Normalize(0, numbers), "std"),
    ):
        with pytest.raises(TypeError, match=f"^{name} must be real numbers, got {said}"):
            make(given)
    for make, name in (
        (fb.MixUp, "alpha"),
        (fb.CutMix, "alpha"),
        (fb.RandomFlip, "p"),
        (lambda number: fb.OneHot(3, number), "smoothing"),
    ):
        with pytest.raises(TypeError, match=f"^{name} must be a real number, got {said}"):
            make(given)


def test_numbers_that_are_no_arrays_of_floats():
    with pytest.raises(
        ValueError, match=r"^mean must be an array, got lists that differ in length: \[\[1\], \[2, 3\]\]$"
    ):
        fb.Normalize([[1], [2, 3]], 1)
    with pytest.raises(ValueError, match=r"^factor must be finite in float64, got 1000"):
        fb.Scale(10**400)
    with pytest.raises(TypeError, match=r"^smoothing must be a real number, got \[0.1\]$"):
        fb.OneHot(3, [0.1])
    for number in (Fraction(1, 2), Decimal("0.5"), np.float16(0.5), np.array(0.5)):
        assert repr(fb.Scale(number)) == "Scale(0.5)"
    assert repr(fb.Scale([Fraction(1, 2), 10**30])) == "Scale([0.5, 1e+30])"
    ml_dtypes = pytest.importorskip("ml_dtypes")
    assert repr(fb.Scale(np.array([0.5], ml_dtypes.bfloat16))) == "Scale([0.5])"


def test_numbers_are_copied():
    mean = np.array([1.0, 2.0, 3.0])
    transform = fb.Normalize(mean, 1)
    mean[:] = 0
    assert repr(transform) == "Normalize([1.0, 2.0, 3.0], 1.0)"


@pytest.mark.parametrize(
    ("given", "said"), [(2.5, "2.5"), ("3", "'3'"), (None, "None"), (True, "True"), ([3], r"\[3\]")]
)
def test_what_is_no_integer_is_refused(given, said):
    for make, name in (
        (fb.OneHot, "k"),
        (fb.Cutout, "size"),
        (lambda number: fb.CenterCrop((number, 3)), "size"),
        (lambda number: fb.RandomCrop(3, number), "padding"),
    ):
        with pytest.raises(TypeError, match=f"^{name} must be an integer, got {said}$"):
            make(given)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "complex64", "no such type", 3.5, None, None.__class__])
def test_types_that_cannot_be_written(dtype):
    with pytest.raises(TypeError, match="Cast writes float16, bfloat16, float32, float64, got"):
        fb.Cast(dtype)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((0,), ValueError, "k must be at least 1"),
        ((2**31,), ValueError, "below 2\\*\\*31"),
        ((2.5,), TypeError, "integer"),
        ((3, -0.1), ValueError, "smoothing must be from 0 to 1, got -0.1"),
        ((3, 1.1), ValueError, "smoothing must be from 0 to 1"),
        ((3, float("nan")), ValueError, "smoothing must be from 0 to 1, got nan"),
    ],
)
def test_one_hot_labels_that_cannot_be(arguments, error, match):
    with pytest.raises(error, match=match):
        fb.OneHot(*arguments)


# ---------------------------------------------------------------------------------------------------------------------
# With everything else that a Loader does
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_any_number_of_threads_gives_the_same(threads):
    transforms = ([fb.Normalize(MEAN, STD)], fb.OneHot(10, 0.1))
    wanted = batches((X, Y), transforms, shuffle=True, threads=0)
    for (x, y), (wanted_x, wanted_y) in zip(
        batches((X, Y), transforms, shuffle=True, threads=threads), wanted, strict=True
    ):
        np.testing.assert_array_equal(x, wanted_x)
        np.testing.assert_array_equal(y, wanted_y)


def test_a_loader_with_transforms_pickles_and_goes_on():
    loader = fb.Loader((X, Y), 8, transforms=(fb.Normalize(MEAN, STD), fb.OneHot(10)), shuffle=True, seed=1)
    taken = iter(loader)
    next(taken)
    rest = list(pickle.loads(pickle.dumps(loader)))
    for (x, y), (wanted_x, wanted_y) in zip(rest, taken, strict=True):
        np.testing.assert_array_equal(x, wanted_x)
        np.testing.assert_array_equal(y, wanted_y)


def test_concatenated_and_picked_columns():
    both = fb.concat([X[:40], X[40:41], X[:0], X[41:]])
    loader = fb.Loader(both, 16, transforms=fb.Normalize(MEAN, STD), shuffle=True, seed=5, rows=True)
    for batch, rows in loader:
        np.testing.assert_allclose(batch, (X[rows] - MEAN) / STD, rtol=1e-6)
    assert "from 4 arrays" in loader.explain()
    labels = fb.Loader(fb.concat([Y[:50], Y[50:]]), 16, transforms=fb.OneHot(10), sampler=[3, 99, 50])
    np.testing.assert_array_equal(next(iter(labels)), np.eye(10)[Y[[3, 99, 50]]])


def test_a_bad_label_behind_others_is_named_by_its_row():
    labels = [Y[:50].copy(), Y[50:].copy()]
    loader = fb.Loader(fb.concat(labels), 103, transforms=fb.OneHot(10))
    labels[1][7] = 10
    with pytest.raises(IndexError, match="row 57 cannot be read"):
        next(iter(loader))


def test_the_column_of_a_bad_label_is_named_by_its_path():
    labels = Y.copy()
    loader = fb.Loader({"x": X, "y": labels}, 12, rows=True, transforms={"y": fb.OneHot(12)})
    labels[3] = 50
    with pytest.raises(IndexError, match=r"^row 3 cannot be read: data\['y'\], one-hot of 12 classes, refused it$"):
        next(iter(loader))


def test_a_bad_label_among_picked_rows_is_named_by_its_row():
    labels = Y.copy()
    loader = fb.Loader(Picked(labels, np.array([7, 8, 9])), 3, transforms=fb.OneHot(10))
    labels[8] = 99
    with pytest.raises(IndexError, match="row 1 cannot be read"):
        next(iter(loader))


def test_batches_by_number_and_large_batches_in_parts():
    x = RNG.integers(0, 256, (4000, 3000), dtype=np.uint8)
    loader = fb.Loader(x, 2000, transforms=fb.Scale(0.5), threads=2)
    for i in range(2):
        np.testing.assert_array_equal(loader.batch(0, i), x[2000 * i : 2000 * (i + 1)] * np.float32(0.5))
    for i, batch in enumerate(loader):
        np.testing.assert_array_equal(batch, x[2000 * i : 2000 * (i + 1)] * np.float32(0.5))


def test_a_mapped_file(tmp_path):
    np.save(tmp_path / "x.npy", X)
    batch = batches(str(tmp_path / "x.npy"), fb.Normalize(MEAN, STD), shuffle=True, threads=2)[0]
    assert batch.dtype == np.float32


def test_rows_without_elements():
    assert whole(np.zeros((5, 0), np.uint8), fb.Normalize(np.zeros(0), 1)).shape == (5, 0)


def test_tensors():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(F)
    batch = next(iter(fb.Loader(x, 16, transforms=fb.Cast(torch.bfloat16))))
    assert batch.dtype == torch.bfloat16
    assert torch.equal(batch, x[:16].to(torch.bfloat16))
    back = next(iter(fb.Loader(x.to(torch.bfloat16), 16, transforms=fb.Cast("float64"))))
    assert torch.equal(back, x[:16].to(torch.bfloat16).to(torch.float64))
    normalized = next(iter(fb.Loader(X, 16, transforms=[fb.Normalize(MEAN, STD), fb.Cast("bfloat16")], output="torch")))
    wanted = torch.tensor((X[:16] - np.array(MEAN)) / np.array(STD))
    assert torch.allclose(normalized.to(torch.float64), wanted, rtol=1e-2)


def test_numpy_has_no_bfloat16_but_by_ml_dtypes(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    with pytest.raises(TypeError, match=r"data\['x'\]: NumPy has no bfloat16; install ml_dtypes, use output='torch'"):
        fb.Loader({"x": F}, 4, transforms={"x": fb.Cast("bfloat16")})


def test_bfloat16_of_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    batch = whole(F, fb.Cast(ml_dtypes.bfloat16))
    assert batch.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(batch.view(np.uint16), bfloat_bits(F))
    back = whole(F.astype(ml_dtypes.bfloat16), fb.Cast("float32"))
    np.testing.assert_array_equal(back, F.astype(ml_dtypes.bfloat16).astype(np.float32))
    assert whole(F.astype(ml_dtypes.bfloat16), None).dtype == ml_dtypes.bfloat16


def test_rows_without_arithmetic_keep_their_type():
    assert Rows("x", np.dtype("f2"), (3,)).written == "float16"
    assert Rows("x", np.dtype("i2"), (3,)).written == "int16"
