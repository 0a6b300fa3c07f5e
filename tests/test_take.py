"""fb.take: rows of an array, as numpy.take along axis 0 gives them."""

import mmap
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import fastbatch as fb
from reference import DTYPES, ZERO_WIDTH_DTYPES, assert_identical, fenced, make_array, take, unaligned

INTEGERS = [np.dtype(order + kind) for order in "<>" for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")]
INTEGERS += [np.dtype(kind) for kind in "bhilqBHILQpP"]
SOURCE_LAYOUTS = ["plain", "step", "reversed", "broadcast", "columns", "unaligned", "readonly", "field"]


@st.composite
def sources(draw, min_rows=0):
    """Arrays of any dtype with 1 to 3 axes and any stride on axis 0, each row contiguous."""
    dtype = draw(st.sampled_from(DTYPES))
    n_rows = draw(st.sampled_from([n for n in (0, 1, 2, 3, 17, 40) if n >= min_rows]))
    row_shape = draw(st.sampled_from([(), (1,), (3,), (16,), (2, 3), (1, 5, 1), (0,), (4, 0), (0, 4)]))
    seed = draw(st.integers(0, 9))
    layout = draw(st.sampled_from(SOURCE_LAYOUTS))
    if layout == "plain":
        return make_array(dtype, (n_rows, *row_shape), seed)
    if layout == "step":
        return make_array(dtype, (3 * n_rows, *row_shape), seed)[1::3]
    if layout == "reversed":
        return make_array(dtype, (2 * n_rows, *row_shape), seed)[::-2]
    if layout == "broadcast":
        return np.broadcast_to(make_array(dtype, row_shape, seed), (n_rows, *row_shape))
    if layout == "columns" and len(row_shape) == 1:
        return make_array(dtype, (n_rows, row_shape[0] + 2), seed)[:, 1:-1]
    if layout == "field":
        record = np.dtype([("before", "u1"), ("values", dtype, row_shape)])
        return make_array(record, (n_rows,), seed)["values"]
    array = make_array(dtype, (n_rows, *row_shape), seed)
    if layout == "unaligned":
        return unaligned(array)
    array.flags.writeable = False
    return array


@st.composite
def index_arrays(draw, n_rows):
    """Index arrays of any integer kind, 0 to 3 axes and any layout, valid for n_rows."""
    dtype = draw(st.sampled_from(INTEGERS))
    shape = draw(st.sampled_from([(), (0,), (1,), (2,), (9,), (100,), (3, 4), (2, 0), (2, 1, 3)])) if n_rows else (0,)
    low = max(-n_rows, np.iinfo(dtype).min)
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    layout = draw(st.sampled_from(["plain", "step", "reversed", "transposed", "broadcast", "unaligned", "readonly"]))
    if layout == "broadcast":
        return np.broadcast_to(np.asarray(rng.integers(low, n_rows) if n_rows else 0).astype(dtype), shape)
    if layout == "step" and shape:
        shape = (*shape[:-1], 2 * shape[-1])
    indices = np.asarray(rng.integers(low, max(n_rows, 1), shape)).astype(dtype)
    if layout == "step" and shape:
        return indices[..., ::2]
    if layout == "reversed" and shape:
        return indices[::-1]
    if layout == "transposed":
        return indices.T
    if layout == "unaligned":
        return unaligned(indices)
    if layout == "readonly":
        indices.flags.writeable = False
    return indices


@given(sources(), st.data())
def test_is_numpy_take(source, data):
    indices = data.draw(index_arrays(len(source)))
    taken = fb.take(source, indices)
    assert type(taken) is np.ndarray
    assert taken.flags.c_contiguous
    assert taken.flags.writeable
    assert taken.flags.owndata or taken.base is not source
    assert_identical(taken, take(source, indices))


@given(sources(), st.data())
def test_fills_out_and_returns_it(source, data):
    indices = data.draw(index_arrays(len(source)))
    out, fences_stand = fenced(indices.shape + source.shape[1:], source.dtype)
    assert fb.take(source, indices, out=out) is out
    assert fences_stand()
    assert_identical(out, take(source, indices))


@given(sources(min_rows=1), st.data())
def test_leaves_its_inputs_as_they_were(source, data):
    indices = data.draw(index_arrays(len(source)))
    before, indices_before = source.copy(), indices.copy()
    fb.take(source, indices)
    assert_identical(source, before)
    assert_identical(indices, indices_before)


WIDTHS = sorted(
    {*range(1, 34), 40, 47, 48, 56, 63, 64, 65, 72, 80, 96, 100, 127, 128, 129, 160, 192, 200, 255, 256, 257, 320, 384}
    | {511, 512, 513, 640, 768, 1000, 1023, 1024, 1025, 1536, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 12345, 70_000}
)


@pytest.mark.parametrize("row_nbytes", WIDTHS)
def test_rows_of_every_width_stay_within_their_bounds(row_nbytes):
    source = np.random.default_rng(row_nbytes).integers(0, 256, (50, row_nbytes), dtype=np.uint8)
    padded = np.zeros((50, row_nbytes + 3), np.uint8)
    padded[:, :row_nbytes] = source
    for n_indices in (1, 2, 3, 5, 64, 300):
        indices = np.random.default_rng(n_indices).integers(-50, 50, n_indices)
        for rows in (source, source[::-1], padded[:, :row_nbytes], unaligned(source)):
            out, fences_stand = fenced((n_indices, row_nbytes), np.uint8, fence=4096)
            fb.take(rows, indices, out=out)
            assert fences_stand()
            assert np.array_equal(out, rows[indices])


@pytest.mark.parametrize("row_shape", [(), (2,), (8,), (16,), (64,), (512,), (1025,)])
def test_many_rows_of_a_table_larger_than_the_cache(row_shape):
    rng = np.random.default_rng(3)
    n_rows = 16_000_000 // (4 * int(np.prod(row_shape, initial=1)))
    source = rng.integers(0, 2**31, (n_rows, *row_shape), dtype=np.int32)
    indices = rng.integers(-n_rows, n_rows, 5000)
    assert np.array_equal(fb.take(source, indices), source[indices])
    assert np.array_equal(fb.take(source, indices.astype(np.int32)), source[indices])


def test_an_output_of_many_megabytes():
    source = np.random.default_rng(3).integers(0, 256, (3000, 4096), dtype=np.uint8)
    indices = np.random.default_rng(4).integers(0, 3000, 6000)
    out, fences_stand = fenced((6000, 4096), np.uint8)
    fb.take(source, indices, out=out)
    assert fences_stand()
    assert np.array_equal(out, source[indices])


@pytest.mark.parametrize("dtype", ZERO_WIDTH_DTYPES, ids=str)
def test_rows_without_bytes(dtype):
    taken = fb.take(np.zeros(5, dtype), [4, -5, 0])
    assert (taken.shape, taken.dtype) == ((3,), dtype)
    with pytest.raises(IndexError):
        fb.take(np.zeros(5, dtype), [5])


@pytest.mark.parametrize("indices", [[], (), [2], [0, -1, 1], (1, 1), [[0, 1], [2, 2]], range(3), 1, -3, np.int8(2)])
def test_indices_need_not_be_an_array(indices):
    source = np.arange(12.0).reshape(3, 4)
    expected = source[np.array(indices, np.int64)]
    taken = fb.take(source, indices)
    assert type(taken) is np.ndarray
    assert_identical(taken, expected)


def test_one_row_of_a_plain_sequence_is_an_array_without_axes():
    taken = fb.take(np.arange(5), 3)
    assert type(taken) is np.ndarray
    assert taken.shape == ()
    assert taken == 3


def test_a_subclass_gives_a_plain_array(tmp_path):
    stored = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(20, 3))
    stored[...] = np.arange(60).reshape(20, 3)
    taken = fb.take(stored, [5, 19, 0])
    assert type(taken) is np.ndarray
    assert np.array_equal(taken, np.asarray(stored)[[5, 19, 0]])


