"""Tables and arrays of other libraries as data: pandas, polars, Arrow, awkward, Hugging Face datasets, xarray, zarr."""

import pickle

import awkward
import datasets
import numpy as np
import pandas
import polars
import pyarrow
import pytest
import xarray
import zarr

import fastbatch as fb
from reference_ragged import padded

N = 100
X = np.random.default_rng(0).normal(size=N)
COLUMNS = {
    "x": X,
    "y": np.arange(N),
    "small": (np.arange(N) % 7).astype(np.int8),
    "flag": np.arange(N) % 3 == 0,
}


def assert_batches(data, expected, *, copied=()):
    """A shuffled epoch has the rows of `expected`, with their kinds; what is not named `copied` is not."""
    loader = fb.Loader(data, 16, shuffle=True, seed=1, rows=True)
    n_seen = 0
    for batch in loader:
        assert list(batch) == [*expected, "rows"]
        for name, column in expected.items():
            assert batch[name].dtype == column.dtype
            assert np.array_equal(batch[name], column[batch["rows"]])
        n_seen += len(batch["rows"])
    assert n_seen == len(next(iter(expected.values())))
    lines = loader.explain().splitlines()
    found = [lines[i - 1].split("'")[1] for i, line in enumerate(lines) if line.startswith("    copied once")]
    assert sorted(found) == sorted(copied)
    again = pickle.loads(pickle.dumps(loader))
    assert np.array_equal(next(iter(again))["rows"], next(iter(loader))["rows"])


def assert_shared(data, name, memory):
    """The batches follow changes of the memory."""
    loader = fb.Loader(data, N)
    before = next(iter(loader))[name].copy()
    memory[0] += 1
    assert next(iter(loader))[name][0] == before[0] + 1
    memory[0] -= 1


# ---------------------------------------------------------------------------------------------------------------------
# pandas
# ---------------------------------------------------------------------------------------------------------------------


def test_a_pandas_frame_is_a_dict_of_its_columns():
    assert_batches(pandas.DataFrame(COLUMNS), COLUMNS)
    table = np.arange(40.0).reshape(20, 2)
    assert_batches(pandas.DataFrame(table, columns=["a", "b"]), {"a": table[:, 0], "b": table[:, 1]})
    (batch,) = fb.Loader(pandas.Series(X, index=np.arange(N)[::-1]), N)
    assert np.array_equal(batch, X)  # by position
    data = (pandas.DataFrame({"x": X}), pandas.Series(np.arange(N)))
    (batch,) = fb.Loader(data, N)
    assert np.array_equal(batch[0]["x"], X)


def test_pandas_memory_is_not_copied():
    x = np.arange(float(N))
    assert_shared(pandas.DataFrame({"x": x}, copy=False), "x", x)


def test_pandas_columns_of_other_kinds():
    frame = pandas.DataFrame(
        {"n": pandas.array(np.arange(N), dtype="Int64"), "when": pandas.date_range("2020", periods=N)}
    )
    batch = next(iter(fb.Loader(frame[["when"]], 4)))
    assert batch["when"].dtype.kind == "M"
    for column in (frame["n"].astype("string"), pandas.Series(["a"] * N), pandas.Series(["a"] * N, dtype="category")):
        with pytest.raises(TypeError, match=r"data\['s'\] must have items of fixed size"):
            fb.Loader({"s": column}, 4)
    with pytest.raises(ValueError, match="data must not have two columns of one name, got 'a' twice"):
        fb.Loader(pandas.DataFrame(np.ones((3, 2)), columns=["a", "a"]), 4)


# ---------------------------------------------------------------------------------------------------------------------
# polars
# ---------------------------------------------------------------------------------------------------------------------


