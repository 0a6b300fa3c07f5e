"""fb.concat: several arrays as one column, without copying them."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from fastbatch._native.column import ConcatColumn
from reference import DTYPES, assert_identical, make_array

SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=9)


@given(SIZES, st.sampled_from(DTYPES), st.sampled_from([(), (3,), (2, 5), (70,), (0,)]), st.integers(0, 2))
def test_its_rows_are_those_of_the_arrays(sizes, dtype, row_shape, threads):
    arrays = [make_array(dtype, (n, *row_shape), seed) for seed, n in enumerate(sizes)]
    whole = np.concatenate(arrays).astype(dtype)  # which changes the order of bytes
    loader = fb.Loader(fb.concat(arrays), 16, shuffle=True, seed=1, rows=True, threads=threads)
    assert len(loader) == -(-len(whole) // 16)
    for _ in range(2):
        for batch, rows in loader:
            assert_identical(batch, whole[rows])


def test_nothing_is_copied():
    arrays = [np.arange(100.0).reshape(50, 2), np.arange(40.0).reshape(20, 2)]
    loader = fb.Loader(fb.concat(arrays), 70, seed=0)
    arrays[1][:] = -1
    (batch,) = loader
    assert np.array_equal(batch, np.concatenate(arrays))
    assert "copied" not in loader.explain()
    assert "gather from 2 arrays" in loader.explain()


def test_arrays_whose_rows_are_not_contiguous_are_copied_and_told():
    arrays = [np.arange(100.0).reshape(50, 2), np.arange(40.0).reshape(2, 20).T]
    loader = fb.Loader(fb.concat(arrays), 70)
    (batch,) = loader
    assert np.array_equal(batch, np.concatenate(arrays))
    assert loader.explain().count("copied once (320 bytes)") == 1


def test_arrays_that_step_over_rows():
    arrays = [np.arange(40)[::-1], np.arange(100)[::3], np.arange(12).reshape(6, 2)[:, 0]]
    batches = list(fb.Loader(fb.concat(arrays), 32, shuffle=True, seed=0, rows=True))
    assert all(np.array_equal(batch, np.concatenate(arrays)[rows]) for batch, rows in batches)


def test_it_stands_in_a_structure():
    x, y = np.arange(30.0).reshape(15, 2), np.arange(15)
    data = {"x": fb.concat([x[:4], x[4:]]), "y": [y, fb.concat([y[:0], y])]}
    for batch in fb.Loader(data, 4, shuffle=True, seed=0):
        assert np.array_equal(batch["x"], x[batch["y"][0]])
        assert np.array_equal(batch["y"][0], batch["y"][1])


def test_mapped_files_are_read_and_pickled_by_their_paths(tmp_path):
    for name, first in (("a", 0), ("b", 1000)):
        np.save(tmp_path / f"{name}.npy", np.arange(first, first + 1000))
    data = fb.concat([np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "ab"])
    loader = fb.Loader(data, 64, shuffle=True, seed=0)
    again = pickle.loads(pickle.dumps(loader))
    assert len(pickle.dumps(loader)) < 4000
    for mine, theirs in zip(loader, again, strict=True):
        assert np.array_equal(mine, theirs)
    assert "from a mapped file" in loader.explain()
    with open(tmp_path / "b.npy", "r+b") as file:
        file.truncate(500)
    with pytest.raises(OSError, match="array 1 of concat needs the first"):
        next(iter(loader))


def test_mixtures_number_rows_as_it_does():
    arrays = [np.zeros(300, int), np.ones(100, int), np.full(200, 2)]
    sampler = fb.Mixture([len(array) for array in arrays], [2, 1, 1], exhausted="recycle")
    for batch in list(fb.Loader(fb.concat(arrays), 40, sampler=sampler, seed=0))[:-1]:
        assert np.bincount(batch).tolist() == [20, 10, 10]


def test_tensors():
    torch = pytest.importorskip("torch")
    parts = [torch.arange(12.0).reshape(6, 2), torch.arange(8.0).reshape(4, 2).to(torch.float32)]
    (batch,) = fb.Loader(fb.concat(parts), 10)
    assert torch.equal(batch, torch.cat(parts))
    half = [part.to(torch.bfloat16) for part in parts]
    (batch,) = fb.Loader(fb.concat(half), 10)
    assert batch.dtype == torch.bfloat16
    assert torch.equal(batch, torch.cat(half))


@pytest.mark.parametrize(
    ("arrays", "error", "said"),
    [
        ([np.zeros(3), np.zeros(3, int)], ValueError, "the arrays of concat must have rows of one dtype and shape"),
        ([np.zeros(3), np.zeros((3, 1))], ValueError, "the arrays of concat must have rows of one dtype and shape"),
        ([np.zeros(3), [1, 2]], TypeError, "array 1 of concat must be an array, got list"),
        ([np.zeros(3), np.zeros(())], ValueError, "array 1 of concat must have an axis of rows, got a 0-d array"),
    ],
)
def test_what_cannot_be_one_column_is_refused(arrays, error, said):
    with pytest.raises(error, match=said):
        fb.Loader(fb.concat(arrays), 2)


def test_no_arrays_are_refused():
    with pytest.raises(ValueError, match=r"^concat needs at least one array$"):
        fb.concat([])
    with pytest.raises(ValueError, match="one source at least"):
        ConcatColumn([])


def test_lengths_are_compared_with_those_of_others():
    with pytest.raises(ValueError, match=r"columns differ in length: .* has 5 rows, .* has 4"):
        fb.Loader((fb.concat([np.zeros(2), np.zeros(3)]), np.zeros(4)), 2)


def test_it_says_what_it_is():
    assert repr(fb.concat([np.zeros(2), np.zeros(3)])) == "concat of 2 arrays, 5 rows"
    assert len(fb.concat([np.zeros(2), np.zeros(3)])) == 5