def test_a_fresh_result_shares_nothing_with_the_source():
    source = np.arange(6.0)
    taken = fb.take(source, np.arange(6))
    taken[:] = -1
    assert np.array_equal(source, np.arange(6.0))


@given(st.sampled_from(["u1", "i4", "f8", "c16"]), st.integers(1, 12), st.integers(0, 30))
def test_windows_over_a_series(dtype, width, n_more):
    series = make_array(dtype, (width + n_more,), seed=width)
    windows = sliding_window_view(series, width)
    indices = np.random.default_rng(n_more).integers(-len(windows), len(windows), 25)
    assert_identical(fb.take(windows, indices), windows[indices])


def test_windows_over_a_series_of_vectors():
    series = np.arange(60.0).reshape(20, 3)
    windows = np.moveaxis(sliding_window_view(series, 4, axis=0), -1, 1)
    assert_identical(fb.take(windows, [16, 0, 7]), windows[[16, 0, 7]])


def test_a_row_numbered_beyond_32_bits():
    try:
        pages = mmap.mmap(-1, 2**32 + 8192)
    except (OSError, MemoryError, OverflowError):
        pytest.skip("no address space for 4 GB, even untouched")
    source = np.frombuffer(pages, np.uint8)
    writable = np.ndarray(source.shape, np.uint8, pages)
    writable[3], writable[2**32 + 3], writable[-1] = 1, 2, 3
    assert fb.take(source, np.array([3, 2**32 + 3, 2**32 + 4, -1])).tolist() == [1, 2, 0, 3]
    assert fb.take(source, np.array([2**32 + 3, 3], np.uint64)).tolist() == [2, 1]
    assert fb.take(source, np.array([3, 3], np.uint32)).tolist() == [1, 1]
    reversed_rows = source[::-1]
    assert fb.take(reversed_rows, np.array([0, -1 - 3, -1 - 2**32 - 3])).tolist() == [3, 1, 2]


