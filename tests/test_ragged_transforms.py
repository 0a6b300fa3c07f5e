"""Rows of different lengths whose elements are cast and normalised while they are written."""

import pickle
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastbatch as fb
from reference_cast import normalized
from reference_ragged import packed, padded, rows_of

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(1, 30, 60)
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
FRAMES = RNG.integers(-3000, 3000, (OFFSETS[-1], 5)).astype(np.int16)
MEAN, STD = RNG.normal(0, 500, 5), RNG.uniform(100, 900, 5)
NORMALIZE = fb.Normalize(MEAN, STD)


def batches(data, transforms, batch_size=7, **options):
    return list(fb.Loader(data, batch_size, transforms=transforms, **options))


def assert_same(mine, theirs):
    """Two batches, to the bit."""
    for left, right in zip(mine, theirs, strict=True):
        assert left.dtype == right.dtype
        assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
        if left.dtype.kind == "f":
            known = ~np.isnan(left)
            assert np.array_equal(np.signbit(left[known]), np.signbit(right[known]))


# ---------------------------------------------------------------------------------------------------------------------
# What a batch is
# ---------------------------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(
    dtype=st.sampled_from(["bool", "uint8", "int8", "int16", "uint16", "int32", "float16", "float32", "float64"]),
    writable=st.sampled_from(["float32", "float16", "float64"]),
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    shape=st.sampled_from([(), (1,), (3,), (2, 3), (4, 1, 2), (600,), (2, 520), (0,), (2, 0)]),
    layout=st.sampled_from(["packed", "padded", "padded on the left"]),
    pad=st.sampled_from([0, -0.0, 1, 0.25, -np.inf, np.nan]),
    length=st.sampled_from([None, 24]),
    multiple=st.sampled_from([1, 8]),
    arithmetic=st.sampled_from(["none", "one", "each", "of some axes"]),
    n_sources=st.integers(1, 2),
    batch_size=st.integers(1, 12),
    threads=st.sampled_from([0, 2]),
    seed=st.integers(0, 1000),
)
def test_batches_are_those_of_the_oracle(
    dtype, writable, lengths, shape, layout, pad, length, multiple, arithmetic, n_sources, batch_size, threads, seed
):
    rng = np.random.default_rng(seed)
    if layout == "packed":
        options = {"length": length}
    else:
        lengths = [max(1, n) for n in lengths]
        side = "left" if layout == "padded on the left" else "right"
        options = {"pad": pad, "side": side, "multiple": multiple, "length": length}
    transforms, numbers = [fb.Cast(writable)], ()
    if arithmetic != "none":
        of = {"one": (), "each": shape, "of some axes": tuple(n if rng.random() < 0.5 else 1 for n in shape)}
        mean, std = rng.normal(0, 30, of[arithmetic]), rng.uniform(0.5, 50, of[arithmetic])
        transforms.insert(int(rng.integers(2)), fb.Normalize(mean, std))
        numbers = mean, std
    made, every = [], []
    for _ in range(n_sources):
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        values = rng.integers(0, 120, (offsets[-1], *shape)).astype(dtype)
        made.append(fb.Ragged(values, offsets, layout=layout.split()[0], **options))
        every += rows_of(normalized(dtype, writable, values, *numbers), offsets)
    data = {"x": made[0] if n_sources == 1 else fb.concat(made), "y": np.arange(len(every))}
    like = np.zeros((0, *shape), writable)
    loader = fb.Loader(data, batch_size, shuffle=True, seed=1, threads=threads, transforms={"x": transforms})
    for batch in loader:
        rows = [every[row] for row in batch["y"]]
        assert_same(batch["x"], packed(rows, like, length) if layout == "packed" else padded(rows, like, **options))


