"""fb.FirstFit: several sequences in a row."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference_lengths as twin
from fastbatch._native.packing import PackedNumbersColumn, PackedValuesColumn, first_fit
from fastbatch._native.runs import Runs
from reference import is_permutation, make_array

LENGTHS = st.lists(st.integers(1, 30), max_size=150) | st.lists(st.integers(1, 2000), max_size=150)


def lengths_of(n, seed=0):
    """Like those of sentences."""
    return np.clip(np.exp(np.random.default_rng(seed).normal(4, 1, n)), 1, 512).astype(np.int64)


def packed_data(lengths, dtype="i4", item_shape=(), gap=0):
    """Values in which sequences stand one behind the other, and where each begins."""
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]) + gap
    return make_array(np.dtype(dtype), (int(offsets[-1]) + gap, *item_shape), seed=1), offsets


def rows_of(packing):
    return [part.tolist() for part in np.split(packing.sequences, packing.offsets[1:-1])] if len(packing) else []


# ---------------------------------------------------------------------------------------------------------------------
# Which sequences share a row
# ---------------------------------------------------------------------------------------------------------------------


@given(LENGTHS, st.integers(0, 100))
def test_it_is_its_twin(lengths, more):
    context = max(lengths, default=1) + more
    packing = fb.FirstFit(lengths, context)
    expected = twin.first_fit(lengths, context)
    assert rows_of(packing) == expected
    assert packing.n_rows == len(packing) == len(expected)
    assert packing.n == len(lengths)
    assert packing.offsets.dtype == packing.sequences.dtype == np.int64


@pytest.mark.parametrize(("n", "context"), [(1, 512), (5000, 512), (100_000, 512), (100_000, 2048), (1_000_000, 4096)])
def test_hardly_anything_is_padding(n, context):
    lengths = lengths_of(n)
    packing = fb.FirstFit(lengths, context)
    assert is_permutation(packing.sequences, n)
    of_rows = np.add.reduceat(lengths[packing.sequences], packing.offsets[:-1])
    assert of_rows.max() <= context
    fewest = -(-int(lengths.sum()) // context)
    assert len(packing) <= 1.001 * fewest + 1
    assert packing.padding == pytest.approx(1 - lengths.sum() / (len(packing) * context))


def test_of_hard_lengths_it_needs_no_more_rows_than_was_proved():
    """Johnson's: 11/9 of the fewest rows, where lengths are a little more or less than parts of a row."""
    context, k = 10_000, 30
    parts = [5010] * (6 * k) + [2520] * (6 * k) + [2510] * (6 * k) + [2480] * (12 * k)
    assert sum(parts) <= 9 * k * context
    assert len(fb.FirstFit(parts, context)) == 11 * k


def test_no_sequences():
    packing = fb.FirstFit([], 8)
    assert (len(packing), packing.padding, rows_of(packing)) == (0, 0.0, [])
    assert list(fb.Loader(packing.pack(np.arange(0), [0]), 2)) == []


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (([3, 0], 9), ValueError, r"^lengths must be at least 1 and below 2\*\*31, got 0 for row 1$"),
        (([-3, 1], 9), ValueError, r"^lengths must be at least 1 and below 2\*\*31, got -3 for row 0$"),
        (([[1]], 9), ValueError, r"^lengths must be of shape \(n,\)"),
        (([1.0], 9), TypeError, "^lengths must be integers, got dtype float64$"),
        (([3, 12, 1], 9), ValueError, "^context must be at least 12, the length of sequence 1, got 9$"),
        (([], 0), ValueError, r"^context must be at least 1 and below 2\*\*31, got 0$"),
        (([1], 2**31), ValueError, r"^context must be at least 1 and below 2\*\*31, got 2147483648$"),
        (([1], 1.5), TypeError, "integer"),
    ],
)
def test_what_cannot_be_is_refused(arguments, error, said):
    with pytest.raises(error, match=said):
        fb.FirstFit(*arguments)


def test_it_says_what_it_is():
    assert repr(fb.FirstFit([3, 2, 4, 1], 5)) == "FirstFit(4 sequences in 2 rows of 5)"


