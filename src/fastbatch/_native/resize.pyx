"""A rectangle of an image at another size. The function is a door for tests: columns use the C functions beneath it."""

import operator

import numpy as np

cimport numpy as cnp

from fastbatch._native.array cimport require_plain, rows_are_contiguous
from fastbatch._native.c cimport (
    FB_PIXEL_F32, FB_PIXEL_U8, FB_RESIZE_LINES, FB_RESIZE_MAX_SHRINK, fb_resize, fb_resize_begin, fb_resize_lines,
    fb_resize_next, fb_resize_tile, fb_simd
)
from fastbatch._native.simd cimport simd_level_of

from libc.string cimport memcpy

cnp.import_array()

#: How many times smaller the result may be along each axis.
MAX_SHRINK = FB_RESIZE_MAX_SHRINK

cdef size_t MAX_SIDE = 1 << 31


cdef int require_image(object image) except -1:
    require_plain(image, "image")
    if image.dtype not in (np.dtype(np.uint8), np.dtype(np.float32)):
        raise TypeError(f"image must be uint8 or float32, got {image.dtype}")
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"image must have shape (height, width) or (height, width, channels), none of them 0, got "
                         f"{image.shape}")
    if not rows_are_contiguous(image) or not image.flags.aligned:
        raise ValueError(f"each line of image must be contiguous and aligned, got strides {image.strides} for shape "
                         f"{image.shape}; use numpy.ascontiguousarray(image)")
    return 0


cdef int require_box(tuple box, tuple size, size_t height, size_t width) except -1:
    left, top, right, bottom = box
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):  # nor NaN
        raise ValueError(f"box must be (left, top, right, bottom), not empty and inside the image of {height} x "
                         f"{width}, got {box}")
    if not all(0 < side < MAX_SIDE for side in size):
        raise ValueError(f"size must be (height, width), each from 1 to 2**31 - 1, got {size}")
    for shrink in ((bottom - top) / size[0], (right - left) / size[1]):
        if shrink > MAX_SHRINK:
            raise ValueError(f"box may be at most {MAX_SHRINK} times as large as size, got {box} for {size}")
    return 0


cdef void put(const fb_resize *resize, const fb_resize_tile *tile, size_t y, const char *lines, size_t item,
              char *out) noexcept nogil:
    """Lines of a tile, run by run to where they belong in `out`."""
    cdef size_t n_lines = min(resize.out_height - y, <size_t>FB_RESIZE_LINES)
    cdef size_t n = tile.n_pixels * tile.n_channels, run, i, line, at
    if resize.planar:
        run = tile.n_pixels
    else:
        run = n if tile.n_channels == resize.channels else tile.n_channels
    for line in range(y, y + n_lines):
        i = 0
        while i < n:
            if resize.planar:
                at = ((tile.channel + i // run) * resize.out_height + line) * resize.out_width + tile.x
            else:
                at = (line * resize.out_width + tile.x + i // run) * resize.channels + tile.channel
            memcpy(out + at * item, lines, run * item)
            lines += run * item
            i += run


cdef void fill(const fb_resize *resize, fb_simd level, const void *image, size_t item, char *out) noexcept nogil:
    cdef fb_resize_tile tile
    cdef size_t y
    fb_resize_begin(&tile, resize)
    while fb_resize_next(&tile):
        y = 0
        while y < resize.out_height:
            put(resize, &tile, y, <const char *>fb_resize_lines(&tile, level, image, y), item, out)
            y += FB_RESIZE_LINES


def resize(image, box, size, *, bint flip=False, bint planar=False, dtype=None, level=None):
    """A rectangle of an image, resampled to another size: bilinear, with antialiasing.

    The equivalent in Pillow, to within one level, is::

        Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR, box=box)

    Pixels beside the rectangle count where the image has them, as in Pillow. Give ``image[top:bottom, left:right]`` and
    the box of all of it for what torchvision does, which crops first.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, channels)
        uint8, or float32 of finite values. Lines may lie at any distance.
    box : tuple of (left, top, right, bottom)
        In pixels of the image, which need not be whole.
    size : tuple of (height, width)
        Of the result. No side of the box may be more than `MAX_SHRINK` times as long.
    flip : bool
        Mirror the result, left to right.
    planar : bool
        Put the axis of channels first.
    dtype : dtype, optional
        That of the image, which is the default, or float32; uint8 is rounded half up.
    level : str, optional
        The SIMD path.

    Returns
    -------
    ndarray of shape (*size, ...), or (channels, *size)

    Raises
    ------
    TypeError
        `image` is of another type or dtype, `size` are not integers.
    ValueError
        `image` has another shape, or lines that are not contiguous; `box` is empty or not inside of it; `size` is not
        positive or too small for the box; another `dtype`.
    """
    require_image(image)
    dtype = image.dtype if dtype is None else np.dtype(dtype)
    if dtype not in (image.dtype, np.dtype(np.float32)):
        raise ValueError(f"dtype must be {image.dtype} or float32, got {dtype}")
    box, size = tuple(map(float, box)), tuple(map(operator.index, size))
    if len(box) != 4 or len(size) != 2:
        raise ValueError(f"box must have 4 numbers and size 2, got {len(box)} and {len(size)}")
    require_box(box, size, image.shape[0], image.shape[1])

    cdef cnp.ndarray source = image
    cdef fb_resize wanted
    wanted.height, wanted.width = cnp.PyArray_DIM(source, 0), cnp.PyArray_DIM(source, 1)
    wanted.channels = cnp.PyArray_DIM(source, 2) if cnp.PyArray_NDIM(source) == 3 else 1
    wanted.stride = cnp.PyArray_STRIDE(source, 0)
    wanted.left, wanted.top, wanted.right, wanted.bottom = box
    wanted.out_height, wanted.out_width = size
    wanted.flip, wanted.planar = flip, planar
    wanted.source = FB_PIXEL_U8 if cnp.PyArray_ITEMSIZE(source) == 1 else FB_PIXEL_F32
    wanted.result = FB_PIXEL_U8 if dtype.itemsize == 1 else FB_PIXEL_F32
    channels = image.shape[2:]
    cdef cnp.ndarray out = np.empty(channels + size if planar else size + channels, dtype)
    cdef fb_simd simd = <fb_simd>simd_level_of(level)
    with nogil:
        fill(&wanted, simd, cnp.PyArray_DATA(source), cnp.PyArray_ITEMSIZE(out), <char *>cnp.PyArray_DATA(out))
    return out
