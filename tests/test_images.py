"""Images cropped, mirrored, covered and laid out anew, against NumPy, one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastbatch as fb
from fastbatch._native.cast import Cast
from fastbatch._native.image import ImageColumn
from fastbatch._native.simd import SUPPORTED
from fastbatch.picking import Picked
from filling import filled
from reference_geometry import changed, laid_out, pixels_first

RNG = np.random.default_rng(0)
SEED = 7
MEAN, STD = np.array([100.0, 120, 90]), np.array([50.0, 60, 70])


def images(n=20, height=9, width=11, channels=3, dtype="uint8", layout="NHWC"):
    shape = {"NHWC": (height, width, channels), "NCHW": (channels, height, width), "NHW": (height, width)}[layout]
    return RNG.integers(0, 128, (n, *shape)).astype(dtype)


def batches(x, transforms, **options):
    return list(fb.Loader(x, 8, transforms=transforms, rows=True, **({"seed": SEED, "shuffle": True} | options)))


def assert_changed(x, transforms, layout="NHWC", to=None, epoch=0, after=lambda image: image, exact=True, **change):
    """Every image of an epoch is what the reference makes of it."""
    loader = fb.Loader(x, 8, transforms=transforms, rows=True, seed=SEED, shuffle=True)
    loader.set_epoch(epoch)
    position = 0
    for batch, rows in loader:
        for image, row in zip(batch, rows, strict=True):
            wanted = changed(after(pixels_first(x[row], layout)), SEED, epoch, position, **change)
            wanted = laid_out(wanted, to or layout)
            if exact:
                np.testing.assert_array_equal(image, wanted)
            else:
                np.testing.assert_allclose(image, wanted, rtol=1e-5, atol=1e-5)
            position += 1
    assert position == len(x)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "NHW"])
@pytest.mark.parametrize("to", ["NHWC", "NCHW", "NHW"])
def test_any_layout_becomes_any_other(layout, to):
    channels = 1 if "NHW" in (layout, to) else 3
    x = images(channels=channels, layout=layout)
    assert_changed(x, fb.Layout(layout, to), layout, to)
    assert_changed(x, [fb.Layout(layout, to), fb.RandomFlip(1)], layout, to, flips=(1, 0))


@pytest.mark.parametrize("epoch", [0, 3])
@pytest.mark.parametrize("size", [5, (9, 11), (1, 1), (3, 11)])
def test_random_crops(size, epoch):
    crop = size if isinstance(size, tuple) else (size, size)
    assert_changed(images(), fb.RandomCrop(size), epoch=epoch, crop=crop)


@pytest.mark.parametrize("mode", ["zero", "reflect"])
@pytest.mark.parametrize(("size", "padding"), [((9, 11), 4), ((2, 3), 8), ((20, 20), 8), ((25, 27), 8)])
def test_random_crops_of_padded_images(size, padding, mode):
    assert_changed(images(), fb.RandomCrop(size, padding, mode), crop=size, padding=padding, mode=mode)


@pytest.mark.parametrize("mode", ["zero", "reflect"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("to", ["NHWC", "NCHW"])
def test_random_crops_of_images_whose_lines_are_long(mode, layout, to):
    """A line of 1300 pixels of three doubles is written in several pieces."""
    x = images(6, 4, 1300, dtype="float64", layout=layout)
    transforms = [
        fb.Layout(layout, to),
        fb.RandomCrop((5, 1303), 3, mode),
        fb.RandomFlip(),
        fb.RandomFlip(0.5, "vertical"),
    ]
    assert_changed(x, transforms, layout, to, crop=(5, 1303), padding=3, mode=mode, flips=(0.5, 0.5))


@pytest.mark.parametrize("size", [(9, 11), (4, 4), (5, 2), (1, 11)])
def test_crops_from_the_middle(size):
    assert_changed(images(), fb.CenterCrop(size), center=size)


@pytest.mark.parametrize("p", [0, 0.3, 1])
def test_flips(p):
    assert_changed(images(), fb.RandomFlip(p), flips=(p, 0))
    assert_changed(images(), fb.RandomFlip(p, "vertical"), flips=(0, p))
    assert_changed(images(), [fb.RandomFlip(p), fb.RandomFlip(1 - p, "vertical")], flips=(p, 1 - p))


@pytest.mark.parametrize("size", [1, 2, 5, 30])
def test_cutout(size):
    assert_changed(images(), fb.Cutout(size), hole=size)


def test_what_is_covered_is_zero_where_the_transform_stands():
    """Before Normalize it becomes (0 - mean) / std, behind it is 0."""
    x, normalize = images(), fb.Normalize(MEAN, STD)
    crop, hole = fb.RandomCrop((9, 11), padding=4), fb.Cutout(4)
    settled = {"crop": (9, 11), "padding": 4, "hole": 4, "exact": False, "after": lambda image: (image - MEAN) / STD}
    zero = -MEAN / STD
    assert_changed(x, [crop, hole, normalize], pad=zero, cover=zero, **settled)
    assert_changed(x, [normalize, crop, hole], pad=0, cover=0, **settled)
    assert_changed(x, [crop, normalize, hole], pad=zero, cover=0, **settled)
    half = {**settled, "after": lambda image: (image / 2 - MEAN) / STD}
    assert_changed(x, [fb.Scale(0.5), crop, normalize, hole], pad=zero, cover=0, **half)


LAYOUTS = ["NHWC", "NCHW", "NHW"]


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 70),
    channels=st.sampled_from([1, 2, 3, 4, 5, 40]),
    layout=st.sampled_from(LAYOUTS),
    to=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from(["uint8", "int16", "float32", "float64", "int64", "bool"]),
    cast=st.sampled_from([None, "float32", "float16"]),
    data=st.data(),
)
def test_any_combination(height, width, channels, layout, to, dtype, cast, data):
    if "NHW" in (layout, to):
        channels = 1
    if dtype == "int64":
        cast = None
    x = images(6, height, width, channels, dtype, layout)
    kind = data.draw(st.sampled_from(["none", "random", "center"]))
    mode = data.draw(st.sampled_from(["zero", "reflect"]))
    padding = data.draw(st.integers(0, 6 if mode == "zero" else min(height, width) - 1)) if kind == "random" else 0
    size = tuple(data.draw(st.integers(1, n + 2 * padding)) for n in (height, width))
    flips = tuple(data.draw(st.sampled_from([0, 0.5, 1])) for _ in range(2))
    hole = data.draw(st.integers(0, 9))
    transforms = [fb.Layout(layout, to), fb.RandomFlip(flips[0]), fb.RandomFlip(flips[1], "vertical")]
    change = {"flips": flips, "hole": hole}
    if kind == "random":
        transforms.append(fb.RandomCrop(size, padding, mode))
        change |= {"crop": size, "padding": padding, "mode": mode}
    if kind == "center":
        transforms.append(fb.CenterCrop(size))
        change["center"] = size
    if hole:
        transforms.append(fb.Cutout(hole))
    if cast:
        transforms.append(fb.Cast(cast))
    assert_changed(x, transforms, layout, to, **change)


@pytest.mark.parametrize("simd", SUPPORTED)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("planar", [(False, False), (False, True), (True, False), (True, True)])
def test_every_simd_path(simd, dtype, channels, planar):
    layout, to = ("NCHW" if flag else "NHWC" for flag in planar)
    x = images(5, 7, 133, channels, dtype, layout)
    source = np.dtype(dtype).name
    centers, scales = np.arange(channels) * 10.0, 1.0 + np.arange(channels)
    row_shape = (channels, 7, 133) if planar[1] else (7, 133, channels)
    written = "float64" if dtype == "float64" else "float32"
    cast = Cast(source, written, 7 * 133 * channels, centers, scales, run=7 * 133 if planar[1] else 1, simd=simd)
    pixel = np.zeros(channels, written)
    column = ImageColumn(
        x, cast, np.dtype(written), row_shape=row_shape, dlpack_type=None, shape=(7, 133, channels), planar=planar,
        window=(7, 133), flips=(0.5, 0.5), pad_pixel=pixel, hole_pixel=pixel, simd=simd,
    )  # fmt: skip
    for i, image in enumerate(filled(column, len(x), key=(1, 2))):
        wanted = (pixels_first(x[i], layout).astype(written) - centers.astype(written)) * scales.astype(written)
        candidates = [laid_out(wanted[::a, ::b], to) for a in (1, -1) for b in (1, -1)]
        assert any(np.array_equal(image, candidate) for candidate in candidates)


def test_images_and_their_masks_go_together():
    x = images(layout="NHWC", channels=3)
    masks = x[..., 0].astype(np.int64)
    moves = [fb.RandomCrop(8, padding=3), fb.RandomFlip()]
    loader = fb.Loader(
        (x, masks), 8, shuffle=True, transforms=([fb.Layout("NHWC", "NCHW"), *moves, fb.Cast("float32")], moves)
    )
    for image, mask in loader:
        assert mask.dtype == np.int64
        np.testing.assert_array_equal(image[:, 0], mask)


@pytest.mark.parametrize("options", [{"threads": 2}, {"batch_size": 3}, {"threads": 3, "batch_size": 20}])
def test_neither_threads_nor_the_batch_size_change_an_image(options):
    x = images(40)
    transforms = [fb.RandomCrop(9, padding=4), fb.RandomFlip(), fb.Cutout(3), fb.Normalize(MEAN, STD)]
    settled = {"shuffle": True, "seed": 3, "transforms": transforms}
    wanted = np.concatenate(list(fb.Loader(x, 8, threads=0, **settled)))
    np.testing.assert_array_equal(np.concatenate(list(fb.Loader(x, **({"batch_size": 8} | settled | options)))), wanted)


def test_large_images_are_filled_in_parts_and_give_the_same():
    x = images(24, 200, 180)
    settled = {"shuffle": True, "seed": 3, "transforms": [fb.RandomCrop(160), fb.RandomFlip(), fb.Cast("float32")]}
    wanted = list(fb.Loader(x, 12, threads=0, **settled))
    for batch, expected in zip(fb.Loader(x, 12, threads=3, **settled), wanted, strict=True):
        np.testing.assert_array_equal(batch, expected)


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_change_images_as_one_process_does(world_size):
    x = images(24)
    settled = {"shuffle": True, "seed": 3, "transforms": [fb.RandomCrop(9, padding=2), fb.RandomFlip()]}
    wanted = np.concatenate(list(fb.Loader(x, 4 * world_size, **settled)))
    ranks = [list(fb.Loader(x, 4, rank=rank, world_size=world_size, **settled)) for rank in range(world_size)]
    actual = np.concatenate([batch for step in zip(*ranks, strict=True) for batch in step])
    np.testing.assert_array_equal(actual, wanted)


def test_a_resumed_epoch_goes_on_with_the_same_images():
    x = images(40)
    loader = fb.Loader(x, 6, shuffle=True, seed=1, transforms=[fb.RandomCrop(8, padding=2), fb.RandomFlip()])
    whole = list(loader)
    loader.set_epoch(0)
    taken = iter(loader)
    for _ in range(3):
        next(taken)
    other = fb.Loader(x, 6, shuffle=True, seed=9, transforms=[fb.RandomCrop(8, padding=2), fb.RandomFlip()])
    other.load_state_dict(loader.state_dict())
    for batch, wanted in zip(other, whole[3:], strict=True):
        np.testing.assert_array_equal(batch, wanted)


def test_concatenated_and_picked_images():
    x = images(30)
    transforms = [fb.RandomCrop(8, padding=2), fb.RandomFlip()]
    settled = {"shuffle": True, "seed": 2, "transforms": transforms}
    wanted = list(fb.Loader(x, 7, **settled))
    for batch, expected in zip(fb.Loader(fb.concat([x[:11], x[11:]]), 7, **settled), wanted, strict=True):
        np.testing.assert_array_equal(batch, expected)


PARTS = {
    "array": lambda x, tmp_path: x,
    "concatenated": lambda x, tmp_path: fb.concat([x[:11], x[11:12], x[:0], x[12:]]),
    "picked and concatenated": lambda x, tmp_path: fb.concat([Picked(x, np.arange(17)), x[17:]]),
    "picked": lambda x, tmp_path: Picked(x[::-1], np.arange(len(x))[::-1]),
    "from a file": lambda x, tmp_path: saved(x, tmp_path),
}
OF_SUBSET = {
    "shuffled": lambda k: None,
    "in order": fb.Sequential,
    "balanced": lambda k: fb.Balanced(np.arange(k) % 3),
    "drawn": lambda k: fb.Weighted(1 + np.arange(k) % 4, num_samples=2 * k),
}


def saved(x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    return str(tmp_path / "x.npy")


@pytest.mark.parametrize("given_as", PARTS)
@pytest.mark.parametrize("inner", OF_SUBSET)
@pytest.mark.parametrize("threads", [0, 2])
def test_a_subset_has_its_images_changed_by_their_place_in_the_epoch(given_as, inner, threads, tmp_path):
    x = images(30)
    chosen = np.array([29, 3, 3, 11, 12, 0, 17, 16, 8, 25, 10, 11, 5])  # some twice, and at each seam
    sampler = fb.Subset(chosen, OF_SUBSET[inner](len(chosen)))
    transforms = [fb.RandomCrop((6, 7), padding=2), fb.RandomFlip(0.5), fb.Cutout(3)]
    options = {"seed": SEED, "rows": True, "transforms": transforms, "threads": threads}
    loader = fb.Loader(PARTS[given_as](x, tmp_path), 4, sampler=sampler, **options)
    for epoch in range(2):
        order, position = sampler.order(SEED, epoch), 0
        for batch, rows, *_ in loader:  # of what is drawn by weight, weights too
            assert np.array_equal(rows, order[position : position + len(rows)])
            for image, row in zip(batch, rows, strict=True):
                wanted = changed(x[row], SEED, epoch, position, crop=(6, 7), padding=2, flips=(0.5, 0), hole=3)
                np.testing.assert_array_equal(image, wanted)
                position += 1
        assert position == len(order)


@pytest.mark.parametrize("given_as", PARTS)
def test_a_subset_is_resumed_and_shared_by_ranks_with_the_same_images(given_as, tmp_path):
    x = images(30)
    data, sampler = PARTS[given_as](x, tmp_path), fb.Subset(np.arange(0, 30, 2))
    settled = {"seed": SEED, "sampler": sampler, "transforms": [fb.RandomCrop(8, padding=2), fb.Normalize(MEAN, STD)]}
    loader = fb.Loader(data, 4, **settled)
    whole = list(loader)
    loader.set_epoch(0)
    iterator = iter(loader)
    for i in range(len(whole)):
        other = fb.Loader(data, 4, **settled | {"seed": 0})
        other.load_state_dict(loader.state_dict())
        for batch, wanted in zip(other, whole[i:], strict=True):
            np.testing.assert_array_equal(batch, wanted)
        next(iterator)
    ranks = [list(fb.Loader(data, 2, rank=rank, world_size=2, uneven="exact", **settled)) for rank in range(2)]
    shared = [batch for step in zip(*ranks, strict=True) for batch in step]
    np.testing.assert_array_equal(np.concatenate(shared), np.concatenate(whole))


def test_concatenated_images_and_masks_of_a_subset_go_together():
    x = images(30)
    masks = x[..., 0].astype(np.int64)
    moves = [fb.RandomCrop(8, padding=3), fb.RandomFlip()]
    data = {"x": fb.concat([x[:9], x[9:]]), "mask": fb.concat([masks[:20], masks[20:]])}
    loader = fb.Loader(
        data, 8, sampler=fb.Subset(np.arange(1, 30, 2)), transforms={"x": [*moves, fb.Scale(2)], "mask": moves}
    )
    for batch in loader:
        np.testing.assert_array_equal(batch["x"][..., 0], 2 * batch["mask"])


def test_draws_are_uniform():
    """Every place of a crop, both ways of a flip and every place of a hole, at p about 1e-20: 9.3 deviations."""
    n = 20_000
    marks = np.broadcast_to(np.arange(1, 17, dtype=np.uint8).reshape(4, 4), (n, 4, 4))

    def drawn(*transforms):
        return next(iter(fb.Loader(marks, n, seed=5, transforms=transforms)))

    def assert_share(share, expected):
        assert np.all(np.abs(share - expected) < 9.3 * np.sqrt(expected * (1 - expected) / n))

    batch = drawn(fb.RandomCrop((3, 2)), fb.RandomFlip(0.25))
    is_mirrored = batch[:, 0, 0] > batch[:, 0, 1]
    corners = batch.reshape(n, -1).min(axis=1)
    for corner in (1, 2, 3, 5, 6, 7):  # one of 6 places, whether or not it is mirrored
        assert_share((is_mirrored & (corners == corner)).mean(), 0.25 / 6)
        assert_share((~is_mirrored & (corners == corner)).mean(), 0.75 / 6)
    assert_share((drawn(fb.Cutout(1)) == 0).mean(axis=0), 1 / 16)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: fb.Layout("HWC"), ValueError, "a layout must be one of NHW, NHWC, NCHW, got 'HWC'"),
        (lambda: fb.Layout(["NHWC"]), TypeError, r"^a layout must be one of NHW, NHWC, NCHW, got \['NHWC'\]$"),
        (lambda: fb.Layout("NHWC", ["NHW"]), TypeError, r"^a layout must be one of .*, got \['NHW'\]$"),
        (lambda: fb.Layout("NHWC", "CHW"), ValueError, "got 'CHW'"),
        (lambda: fb.RandomCrop(0), ValueError, "size must be at least 1 and below 2\\*\\*24, got 0"),
        (lambda: fb.RandomCrop((3, -1)), ValueError, r"got \(3, -1\)"),
        (lambda: fb.RandomCrop((3, 4, 5)), ValueError, r"one number, or \(height, width\), got \(3, 4, 5\)"),
        (lambda: fb.RandomCrop(2.5), TypeError, "integer"),
        (lambda: fb.RandomCrop(3, -1), ValueError, "padding must be at least 0 and below 2\\*\\*24, got -1"),
        (lambda: fb.RandomCrop(3, 1, "wrap"), ValueError, "mode must be 'zero' or 'reflect', got 'wrap'"),
        (lambda: fb.CenterCrop(0), ValueError, "size must be at least 1"),
        (lambda: fb.RandomFlip(1.5), ValueError, "p must be from 0 to 1, got 1.5"),
        (lambda: fb.RandomFlip(float("nan")), ValueError, "p must be from 0 to 1, got nan"),
        (lambda: fb.RandomFlip(0.5, "diagonal"), ValueError, "axis must be 'horizontal' or 'vertical', got 'diagonal'"),
        (lambda: fb.Cutout(0), ValueError, "size must be at least 1 and below 2\\*\\*24, got 0"),
        (lambda: fb.Cutout(1.5), TypeError, "integer"),
    ],
)
def test_arguments_that_cannot_be(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    ("x", "transforms", "error", "match"),
    [
        (
            images(),
            fb.RandomCrop(12),
            ValueError,
            r"data\['x'\]: RandomCrop\(12 x 12\) is larger than the images of 9 x 11",
        ),
        (
            images(),
            fb.RandomCrop(14, padding=2),
            ValueError,
            "larger than the images of 13 x 15 with their padding of 2",
        ),
        (images(), fb.CenterCrop((9, 12)), ValueError, r"CenterCrop\(9 x 12\) is larger than the images of 9 x 11"),
        (
            images(),
            fb.RandomCrop(3, 9, "reflect"),
            ValueError,
            r"data\['x'\]: padding=9 that reflects must be below",
        ),
        (
            images(),
            [fb.RandomResizedCrop(5), fb.RandomFlip(), fb.CenterCrop(3)],
            ValueError,
            r"^data\['x'\]: an image has one crop at most, got CenterCrop\(3 x 3\) behind RandomResizedCrop\(5 x",
        ),
        (
            images(),
            [fb.RandomCrop(3), fb.CenterCrop(3)],
            ValueError,
            r"an image has one crop at most, .* behind RandomCrop\(3 x 3\)$",
        ),
        (
            images(),
            [fb.RandomFlip(), fb.RandomFlip()],
            ValueError,
            "an image has one horizontal flip at most, got RandomFlip",
        ),
        (
            images(),
            [fb.Cutout(1), fb.Cutout(2)],
            ValueError,
            r"an image has one hole at most, got Cutout\(2\) behind Cutout\(1\)$",
        ),
        (
            images(),
            [fb.RandomFlip(), fb.Layout("NHWC", "NCHW")],
            ValueError,
            r"^data\['x'\]: Layout\('NHWC', 'NCHW'\) must come before crops, flips and holes, once, got it behind "
            r"RandomFlip\(0.5, 'horizontal'\)$",
        ),
        (
            images(),
            [fb.Scale(2), fb.CenterCrop(3), fb.Layout("NHWC", "NCHW")],
            ValueError,
            r"must come before crops, flips and holes, once, got it behind Scale\(2.0\), CenterCrop\(3 x 3\)$",
        ),
        (images(), fb.Layout("NHW"), ValueError, r"layout NHW have 2 axes, got rows of shape \(9, 11, 3\)"),
        (images(), fb.Layout("NHWC", "NHW"), ValueError, "images of 3 channels cannot become NHW"),
        (images(channels=1025), fb.RandomFlip(), ValueError, "1 to 1024 channels, got rows of shape"),
        (images(height=0), fb.RandomFlip(), ValueError, r"images have pixels, .* got rows of shape \(0, 11, 3\)"),
        (
            images(layout="NCHW"),
            fb.RandomFlip(),
            ValueError,
            r"\(3, 9, 11\) look as if .* give Layout\('NCHW",
        ),
        (np.arange(5), fb.RandomFlip(), ValueError, r"have 3 axes, got rows of shape \(\)"),
        (
            np.zeros((3, 4, 4, 3), "c16"),
            fb.RandomFlip(),
            TypeError,
            "needs images of numbers of 1, 2, 4 or 8 bytes, got",
        ),
        (images(dtype=">i2"), fb.RandomFlip(), TypeError, r"byte order, got >i2: .* by astype\('int16'\)$"),
        (
            images(),
            [fb.RandomFlip(), fb.Normalize([1, 2], 1)],
            ValueError,
            r"mean of shape \(2,\) does not fit 3 channels",
        ),
        (
            images(),
            [fb.Normalize(np.ones((9, 11, 3)), 1), fb.RandomFlip()],
            ValueError,
            r"does not fit 3 channels in Normalize\(<9 x 11 x 3 numbers>, 1.0\): .* statistics gives them with",
        ),
        (
            images(layout="NCHW"),
            [fb.Normalize(np.ones(11), 1), fb.Layout("NCHW")],
            ValueError,
            r"Layout must come before numbers for each channel, got it behind Normalize\(<11 numbers>, 1.0\)$",
        ),
        (images(dtype="int64"), [fb.RandomFlip(), fb.Scale(2)], TypeError, "got int64"),
        (np.arange(5), [fb.OneHot(5), fb.RandomFlip()], ValueError, r"'horizontal'\) cannot follow one-hot labels$"),
        (
            images(),
            [fb.RandomFlip(), fb.OneHot(5)],
            ValueError,
            r"must come first, got it behind RandomFlip\(0.5, 'hor",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_when_the_loader_is_made(x, transforms, error, match):
    with pytest.raises(error, match=match):
        fb.Loader({"x": x}, 4, transforms={"x": transforms})


def test_channels_of_any_position_in_their_shape():
    x = images()
    for shape in ((3,), (3, 1, 1), (1, 1, 3)):
        assert_changed(
            x, [fb.Layout("NHWC", "NCHW"), fb.Normalize(MEAN.reshape(shape), STD.reshape(shape))],
            to="NCHW", exact=False, after=lambda image: (image - MEAN) / STD,
        )  # fmt: skip
    assert_changed(x, [fb.Normalize(MEAN, 1), fb.RandomFlip(1)], exact=False, after=lambda i: i - MEAN, flips=(1, 0))


def test_explain_and_tensors():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(images())
    loader = fb.Loader(x, 4, transforms=[fb.Layout("NHWC", "NCHW"), fb.Normalize(MEAN, STD), fb.Cast(torch.bfloat16)])
    batch = next(iter(loader))
    assert batch.dtype == torch.bfloat16
    assert batch.shape == (4, 3, 9, 11)
    wanted = (x[:4].permute(0, 3, 1, 2).double() - torch.from_numpy(MEAN)[:, None, None]) / torch.from_numpy(STD)[
        :, None, None
    ]
    assert torch.allclose(batch.double(), wanted, rtol=1e-2, atol=1e-2)
    said = loader.explain()
    assert "images, uint8 to bfloat16, (x - center) * scale, bfloat16 (3, 9, 11)" in said
    assert "transforms: Layout('NHWC', 'NCHW'), Normalize([100.0, 120.0, 90.0], [50.0, 60.0, 70.0]), Cast(" in said