# ---------------------------------------------------------------------------------------------------------------------
# Batches
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 2])
@given(
    st.lists(st.integers(1, 20), max_size=120),
    st.sampled_from(["i4", "u1", "f8", ">i2", "?", "c16", "g", "f2"]),
    st.sampled_from([(), (3,), (2, 2), (0,)]),
    st.sampled_from([None, np.int64, np.int32]),
    st.integers(1, 9),
    st.sampled_from([0, 5]),
)
def test_a_batch_has_what_was_packed(threads, lengths, dtype, item_shape, ids, batch_size, gap):
    values, offsets = packed_data(lengths, dtype, item_shape, gap)
    packing = fb.FirstFit(lengths, 25)
    pad = make_array(np.dtype(dtype), (1,), seed=3)[0]
    data = packing.pack(values, offsets, pad=pad, ids=ids)
    loader = fb.Loader(data, batch_size, shuffle=True, seed=2, rows=False, threads=threads)
    order = fb.Shuffle(len(packing)).order(2, 0)
    batches = list(loader)
    assert len(batches) == -(-len(packing) // batch_size)
    rows = rows_of(packing)
    for i, batch in enumerate(batches):
        assert isinstance(batch, fb.PackedRows)
        own = [rows[row] for row in order[i * batch_size :][:batch_size]]
        expected = twin.packed(own, values, offsets, 25, pad)
        assert batch.values.dtype == values.dtype
        assert batch.positions.dtype == batch.segments.dtype == (ids or np.int64)
        for got, wanted in zip(batch, expected, strict=True):
            assert got.shape == wanted.shape
            assert np.array_equal(got, wanted)
    loader.close()


def test_large_sequences_come_whole():
    lengths = np.random.default_rng(0).integers(1, 30_000, 300)
    values, offsets = packed_data(lengths, "i8")
    packing = fb.FirstFit(lengths, 32_768)
    rows = rows_of(packing)
    for i, batch in enumerate(fb.Loader(packing.pack(values, offsets, pad=-100), 7, threads=2)):
        for got, wanted in zip(batch, twin.packed(rows[7 * i :][:7], values, offsets, 32_768, -100), strict=True):
            assert np.array_equal(got, wanted)


def test_columns_may_be_given_alone_and_beside_others():
    lengths = lengths_of(100)
    tokens, offsets = packed_data(lengths)
    labels = tokens % 7
    packing = fb.FirstFit(lengths, 600)
    of_rows = np.arange(len(packing))
    data = {"x": packing.pack(tokens, offsets), "y": packing.pack(labels, offsets, pad=-100).values, "id": of_rows}
    for batch in fb.Loader(data, 4, shuffle=True):
        assert isinstance(batch["x"], fb.PackedRows)
        is_padding = batch["x"].segments == 0
        assert (batch["y"][is_padding] == -100).all()
        assert np.array_equal(batch["y"][~is_padding], batch["x"].values[~is_padding] % 7)
        assert len(batch["id"]) == len(batch["y"])
    (alone,) = fb.Loader(packing.pack(tokens, offsets).segments, len(packing))
    assert (alone.max(axis=1) == np.diff(packing.offsets)).all()
    with pytest.raises(
        ValueError, match=r"^columns differ in length: data\[0\]\.values has .* rows, data\[1\] has 100$"
    ):
        fb.Loader((packing.pack(tokens, offsets), lengths), 4)


def test_what_a_ragged_takes_can_be_packed():
    lengths = lengths_of(50)
    values, offsets = packed_data(lengths)
    packing = fb.FirstFit(lengths, 600)
    (expected,) = fb.Loader(packing.pack(values, offsets), 50)
    arrays = np.split(values, offsets[1:-1])
    several = fb.Ragged.joined([fb.Ragged(arrays[:20]), fb.Ragged(arrays[20:21]), fb.Ragged(arrays[21:])], "data")
    assert len(several.lists.sources) == 3
    for data in (fb.Ragged(values, offsets), fb.Ragged(values, offsets, pad=7, side="left"), arrays, several):
        (batch,) = fb.Loader(packing.pack(data), 50)
        assert all(map(np.array_equal, batch, expected))


def test_of_a_ragged_that_is_cut_off_what_is_left_is_packed():
    lengths = lengths_of(100)
    values, offsets = packed_data(lengths)
    ragged = fb.Ragged(values, offsets, length=64)
    assert ragged.lengths.max() == 64 < lengths.max()
    packing = fb.FirstFit(ragged.lengths, 128)
    (batch,) = fb.Loader(packing.pack(ragged), len(packing))
    kept = np.concatenate([values[first : first + 64][:n] for first, n in zip(offsets[:-1], lengths, strict=True)])
    bounds = np.concatenate([[0], np.cumsum(np.minimum(lengths, 64))])
    assert all(map(np.array_equal, batch, twin.packed(rows_of(packing), kept, bounds, 128, 0)))


def test_values_that_are_not_contiguous_are_copied_once():
    lengths = [3, 2, 4]
    values, offsets = packed_data(lengths, "i4", (2,))
    packing = fb.FirstFit(lengths, 5)
    spread = np.repeat(values, 2, axis=0)[::2]
    loader = fb.Loader(packing.pack(spread, offsets), 2)
    assert "copied once (72 bytes): its elements are not contiguous (strides (16, 4))" in loader.explain()
    assert "copied" not in fb.Loader(packing.pack(values, offsets), 2).explain()
    (batch,), (expected,) = loader, fb.Loader(packing.pack(values, offsets), 2)
    assert all(map(np.array_equal, batch, expected))


def test_tensors_make_tensors():
    torch = pytest.importorskip("torch")
    lengths = lengths_of(50)
    values, offsets = packed_data(lengths)
    packing = fb.FirstFit(lengths, 600)
    (expected,) = fb.Loader(packing.pack(values, offsets, pad=-1), 50)
    (batch,) = fb.Loader(packing.pack(torch.from_numpy(values), torch.from_numpy(offsets), pad=-1), 50)
    assert {type(part) for part in batch} == {torch.Tensor}
    assert batch.positions.dtype == batch.segments.dtype == torch.int64
    assert all(np.array_equal(part.numpy(), wanted) for part, wanted in zip(batch, expected, strict=True))
    half = torch.from_numpy(values).to(torch.bfloat16)
    (batch,) = fb.Loader(packing.pack(half, offsets, pad=1.5), 50)
    assert batch.values.dtype == torch.bfloat16
    assert (batch.values[batch.segments == 0] == 1.5).all()


def test_jax_has_smaller_numbers():
    jax = pytest.importorskip("jax")
    lengths = lengths_of(50)
    values, offsets = packed_data(lengths)
    packing = fb.FirstFit(lengths, 600)
    (expected,) = fb.Loader(packing.pack(values, offsets), 50)
    (batch,) = fb.Loader(packing.pack(values, offsets), 50, output="jax")
    assert {part.dtype for part in batch} == {np.dtype(np.int32)}
    assert all(isinstance(part, jax.Array) for part in batch)
    assert all(map(np.array_equal, batch, expected))


def test_mapped_values_are_pickled_by_path_and_refused_when_truncated(tmp_path):
    lengths = lengths_of(200)
    values, offsets = packed_data(lengths)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    packing = fb.FirstFit(lengths, 600)
    loader = fb.Loader(packing.pack(mapped, offsets), 3, shuffle=True, seed=1)
    assert "from a mapped file" in loader.explain()
    iterator = iter(loader)
    next(iterator)
    kept = pickle.dumps(loader)
    assert len(kept) < values.nbytes / 4
    expected = list(iterator)
    for got, wanted in zip(pickle.loads(kept), expected, strict=True):
        assert all(map(np.array_equal, got, wanted))
    with open(tmp_path / "values.npy", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(OSError, match=r"^data\.values needs the first .* bytes of the file"):
        next(iter(loader))


def test_ranks_and_states_are_those_of_any_data():
    lengths = lengths_of(400)
    values, offsets = packed_data(lengths)
    packing = fb.FirstFit(lengths, 600)
    data, n = packing.pack(values, offsets), len(packing)
    (whole,) = fb.Loader(data, n, shuffle=True, seed=1)
    ranks = [
        fb.Loader(data, 3, shuffle=True, seed=1, rank=rank, world_size=2, uneven="exact", rows=True) for rank in (0, 1)
    ]
    got = [next(iter(loader)) for loader in ranks]
    later = fb.Loader(data, 3, shuffle=True, seed=1)
    later.load_state_dict(ranks[1].state_dict())
    values_of_all = np.concatenate([*(batch.values for batch, _ in got), *(batch.values for batch in later)])
    assert np.array_equal(values_of_all, whole.values)
    assert np.array_equal(np.concatenate([numbers for _, numbers in got]), fb.Shuffle(n).order(1, 0)[:6])


@pytest.mark.parametrize(
    ("values", "offsets", "options", "error", "said"),
    [
        (np.arange(9), [0, 3, 5], {}, ValueError, "^values must be of the 3 sequences that were packed, got 2$"),
        (
            np.arange(9),
            [0, 3, 4, 9],
            {},
            ValueError,
            "^values must be as long as they were packed: sequence 1 had 2, got 1",
        ),
        (np.arange(9), [0, 3, 5, 9.0], {}, TypeError, "^offsets must be .*integers"),
        (
            np.arange(8),
            [0, 3, 5, 9],
            {},
            ValueError,
            "^rows must lie within the values, of which there are 8: row 2 is",
        ),
        (np.arange(9), [-1, 2, 4, 8], {}, ValueError, "^rows must lie within the values"),
        (np.array(3), [0, 3, 5, 9], {}, ValueError, "^values must have an axis of elements, got a 0-d array$"),
        (np.arange(9), None, {}, TypeError, "^values must come with offsets, or be a list of arrays"),
        (np.array([object()] * 9), [0, 3, 5, 9], {}, TypeError, "^values must be numbers, got dtype object$"),
        (np.arange(9), [0, 3, 5, 9], {"ids": "i2"}, ValueError, "^ids must be int64 or int32, got int16$"),
        (np.arange(9), [0, 3, 5, 9], {"pad": "x"}, TypeError, "^pad must be a number, got str$"),
        (np.arange(9), [0, 3, 5, 9], {"pad": 0.5}, ValueError, r"^pad must be a number that int64 can hold, got 0\.5$"),
        (
            np.arange(9),
            [0, 3, 5, 9],
            {"pad": np.nan},
            ValueError,
            "^pad must be a number that int64 can hold, got nan$",
        ),
        (
            np.zeros(9, "u1"),
            [0, 3, 5, 9],
            {"pad": -1},
            ValueError,
            "^pad must be a number that uint8 can hold, got -1$",
        ),
    ],
)
def test_what_is_not_packed_so_is_refused(values, offsets, options, error, said):
    with pytest.raises(error, match=said):
        fb.FirstFit([3, 2, 4], 5).pack(values, offsets, **options)


def test_packed_rows_take_no_transforms():
    data = fb.FirstFit([3, 2, 4], 5).pack(np.arange(9), [0, 3, 5, 9])
    with pytest.raises(TypeError, match=r"^data\.values: transforms read arrays, and this is part of packed rows$"):
        fb.Loader(data, 2, transforms={"values": fb.Cast("float32")})


def test_not_a_number_can_be_the_padding():
    (batch,) = fb.Loader(fb.FirstFit([3, 2, 4], 5).pack(np.arange(9.0), [0, 3, 5, 9], pad=np.nan), 2)
    assert np.array_equal(np.isnan(batch.values), batch.segments == 0)
    (batch,) = fb.Loader(fb.FirstFit([3, 2, 4], 5).pack(np.arange(9, dtype="f4"), [0, 3, 5, 9], pad=0.1), 2)
    assert (batch.values[batch.segments == 0] == np.float32(0.1)).all()


# ---------------------------------------------------------------------------------------------------------------------
# Doors
# ---------------------------------------------------------------------------------------------------------------------


def u32(*values):
    return np.array(values, np.uint32)


def u64(*values):
    return np.array(values, np.uint64)


def runs(values=np.arange(9), begins=(0, 3), lengths=(3, 2)):  # noqa: B008
    return Runs([values], begins, lengths)


def values_column(of=None, starts=u64(0, 2), context=5, pad=bytes(8)):  # noqa: B008
    return PackedValuesColumn(of or runs(), starts, context, pad=pad)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: first_fit(np.arange(3), 5), "^lengths must be a contiguous array of uint32, got int64$"),
        (lambda: first_fit(u32(1, 6), 5), "^lengths must be from 1 to 5, got 1 to 6$"),
        (lambda: first_fit(u32(0, 5), 5), "^lengths must be from 1 to 5, got 0 to 5$"),
        (lambda: values_column(starts=np.arange(2)), "^starts must be a contiguous array of uint64, got int64$"),
        (lambda: values_column(starts=u64(0)[0:0]), "^starts must rise from 0 to 2, the sequences there are$"),
        (lambda: values_column(starts=u64(1, 2)), "^starts must rise from 0 to 2"),
        (lambda: values_column(starts=u64(0, 3)), "^starts must rise from 0 to 2"),
        (lambda: values_column(starts=u64(0, 2, 1, 2)), "^starts must rise from 0 to 2"),
        (lambda: values_column(Runs([np.arange(9)], [0, 3, 5])), "^runs must have lengths$"),
        (
            lambda: values_column(context=4),
            r"^context must be below 2\*\*31, and no row's .* have more elements, got 4$",
        ),
        (lambda: values_column(context=2**31), r"^context must be below 2\*\*31"),
        (lambda: values_column(context=-1), r"^context must be below 2\*\*31"),
        (lambda: values_column(pad=bytes(4)), "^pad must be one item of 8 bytes, of which some are 64, got 4 bytes$"),
        (lambda: PackedNumbersColumn(runs(), u64(0, 2), 5, "i2", positions=True), "^dtype must be int64 or int32"),
        (lambda: PackedNumbersColumn(runs(), u64(0, 1), 5, "i4", positions=True), "^starts must rise from 0 to 2"),
    ],
)
def test_the_doors_are_shut(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_explain_says_how_much_is_padding():
    lengths = lengths_of(300)
    values, offsets = packed_data(lengths)
    packing = fb.FirstFit(lengths, 700)
    said = f"\n    300 sequences in rows of 700, {packing.padding:.1%} of all rows is padding\n"
    packed = packing.pack(values, offsets)
    assert fb.Loader(packed, 4).explain().count(said) == 1
    assert said in fb.Loader({"x": packed.values, "y": np.arange(len(packing))}, 4).explain()
    assert "padding" not in fb.Loader(packed.segments, 4).explain()
    none = fb.FirstFit([], 8)
    assert "padding" not in fb.Loader(none.pack(values[:0], [0]), 4).explain()
