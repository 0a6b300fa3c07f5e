"""The resampling of images: bilinear with antialiasing, as Pillow does it."""

import hashlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import reference_images as twin
from fastbatch._native.resize import MAX_SHRINK, resize
from fastbatch._native.simd import SUPPORTED

U8, F32 = np.dtype(np.uint8), np.dtype(np.float32)


def make_image(shape, dtype=U8, seed=0):
    """Noise: no two pixels agree by chance. Floats lie between -1 and 1."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, shape, np.uint8) if dtype == U8 else rng.uniform(-1, 1, shape).astype(np.float32)


def assert_near(actual, expected):
    """Rounded, or near within the precision of float32 and of its sums."""
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= (0.501 if actual.dtype == U8 else 4e-6)


@st.composite
def boxes(draw, length):
    """The two ends of a box along an axis: at pixels, between them, at the edges, of less than a pixel."""
    low = draw(st.integers(0, length - 1) | st.floats(0, length - 0.001))
    high = draw(st.integers(int(low) + 1, length) | st.floats(low, length, exclude_min=True) | st.just(length))
    return low, high


@st.composite
def calls(draw):
    """An image, a box in it and a size."""
    height, width = draw(st.tuples(*2 * [st.integers(1, 40) | st.sampled_from([1, 2, 100])]))
    channels = draw(st.sampled_from([(), (1,), (2,), (3,), (4,), (7,)]))
    image = make_image((height, width, *channels), draw(st.sampled_from([U8, F32])), draw(st.integers(0, 9)))
    (top, bottom), (left, right) = draw(boxes(height)), draw(boxes(width))
    size = draw(st.tuples(*2 * [st.integers(1, 40) | st.sampled_from([1, 2, 100])]))
    return image, (left, top, right, bottom), size


# ---------------------------------------------------------------------------------------------------------------------
# The pixels
# ---------------------------------------------------------------------------------------------------------------------


@given(calls(), st.booleans())
@example((make_image((1, 1)), (0, 0, 1, 1), (1, 1)), False)
@example((make_image((1, 1)), (0.25, 0.5, 0.5, 0.75), (5, 7)), False)
@example((make_image((9, 9, 3)), (8, 8, 9, 9), (4, 4)), False)  # the last pixel
@example((make_image((3, 3, 1)), (0, 0, 5e-324, 5e-324), (2, 2)), False)
def test_is_the_mean_of_the_pixels_around(call, flip):
    image, box, size = call
    expected = twin.resize(image, box, size, flip)
    assert_near(resize(image, box, size, flip=flip), expected)
    means = resize(image, box, size, flip=flip, dtype=np.float32)
    assert means.dtype == F32
    assert np.abs(means - expected).max() <= 4e-6 * (255 if image.dtype == U8 else 1)


@given(calls(), st.booleans())
def test_every_path_gives_the_same_bits(call, planar):
    image, box, size = call
    expected = resize(image, box, size, planar=planar, level="baseline")
    for level in SUPPORTED:
        assert resize(image, box, size, planar=planar, level=level).tobytes() == expected.tobytes()


@given(calls(), st.booleans())
def test_channels_do_not_mix_and_may_come_first(call, flip):
    image, box, size = call
    image = image.reshape(*image.shape[:2], -1)
    together = resize(image, box, size, flip=flip)
    for channel in range(image.shape[2]):
        alone = resize(np.ascontiguousarray(image[..., channel]), box, size, flip=flip)
        assert np.array_equal(together[..., channel], alone)
    planes = resize(image, box, size, flip=flip, planar=True)
    assert planes.flags.c_contiguous
    assert np.array_equal(planes, np.moveaxis(together, -1, 0))


@given(calls())
def test_flip_mirrors(call):
    image, box, size = call
    assert np.array_equal(resize(image, box, size, flip=True), resize(image, box, size)[:, ::-1])


@given(calls(), st.integers(0, 255), st.floats(-(2.0**100), 2.0**100, width=32))
def test_what_is_constant_stays_so(call, level, value):
    image, box, size = call
    image[...] = level if image.dtype == U8 else value
    assert (resize(image, box, size) == image.flat[0]).all()


def test_the_box_of_all_at_its_own_size_is_the_image():
    for dtype in (U8, F32):
        image = make_image((20, 30, 3), dtype)
        assert np.array_equal(resize(image, (0, 0, 30, 20), (20, 30)), image)


@pytest.mark.parametrize("dtype", [U8, F32])
@pytest.mark.parametrize(
    ("shape", "box", "size"),
    [
        ((256, 256, 3), (17, 30, 201, 180), (224, 224)),
        ((256, 256, 3), (0, 0, 256, 256), (224, 224)),
        ((300, 500, 3), (3, 0, 500, 299), (64, 48)),
        ((40, 1700, 3), (0, 0, 1700, 40), (7, 1600)),  # several tiles
        ((40, 30, 3), (1, 2, 29, 40), (50, 2000)),
        ((5, 700), (0, 0, 700, 5), (5, 1500)),
        ((11, 13, 900), (1, 1, 12, 10), (9, 17)),  # several groups of channels
        ((11, 40, 901), (1, 1, 39, 10), (3, 4)),
        ((2, 3, 1500), (0, 0, 3, 2), (5, 5)),
        ((2, 1, 1500), (0, 0, 1, 2), (5, 5)),
        ((511, 3, 2), (0, 0, 3, 511), (1, 3)),
        ((2, 2044, 1), (0, 0, 2044, 2), (2, 4)),  # as many taps as there may be
        ((1533, 1533), (511, 511, 1022, 1022), (1, 1)),
        ((2, 2044, 5), (0, 0, 2044, 2), (2, 4)),
        ((1022, 40, 3), (0, 0, 40, 1022), (2, 39)),
    ],
)
def test_sizes_that_fill_tiles(shape, box, size, dtype):
    image = make_image(shape, dtype)
    for flip in (False, True):
        actual = resize(image, box, size, flip=flip)
        assert_near(actual, twin.resize(image, box, size, flip))
        if image.ndim == 3:
            assert np.array_equal(resize(image, box, size, flip=flip, planar=True), np.moveaxis(actual, -1, 0))


@given(calls(), st.sampled_from(["step", "reversed", "crop"]))
def test_lines_may_lie_anywhere_and_nothing_beside_them_counts(call, layout):
    image, box, size = call
    height, width, *channels = image.shape
    around = np.full((2 * height + 1, width + 2, *channels), np.nan if image.dtype == F32 else 99, image.dtype)
    if layout == "step":
        view = around[1::2, 1:-1]
    elif layout == "reversed":
        view = around[height:0:-1, :width]
    else:
        view = around[-height:, 2:]
    view[...] = image
    assert np.array_equal(resize(view, box, size), resize(image, box, size))


def test_pixels_beside_the_box_count_and_those_beside_a_crop_do_not():
    image = np.zeros((8, 8), np.uint8)
    image[:, 4:] = 200
    assert resize(image, (0, 0, 4, 8), (8, 8))[0].tolist() == [0] * 7 + [50]
    assert not resize(image[:, :4], (0, 0, 4, 8), (8, 8)).any()


def test_halves_are_rounded_up():
    image = np.array([[0, 1, 254, 255]], np.uint8)
    assert resize(image, (0.5, 0, 1.5, 1), (1, 1)).tolist() == [[1]]
    assert resize(image, (2.5, 0, 3.5, 1), (1, 1)).tolist() == [[255]]


def test_the_bits_are_the_same_on_every_machine():
    y, x, c = np.ogrid[:90, :100, :3]
    image = ((7 * y * y + 13 * x * x + 29 * x * y + 101 * c) % 251).astype(np.uint8)
    digest = hashlib.sha256()
    for size in ((64, 80), (130, 111), (9, 5)):
        for dtype in (U8, F32):
            digest.update(resize(image, (3, 5, 97, 88), size, dtype=dtype).astype(dtype.newbyteorder("<")).tobytes())
    assert digest.hexdigest()[:16] == "0cb56a790865bce8"


# ---------------------------------------------------------------------------------------------------------------------
# Pillow
# ---------------------------------------------------------------------------------------------------------------------


def by_pillow(image, box, size):
    module = pytest.importorskip("PIL.Image")
    resampled = module.fromarray(image).resize(size[::-1], module.Resampling.BILINEAR, box=box)
    return np.asarray(resampled).astype(np.int64)


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_is_within_a_level_of_pillow(channels):
    rng = np.random.default_rng(0)
    for trial in range(100):
        height, width = rng.integers(1, 200, 2)
        size = tuple(map(int, rng.integers(1, 100, 2)))
        top, left = int(rng.integers(height)), int(rng.integers(width))
        bottom, right = int(rng.integers(top, height)) + 1, int(rng.integers(left, width)) + 1
        image = make_image((height, width, *channels), seed=trial)
        if channels == (4,):
            image[..., 3] = 255  # Pillow multiplies colours by alpha
        expected = by_pillow(image, (left, top, right, bottom), size)
        assert np.abs(resize(image, (left, top, right, bottom), size) - expected).max() <= 1


# ---------------------------------------------------------------------------------------------------------------------
# What does not fit
# ---------------------------------------------------------------------------------------------------------------------

IMAGE = make_image((8, 10, 3))
BOX, SIZE = (1, 2, 9, 7), (4, 5)


@pytest.mark.parametrize(
    ("image", "box", "size", "options", "error", "message"),
    [
        ([[1]], BOX, SIZE, {}, TypeError, "image must be a numpy.ndarray, got list"),
        (IMAGE.astype(np.int16), BOX, SIZE, {}, TypeError, "image must be uint8 or float32, got int16"),
        (IMAGE.astype(">f4"), BOX, SIZE, {}, TypeError, "image must be uint8 or float32, got >f4"),
        (IMAGE[0, 0], BOX, SIZE, {}, ValueError, r"image must have shape .* got \(3,\)"),
        (IMAGE[None], BOX, SIZE, {}, ValueError, r"image must have shape .* got \(1, 8, 10, 3\)"),
        (IMAGE[:0], BOX, SIZE, {}, ValueError, r"none of them 0, got \(0, 10, 3\)"),
        (IMAGE[:, ::2], BOX, SIZE, {}, ValueError, r"each line of image must be contiguous and aligned, got strides"),
        (IMAGE[..., :2], BOX, SIZE, {}, ValueError, r"each line of image must be contiguous and aligned, got strides"),
        (IMAGE, (-1, 2, 9, 7), SIZE, {}, ValueError, r"inside the image of 8 x 10, got \(-1.0, 2.0, 9.0, 7.0\)"),
        (IMAGE, (1, -0.5, 9, 7), SIZE, {}, ValueError, "box must be .* inside the image"),
        (IMAGE, (1, 2, 11, 7), SIZE, {}, ValueError, "box must be .* inside the image"),
        (IMAGE, (1, 2, 9, 8.5), SIZE, {}, ValueError, "box must be .* inside the image"),
        (IMAGE, (1, 2, 1, 7), SIZE, {}, ValueError, "box must be .* not empty"),
        (IMAGE, (1, 7, 9, 2), SIZE, {}, ValueError, "box must be .* not empty"),
        (IMAGE, (1, 2, np.nan, 7), SIZE, {}, ValueError, "box must be .* not empty"),
        (IMAGE, (1, 2, np.inf, 7), SIZE, {}, ValueError, "box must be .* inside the image"),
        (IMAGE, (1, 2, 3), SIZE, {}, ValueError, "box must have 4 numbers and size 2, got 3 and 2"),
        (IMAGE, BOX, (4,), {}, ValueError, "box must have 4 numbers and size 2, got 4 and 1"),
        (IMAGE, BOX, (4, 0), {}, ValueError, r"size must be \(height, width\), each from 1 .* got \(4, 0\)"),
        (IMAGE, BOX, (-4, 5), {}, ValueError, r"each from 1 to 2\*\*31 - 1, got \(-4, 5\)"),
        (IMAGE, BOX, (4, 2**31), {}, ValueError, r"each from 1 to 2\*\*31 - 1, got \(4, 2147483648\)"),
        (IMAGE, BOX, (4, 5.0), {}, TypeError, "cannot be interpreted as an integer"),
        (IMAGE, BOX, SIZE, {"dtype": "f8"}, ValueError, "dtype must be uint8 or float32, got float64"),
        (IMAGE.astype("f4"), BOX, SIZE, {"dtype": "u1"}, ValueError, "dtype must be float32 or float32, got uint8"),
        (IMAGE, BOX, SIZE, {"level": "mmx"}, ValueError, "the SIMD path must be one that this machine has"),
    ],
)
def test_what_does_not_fit_is_refused(image, box, size, options, error, message):
    with pytest.raises(error, match=message):
        resize(image, box, size, **options)


def test_floats_that_are_not_aligned_are_refused():
    raw = np.zeros(4 * 6 + 1, np.uint8)
    with pytest.raises(ValueError, match="contiguous and aligned"):
        resize(np.ndarray((2, 3), np.float32, raw, offset=1), (0, 0, 3, 2), (2, 2))


def test_shrinking_has_a_limit():
    for shape, box in (((1, 2 * MAX_SHRINK + 1), (0, 0, 2 * MAX_SHRINK + 1, 1)), ((1023, 1), (0, 0, 1, 1023))):
        image = make_image(shape)
        with pytest.raises(ValueError, match=f"at most {MAX_SHRINK} times as large as size, got .* for "):
            resize(image, box, (min(2, shape[0]), min(2, shape[1])))
        assert resize(image, box, (min(3, shape[0]), min(3, shape[1]))).size == 3