def test_one_row_repeated_more_than_32_bits_can_count():
    source = np.broadcast_to(np.array([5, 6, 7]), (2**33, 3))
    assert fb.take(source, [0, 2**32, 2**33 - 1, -(2**33)]).tolist() == [[5, 6, 7]] * 4
    for bad in (2**33, -(2**33) - 1):
        with pytest.raises(IndexError, match=rf"{bad}.*{2**33}"):
            fb.take(source, [0, bad])


@pytest.mark.parametrize("indices", [True, [False, True], [1.0], 0.5, "0", None, [None], [2**70]], ids=repr)
def test_refuses_objects_that_are_no_integers(indices):
    with pytest.raises((TypeError, IndexError, OverflowError)):
        fb.take(np.arange(3), indices)


@pytest.mark.parametrize("dtype", ["f8", "f2", "c8", "?", "O", "U1", "S1", "M8[s]", "m8[s]", "V4"])
def test_refuses_indices_that_are_not_integers(dtype):
    out = np.full(2, 7)
    with pytest.raises(TypeError, match="integer"):
        fb.take(np.arange(3), np.zeros(2, dtype), out=out)
    assert out.tolist() == [7, 7]


@given(sources(), st.sampled_from(INTEGERS), st.integers(0, 60), st.data())
def test_a_row_out_of_range_names_row_and_length_and_leaves_out_untouched(source, dtype, n_before, data):
    n_rows = len(source)
    limits = np.iinfo(dtype)
    wrong = [bad for bad in (n_rows, -n_rows - 1, limits.min, limits.max) if limits.min <= bad <= limits.max]
    bad = data.draw(st.sampled_from([bad for bad in wrong if not -n_rows <= bad < n_rows]))
    indices = np.zeros(n_before + 1 if n_rows else 1, dtype)
    indices[-1] = bad
    out, fences_stand = fenced(indices.shape + source.shape[1:], source.dtype)
    before = out.tobytes()
    with pytest.raises(IndexError, match=rf"(?<!\d){bad}(?!\d).*(?<!\d){n_rows}(?!\d)"):
        fb.take(source, indices, out=out)
    assert out.tobytes() == before
    assert fences_stand()