def test_a_polars_frame_is_a_dict_of_its_columns():
    frame = polars.DataFrame(COLUMNS)
    assert_batches(frame, COLUMNS, copied=["flag"])  # bits
    halves = polars.concat([frame[:30], frame[30:]], rechunk=False)
    assert halves.n_chunks() == 2
    assert_batches(halves, COLUMNS, copied=["flag"])
    assert "gather from 2 arrays" in fb.Loader(halves, 4).explain()
    vectors = np.arange(3.0 * N, dtype=np.float32).reshape(N, 3)
    assert_batches(polars.DataFrame({"v": polars.Series(vectors)}), {"v": vectors})


def test_polars_frames_with_nulls_or_lazy_ones_are_refused():
    with pytest.raises(ValueError, match=r"data\['a'\] must have no nulls, got 1: fill them"):
        fb.Loader(polars.DataFrame({"a": [1, None]}), 2)
    with pytest.raises(TypeError, match=r"data must be in memory, got a LazyFrame: use collect\(\)"):
        fb.Loader(polars.DataFrame({"a": [1]}).lazy(), 2)


# ---------------------------------------------------------------------------------------------------------------------
# Arrow
# ---------------------------------------------------------------------------------------------------------------------


def test_an_arrow_table_is_a_dict_of_its_columns():
    table = pyarrow.table(COLUMNS)
    assert_batches(table, COLUMNS, copied=["flag"])
    assert_batches(table.to_batches()[0], COLUMNS, copied=["flag"])
    assert_batches(table.slice(5, 50), {name: column[5:55] for name, column in COLUMNS.items()}, copied=["flag"])
    empty = table.slice(0, 0)
    assert list(fb.Loader(empty, 4)) == []


def test_chunks_of_arrow_columns_are_gathered_without_concatenating():
    x = np.arange(float(N))
    chunks = [pyarrow.array(x[:40]), pyarrow.array(x[40:40]), pyarrow.array(x[40:])]
    table = pyarrow.table({"x": pyarrow.chunked_array(chunks), "y": pyarrow.chunked_array([np.arange(N)])})
    assert_batches(table, {"x": x, "y": np.arange(N)})
    assert "x']: gather from 2 arrays" in fb.Loader(table, 4).explain()
    assert_shared(
        pyarrow.table({"x": pyarrow.Array.from_buffers(pyarrow.float64(), N, [None, pyarrow.py_buffer(x)])}), "x", x
    )


def test_arrow_lists_of_one_size_and_tensors_have_rows():
    values = np.arange(6.0 * N).reshape(N, 2, 3)
    lists = pyarrow.FixedSizeListArray.from_arrays(values.ravel(), 6)
    tensors = pyarrow.FixedShapeTensorArray.from_numpy_ndarray(values)
    table = pyarrow.table({"lists": lists.slice(10), "tensors": tensors.slice(10)})
    assert_batches(table, {"lists": values.reshape(N, 6)[10:], "tensors": values[10:]})


def test_arrow_columns_that_are_no_arrays_are_refused():
    with pytest.raises(ValueError, match=r"data\['a'\] must have no nulls, got 1"):
        fb.Loader(pyarrow.table({"a": [1, None]}), 2)
    with pytest.raises(TypeError, match=r"data\['a'\] must have items of fixed size"):
        fb.Loader(pyarrow.table({"a": ["x", "y"]}), 2)


LISTS = [np.arange(n, n + 1 + n % 4) for n in range(N)]


