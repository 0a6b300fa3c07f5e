"""bfloat16 of torch and of ml_dtypes: each is made of the other, and of itself."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native.column import GatherColumn

X = np.arange(24, dtype=np.float32).reshape(6, 2, 2) - 7.5
OFFSETS = [0, 2, 3, 6]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def bfloat16():
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)


@pytest.mark.parametrize("source", ["torch", "ml_dtypes"])
@pytest.mark.parametrize("output", ["torch", "numpy", None])
@pytest.mark.parametrize(
    "transforms", [None, fb.Cast("bfloat16"), fb.Normalize(1, 2), fb.RandomFlip(1), [fb.CenterCrop(1), fb.Scale(2)]]
)
def test_each_is_made_of_each(torch, bfloat16, source, output, transforms):
    x = torch.from_numpy(X).bfloat16() if source == "torch" else X.astype(bfloat16)
    batch = next(iter(fb.Loader(x, 4, transforms=transforms, output=output)))
    wanted = next(iter(fb.Loader(X, 4, transforms=transforms)))
    if (output or source) == "torch":
        assert batch.dtype == torch.bfloat16
    else:
        assert batch.dtype == bfloat16
    as_floats = batch.float().numpy() if (output or source) == "torch" else batch.astype(np.float32)
    np.testing.assert_array_equal(as_floats, np.asarray(wanted).astype(np.float32))


@pytest.mark.parametrize("source", ["torch", "ml_dtypes"])
@pytest.mark.parametrize("output", ["torch", "numpy"])
@pytest.mark.parametrize("shape", ["one", "concat", "picked"])
def test_structures_of_arrays(torch, bfloat16, source, output, shape):
    x = torch.from_numpy(X).bfloat16() if source == "torch" else X.astype(bfloat16)
    rows = [5, 0, 2, 3] if shape == "picked" else [0, 1, 2, 3]
    data = {"one": x, "concat": fb.concat([x[:3], x[3:]]), "picked": torch.utils.data.Subset(x, rows)}[shape]
    batch = next(iter(fb.Loader(data, 4, output=output)))
    assert batch.dtype == (torch.bfloat16 if output == "torch" else bfloat16)
    wanted = X[rows]
    np.testing.assert_array_equal(batch.float().numpy() if output == "torch" else batch.astype("f4"), wanted)


@pytest.mark.parametrize("source", ["torch", "ml_dtypes", "list"])
@pytest.mark.parametrize("output", ["torch", "numpy"])
@pytest.mark.parametrize("pad", [0, -1.5, 1 + 2**-9, float("inf"), float("nan"), True])
def test_a_ragged(torch, bfloat16, source, output, pad):
    values = X[:, 0, 0]
    held = torch.from_numpy(values.copy()).bfloat16() if source == "torch" else values.astype(bfloat16)
    parts = [held[a:b] for a, b in itertools.pairwise(OFFSETS)]
    ragged = fb.Ragged(parts, pad=pad) if source == "list" else fb.Ragged(held, OFFSETS, pad=pad)
    batch = next(iter(fb.Loader(ragged, 3, output=output))).values
    assert batch.dtype == (torch.bfloat16 if output == "torch" else bfloat16)
    wanted = next(iter(fb.Loader(fb.Ragged(values, OFFSETS, pad=pad), 3))).values.astype(bfloat16).astype("f4")
    np.testing.assert_array_equal(batch.float().numpy() if output == "torch" else batch.astype("f4"), wanted)


@pytest.mark.parametrize("pad", [1e40, -1e300, 10**400, 1j])
def test_a_pad_that_it_cannot_hold(bfloat16, pad):
    with pytest.raises(ValueError, match="pad must be a number that bfloat16 can hold, got"):
        fb.Loader(fb.Ragged(np.ones(3, bfloat16), [0, 3], pad=pad), 1)


def test_packed_rows(torch, bfloat16):
    held = torch.from_numpy(X[:, 0, 0].copy()).bfloat16()
    packed = fb.FirstFit(np.diff(OFFSETS), 6).pack(held, OFFSETS)
    for data, n in ((fb.Ragged(held, OFFSETS, layout="packed"), 3), (packed, 1)):
        values = next(iter(fb.Loader(data, n, output="numpy"))).values
        assert values.dtype == bfloat16
        assert sorted(values.astype("f4").ravel()) == sorted(X[:, 0, 0])


def test_numpy_has_none_without_ml_dtypes():
    pytest.importorskip("torch")
    program = """
import sys
sys.modules["ml_dtypes"] = None
import fastbatch as fb, torch
try:
    fb.Loader((torch.ones(4), torch.ones(4).bfloat16()), 2, output="numpy")
except TypeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("data[1]: NumPy has no bfloat16; install ml_dtypes, use output='torch'")


def test_a_column_is_held_as_what_has_as_many_bytes():
    column = GatherColumn(np.zeros((3, 2), np.int16))
    column.hold_as(np.dtype(np.float16))
    assert column.dtype == np.float16
    for dtype in ("f4", object, np.dtype("i2").newbyteorder()):
        with pytest.raises(ValueError, match="elements of float16 cannot be held as"):
            column.hold_as(np.dtype(dtype))