@pytest.mark.parametrize("n_indices", [4095, 4096, 4097, 65_537, 300_000])
@pytest.mark.parametrize("dtype", ["i4", "i8", "u4", "u8", ">i8"])
def test_the_last_of_very_many_rows_out_of_range_leaves_out_untouched(n_indices, dtype):
    source = np.arange(100, dtype=np.int16)
    indices = np.arange(n_indices) % 100
    indices[-1] = 100
    out = np.full(n_indices, -7, np.int16)
    with pytest.raises(IndexError, match=r"100.*100"):
        fb.take(source, indices.astype(dtype), out=out)
    assert (out == -7).all()


def test_unsigned_rows_beyond_the_signed_range_are_out_of_range():
    for bad in (2**63, 2**64 - 1):
        with pytest.raises(IndexError, match=rf"{bad}.*3"):
            fb.take(np.arange(3), np.array([0, bad], np.uint64))


def test_a_source_without_rows_gives_no_row():
    empty = np.zeros((0, 4))
    assert fb.take(empty, np.zeros(0, np.intp)).shape == (0, 4)
    assert fb.take(empty, np.zeros((3, 0), np.int32)).shape == (3, 0, 4)
    for index in (0, -1):
        with pytest.raises(IndexError, match=r"0"):
            fb.take(empty, [index])


@pytest.mark.parametrize("dtype", ["f4", "i8", ">f8", "c8", "V8"])
def test_refuses_out_of_another_dtype(dtype):
    with pytest.raises(TypeError, match="dtype"):
        fb.take(np.arange(5.0), [1, 2], out=np.zeros(2, dtype))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (2, 3), (2, 4, 1), (4, 2)])
def test_refuses_out_of_another_shape(shape):
    with pytest.raises(ValueError, match="shape"):
        fb.take(np.zeros((5, 4)), [1, 2], out=np.zeros(shape))


def test_refuses_out_that_is_no_array():
    for out in ([0, 0], bytearray(16), 3.0):
        with pytest.raises(TypeError, match="out"):
            fb.take(np.arange(5), [1, 2], out=out)


def test_refuses_out_that_is_not_contiguous():
    for out in (np.zeros((2, 8))[:, ::2], np.zeros((4, 4))[::2], np.zeros((4, 2)).T, np.zeros((2, 4))[::-1]):
        with pytest.raises(ValueError, match="contiguous"):
            fb.take(np.ones((5, 4)), [1, 2], out=out)
        assert not out.any()


def test_refuses_out_that_is_read_only():
    out = np.zeros(2)
    out.flags.writeable = False
    with pytest.raises(ValueError, match=r"read-only|writ"):
        fb.take(np.ones(5), [1, 2], out=out)
    assert not out.any()


def test_refuses_out_that_is_masked_and_leaves_it_untouched():
    out = np.ma.masked_array(np.zeros(2), mask=[True, False])
    with pytest.raises(TypeError, match="mask"):
        fb.take(np.ones(5), [1, 2], out=out)
    assert not out.data.any()


def test_refuses_out_that_overlaps_the_source():
    data = np.arange(20.0)
    for out in (data[:5], data[2:7], data[15:], data[19:]):
        n = len(out)
        with pytest.raises(ValueError, match="overlap"):
            fb.take(data, np.zeros(n, np.intp), out=out)
        with pytest.raises(ValueError, match="overlap"):
            fb.take(data[::-1], np.zeros(n, np.intp), out=out)
    with pytest.raises(ValueError, match="overlap"):
        fb.take(np.broadcast_to(data[3:4], (50,)), [0], out=data[3:4])
    assert np.array_equal(data, np.arange(20.0))