def assert_lists(data, name, lists, **options):
    """Batches of a column of lists, padded."""
    loader = fb.Loader(data, 16, shuffle=True, seed=1, rows=True)
    for batch in loader:
        values, lengths, mask = padded([lists[row] for row in batch["rows"]], lists[0], **options)
        assert type(batch[name]) is fb.Padded
        assert batch[name].values.dtype == values.dtype
        assert np.array_equal(batch[name].values, values)
        assert np.array_equal(batch[name].lengths, lengths)
        assert np.array_equal(batch[name].mask, mask)
    again = pickle.loads(pickle.dumps(loader))
    assert np.array_equal(next(iter(again))["rows"], next(iter(loader))["rows"])
    return loader.explain()


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.list_(pyarrow.int64()),
        pyarrow.large_list(pyarrow.int64()),
        pyarrow.list_view(pyarrow.int64()),
        pyarrow.large_list_view(pyarrow.int64()),
    ],
    ids=str,
)
def test_arrow_columns_of_lists_are_ragged(kind):
    lists = pyarrow.array([row.tolist() for row in LISTS], kind)
    assert "copied" not in assert_lists(pyarrow.table({"x": lists}), "x", LISTS)
    assert_lists({"x": fb.Ragged(lists, pad=-1, multiple=8)}, "x", LISTS, pad=-1, multiple=8)
    assert_lists(pyarrow.table({"x": lists}).slice(7, 50), "x", LISTS[7:57])
    chunked = pyarrow.chunked_array([lists[:30], lists[30:30], lists[30:41], lists[41:]])
    assert "copied" not in assert_lists(pyarrow.table({"x": chunked}), "x", LISTS)
    (batch,) = fb.Loader(chunked, N)
    assert batch.lengths.tolist() == [len(row) for row in LISTS]
    (batch,) = fb.Loader(fb.Ragged(chunked, layout="packed"), N)
    assert np.array_equal(batch.values, np.concatenate(LISTS))


def test_arrow_lists_are_read_where_they_are():
    values = np.arange(10)
    lists = pyarrow.ListArray.from_arrays(pyarrow.array([0, 4, 10], pyarrow.int32()), pyarrow.array(values))
    memory = np.asarray(lists.values)
    (batch,) = loader = fb.Loader(lists, 2)
    memory = np.frombuffer(lists.values.buffers()[1], np.int64)
    assert np.shares_memory(loader._columns.columns[0].runs.sources[0], memory)
    assert batch.values[0].tolist() == [0, 1, 2, 3, 0, 0]


def test_arrow_lists_of_frames_and_of_bits():
    frames = [np.arange(12.0 * (1 + n % 3)).reshape(-1, 4, 3) + n for n in range(N)]
    inner = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.concatenate(frames).ravel()), 3)
    inner = pyarrow.FixedSizeListArray.from_arrays(inner, 4)
    offsets = np.cumsum([0, *(len(frame) for frame in frames)])
    lists = pyarrow.ListArray.from_arrays(pyarrow.array(offsets, pyarrow.int32()), inner)
    assert "copied" not in assert_lists(pyarrow.table({"x": lists}), "x", frames)
    bits = [row % 2 == 0 for row in LISTS]
    said = assert_lists(pyarrow.table({"x": pyarrow.array([row.tolist() for row in bits])}), "x", bits)
    assert f"copied once ({sum(map(len, bits))} bytes): Arrow holds it as bool" in said
    sizes = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.arange(12)), 3)
    (batch,) = fb.Loader(fb.Ragged(sizes[1:], length=4), 4)
    assert batch.values.tolist() == [[3, 4, 5, 0], [6, 7, 8, 0], [9, 10, 11, 0]]


def test_arrow_lists_that_are_no_rows_are_refused():
    with pytest.raises(ValueError, match=r"data\['a'\] must have no nulls, got 1: fill them"):
        fb.Loader(pyarrow.table({"a": [[1], None]}), 2)
    with pytest.raises(ValueError, match=r"data\['a'\]: the values in its lists must have no nulls, got 1"):
        fb.Loader(pyarrow.table({"a": [[1], [2, None]]}), 2)
    with pytest.raises(ValueError, match=r"data\['a'\] must have no empty rows in the padded layout, and row 1 is one"):
        fb.Loader(pyarrow.table({"a": [[1], [], [2]]}), 2)
    for lists in ([["a"], ["b", "c"]], [[[1], [2, 3]]]):
        with pytest.raises(TypeError, match=r"data\['a'\] must be numbers, got dtype object"):
            fb.Loader(pyarrow.table({"a": lists}), 2)
    with pytest.raises(TypeError, match=r"values must come with offsets, .* got Int64Array"):
        fb.Ragged(pyarrow.array([1, 2]))


