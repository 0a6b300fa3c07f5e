"""Batches whose rows are mixed in pairs, images and labels alike."""

import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native.column import GatherColumn
from fastbatch._native.mix import MixColumn

RNG = np.random.default_rng(0)
N = 50
X = RNG.normal(0, 1, (N, 6)).astype(np.float32)
Y = np.arange(N) % 10
IMAGES = RNG.integers(1, 256, (N, 8, 10, 3), dtype=np.uint8)
ONE_HOT = fb.OneHot(10)


def batches(data, transforms, batch_size=8, **options):
    return list(fb.Loader(data, batch_size, transforms=transforms, **({"seed": 3, "shuffle": True} | options)))


def share_of(mixed, plain, partners):
    """The one share that makes `mixed` of rows and their partners."""
    differing = np.abs(plain - partners) > 0.5
    shares = (mixed - partners)[differing] / (plain - partners)[differing]
    np.testing.assert_allclose(shares, shares[0], atol=2e-3)
    return shares.mean()


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("batch_size", [8, 7, 1])
def test_mixup_takes_means_of_rows_and_of_labels_in_one_share(dtype, batch_size):
    plain = batches((X, Y), (fb.Cast(dtype), ONE_HOT), batch_size)
    mixed = batches((X, Y), {0: fb.Cast(dtype), 1: ONE_HOT, (0, 1): fb.MixUp(1.0)}, batch_size)
    shares = []
    for (x, y), (mixed_x, mixed_y) in zip(plain, mixed, strict=True):
        assert mixed_x.dtype == dtype
        middle = slice(len(x) // 2, len(x) // 2 + len(x) % 2)  # a row without a partner stays as it is
        np.testing.assert_array_equal(mixed_x[middle], x[middle])
        np.testing.assert_array_equal(mixed_y[middle], y[middle])
        if len(x) > 1:
            share = share_of(mixed_x.astype(float), x.astype(float), x[::-1].astype(float))
            shares.append(share)
            np.testing.assert_allclose(mixed_y, y * share + y[::-1] * (1 - share), atol=3e-3)
    assert len(set(np.round(shares, 6))) == len(shares)
    assert all(0 <= share <= 1 for share in shares)


def test_mixup_of_bfloat16():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X)
    cast = fb.Cast("bfloat16")
    for plain, mixed in zip(
        batches((x, x), (cast, cast)), batches((x, x), {0: cast, (0,): fb.MixUp(1.0)}), strict=True
    ):
        one, partner = plain[0].double().numpy(), plain[0].flip(0).double().numpy()
        far = np.abs(one - partner) > 0.5
        shares = ((mixed[0].double().numpy() - partner)[far] / (one - partner)[far]) if far.any() else np.zeros(1)
        np.testing.assert_allclose(shares, np.median(shares), atol=0.05)