def test_out_may_lie_beside_the_source():
    data = np.arange(20.0)
    fb.take(data[:10], [9, 0], out=data[10:12])
    fb.take(data[12:][::-1], [0, 1], out=data[10:12])
    assert data[10:12].tolist() == [19, 18]


@pytest.mark.parametrize("shift", [0, 1, -1, 3000, 5000, -5000])
@pytest.mark.parametrize("dtype", ["i8", "c16", "i2"])
def test_out_that_overlaps_the_indices_is_refused_or_right(shift, dtype):
    n = 20_000
    source = (np.arange(1000) * 30).astype(dtype)
    memory = np.zeros(8 * n, np.int64)
    indices = memory[3 * n : 4 * n]
    indices[:] = np.random.default_rng(0).integers(0, 1000, n)
    first = 3 * n + shift
    out = memory[first : first + n * np.dtype(dtype).itemsize // 8].view(dtype)
    expected, before = source[indices], out.copy()
    try:
        fb.take(source, indices, out=out)
    except ValueError:
        expected = before
    assert np.array_equal(out, expected)


def rows_that_are_not_contiguous():
    cube = np.arange(120.0).reshape(4, 5, 6)
    return {
        "transposed": cube.T,
        "fortran": np.asfortranarray(cube[0]),
        "columns by step": cube[0][:, ::2],
        "columns reversed": cube[0][:, ::-1],
        "inner columns": cube[:, :, 1:4],
        "window axis last": sliding_window_view(cube[0], 2, axis=0),
        "broadcast columns": np.broadcast_to(np.arange(5.0)[:, None], (5, 3)),
        "overlapping columns": as_strided(np.arange(9.0), (3, 3, 3), (8, 8, 8)),
    }


@pytest.mark.parametrize("layout", rows_that_are_not_contiguous())
def test_refuses_rows_that_are_not_contiguous(layout):
    source = rows_that_are_not_contiguous()[layout]
    with pytest.raises(ValueError, match="ascontiguousarray"):
        fb.take(source, [0])


def test_strides_of_axes_of_length_one_do_not_matter():
    odd = as_strided(np.arange(12.0), (3, 1, 4, 1), (32, 999, 8, -17))
    assert_identical(fb.take(odd, [2, 0]), odd[[2, 0]])
    one_row = np.arange(12.0)[::3].reshape(4, 1)
    assert_identical(fb.take(one_row, [3, 1]), one_row[[3, 1]])


@pytest.mark.parametrize("dtype", ["O", [("a", "O")], [("a", "i4"), ("b", [("c", "O")])], [("a", "O", (2,))]], ids=str)
def test_refuses_objects(dtype):
    with pytest.raises(TypeError, match="fixed size"):
        fb.take(np.zeros(3, dtype), [0])


def test_refuses_masked_arrays():
    with pytest.raises(TypeError, match="mask"):
        fb.take(np.ma.masked_array([1, 2, 3], mask=[0, 1, 0]), [0])


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 1 has no StringDType")
def test_refuses_variable_width_strings():
    with pytest.raises(TypeError, match=r"fixed size.*StringDType|StringDType.*fixed size"):
        fb.take(np.array(["a", "b"], np.dtypes.StringDType()), [0])


def test_refuses_a_source_without_axes():
    with pytest.raises(ValueError, match=r"axis|0-d|dimension"):
        fb.take(np.array(3.0), [0])


def test_out_is_a_keyword():
    with pytest.raises(TypeError):
        fb.take(np.arange(3), [0], np.zeros(1, np.int64))


def test_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dtype in INTEGERS:
            fb.take(np.arange(4), np.array([0, 3], dtype))