# ---------------------------------------------------------------------------------------------------------------------
# Awkward
# ---------------------------------------------------------------------------------------------------------------------


def test_awkward_arrays_of_lists():
    array = awkward.Array([row.tolist() for row in LISTS])
    order = np.random.default_rng(0).permutation(N)
    for lists, rows in [
        (array, LISTS),
        (array[10:50], LISTS[10:50]),
        (array[order], [LISTS[row] for row in order]),
        (awkward.mask(array, np.ones(N, bool)), LISTS),
    ]:
        assert_lists({"x": fb.Ragged(lists, side="left")}, "x", rows, side="left")
    values = np.arange(20.0)
    (batch,) = loader = fb.Loader(fb.Ragged(awkward.unflatten(values, [4, 6, 10])), 3)
    assert np.shares_memory(loader._columns.columns[0].runs.sources[0], values)
    assert batch.lengths.tolist() == [4, 6, 10]
    frames = np.arange(60.0).reshape(20, 3)
    lists = awkward.unflatten(awkward.from_numpy(frames, regulararray=True), [4, 6, 10])
    (batch,) = fb.Loader(fb.Ragged(lists), 3)
    assert np.array_equal(batch.values[1, :6], frames[4:10])
    for regular in (awkward.from_numpy(frames), awkward.from_numpy(frames, regulararray=True)):
        (batch,) = fb.Loader(fb.Ragged(regular), 20)
        assert np.array_equal(batch.values, frames)


def test_awkward_arrays_as_data():
    lists, numbers, frames = [[1.0, 2.0], [3.0], [4.0, 5.0]], np.arange(3), np.arange(12.0).reshape(3, 2, 2)
    records = awkward.zip({"lists": awkward.Array(lists), "n": awkward.Array(numbers)}, depth_limit=1)
    data = {
        "lists": awkward.Array(lists),
        "numbers": awkward.Array(numbers),
        "frames": awkward.from_numpy(frames),
        "regular": awkward.from_numpy(frames, regulararray=True),
        "words": awkward.Array(["a", "bc", "d"]),
        "records": records[[2, 0, 1]],
    }
    (batch,) = fb.Loader(data, 3)
    for made, rows in ((batch["lists"], lists), (batch["records"]["lists"], [lists[2], *lists[:2]])):
        assert [row[:n].tolist() for row, n in zip(made.values, made.lengths, strict=True)] == rows
    assert np.array_equal(batch["numbers"], numbers)
    assert np.array_equal(batch["records"]["n"], [2, 0, 1])
    assert np.array_equal(batch["frames"], frames)
    assert np.array_equal(batch["regular"], frames)
    assert batch["words"].tolist() == ["a", "bc", "d"]
    with pytest.raises(ValueError, match=r"data\['x'\] must have no nulls, got 1"):
        fb.Loader({"x": awkward.Array([1, None])}, 2)
    with pytest.raises(TypeError, match=r"data\['x'\] must have elements of one shape"):
        fb.Loader({"x": awkward.Array([[[1], [2, 3]]])}, 2)


@pytest.mark.parametrize(
    ("lists", "error", "said"),
    [
        ([[1], None], ValueError, "values must have no nulls, got 1"),
        ([[1, None], [2]], ValueError, "values: the values in its lists must have no nulls, got 1"),
        ([[[1], [2, 3]]], TypeError, "values must have elements of one shape, got 1 "),
        ([["a"], ["b"]], TypeError, "values must have elements of one shape, got 2 "),
        (["a", "bc"], TypeError, "values must come with offsets, .* got Array"),
        ([1, 2], TypeError, "values must come with offsets, .* got Array"),
        ([[{"a": 1}]], TypeError, "values must be numbers, got dtype"),
    ],
    ids=str,
)
def test_awkward_arrays_that_are_no_rows_are_refused(lists, error, said):
    with pytest.raises(error, match=said):
        fb.Ragged(awkward.Array(lists))


