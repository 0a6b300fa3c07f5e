"""Random parts of images, resampled to one size, against the kernel and against Pillow."""

import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native.cast import Cast
from fastbatch._native.image import MAX_SHRINK, N_RATIOS, ImageColumn
from fastbatch._native.random import derive, raw
from fastbatch._native.resize import resize
from fastbatch._native.simd import SUPPORTED
from fastbatch.seeding import root_key
from filling import filled
from reference_geometry import IMAGE, below, changed, laid_out, pixels_first

RNG = np.random.default_rng(0)
SEED = 5


def rectangle(shape, seed, epoch, position, scale, ratio):
    """Top, left, height and width, drawn by the same words."""
    height, width = shape
    words = iter(raw(derive(root_key(seed), epoch, IMAGE, position, 1), 60))
    ratios = np.geomspace(*ratio, N_RATIOS).astype(np.float32)
    for _ in range(10):
        share = (int(next(words)) >> 11) * 2.0**-53
        wide = float(ratios[int(next(words)) % N_RATIOS])
        area = height * width * (scale[0] + share * (scale[1] - scale[0]))
        h, w = int(np.sqrt(area / wide) + 0.5), int(np.sqrt(area * wide) + 0.5)
        if 0 < h <= height and 0 < w <= width:
            return below(height - h + 1, next(words))[0], below(width - w + 1, next(words))[0], h, w
    h, w = height, width
    if width < height * float(ratios[0]):
        h = max(1, int(width / float(ratios[0]) + 0.5))
    if width > height * float(ratios[-1]):
        w = max(1, int(height * float(ratios[-1]) + 0.5))
    return (height - h) // 2, (width - w) // 2, h, w


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "NHW"])
@pytest.mark.parametrize("to", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    ("shape", "size", "scale", "ratio"),
    [
        ((40, 50), (24, 30), (0.08, 1.0), (3 / 4, 4 / 3)),
        ((9, 7), (20, 33), (0.5, 0.5), (1.0, 1.0)),
        ((3, 90), (4, 4), (0.9, 1.0), (0.9, 1.1)),  # nothing fits: the largest in the middle
        ((90, 3), (4, 4), (0.9, 1.0), (0.9, 1.1)),
        ((1, 1), (3, 2), (0.08, 1.0), (3 / 4, 4 / 3)),
    ],
)
def test_parts_are_cut_out_resampled_mirrored_and_laid_out(dtype, layout, to, shape, size, scale, ratio):
    channels = 1 if layout == "NHW" else 3
    full = {"NHWC": (*shape, channels), "NCHW": (channels, *shape), "NHW": shape}[layout]
    x = RNG.integers(0, 256, (12, *full)).astype(dtype)
    flips, hole = (0.5, 0.5), 3
    transforms = [
        fb.Layout(layout, to), fb.RandomResizedCrop(size, scale, ratio), fb.RandomFlip(), fb.Cutout(hole),
        fb.RandomFlip(0.5, "vertical"),
    ]  # fmt: skip
    loader = fb.Loader(x, 5, transforms=transforms, shuffle=True, seed=SEED, rows=True)
    position = 0
    for batch, rows in loader:
        for image, row in zip(batch, rows, strict=True):
            pixels = np.ascontiguousarray(pixels_first(x[row], layout))
            top, left, height, width = rectangle(shape, SEED, 0, position, scale, ratio)
            part = np.ascontiguousarray(pixels[top : top + height, left : left + width])
            made = resize(part if dtype == "uint8" else part.astype("float32"), (0, 0, width, height), size).astype(
                dtype
            )
            wanted = laid_out(changed(made, SEED, 0, position, flips=flips, hole=hole), to)
            assert image.dtype == dtype
            np.testing.assert_array_equal(image, wanted)
            position += 1


