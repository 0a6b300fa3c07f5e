"""Rows of different lengths: batches padded, and packed, by whoever fills them."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from reference_ragged import packed, padded, rows_of

DTYPES = ["?", "i1", "u2", "i4", ">i4", "u8", "f2", "f4", "f8", "c8", "c16"]
SHAPES = [(), (3,), (2, 2), (0,)]


def make_ragged(lengths, dtype="i4", shape=(), first=0, **options):
    """Rows of these lengths, behind `first` elements that nobody has, and their values and offsets."""
    offsets = first + np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    numbers = np.arange(1, 1 + (offsets[-1] + 2) * int(np.prod(shape))) % 251
    values = numbers.astype(dtype).reshape(offsets[-1] + 2, *shape)
    return fb.Ragged(values, offsets, **options), values, offsets


def random_lengths(n, most, seed=0):
    return np.random.default_rng(seed).integers(1, most + 1, n)


def assert_batch(batch, expected):
    assert type(batch) is (fb.Padded if len(expected) == 3 else fb.Packed)
    for mine, theirs in zip(batch, expected, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        assert np.array_equal(mine, theirs)
        assert mine.flags.c_contiguous
        assert mine.flags.writeable


def assert_epoch(loader, batch_of, n_rows, batch_size):
    """All batches of an epoch that has row numbers are those of the oracle; returns the rows."""
    seen = []
    for batch, rows in loader:
        assert_batch(batch, batch_of(rows))
        assert len(rows) == batch_size or len(rows) == n_rows % batch_size
        seen += rows.tolist()
    assert sorted(seen) == list(range(n_rows))
    return seen


# ---------------------------------------------------------------------------------------------------------------------
# What a batch is
# ---------------------------------------------------------------------------------------------------------------------

options = st.fixed_dictionaries(
    {
        "pad": st.sampled_from([0, 1]),
        "side": st.sampled_from(["right", "left"]),
        "multiple": st.sampled_from([1, 2, 3, 8]),
        "length": st.sampled_from([None, 24, 48]),
    }
)


@given(
    lengths=st.lists(st.integers(1, 40), max_size=40),
    dtype=st.sampled_from(DTYPES),
    shape=st.sampled_from(SHAPES),
    first=st.integers(0, 3),
    options=options,
    batch_size=st.integers(1, 12),
    threads=st.sampled_from([0, 2]),
)
def test_padded_batches_are_those_of_the_oracle(lengths, dtype, shape, first, options, batch_size, threads):
    ragged, values, offsets = make_ragged(lengths, dtype, shape, first, **options)
    every = rows_of(values, offsets)
    loader = fb.Loader(ragged, batch_size, shuffle=True, seed=1, rows=True, threads=threads)
    for _ in range(2):
        assert_epoch(
            loader, lambda rows: padded([every[row] for row in rows], values, **options), len(lengths), batch_size
        )


@given(
    lengths=st.lists(st.integers(0, 40), max_size=40),
    dtype=st.sampled_from(DTYPES),
    shape=st.sampled_from(SHAPES),
    length=st.sampled_from([None, 1, 7, 100]),
    batch_size=st.integers(1, 12),
    threads=st.sampled_from([0, 2]),
)
def test_packed_batches_are_those_of_the_oracle(lengths, dtype, shape, length, batch_size, threads):
    ragged, values, offsets = make_ragged(lengths, dtype, shape, layout="packed", length=length)
    every = rows_of(values, offsets)
    loader = fb.Loader(ragged, batch_size, shuffle=True, seed=1, rows=True, threads=threads)
    for _ in range(2):
        assert_epoch(
            loader, lambda rows: packed([every[row] for row in rows], values, length), len(lengths), batch_size
        )


# Rows that are copied in pieces and by the line, masks of several stretches, tables that no cache holds.
WIDE = [
    ("u1", (), 3000, {"multiple": 64}),
    ("i4", (), 3000, {"side": "left", "pad": -1}),
    ("f8", (5,), 300, {"pad": np.nan}),
    ("i8", (), 3000, {"length": 2048}),
    ("i2", (), 40, {"length": 8}),
    ("f4", (80,), 500, {"layout": "packed"}),
    ("i4", (), 40, {"layout": "packed"}),
]


@pytest.mark.parametrize(("dtype", "shape", "most", "options"), WIDE)
@pytest.mark.parametrize("batch_size", [1, 33])
def test_long_rows_of_large_tables(dtype, shape, most, options, batch_size):
    ragged, values, offsets = make_ragged(random_lengths(400, most), dtype, shape, **options)
    for batch, rows in fb.Loader(ragged, batch_size, shuffle=True, seed=2, rows=True, threads=0):
        lengths = np.minimum(np.diff(offsets)[rows], options.get("length", most))
        if "layout" in options:
            bounds = np.concatenate([[0], np.cumsum(lengths)])
            assert np.array_equal(batch.cu_seqlens, bounds)
            assert np.array_equal(
                batch.values,
                np.concatenate([values[b:e] for b, e in zip(offsets[rows], offsets[rows + 1], strict=True)]),
            )
            continue
        assert np.array_equal(batch.lengths, lengths)
        width, multiple = batch.values.shape[1], options.get("multiple", 1)
        assert width == options.get("length", -(-lengths.max() // multiple) * multiple)
        places = np.arange(width) if options.get("side") != "left" else np.arange(width)[::-1]
        assert np.array_equal(batch.mask, places < lengths[:, None])
        starts = np.repeat(offsets[rows], lengths)
        within = np.concatenate([np.arange(length) for length in lengths])
        assert np.array_equal(batch.values[batch.mask], values[starts + within])
        padding = batch.values[~batch.mask]
        assert np.array_equal(
            padding, np.full_like(padding, options.get("pad", 0)), equal_nan=padding.dtype.kind == "f"
        )


@pytest.mark.parametrize("pad", [0, -7, 250, 2**40])
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_is_what_was_asked_for(pad, side):
    ragged, _, _ = make_ragged([1, 200, 3, 17], "i8", pad=pad, side=side)
    (batch,) = fb.Loader(ragged, 4)
    assert (batch.values[~batch.mask] == pad).all()
    assert batch.mask[0].tolist() == ([True] + [False] * 199 if side == "right" else [False] * 199 + [True])


def test_truncation_keeps_the_beginning_on_either_side():
    for side in ("right", "left"):
        (batch,) = fb.Loader(fb.Ragged(np.arange(9), [0, 3, 9], length=4, pad=-1, side=side), 2)
        assert batch.values[1].tolist() == [3, 4, 5, 6]
        assert batch.lengths.tolist() == [3, 4]
        assert batch.values[0].tolist() == ([0, 1, 2, -1] if side == "right" else [-1, 0, 1, 2])


def test_bytes_of_the_other_order_stay_so():
    ragged, values, offsets = make_ragged([3, 1], ">f8", pad=-2.5)
    (batch,) = fb.Loader(ragged, 2)
    assert_batch(batch, padded(rows_of(values, offsets), values, pad=-2.5))


# ---------------------------------------------------------------------------------------------------------------------
# Where it stands
# ---------------------------------------------------------------------------------------------------------------------


def test_it_stands_in_a_structure_beside_other_columns():
    ragged, values, offsets = make_ragged(random_lengths(50, 9))
    labels = np.arange(50)
    data = {"tokens": ragged, "others": [labels, fb.Ragged(values, offsets, layout="packed")]}
    every = rows_of(values, offsets)
    for batch in fb.Loader(data, 8, shuffle=True, seed=0):
        rows = [every[row] for row in batch["others"][0]]
        assert_batch(batch["tokens"], padded(rows, values))
        assert_batch(batch["others"][1], packed(rows, values))
    with pytest.raises(ValueError, match=r"columns differ in length: data\[0\]\.values has 50 rows, data\[1\] has 49"):
        fb.Loader((ragged, labels[1:]), 8)


def test_row_numbers_stand_beside_it_as_beside_an_array():
    ragged, _, _ = make_ragged([2, 1, 4])
    (batch,) = fb.Loader(ragged, 3)
    assert type(batch) is fb.Padded
    batch, rows, weights = next(iter(fb.Loader(ragged, 2, sampler=fb.Weighted([1, 2, 3]), rows=True, seed=0)))
    assert type(batch) is fb.Padded
    assert rows.shape == weights.shape == (2,)
    batch = next(iter(fb.Loader({"x": ragged}, 2, rows=True)))
    assert list(batch) == ["x", "rows"]


def test_lengths_are_those_of_batches():
    ragged, _, offsets = make_ragged(lengths := random_lengths(30, 9))
    assert ragged.lengths.dtype == np.int64
    assert np.array_equal(ragged.lengths, lengths)
    assert len(ragged) == 30
    cut = make_ragged(lengths, length=4)[0]
    assert np.array_equal(cut.lengths, np.minimum(lengths, 4))
    ragged.lengths[:] = 0
    assert np.array_equal(ragged.lengths, lengths)  # a copy
    offsets[:] = 0
    assert np.array_equal(ragged.lengths, lengths)


def test_values_are_referred_to():
    ragged, values, _ = make_ragged([2, 3])
    loader = fb.Loader(ragged, 2)
    values[1] = 77
    (batch,) = loader
    assert batch.values[0, 1] == 77
    assert "copied" not in loader.explain()


def test_values_that_are_not_contiguous_are_copied_and_told():
    values = np.arange(20).reshape(10, 2)[:, 0]
    loader = fb.Loader(fb.Ragged(values, [0, 4, 10]), 2)
    (batch,) = loader
    assert batch.values[0, :4].tolist() == [0, 2, 4, 6]
    assert loader.explain().count("copied once (80 bytes): its elements are not contiguous (strides (16,))") == 1


def test_arrays_of_one_kind_one_behind_the_other():
    parts = [make_ragged(random_lengths(n, 7, n), "f4", (2,)) for n in (5, 1, 9)]
    every = [row for _, values, offsets in parts for row in rows_of(values, offsets)]
    loader = fb.Loader({"x": fb.concat([part for part, *_ in parts])}, 4, shuffle=True, seed=0, rows=True)
    for batch in loader:
        assert_batch(batch["x"], padded([every[row] for row in batch["rows"]], parts[0][1]))
    again = pickle.loads(pickle.dumps(loader))
    assert np.array_equal(next(iter(again))["x"].values, next(iter(loader))["x"].values)
    other = make_ragged([1], "f4", (2,), pad=1)[0]
    with pytest.raises(
        ValueError, match="data: the Ragged arrays of concat must be of one framework and have the same"
    ):
        fb.Loader(fb.concat([parts[0][0], other]), 2)
    with pytest.raises(ValueError, match="values must have elements of one kind, got float64"):
        fb.Loader(fb.concat([parts[0][0], make_ragged([1], "f8", (2,))[0]]), 2)
    with pytest.raises(TypeError, match="array 1 of concat must be an array, got Ragged"):
        fb.Loader(fb.concat([np.zeros(3), parts[0][0]]), 2)


def test_a_list_of_arrays():
    rows = [np.arange(3.0), np.arange(1.0), np.arange(5.0)]
    loader = fb.Loader(fb.Ragged(rows), 3)
    assert_batch(next(iter(loader)), padded(rows, rows[0]))
    assert loader.explain().count("copied once (72 bytes): it is a list of arrays") == 1
    frames = [np.ones((n, 4), np.float32) for n in (2, 3)]
    assert_batch(next(iter(fb.Loader(fb.Ragged(tuple(frames)), 2))), padded(frames, frames[0]))


@given(lists=st.lists(st.lists(st.integers(-(2**40), 2**40), max_size=5), min_size=1, max_size=6).filter(any))
def test_a_list_of_lists(lists):
    (batch,) = loader = fb.Loader(fb.Ragged(lists, layout="packed"), len(lists))
    assert batch.values.dtype == np.int64
    assert [part.tolist() for part in np.split(batch.values, batch.cu_seqlens[1:-1])] == lists
    assert loader.explain().count("it is a list of lists") == 1


@pytest.mark.parametrize(
    ("lists", "dtype"),
    [([[1, 2.5], (3,)], "f8"), ([[], [True]], "?"), ([[[1, 2], [3, 4]], [], [[5, 6]]], "i8"), (([1], [2j]), "c16")],
)
def test_lists_have_the_dtype_that_numpy_gives_all_of_them(lists, dtype):
    (batch,) = fb.Loader(fb.Ragged(lists, layout="packed"), len(lists))
    assert batch.values.dtype == dtype
    assert np.array_equal(batch.values, np.array([element for row in lists for element in row]))
    assert np.diff(batch.cu_seqlens).tolist() == [len(row) for row in lists]


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_paths_of_npy_files_are_mapped(tmp_path, kind):
    values, offsets = np.arange(50.0).reshape(25, 2), np.array([0, 3, 25])
    np.save(tmp_path / "values.npy", values)
    np.save(tmp_path / "offsets.npy", offsets)
    for at in (offsets, kind(tmp_path / "offsets.npy")):
        loader = fb.Loader(fb.Ragged(kind(tmp_path / "values.npy"), at), 2)
        assert_batch(next(iter(loader)), padded([values[:3], values[3:]], values))
        assert "from a mapped file" in loader.explain()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fb.Ragged(kind(tmp_path / "nowhere.npy"), offsets)


# ---------------------------------------------------------------------------------------------------------------------
# Whoever fills, wherever it goes on
# ---------------------------------------------------------------------------------------------------------------------


def leaves(batch):
    """The arrays of a batch of any structure."""
    if isinstance(batch, dict):
        batch = tuple(batch.values())
    return [leaf for part in batch for leaf in leaves(part)] if isinstance(batch, tuple) else [batch]


def assert_same(mine, theirs):
    for left, right in zip(leaves(mine), leaves(theirs), strict=True):
        assert np.array_equal(left, right)


@pytest.mark.parametrize("options", [{}, {"length": 512, "multiple": 64}, {"layout": "packed"}], ids=str)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_batches_are_the_same_for_any_number_of_threads(options, threads):
    ragged, _, _ = make_ragged(random_lengths(3000, 700), "i8", **options)
    labels = np.arange(3000)
    mine = fb.Loader((ragged, labels), 500, shuffle=True, seed=1, threads=threads, prefetch=3)
    theirs = fb.Loader((ragged, labels), 500, shuffle=True, seed=1, threads=0)
    for _ in range(2):
        for left, right in zip(mine, theirs, strict=True):
            assert_same(left, right)


@pytest.mark.parametrize("layout", ["padded", "packed"])
@pytest.mark.parametrize("threads", [0, 2])
def test_it_goes_on_in_the_middle_of_an_epoch(layout, threads):
    ragged, _, _ = make_ragged(random_lengths(100, 30), layout=layout)

    def make(batch_size):
        return fb.Loader(ragged, batch_size, shuffle=True, seed=3, rows=True, threads=threads)

    whole = make(7)
    batches = list(whole)
    broken = make(7)
    for _, _batch in zip(range(5), broken, strict=False):
        pass
    other = make(7)
    other.load_state_dict(broken.state_dict())
    for mine, theirs in zip(other, batches[5:], strict=True):
        assert_same(mine, theirs)
    assert_same(other.batch(0, 3), batches[3])
    small = make(3)
    small.load_state_dict(broken.state_dict())
    rows = np.concatenate([rows for _, rows in small])
    assert np.array_equal(rows, np.concatenate([rows for _, rows in batches[5:]]))


@pytest.mark.parametrize("layout", ["padded", "packed"])
@pytest.mark.parametrize("uneven", ["wrap", "exact", "pad"])
@pytest.mark.parametrize("n", [1, 5, 24, 25])
def test_ranks_have_slices_of_one_order(layout, uneven, n):
    ragged, values, offsets = make_ragged(random_lengths(n, 30), layout=layout)
    every = rows_of(values, offsets)
    oracle = padded if layout == "padded" else packed
    seen = []
    for rank in range(3):
        loader = fb.Loader(
            {"x": ragged}, 4, shuffle=True, seed=3, rows=True, rank=rank, world_size=3, uneven=uneven, threads=0
        )
        for batch in loader:
            assert_batch(batch["x"], oracle([every[row] for row in batch["rows"]], values))
            seen += batch["rows"][batch["valid"]].tolist() if uneven == "pad" else batch["rows"].tolist()
    assert sorted(set(seen)) == list(range(n))
    assert uneven == "wrap" or len(seen) == n


def test_a_rank_without_a_row_has_an_empty_batch():
    ragged, _, _ = make_ragged([3, 1], "i2", (5,))
    (batch,) = fb.Loader(ragged, 2, rank=2, world_size=3, seed=0, uneven="exact")
    assert batch.lengths.shape == (0,)
    assert batch.values.shape == (0, 0, 5)
    assert batch.mask.shape == (0, 0)
    fixed, _, _ = make_ragged([3, 1], "i2", (5,), length=7)
    (batch,) = fb.Loader(fixed, 2, rank=2, world_size=3, seed=0, uneven="exact")
    assert batch.values.shape == (0, 7, 5)
    bare, _, _ = make_ragged([3, 1], layout="packed")
    (batch,) = fb.Loader(bare, 2, rank=2, world_size=3, seed=0, uneven="exact")
    assert batch.values.shape == (0,)
    assert batch.cu_seqlens.tolist() == [0]


def test_batch_sizes_that_change_and_batches_that_are_given():
    ragged, values, offsets = make_ragged(random_lengths(60, 30))
    every = rows_of(values, offsets)
    loader = fb.Loader(ragged, lambda epoch, samples: 1 + samples // 5, shuffle=True, seed=0, rows=True, threads=2)
    for batch, rows in loader:
        assert_batch(batch, padded([every[row] for row in rows], values))
    given_rows = [[5, 5, 0], [59], np.arange(30), [1, 2]]
    loader = fb.Loader(ragged, batch_sampler=given_rows)
    for batch, rows in zip(loader, given_rows, strict=True):
        assert_batch(batch, padded([every[row] for row in rows], values))


def test_map_and_its_threads():
    ragged, _, _ = make_ragged(random_lengths(50, 30))
    plain = [batch.values.sum() for batch in fb.Loader(ragged, 8, shuffle=True, seed=0)]
    for threads in (0, 2):
        loader = fb.Loader(
            ragged, 8, shuffle=True, seed=0, map=lambda batch: batch.values[batch.mask].sum(), map_threads=threads
        )
        assert list(loader) == plain


def test_batches_belong_to_whoever_holds_them():
    ragged, values, offsets = make_ragged(random_lengths(200, 50))
    every = rows_of(values, offsets)
    loader = fb.Loader(ragged, 4, shuffle=True, seed=0, rows=True)
    held = [batch for _ in range(3) for batch in loader]
    kept = [batch.values[-1] for batch, _ in held]
    for batch, rows in held:
        assert_batch(batch, padded([every[row] for row in rows], values))
        batch.values[:] = -1
    del held, batch, rows
    for batch, rows in loader:
        assert_batch(batch, padded([every[row] for row in rows], values))
    assert all((row == -1).all() for row in kept)
    del kept, batch, rows
    assert max(alive for alive, _ in loader._epochs.engine.buffers()) <= 16


def test_rows_that_come_back_after_an_error_in_map():
    ragged, _, _ = make_ragged(random_lengths(40, 50))
    failures = [KeyError("once")]

    def fail_once(batch):
        if failures:
            raise failures.pop()
        return batch

    loader = fb.Loader(ragged, 8, shuffle=True, seed=0, map=fail_once)
    with pytest.raises(KeyError):
        list(loader)
    assert loader.stats().nbytes == 0
    state = loader.state_dict()
    loader.load_state_dict(state)
    for mine, theirs in zip(loader, fb.Loader(ragged, 8, shuffle=True, seed=0), strict=True):
        assert_same(mine, theirs)


# ---------------------------------------------------------------------------------------------------------------------
# What it says
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("options", [{}, {"length": 40}, {"layout": "packed"}, {"multiple": 16}], ids=str)
def test_the_bytes_that_were_delivered_are_counted(options, threads):
    ragged, _, _ = make_ragged(random_lengths(100, 30), "f4", (3,), **options)
    loader = fb.Loader((ragged, np.arange(100)), 8, shuffle=True, seed=0, threads=threads)
    nbytes = sum(leaf.nbytes for batch in loader for leaf in leaves(batch))
    assert loader.stats().nbytes == nbytes
    assert loader.stats().samples == 100


def test_explain_says_how_rows_are_padded():
    ragged, _, _ = make_ragged(np.arange(1, 101), multiple=8)
    said = fb.Loader({"x": ragged}, 10).explain()
    assert "data['x'].values: padded on the right with 0 to the longest, multiple of 8, int32 (104,)" in said
    assert "up to 416 bytes per row, about 3,840 per batch" in said
    assert "data['x'].lengths: lengths, int64 (), 8 bytes per row, 80 per batch" in said
    assert "data['x'].mask: which values are no padding, bool (104,), up to 104 bytes per row" in said
    ragged, _, _ = make_ragged([5], side="left", length=32, pad=-1)
    said = fb.Loader(ragged, 10).explain()
    assert "data.values: padded on the left with -1 to 32, what is longer cut off behind" in said
    assert "128 bytes per row, 1,280 per batch" in said
    said = fb.Loader(make_ragged([5, 3], layout="packed", length=4)[0], 10).explain()
    assert "data.values: rows one behind the other, cut off behind 4, int32 ()" in said
    assert "data.cu_seqlens: where each row begins, int32 ()" in said


def test_batches_are_filled_ahead_by_what_they_usually_take():
    lengths = np.full(10_000, 100)
    lengths[7] = 1_000_000
    ragged, _, _ = make_ragged(lengths, "u1")
    assert "up to 7 batches ahead" in fb.Loader(ragged, 64, threads=1).explain()


def test_it_says_what_it_is():
    assert repr(make_ragged([1, 5])[0]) == "Ragged(2 rows of int32, 1 to 5 long, padded)"
    assert repr(make_ragged([1, 5], "f4", (80,), layout="packed")[0]) == (
        "Ragged(2 rows of float32 of shape (80,), 1 to 5 long, packed)"
    )
    assert repr(make_ragged([])[0]) == "Ragged(0 rows of int32, padded)"


# ---------------------------------------------------------------------------------------------------------------------
# Files and pickles
# ---------------------------------------------------------------------------------------------------------------------


def test_mapped_values_are_read_and_pickled_by_their_path(tmp_path):
    _, values, offsets = make_ragged(random_lengths(300, 300), "i4")
    np.save(tmp_path / "values.npy", values)
    mapped = fb.Ragged(np.load(tmp_path / "values.npy", mmap_mode="r"), offsets, multiple=4)
    loader = fb.Loader({"x": mapped}, 16, shuffle=True, seed=0)
    assert "x'].values: padded on the right with 0 to the longest, multiple of 4 from a mapped file" in loader.explain()
    kept = pickle.dumps(loader)
    assert len(kept) < 8 * 301 + 3000
    for mine, theirs in zip(pickle.loads(kept), loader, strict=True):
        assert_same(mine["x"], theirs["x"])
    with open(tmp_path / "values.npy", "r+b") as file:
        file.truncate(500)
    with pytest.raises(OSError, match=r"data\['x'\]\.values needs the first"):
        next(iter(loader))


def test_it_is_pickled_by_itself():
    for ragged in (make_ragged([3, 1, 2], "f4", (2,), pad=1.5)[0], make_ragged([3, 1], layout="packed")[0]):
        again = pickle.loads(pickle.dumps(ragged))
        assert repr(again) == repr(ragged)
        assert again.options == ragged.options
        assert_same(next(iter(fb.Loader(again, 3))), next(iter(fb.Loader(ragged, 3))))
    batch = next(iter(fb.Loader(ragged, 2)))
    assert_same(pickle.loads(pickle.dumps(batch)), batch)


# ---------------------------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------------------------

VALUES = np.arange(10, dtype=np.int32)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        ((VALUES, [0, 5, 3, 10]), {}, ValueError, "offsets must not decrease, got 3 behind 5: row 1 would end before"),
        ((VALUES, [0, 5, 11]), {}, ValueError, "within the values, of which there are 10: row 1 is from 5 to 11"),
        ((VALUES, [-1, 5]), {}, ValueError, "must lie within the values, of which there are 10: row 0 is from -1 to 5"),
        ((VALUES, []), {}, ValueError, "offsets must be one more than rows, so one at least, got none"),
        ((VALUES, [0.0]), {}, TypeError, r"offsets must be integers on one axis, got float64 of shape \(1,\)"),
        ((VALUES, [[]]), {}, TypeError, r"offsets must be integers on one axis, got float64 of shape \(1, 0\)"),
        ((VALUES, np.zeros(0, int)), {}, ValueError, "offsets must be one more than rows, so one at least, got none"),
        ((VALUES, [[0, 5]]), {}, TypeError, r"offsets must be integers on one axis, got int64 of shape \(1, 2\)"),
        ((VALUES, [0.0, 5.0]), {}, TypeError, "offsets must be integers on one axis, got float64"),
        ((VALUES, np.array([0, 2**63], np.uint64)), {}, ValueError, r"offsets must be below 2\*\*63"),
        ((VALUES.astype("U2"), [0, 5]), {}, TypeError, "values must be numbers, got dtype <U2"),
        ((VALUES.astype("M8[s]"), [0, 5]), {}, TypeError, r"values must be numbers, got dtype datetime64\[s\]"),
        ((VALUES.astype(object), [0, 5]), {}, TypeError, "values must be numbers, got dtype object"),
        ((np.ma.masked_array(VALUES), [0, 5]), {}, TypeError, "values must not be a masked array"),
        ((np.array(3), [0, 1]), {}, ValueError, "values must have an axis of elements, got a 0-d array"),
        (("values.txt", [0, 1]), {}, TypeError, "values must be an array, or the path of a .npy file, .* got str"),
        (("values.npy",), {}, TypeError, "values must come with offsets, .* got str"),
        ((VALUES,), {}, TypeError, "must come with offsets, or be a list of arrays or of lists, .*, got ndarray"),
        (([],), {}, ValueError, "values must hold a row at least"),
        (([VALUES, [1, 2]],), {}, TypeError, "must be a list of arrays, or of lists of numbers, got list as row 1"),
        (([[1], VALUES],), {}, TypeError, "must be a list of arrays, or of lists of numbers, got list as row 0"),
        (([1, 2],), {}, TypeError, "must be a list of arrays, or of lists of numbers, got int as row 0"),
        (([[], []],), {}, ValueError, "values must hold an element at least, whose dtype is that of all"),
        (([[1, [2]], [3]],), {}, ValueError, "values must have elements of one shape: "),
        (([[[1, 2]], [[3]]],), {}, ValueError, "values must have elements of one shape: "),
        (([["a"], ["bc"]],), {}, TypeError, "values must be numbers, got dtype <U2"),
        (([[1, None]],), {}, TypeError, "values must be numbers, got dtype object"),
        (([VALUES, VALUES.astype("f4")],), {}, ValueError, "one kind, got float32 .* in row 1 and int32 .* in row 0"),
        (([VALUES, VALUES.reshape(5, 2)],), {}, ValueError, r"elements of one kind, got int32 \(2,\) in row 1"),
        (([VALUES, np.array(3, np.int32)],), {}, ValueError, "with an axis of elements, row 1 is 0-d"),
        ((VALUES, [0, 5]), {"pad": "0"}, TypeError, "pad must be a number, got str"),
        ((VALUES, [0, 5]), {"pad": None}, TypeError, "pad must be a number, got NoneType"),
        ((VALUES, [0, 5]), {"side": "both"}, ValueError, "side must be \"right\" or \"left\", got 'both'"),
        ((VALUES, [0, 5]), {"layout": "jagged"}, ValueError, "layout must be \"padded\" or \"packed\", got 'jagged'"),
        ((VALUES, [0, 5]), {"multiple": 0}, ValueError, "multiple must be at least 1 and below .*, got 0"),
        ((VALUES, [0, 5]), {"multiple": 2.0}, TypeError, "multiple must be an integer, got 2.0"),
        ((VALUES, [0, 5]), {"multiple": True}, TypeError, "multiple must be an integer, got True"),
        ((VALUES, [0, 5]), {"length": 0}, ValueError, "length must be at least 1 and below .*, got 0"),
        ((VALUES, [0, 5]), {"length": 2**31}, ValueError, "length must be at least 1 and below"),
        ((VALUES, [0, 5]), {"length": "8"}, TypeError, "length must be an integer, got .8."),
        ((VALUES, [0, 5]), {"length": 12, "multiple": 8}, ValueError, "length must be a multiple of .*=8, got 12"),
        ((VALUES, [0, 5]), {"layout": "packed", "side": "left"}, ValueError, "no padding: leave side out, got 'left'"),
        ((VALUES, [0, 5]), {"layout": "packed", "multiple": 8}, ValueError, "no padding: leave multiple out, got 8"),
        ((VALUES, [0, 5]), {"layout": "packed", "pad": 1}, ValueError, "has no padding: leave pad out, got 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(arguments, options, error, said):
    with pytest.raises(error, match=said):
        fb.Ragged(*arguments, **options)


@pytest.mark.parametrize(
    ("values", "pad", "said"),
    [
        (VALUES, 0.5, "must be a number that int32 can hold, got 0.5"),
        (VALUES, 2**31, "must be a number that int32 can hold, got 2147483648"),
        (VALUES, np.nan, "must be a number that int32 can hold, got nan"),
        (VALUES, 1j, "must be a number that int32 can hold, got 1j"),
        (VALUES.astype("u1"), -1, "must be a number that uint8 can hold, got -1"),
        (VALUES.astype("?"), 2, "must be a number that bool can hold, got 2"),
        (VALUES.astype("f2"), 1e6, "must be a number that float16 can hold"),
        (VALUES.astype("f8"), 10**400, "must be a number that float64 can hold"),
        (VALUES.astype("f8"), 1j, "must be a number that float64 can hold"),
    ],
)  # fmt: skip
def test_padding_that_batches_cannot_hold_is_refused_by_name(values, pad, said):
    ragged = fb.Ragged(values, [0, 5], pad=pad)
    with pytest.raises(ValueError, match=r"^data\['x'\]\.values: pad " + said):
        fb.Loader({"x": ragged}, 2)


@pytest.mark.parametrize("pad", [0.5, np.inf, np.nan, -0.0, np.float32(3), True, 2**40])
def test_floating_point_numbers_hold_what_they_can(pad):
    (batch,) = fb.Loader(make_ragged([1, 2], "f4", pad=pad)[0], 2)
    assert np.array_equal(batch.values[0, 1], np.float32(pad), equal_nan=True)
    assert np.signbit(batch.values[0, 1]) == np.signbit(np.float32(pad))


def test_empty_rows_are_refused_by_name_where_rows_are_padded():
    ragged = fb.Ragged(VALUES, [0, 3, 3, 10])
    assert ragged.lengths.tolist() == [3, 0, 7]
    with pytest.raises(ValueError, match=r"data\['x'\] must have no empty rows in the padded layout, and row 1 is one"):
        fb.Loader({"x": ragged}, 2)
    (batch,) = fb.Loader(fb.Ragged(VALUES, [0, 3, 3, 10], layout="packed"), 3)
    assert batch.cu_seqlens.tolist() == [0, 3, 3, 10]


def test_a_batch_that_no_memory_holds_is_asked_for_in_vain():
    ragged = fb.Ragged(np.zeros((4, 2**10), np.float64), [0, 2, 4], length=2**30)
    with pytest.raises(MemoryError, match="no memory for a batch of 1048576 rows"):
        next(iter(fb.Loader(ragged, 2**20, sampler=fb.Weighted([1, 1], num_samples=2**20), threads=0)))