@pytest.mark.parametrize("to", ["NHWC", "NCHW"])
@pytest.mark.parametrize("cast", [None, "float32"])
def test_cutmix_exchanges_a_rectangle_and_mixes_labels_by_its_area(to, cast):
    chain = [fb.Layout("NHWC", to), *([fb.Cast(cast)] if cast else [])]
    plain = batches((IMAGES, Y), (chain, ONE_HOT))
    mixed = batches((IMAGES, Y), {0: chain, 1: ONE_HOT, (0, 1): fb.CutMix(1.0)})
    areas = []
    for (x, y), (mixed_x, mixed_y) in zip(plain, mixed, strict=True):
        axis = 3 if to == "NHWC" else 1
        is_partners = np.all(mixed_x == x[::-1], axis=axis) & ~np.all(x == x[::-1], axis=axis)
        is_own = np.all(mixed_x == x, axis=axis)
        assert np.all(is_partners | is_own)
        box = is_partners.any(axis=0)
        lines, pixels = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
        assert box.sum() == len(lines) * len(pixels)  # a rectangle
        assert np.all(is_partners[: len(x) // 2] == box)
        share = 1 - box.mean()
        areas.append(box.mean())
        np.testing.assert_allclose(mixed_y, y * share + y[::-1] * (1 - share), atol=1e-6)
    assert max(areas) > 0
    assert len(set(areas)) > 1


def test_images_that_nobody_said_are_some_and_masks_too():
    masks = IMAGES[..., 0].astype(np.int64)
    for x, mask, y in batches((IMAGES, masks, Y), {2: ONE_HOT, (0, 1, 2): fb.CutMix(1.0)}):
        np.testing.assert_array_equal(x[..., 0], mask)
        np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)


def test_shares_are_of_a_beta_distribution():
    """Mean and variance at p about 1e-20: 9.3 standard deviations."""
    x = np.tile(np.array([[1.0], [0.0]], np.float32), (5000, 1))
    for alpha in (0.1, 0.4, 1.0, 3.0):
        loader = fb.Loader((x, x), 2, seed=1, transforms={(0, 1): fb.MixUp(alpha)})
        shares = np.array([batch[0][0, 0] for batch in loader], np.float64)
        variance = 1 / (4 * (2 * alpha + 1))
        kurtosis = 3 - 6 / (2 * alpha + 3)
        n = len(shares)
        assert abs(shares.mean() - 0.5) < 9.3 * np.sqrt(variance / n)
        assert abs(shares.var() - variance) < 9.3 * variance * np.sqrt((kurtosis - 1) / n) + 1e-4
        assert shares.min() >= 0
        assert shares.max() <= 1


def test_a_batch_is_mixed_as_often_as_asked():
    x = np.tile(np.array([[1.0], [0.0]], np.float32), (2000, 1))
    loader = fb.Loader((x, x), 2, seed=1, transforms={(0, 1): fb.MixUp(3.0, p=0.25)})
    is_mixed = np.array([batch[0][0, 0] != 1 for batch in loader])
    assert abs(is_mixed.mean() - 0.25) < 9.3 * np.sqrt(0.25 * 0.75 / len(is_mixed))
    for batch, plain in zip(batches((X, X), {(0, 1): fb.MixUp(1.0, p=0)}), batches((X, X), None), strict=True):
        np.testing.assert_array_equal(batch[0], plain[0])


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_gives_the_same(threads):
    """Also of batches so large that others are filled in parts."""
    x = RNG.integers(0, 256, (60, 200, 180), dtype=np.uint8)
    mixes = {0: fb.Cast("float32"), 1: ONE_HOT, (0, 1): fb.CutMix(1.0)}
    y = np.arange(60) % 10
    wanted = batches((x, y), mixes, 20, threads=0)
    for (images, labels), (wanted_x, wanted_y) in zip(batches((x, y), mixes, 20, threads=threads), wanted, strict=True):
        np.testing.assert_array_equal(images, wanted_x)
        np.testing.assert_array_equal(labels, wanted_y)


def test_batches_by_number_resumed_and_concatenated():
    mixes = {0: None, 1: ONE_HOT, (0, 1): fb.MixUp(0.4)}
    loader = fb.Loader((X, Y), 8, transforms=mixes, shuffle=True, seed=3)
    wanted = list(loader)
    for i, batch in enumerate(wanted):
        np.testing.assert_array_equal(loader.batch(0, i)[0], batch[0])
    other = fb.Loader((fb.concat([X[:20], X[20:]]), Y), 8, transforms=mixes, shuffle=True, seed=0)
    loader.set_epoch(0)
    taken = iter(loader)
    next(taken), next(taken)
    other.load_state_dict(loader.state_dict())
    for (x, y), (wanted_x, wanted_y) in zip(other, wanted[2:], strict=True):
        np.testing.assert_array_equal(x, wanted_x)
        np.testing.assert_array_equal(y, wanted_y)


@pytest.mark.parametrize(
    ("data", "transforms", "error", "match"),
    [
        (
            (X, Y),
            {(0, 1): fb.MixUp(1.0)},
            TypeError,
            r"data\[1\]: MixUp\(1.0\) mixes .*, got int64; use Cast",
        ),
        ((IMAGES, Y), {1: ONE_HOT, (0, 1): fb.MixUp(1.0)}, TypeError, r"data\[0\]: MixUp\(1.0\) mixes .*, got uint8"),
        ((IMAGES, Y), {(0, 1): fb.CutMix(1.0)}, TypeError, r"data\[1\]: CutMix\(1.0\) mixes .*, got int64"),
        ((X, Y), {1: ONE_HOT, (0, 1): fb.CutMix(1.0)}, ValueError, r"data\[0\], data\[1\]: .* one size, got no images"),
        (
            (IMAGES, IMAGES[:, 1:]),
            {(0, 1): fb.CutMix(1.0)},
            ValueError,
            r"one size, got images of \[\(7, 10\), \(8, ",
        ),
        ((X, Y), {(0, 2): fb.MixUp(1.0)}, ValueError, "transforms has the key 2, and data has 0, 1"),
        ((X, Y), {(0, 0): fb.MixUp(1.0)}, ValueError, r"transforms of \(0, 0\) of data must be of arrays, each once"),
        ((X, Y), {(): fb.MixUp(1.0)}, ValueError, "must be of arrays, each once"),
        (
            (X, (Y, Y)),
            {(0, 1): fb.MixUp(1.0)},
            ValueError,
            r"each once, and 1 is none: MixUp\(1.0\) mixes what lies side by side in one tuple or dict$",
        ),
        ((X, Y), {(0, 1): [fb.MixUp(1), fb.CutMix(1)]}, TypeError, "MixUp or CutMix, and one of them, got .*CutMix"),
        (
            {"x": X},
            {"x": fb.MixUp(1)},
            TypeError,
            r"^transforms of data\['x'\] cannot be MixUp\(1.0\), .* in one key, as in",
        ),
        ((X, Y), ([fb.Cast("float32"), fb.CutMix(1)], None), TypeError, r"^transforms of data\[0\] cannot be CutMix"),
        ((X, Y), {(0, 1): fb.Cast("float32")}, TypeError, "must be MixUp or CutMix, and one of them, got Cast"),
        ((X, Y), {(0, 1): fb.MixUp}, TypeError, "must be MixUp or CutMix"),
        ((X, X), {(0, 1): fb.MixUp(1.0), (1,): fb.MixUp(1.0)}, ValueError, "transforms of data mix an array twice"),
        (X, fb.MixUp(1.0), TypeError, r"^transforms of data cannot be .* as in {\('x', 'y'\): MixUp\(1.0\)}$"),
    ],
)
def test_what_cannot_be_mixed_is_refused_when_the_loader_is_made(data, transforms, error, match):
    with pytest.raises(error, match=match):
        fb.Loader(data, 4, transforms=transforms)


@pytest.mark.parametrize("kind", [fb.MixUp, fb.CutMix])
@pytest.mark.parametrize(
    ("arguments", "match"),
    [((0,), "alpha must be at least 1e-6"), ((float("nan"),), "alpha"), ((1, 2), "p must be from 0 to 1, got 2")],
)
def test_arguments_that_cannot_be(kind, arguments, match):
    with pytest.raises(ValueError, match=match):
        kind(*arguments)


def test_refusals_of_the_native_column():
    column = GatherColumn(X)
    with pytest.raises(ValueError, match="alpha must be at least 1e-6 and below 1e6"):
        MixColumn(column, "rows", "float32", 0, 1)
    with pytest.raises(TypeError, match="rows that are mixed must be of float16"):
        MixColumn(column, "rows", "int32", 1, 1)
    with pytest.raises(TypeError, match="rows of float32 are not of float64"):
        MixColumn(column, "rows", "float64", 1, 1)
    for size in ((0, 3), (2**32, 2**32)):
        with pytest.raises(ValueError, match="images must have pixels"):
            MixColumn(column, "box", "float32", 1, 1, size=size)
    with pytest.raises(ValueError, match=r"images of \(5, 3\) do not fit rows of 24 bytes"):
        MixColumn(column, "box", "float32", 1, 1, size=(5, 3))


def test_explain_names_what_mixes_and_what_with():
    mixup, cutmix = fb.MixUp(0.2, p=0.5), fb.CutMix(1)
    said = fb.Loader((X, Y), 8, transforms={1: ONE_HOT, (0, 1): mixup}).explain()
    assert "\n    then MixUp(0.2, p=0.5), in pairs of a batch's rows, together with data[1]\n" in said
    assert "OneHot(10); then MixUp(0.2, p=0.5), in pairs of a batch's rows, together with data[0]\n" in said
    alone = fb.Loader((IMAGES, Y), 8, transforms={(0,): cutmix}).explain()
    assert "\n    then CutMix(1.0), in pairs of a batch's rows\n" in alone
    assert alone.count("CutMix") == 1