@pytest.mark.parametrize("options", [{}, {"length": 512, "side": "left"}, {"layout": "packed"}], ids=str)
@pytest.mark.parametrize("threads", [0, 1, 5])
def test_large_tables_on_any_number_of_threads(options, threads):
    lengths = RNG.integers(1, 300, 2000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = RNG.integers(-3000, 3000, (offsets[-1], 20)).astype(np.int16)
    mean, std = RNG.normal(0, 500, 20), RNG.uniform(100, 900, 20)
    given = fb.Ragged(values, offsets, **options)
    whole = fb.Ragged(normalized("int16", "float32", values, mean, std), offsets, **options)
    mine = fb.Loader(given, 100, shuffle=True, seed=1, threads=threads, transforms=fb.Normalize(mean, std))
    theirs = fb.Loader(whole, 100, shuffle=True, seed=1, threads=0)
    for left, right in zip(mine, theirs, strict=True):
        assert_same(left, right)


def test_a_chain_is_one_shift_and_one_product():
    wanted = (FRAMES.astype(np.float64) * 0.5 - MEAN) / STD * 3
    chain = [fb.Cast("float16"), fb.Scale(0.5), NORMALIZE, fb.Scale(3), fb.Cast("float32")]
    (batch,) = batches(fb.Ragged(FRAMES, OFFSETS, layout="packed"), chain, 60)
    assert batch.values.dtype == np.float32
    np.testing.assert_allclose(batch.values, wanted, rtol=1e-5, atol=1e-5)


def test_statistics_of_the_elements_make_them_normal():
    ragged = fb.Ragged(FRAMES, OFFSETS)
    found = fb.statistics(ragged)
    (batch,) = batches(ragged, fb.Normalize(found.mean, found.std), 60)
    own = batch.values[batch.mask].astype(np.float64)
    np.testing.assert_allclose(own.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(own.std(0), 1, rtol=1e-5)
    assert (batch.values[~batch.mask] == 0).all()


@pytest.mark.parametrize("pad", [0, 0.5, -1e30, 2**31, np.nan, -np.inf])
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_is_a_number_of_the_batch(pad, side):
    """Also one that the data could not hold; and it is not normalised."""
    for batch in batches(fb.Ragged(FRAMES, OFFSETS, pad=pad, side=side), [NORMALIZE]):
        assert batch.values.dtype == np.float32
        padding = batch.values[~batch.mask]
        assert np.array_equal(padding, np.full_like(padding, pad), equal_nan=True)


def test_lengths_masks_and_bounds_stay():
    for layout in ("padded", "packed"):
        ragged = fb.Ragged(FRAMES, OFFSETS, layout=layout)
        for mine, theirs in zip(batches(ragged, NORMALIZE), batches(ragged, None), strict=True):
            assert_same(mine[1:], theirs[1:])


def test_values_need_no_alignment():
    memory = np.zeros(1 + 8 * 100, np.uint8)
    values = memory[1:].view(np.float64)
    values[:] = np.arange(100)
    (batch,) = batches(fb.Ragged(values, [0, 3, 100], layout="packed"), [fb.Cast("float32")])
    assert np.array_equal(batch.values, np.arange(100, dtype=np.float32))


# ---------------------------------------------------------------------------------------------------------------------
# Other types and frameworks
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_bfloat16_is_read_and_written(layout):
    torch = pytest.importorskip("torch")
    values = torch.from_numpy(FRAMES.astype(np.float32)).to(torch.bfloat16)
    pad = {} if layout == "packed" else {"pad": 0.3, "side": "left"}
    ragged = fb.Ragged(values, OFFSETS, layout=layout, **pad)
    bits = values.view(torch.int16).numpy().view(np.uint16)
    for writable in ("float32", "bfloat16"):
        wanted = normalized("bfloat16", writable, bits, MEAN, STD)
        (batch,) = batches(ragged, [fb.Cast(writable), NORMALIZE], 60)
        assert batch.values.dtype == getattr(torch, writable)
        got = batch.values
        got = got.view(torch.int16).numpy().view(np.uint16) if writable == "bfloat16" else got.numpy()
        if layout == "packed":
            assert np.array_equal(got, wanted)
            continue
        assert np.array_equal(got[batch.mask.numpy()], wanted)
        assert (batch.values[~batch.mask] == torch.tensor(0.3).to(getattr(torch, writable))).all()


def test_bfloat16_of_numpy_has_its_padding():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    (batch,) = batches(fb.Ragged(FRAMES, OFFSETS, pad=0.3), [NORMALIZE, fb.Cast("bfloat16")], 60)
    assert batch.values.dtype == ml_dtypes.bfloat16
    assert (batch.values[~batch.mask] == ml_dtypes.bfloat16(0.3)).all()
    wanted = normalized("int16", "bfloat16", FRAMES, MEAN, STD)
    assert np.array_equal(batch.values[batch.mask].view(np.uint16), wanted)


def test_frames_in_a_mapped_file(tmp_path):
    np.save(tmp_path / "frames.npy", FRAMES)
    mapped = fb.Ragged(np.load(tmp_path / "frames.npy", mmap_mode="r"), OFFSETS)
    loader = fb.Loader({"x": mapped}, 7, shuffle=True, seed=0, transforms={"x": NORMALIZE})
    assert "x'].values: padded on the right with 0.0 to the longest, int16 to float32" in loader.explain()
    for again in (loader, pickle.loads(pickle.dumps(loader))):
        other = fb.Loader({"x": fb.Ragged(FRAMES, OFFSETS)}, 7, shuffle=True, seed=0, transforms={"x": NORMALIZE})
        for mine, theirs in zip(again, other, strict=True):
            assert_same(mine["x"], theirs["x"])


# ---------------------------------------------------------------------------------------------------------------------
# Which column
# ---------------------------------------------------------------------------------------------------------------------


class Sample(NamedTuple):
    frames: object
    label: object


def test_it_is_named_as_an_array_is():
    ragged = fb.Ragged(FRAMES, OFFSETS)
    (wanted,) = batches(ragged, NORMALIZE, 60)
    assert wanted.values.dtype == np.float32
    label = np.arange(60)
    for data, transforms, of in [
        (ragged, [NORMALIZE], lambda batch: batch),
        (ragged, (NORMALIZE,), lambda batch: batch),
        (ragged, {"values": NORMALIZE}, lambda batch: batch),
        ((label, ragged), [None, (NORMALIZE,)], lambda batch: batch[1]),
        ((label, ragged), {1: NORMALIZE}, lambda batch: batch[1]),
        (Sample(ragged, label), {"frames": [NORMALIZE], "label": fb.OneHot(60)}, lambda batch: batch.frames),
    ]:
        (batch,) = batches(data, transforms, 60)
        assert_same(of(batch), wanted)


def test_nothing_to_do_is_a_copy():
    for transforms in ([], None, fb.Cast("float32"), [fb.Cast("float16"), fb.Cast("float32")]):
        said = fb.Loader(fb.Ragged(FRAMES.astype("f4"), OFFSETS), 4, transforms=transforms).explain()
        assert "data.values: padded on the right with 0.0 to the longest, float32 (29, 5)" in said


def test_explain_says_what_is_done_and_how_much_is_written():
    ragged = fb.Ragged(FRAMES[::-1], OFFSETS)
    said = fb.Loader({"x": ragged}, 4, transforms={"x": [fb.Cast("float64"), fb.Scale(0.5)]}).explain()
    assert (
        "data['x'].values: padded on the right with 0.0 to the longest, int16 to float64, (x - center) * scale, "
        "float64 (29, 5), up to 1,160 bytes per row"
    ) in said
    assert "its elements are not contiguous (strides (-10, 2)); transforms: Cast('float64'), Scale(0.5)" in said
    said = fb.Loader(fb.Ragged(FRAMES, OFFSETS, layout="packed"), 4, transforms=fb.Cast("float16")).explain()
    assert "data.values: rows one behind the other, int16 to float16, float16 (5,)" in said
    assert "    transforms: Cast('float16')" in said


@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_the_bytes_that_were_delivered_are_counted(layout):
    loader = fb.Loader(fb.Ragged(FRAMES, OFFSETS, layout=layout), 7, transforms=fb.Cast("float64"))
    assert sum(leaf.nbytes for batch in loader for leaf in batch) == loader.stats().nbytes


def test_an_empty_batch_has_the_type_of_the_others():
    for options in ({}, {"length": 8}, {"layout": "packed"}):
        ragged = fb.Ragged(FRAMES, OFFSETS[:3], **options)
        (batch,) = batches(ragged, NORMALIZE, 2, rank=2, world_size=3, seed=0, uneven="exact")
        assert batch.values.dtype == np.float32
        assert batch.values.shape == ((0, 5) if "layout" in options else (0, options.get("length", 0), 5))


# ---------------------------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------------------------

RAGGED = fb.Ragged(FRAMES, OFFSETS)
ROWS_DIFFER = "reads rows of one shape, and those of a Ragged differ in length: it takes Cast, Scale and Normalize"


@pytest.mark.parametrize(
    ("ragged", "transforms", "error", "said"),
    [
        (RAGGED, fb.RandomCrop(4), TypeError, r"^data\['x'\]\.values: RandomCrop\(.*\) " + ROWS_DIFFER),
        (RAGGED, fb.CenterCrop(4), TypeError, r"^data\['x'\]\.values: CenterCrop\(.*\) " + ROWS_DIFFER),
        (RAGGED, fb.RandomResizedCrop(4), TypeError, r"^data\['x'\]\.values: RandomResizedCrop\(.*\) " + ROWS_DIFFER),
        (RAGGED, fb.RandomFlip(), TypeError, r"^data\['x'\]\.values: RandomFlip\(.*\) " + ROWS_DIFFER),
        (RAGGED, fb.Cutout(2), TypeError, r"^data\['x'\]\.values: Cutout\(.*\) " + ROWS_DIFFER),
        (RAGGED, [NORMALIZE, fb.Layout("NHWC")], TypeError, r"^data\['x'\]\.values: Layout\(.*\) " + ROWS_DIFFER),
        (RAGGED, fb.OneHot(4), TypeError, r"^data\['x'\]\.values: OneHot\(4\) " + ROWS_DIFFER),
        (RAGGED, fb.MixUp(1.0), TypeError, r"^transforms of data\['x'\]\.values cannot be MixUp"),
        (RAGGED, fb.Normalize([0, 1], 1), ValueError,
         r"^data\['x'\]\.values: mean of shape \(2,\) does not fit elements of shape \(5,\) in Normalize"),
        (RAGGED, fb.Scale(np.ones((29, 5))), ValueError, r"factor of shape \(29, 5\) does not fit elements of shape"),
        (RAGGED, fb.Normalize(0, 0), ValueError, r"^data\['x'\]\.values: std must be finite and above 0, got 0\.0"),
        (fb.Ragged(FRAMES.astype("i8"), OFFSETS), fb.Cast("float32"), TypeError,
         r"^data\['x'\]\.values: Cast\('float32'\) reads uint8, .*, got int64"),
        (fb.Ragged(FRAMES.astype(">i2"), OFFSETS), fb.Scale(2), TypeError, r"got >i2 of another byte order"),
        (fb.Ragged(FRAMES, OFFSETS, pad=1e6), fb.Cast("float16"), ValueError,
         r"^data\['x'\]\.values: pad must be a number that float16 can hold, got 1000000\.0"),
        (RAGGED, {"lengths": fb.Cast("float32")}, TypeError,
         r"^data\['x'\]\.lengths: transforms read the values of a Ragged, and these are none"),
        (RAGGED, {"mask": fb.Cast("float32")}, TypeError, r"^data\['x'\]\.mask: transforms read the values"),
        (RAGGED, {"value": fb.Cast("float32")}, ValueError, r"has the key 'value', and data\['x'\] has 'values'"),
        (RAGGED, "float32", TypeError, r"transforms of data\['x'\]\.values must be of fastbatch's, .* got 'float32'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(ragged, transforms, error, said):
    with pytest.raises(error, match=said):
        fb.Loader({"x": ragged}, 4, transforms={"x": transforms})


def test_rows_of_different_lengths_are_not_mixed():
    data = {"x": RAGGED, "y": np.zeros((60, 3), np.float32)}
    with pytest.raises(ValueError, match=r"transforms of \('x', 'y'\) of data must be of arrays, each once"):
        fb.Loader(data, 4, transforms={("x", "y"): fb.MixUp(1.0)})
    with pytest.raises(TypeError, match=r"^data\['x'\]\.values: MixUp\(.*\) mixes arrays, and this is none"):
        fb.Loader(data, 4, transforms={"x": {("values",): fb.MixUp(1.0)}})