# ---------------------------------------------------------------------------------------------------------------------
# Hugging Face datasets
# ---------------------------------------------------------------------------------------------------------------------


def test_a_dataset_is_a_dict_of_its_columns_whatever_its_format():
    dataset = datasets.Dataset.from_dict({name: column.tolist() for name, column in COLUMNS.items()})
    expected = {name: np.asarray(column.tolist()) for name, column in COLUMNS.items()}
    assert_batches(dataset, expected, copied=["flag"])
    assert_batches(dataset.with_format("numpy"), expected, copied=["flag"])
    assert_batches(dataset.remove_columns(["y"]), {k: v for k, v in expected.items() if k != "y"}, copied=["flag"])


def test_rows_that_a_dataset_selects_are_not_copied():
    dataset = datasets.Dataset.from_dict({"x": X.tolist()})
    chosen = dataset.shuffle(seed=1).select(range(10, 60)).filter(lambda row: row["x"] > 0, keep_in_memory=True)
    assert chosen._indices is not None
    assert_batches(chosen, {"x": np.array(chosen["x"])})
    assert "of picked rows" in fb.Loader(chosen, 4).explain()


def test_a_dataset_in_files_is_mapped(tmp_path):
    datasets.Dataset.from_dict({"x": X.tolist()}).save_to_disk(tmp_path / "saved")
    assert_batches(datasets.load_from_disk(tmp_path / "saved"), {"x": X})


def test_lists_of_a_dataset_are_ragged(tmp_path):
    dataset = datasets.Dataset.from_dict({"x": [row.tolist() for row in LISTS], "y": list(range(N))})
    assert_lists(dataset, "x", LISTS)
    dataset.save_to_disk(tmp_path / "saved", num_shards=3)
    dataset = datasets.load_from_disk(tmp_path / "saved")
    assert_lists(dataset, "x", LISTS)
    chosen = dataset.shuffle(seed=1)
    assert chosen._indices is not None
    assert_lists(chosen, "x", [LISTS[row] for row in chosen["y"]])
    lists = fb.Ragged(dataset.data["x"].combine_chunks(), length=2)
    for batch in fb.Loader({"x": lists, "y": dataset.data["y"]}, 16, shuffle=True):
        assert np.array_equal(batch["x"].values[:, 0], batch["y"])


def test_datasets_that_stream_are_refused():
    stream = datasets.Dataset.from_dict({"x": [1, 2]}).to_iterable_dataset()
    with pytest.raises(TypeError, match="data must be in memory or mapped, got a IterableDataset"):
        fb.Loader(stream, 2)


# ---------------------------------------------------------------------------------------------------------------------
# xarray, zarr
# ---------------------------------------------------------------------------------------------------------------------


def test_xarray_and_zarr_arrays():
    x = np.arange(6.0 * N).reshape(N, 2, 3)
    labelled = xarray.Dataset({"x": (("row", "a", "b"), x), "y": (("row",), np.arange(N))}, coords={"a": [5, 6]})
    assert_batches(labelled, {"x": x, "y": np.arange(N)})
    (batch,) = fb.Loader(labelled["x"], N)
    assert np.array_equal(batch, x)
    assert_shared({"x": xarray.DataArray(x[:, 0, 0])}, "x", x[:, 0, 0])
    group = zarr.group()
    group.create_array("x", data=x)
    group.create_array("y", data=np.arange(N))
    (batch,) = fb.Loader(group, N)
    assert np.array_equal(batch["x"], x)
    assert fb.Loader({"x": group["x"]}, 4).explain().count("copied once (4,800 bytes): zarr holds it") == 1
