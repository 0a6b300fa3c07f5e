"""What a Loader reads from: every dtype, layout and kind of memory, NumPy's and others'."""

import array
import ctypes
import subprocess
import sys

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import fastbatch as fb
from reference import DTYPES, ZERO_WIDTH_DTYPES, assert_identical, make_array, take, unaligned

ROWS = [5, 0, 3, 3, 9, 1, 8]


def batch_of(data, rows=ROWS, **options):
    return next(iter(fb.Loader(data, len(rows), sampler=rows, **options)))


# ---------------------------------------------------------------------------------------------------------------------
# NumPy
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row_shape", [(), (3,), (2, 1, 2), (0,), (2, 0)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES + ZERO_WIDTH_DTYPES, ids=str)
def test_every_dtype_of_fixed_size_comes_out_as_it_went_in(dtype, row_shape):
    source = make_array(dtype, (10, *row_shape), seed=3)
    batch = batch_of(source)
    assert type(batch) is np.ndarray
    assert_identical(batch, take(source, ROWS))
    assert batch.flags.c_contiguous
    assert batch.flags.writeable


@pytest.mark.parametrize("shape", [(0,), (0, 4), (0, 4, 2), (0, 0)], ids=str)
@pytest.mark.parametrize("shuffle", [False, True])
def test_arrays_without_rows_are_sources(shape, shuffle):
    assert list(fb.Loader(np.empty(shape), 3, shuffle=shuffle)) == []


def layouts():
    base = make_array("f4", (40, 6), seed=1)
    series = np.arange(30.0)
    frozen = base[:10].copy()
    frozen.flags.writeable = False
    return {
        "every third row": base[1:31:3],
        "reversed": base[9::-1],
        "one row repeated": np.broadcast_to(base[3], (10, 6)),
        "sliding windows": sliding_window_view(series, 6)[:10],
        "overlapping windows backwards": sliding_window_view(series, 6)[20:0:-2],
        "some columns": base[:10, 2:5],
        "read-only": frozen,
        "unaligned": unaligned(base[:10]),
        "one-element axes with odd strides": as_strided(base, (10, 1, 6), (24, 4096, 4)),
        "a field": make_array([("a", "u1"), ("b", "f8", (3,))], (10,))["b"],
    }


@pytest.mark.parametrize("name", layouts())
def test_rows_that_are_contiguous_are_read_where_they_are(name):
    source = layouts()[name]
    loader = fb.Loader(source, len(ROWS), sampler=ROWS)
    assert "copied" not in loader.explain()
    assert_identical(next(iter(loader)), take(source, ROWS))


@pytest.mark.parametrize(
    "source",
    [
        np.arange(60.0).reshape(10, 6)[:, ::2],
        np.arange(60.0).reshape(10, 6)[:, ::-1],
        np.asfortranarray(np.arange(60.0).reshape(10, 6)),
        np.arange(60.0).reshape(6, 10).T,
        np.broadcast_to(np.arange(10.0)[:, None], (10, 6)),
        np.arange(240).reshape(10, 4, 6).transpose(0, 2, 1),
    ],
    ids=["step", "reversed", "fortran", "transposed", "broadcast", "axes swapped"],
)
def test_rows_that_are_not_contiguous_are_copied_once_and_said(source):
    loader = fb.Loader({"y": np.arange(10), "x": source}, len(ROWS), sampler=ROWS)
    said = loader.explain().splitlines()
    copied = next(i for i, line in enumerate(said) if "copied once" in line)
    assert said[copied - 1].startswith("data['x']")
    assert f"{source.size * source.itemsize:,} bytes" in said[copied]
    assert_identical(next(iter(loader))["x"], take(source, ROWS))


def test_the_source_is_referred_to_and_never_written():
    source = np.zeros((10, 4))
    loader = fb.Loader(source, 10)
    source += 1
    batch = next(iter(loader))
    assert (batch == 1).all()
    batch += 1
    assert (source == 1).all()


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_mapped_files_are_sources(tmp_path, mode):
    expected = make_array("i4", (10, 5))
    expected.tofile(tmp_path / "x.bin")
    mapped = np.memmap(tmp_path / "x.bin", "i4", mode, shape=(10, 5))
    loader = fb.Loader((mapped, mapped[::-1], np.asarray(mapped[2:, 1:4]).repeat(2, 0)[:10]), 7, sampler=ROWS)
    assert loader.explain().count("from a mapped file") == 2
    batch, backwards, _ = next(iter(loader))
    assert type(batch) is np.ndarray
    assert_identical(batch, expected[ROWS])
    assert_identical(backwards, expected[::-1][ROWS])


def test_subclasses_of_arrays_come_out_as_plain_arrays():
    with pytest.warns(PendingDeprecationWarning):
        source = np.matrix(np.arange(20.0).reshape(10, 2))
    for kind in (source, np.rec.fromarrays([np.arange(10)], names="a")):
        assert type(batch_of(kind)) is np.ndarray


# ---------------------------------------------------------------------------------------------------------------------
# Memory of others
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        array.array("d", range(10)),
        array.array("h", range(10)),
        bytearray(range(10)),
        memoryview(bytes(range(10))),
        memoryview(np.arange(20).reshape(10, 2)),
        (ctypes.c_float * 10)(*range(10)),
    ],
    ids=["array of double", "array of short", "bytearray", "memoryview", "2-D memoryview", "ctypes"],
)
def test_objects_with_the_buffer_protocol_are_arrays(source):
    expected = np.asarray(source if isinstance(source, memoryview) else memoryview(source))
    assert_identical(batch_of(source), expected[ROWS])
    assert_identical(batch_of({"x": source})["x"], expected[ROWS])


class OnlyDLPack:
    """An array of a framework that nobody knows."""

    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


@pytest.mark.parametrize("dtype", ["f4", "i8", "?", "u2", "c8"])
def test_objects_with_dlpack_are_arrays(dtype):
    values = make_array(dtype, (10, 3))
    batch = batch_of(OnlyDLPack(values))
    assert type(batch) is np.ndarray
    assert_identical(batch, values[ROWS])


def test_memory_on_another_device_is_refused():
    class Elsewhere(OnlyDLPack):
        def __dlpack_device__(self):
            return (2, 0)

        def __dlpack__(self, **options):
            raise BufferError("this memory is on a GPU")

    with pytest.raises((BufferError, ValueError, TypeError, RuntimeError)):
        fb.Loader(Elsewhere(np.arange(10)), 2)


def test_the_buffer_of_a_source_stays_exported_while_the_loader_lives():
    source = bytearray(range(10))
    loader = fb.Loader(source, 5)
    with pytest.raises(BufferError):
        source.append(1)
    assert next(iter(loader)).tolist() == [0, 1, 2, 3, 4]


NO_TORCH = """
import sys
import numpy as np
import fastbatch as fb
x = np.arange(20.0).reshape(10, 2)
with fb.Loader({"x": x, "y": bytearray(10)}, 3, shuffle=True, rows=True) as loader:
    assert sum(len(batch["rows"]) for batch in loader) == 10
    loader.explain(), repr(loader), loader.batch(0, 1), loader.state_dict()
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"torch", "jax", "scipy", "pandas"}, loaded
"""


def test_a_loader_of_numpy_arrays_imports_no_framework():
    subprocess.run([sys.executable, "-c", NO_TORCH], check=True, timeout=120)