def floats(n, *shape):
    """float64 images in which other types round, each float16 at its own step."""
    return RNG.standard_normal((n, *shape)) * 2.0 ** RNG.integers(-18, 6, (n, *shape))


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("written", [None, "float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("numbers", [False, True])
def test_floats_are_resized_in_float32_then_cast(layout, dtype, written, numbers):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(floats(9, *((3, 40, 50) if layout == "NCHW" else (40, 50, 3)))).to(getattr(torch, dtype))
    crop = [fb.Layout(layout), fb.RandomResizedCrop((7, 9)), fb.RandomFlip()]
    more = [fb.Normalize([1, 2, 3], [4, 5, 6])] if numbers else []
    cast = [fb.Cast(written)] if written else []
    settled = {"seed": 3, "shuffle": True}
    made = next(iter(fb.Loader(x, 9, transforms=[*crop, *more, *cast], **settled)))
    also = next(iter(fb.Loader(x, 9, transforms=[*cast, *crop, *more], **settled)))
    wanted = next(iter(fb.Loader(x.float(), 9, transforms=[*crop, *more, fb.Cast(written or dtype)], **settled)))
    assert made.dtype == also.dtype == getattr(torch, written or dtype)
    assert torch.equal(made, wanted)
    assert torch.equal(also, wanted)


@pytest.mark.parametrize("simd", SUPPORTED)
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 4, 1), (30, 41, 3), (64, 70, 5)])
def test_every_simd_path(simd, dtype, shape):
    x = RNG.integers(0, 256, (6, *shape)).astype("u1") if dtype == "uint8" else floats(6, *shape)
    if dtype == "bfloat16":  # no dtype of NumPy's: the upper halves of float32
        source = (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        x = (source.astype(np.uint32) << 16).view(np.float32)
    else:
        source = x.astype(dtype)
    read = "uint8" if dtype == "uint8" else "float32"
    pixel = np.zeros(shape[2], read)
    ratios = np.geomspace(3 / 4, 4 / 3, N_RATIOS).astype(np.float32)
    column = ImageColumn(
        source, Cast(read, read, 12 * 10 * shape[2], simd=simd), np.dtype(read), row_shape=(12, 10, shape[2]),
        dlpack_type=None, shape=shape, planar=(False, False), window=(12, 10), pad_pixel=pixel, hole_pixel=pixel,
        resized=(dtype, 0.08, 1.0, ratios), simd=simd,
    )  # fmt: skip
    made = filled(column, len(x), key=root_key(SEED))
    for position, image in enumerate(made):
        top, left, height, width = rectangle(shape[:2], SEED, 0, position, (0.08, 1.0), (3 / 4, 4 / 3))
        part = source[position] if dtype == "uint8" else x[position].astype(dtype if dtype == "float16" else "f4")
        part = np.ascontiguousarray(part[top : top + height, left : left + width].astype(read))
        np.testing.assert_array_equal(image, resize(part, (0, 0, width, height), (12, 10), level="baseline"))


def test_what_the_column_cannot_resize_is_refused():
    pixel, ratios = np.zeros(1, "f4"), np.geomspace(3 / 4, 4 / 3, N_RATIOS).astype(np.float32)

    def make(source, cast, name):
        return ImageColumn(
            source, cast, np.dtype("f4"), row_shape=(4, 4, 1), dlpack_type=None, shape=(8, 8, 1), planar=(False, False),
            window=(4, 4), pad_pixel=pixel, hole_pixel=pixel, resized=(name, 0.08, 1.0, ratios),
        )  # fmt: skip

    plain = Cast("float32", "float32", 16)
    with pytest.raises(ValueError, match=r"must be aligned, of uint8, .*, float64, got int16, int16"):
        make(np.zeros((2, 8, 8, 1), "i2"), plain, "int16")
    with pytest.raises(ValueError, match=r"must be aligned, of uint8, .* got float32, [<>]f4"):
        make(np.zeros((2, 8, 8, 1), np.dtype("f4").newbyteorder()), plain, "float32")
    with pytest.raises(ValueError, match="images of float16 are not float32"):
        make(np.zeros((2, 8, 8, 1), "f4"), plain, "float16")
    with pytest.raises(ValueError, match="a cast from float64 does not read what is resized of float64"):
        make(np.zeros((2, 8, 8, 1)), Cast("float64", "float32", 16), "float64")


def test_as_pillow_resizes_to_within_a_level():
    Image = pytest.importorskip("PIL.Image")
    x = RNG.integers(0, 256, (20, 60, 80, 3), dtype=np.uint8)
    loader = fb.Loader(x, 20, seed=SEED, transforms=fb.RandomResizedCrop((32, 48)))
    for position, image in enumerate(next(iter(loader))):
        top, left, height, width = rectangle((60, 80), SEED, 0, position, (0.08, 1.0), (3 / 4, 4 / 3))
        part = Image.fromarray(x[position]).crop((left, top, left + width, top + height))
        wanted = np.asarray(part.resize((48, 32), Image.Resampling.BILINEAR), int)
        assert np.abs(image.astype(int) - wanted).max() <= 1


def test_it_is_normalized_in_the_same_pass():
    x = RNG.integers(0, 256, (20, 30, 30, 3), dtype=np.uint8)
    crop = fb.RandomResizedCrop(16)
    plain = next(iter(fb.Loader(x, 20, seed=1, transforms=crop)))
    chain = [fb.Layout("NHWC", "NCHW"), crop, fb.Normalize([1, 2, 3], [4, 5, 6])]
    batch = next(iter(fb.Loader(x, 20, seed=1, transforms=chain)))
    wanted = ((plain - np.array([1.0, 2, 3])) / [4, 5, 6]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(batch, wanted, rtol=1e-6, atol=1e-6)


def test_parts_have_the_sizes_that_were_asked_for():
    """Their areas are uniform, at p about 1e-20: 9.3 standard deviations."""
    areas, ratios = [], []
    for position in range(4000):
        _, _, height, width = rectangle((1000, 1000), SEED, 0, position, (0.08, 0.6), (3 / 4, 4 / 3))
        areas.append(height * width / 1e6)
        ratios.append(np.log(width / height))
    share = (np.array(areas) - 0.08) / 0.52
    assert abs(share.mean() - 0.5) < 9.3 * np.sqrt(1 / 12 / len(share))
    assert abs(np.mean(ratios)) < 9.3 * np.std(ratios) / np.sqrt(len(ratios))
    assert np.abs(ratios).max() < np.log(4 / 3) + 0.01


@pytest.mark.parametrize("options", [{"threads": 2}, {"batch_size": 3}])
def test_neither_threads_nor_the_batch_size_change_an_image(options):
    x = RNG.integers(0, 256, (30, 40, 40, 3), dtype=np.uint8)
    settled = {"shuffle": True, "seed": 3, "transforms": [fb.RandomResizedCrop(16), fb.RandomFlip()]}
    wanted = np.concatenate(list(fb.Loader(x, 8, threads=0, **settled)))
    np.testing.assert_array_equal(np.concatenate(list(fb.Loader(x, **({"batch_size": 8} | settled | options)))), wanted)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: fb.RandomResizedCrop(0), ValueError, "size must be at least 1"),
        (lambda: fb.RandomResizedCrop(8, (0, 1)), ValueError, r"scale must be two numbers above 0, .* got \(0, 1\)"),
        (lambda: fb.RandomResizedCrop(8, (0.5, 0.4)), ValueError, "the first not larger"),
        (lambda: fb.RandomResizedCrop(8, 0.5), TypeError, "scale must be two numbers, got 0.5"),
        (
            lambda: fb.RandomResizedCrop(8, (0.1, 0.2, 0.3)),
            ValueError,
            r"must be two numbers, got \(0.1, 0.2",
        ),
        (lambda: fb.RandomResizedCrop(8, (0.5, 1.5)), ValueError, r"scale must be at most 1, got \(0.5, 1.5\)"),
        (lambda: fb.RandomResizedCrop(8, ratio=(-1, 1)), ValueError, "ratio must be two numbers above 0"),
        (lambda: fb.RandomResizedCrop(8, ratio=(1, float("inf"))), ValueError, "ratio must be two numbers"),
    ],
)
def test_arguments_that_cannot_be(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    ("x", "transforms", "error", "match"),
    [
        (
            np.zeros((3, 8, 8, 3), np.dtype("f4").newbyteorder()),
            fb.RandomResizedCrop(4),
            TypeError,
            "needs numbers in this machine's byte order, got >f4",
        ),
        (
            np.zeros((3, 8, 8, 3), "i2"),
            fb.RandomResizedCrop(4),
            TypeError,
            r"data\['x'\]: .* needs images of uint8, .*, float64, got int16",
        ),
        (
            np.zeros((2, MAX_SHRINK + 1, 2), "u1"),
            fb.RandomResizedCrop(1),
            ValueError,
            "more than 511 times smaller",
        ),
        (
            np.zeros((3, 8, 8, 3), "u1"),
            [fb.CenterCrop(4), fb.RandomResizedCrop(4)],
            ValueError,
            "an image has one crop at most, got Random",
        ),
        (
            np.zeros((3, 8, 8, 3), "u1"),
            [fb.RandomResizedCrop(4), fb.RandomCrop(2)],
            ValueError,
            "an image has one crop at most, got Random",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_when_the_loader_is_made(x, transforms, error, match):
    with pytest.raises(error, match=match):
        fb.Loader({"x": x}, 4, transforms={"x": transforms})
