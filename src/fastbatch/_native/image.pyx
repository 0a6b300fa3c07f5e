"""Columns of images. See csrc/fb_image.h."""

import numpy as np

cimport cython
cimport numpy as cnp
from libc.stdint cimport uint64_t

from fastbatch._native.array cimport require_plain, rows_are_contiguous
from fastbatch._native.c cimport (
    FB_MAX_CHANNELS, FB_PAD_REFLECT, FB_PAD_ZERO, FB_PIXEL_BF16, FB_PIXEL_F16, FB_PIXEL_F32, FB_PIXEL_F64, FB_PIXEL_U8,
    FB_RESIZE_MAX_SHRINK, FB_RESIZED_RATIOS, fb_image_column, fb_image_fill, fb_pixel, fb_pixel_nbytes,
    fb_pixels_begin, fb_resized_column, fb_resized_fill, fb_simd
)
from fastbatch._native.cast cimport Cast
from fastbatch._native.column cimport Column, source_of
from fastbatch._native.simd cimport simd_level_of

cnp.import_array()

MAX_CHANNELS = FB_MAX_CHANNELS

#: How many times smaller an image may become, along each axis.
MAX_SHRINK = FB_RESIZE_MAX_SHRINK

#: What images that are resized are made of, by name: uint8 stays that, all else is resized in float32.
RESIZABLE = {"uint8": FB_PIXEL_U8, "float16": FB_PIXEL_F16, "bfloat16": FB_PIXEL_BF16, "float32": FB_PIXEL_F32,
             "float64": FB_PIXEL_F64}

#: Proportions of a rectangle that are told apart.
N_RATIOS = FB_RESIZED_RATIOS


cdef uint64_t chance_of(object probability) except? 0:
    """Below which a random number of 64 bits lies so often; all ones: always."""
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability must be from 0 to 1, got {probability}")
    return min(int(probability * 2.0**64), 2**64 - 1)


@cython.final
@cython.no_gc_clear
cdef class ImageColumn(Column):
    """Images, cropped, mirrored, partly covered and laid out anew while their elements are cast.

    Parameters
    ----------
    source : ndarray of shape (n, ...)
        Each row contiguous, of height x width x channels elements.
    cast : Cast
        Of the elements as they lie in the slot; where they are resized, of what they are then.
    dtype, row_shape, dlpack_type
        Of the slot.
    shape : tuple of (height, width, channels)
        Of an image of the source.
    planar : tuple of 2 bool
        Whether each channel is a plane of its own, in the source and in the slot.
    window : tuple of (height, width)
        What is written of it.
    place : tuple of (top, left), optional
        Of the window, in the padded image. None: random.
    padding : int
        Pixels around the image.
    reflect : bool
        They mirror the image; else they are `pad_pixel`.
    flips : tuple of 2 float
        How probably it is mirrored, left to right and upside down.
    hole : int
        Side of the square, at a random place, that becomes `hole_pixel`.
    pad_pixel, hole_pixel : ndarray of (channels,)
        Elements as they are written.
    resized : tuple of (str, float, float, float32 of shape (N_RATIOS,)), optional
        A random rectangle becomes the window: what the source's elements are, of RESIZABLE; the least and the most of
        the image's area that it has, and how wide it may be for its height, rising. Not with a place or padding.
    blocking : bool
        The source is a file mapped into memory.
    simd : str, optional
        The path to take.
    """

    cdef fb_resized_column storage
    cdef readonly cnp.ndarray source
    cdef readonly Cast cast
    cdef cnp.ndarray pad_pixel, hole_pixel, ratios

    def __cinit__(self, cnp.ndarray source not None, Cast cast not None, cnp.dtype dtype not None, *, row_shape,
                  dlpack_type, shape, planar, window, place=None, size_t padding=0, bint reflect=False,
                  flips=(0.0, 0.0), size_t hole=0, cnp.ndarray pad_pixel not None, cnp.ndarray hole_pixel not None,
                  resized=None, bint blocking=False, simd=None):
        cdef fb_image_column *image = &self.storage.image
        require_plain(source, "source")
        if source.ndim == 0 or not rows_are_contiguous(source):
            raise ValueError("source must have rows, each of them contiguous")
        cast.require_types(source.dtype if resized is None else np.dtype(cast.readable), dtype)
        self.source = source
        self.cast = cast
        self.pad_pixel, self.hole_pixel = pad_pixel, hole_pixel
        image.height, image.width, image.n_channels = shape
        image.out_height, image.out_width = window
        image.is_planar, image.to_planar = planar
        image.padding = padding
        image.padding_mode = FB_PAD_REFLECT if reflect else FB_PAD_ZERO
        image.source = source_of(source)
        if not 0 < image.n_channels <= FB_MAX_CHANNELS or image.height == 0 or image.width == 0:
            raise ValueError(f"images must have pixels, and 1 to {FB_MAX_CHANNELS} channels, got {shape}")
        if max(shape) >= 2**24 or padding >= 2**24:
            raise ValueError(f"images must have less than 2**24 pixels along an axis, got {shape}, padding {padding}")
        if image.height * image.width * image.n_channels * <size_t>source.dtype.itemsize != image.source.row_nbytes:
            raise ValueError(f"images of {shape} do not fit rows of shape {(<object>source).shape[1:]}")
        if reflect and padding >= min(image.height, image.width):
            raise ValueError(f"padding that reflects must be below the size of the image, {shape[:2]}, got {padding}")
        image.is_random = place is None and resized is None
        image.top, image.left = (0, 0) if place is None else place
        if max(window) >= 2**24 or max(image.top, image.left) >= <size_t>2**25:
            raise ValueError(f"a window must have less than 2**24 pixels along an axis, got {window}, at {place}")
        if resized is not None:
            pixel, least, most, ratios = resized
            self.take_resized(pixel, least, most, ratios)
        elif (image.out_height == 0 or image.out_width == 0
                or image.top + image.out_height > image.height + 2 * padding
                or image.left + image.out_width > image.width + 2 * padding):
            raise ValueError(f"a window of {window} does not fit images of {shape[:2]} with {padding} pixels around")
        n_elements = image.out_height * image.out_width * image.n_channels
        if np.prod(row_shape, dtype=np.int64) != n_elements:
            raise ValueError(f"rows of shape {row_shape} are no windows of {window} with {shape[2]} channels")
        if cast.affine is not None and cast.n_elements != n_elements:
            raise ValueError(f"a cast of {cast.n_elements} elements got windows of {n_elements}")
        for pixel in (pad_pixel, hole_pixel):
            if pixel.dtype != dtype or (<object>pixel).shape != (shape[2],) or not cnp.PyArray_ISCARRAY_RO(pixel):
                raise ValueError(f"a pixel must be {shape[2]} elements of {dtype}, got {pixel!r}")
        if not fb_pixels_begin(&image.pixels, cast.native.from_nbytes, <fb_simd>simd_level_of(simd)):
            raise ValueError(f"elements must have 1, 2, 4 or 8 bytes, got {cast.native.from_nbytes}")
        image.pads_with_zeros = padding > 0 and not reflect and self.pads_with_zeros(dtype, n_elements)
        image.mirrored, image.upside_down = chance_of(flips[0]), chance_of(flips[1])
        image.hole = hole
        image.pad_pixel = <const char *>cnp.PyArray_DATA(pad_pixel)
        image.hole_pixel = <const char *>cnp.PyArray_DATA(hole_pixel)
        image.cast = cast.native
        image.column.fill = fb_image_fill if resized is None else fb_resized_fill
        self.storage.level = <fb_simd>simd_level_of(simd)
        image.column.row_nbytes = n_elements * cast.native.to_nbytes
        self.dtype = dtype
        self.n_rows = source.shape[0]
        self.row_shape = tuple(row_shape)
        self.dlpack_type = dlpack_type
        self.blocking = blocking
        arithmetic = "" if cast.affine is None else ", (x - center) * scale"
        scaled = "" if resized is None else "resized "
        self.kernel = f"{scaled}images, {cast.readable} to {cast.writable}{arithmetic}"
        self.column = &image.column

    cdef bint pads_with_zeros(self, cnp.dtype dtype, size_t n_elements) except -1:
        """Whether padding can be staged as zeros, instead of covering what was cast."""
        cdef object n_channels = self.storage.image.n_channels
        written = self.cast.apply(np.zeros(n_elements, self.source.dtype), dtype)
        pixels = written.reshape(n_channels, -1).T if self.storage.image.to_planar else written.reshape(-1, n_channels)
        return pixels.tobytes() == self.pad_pixel.tobytes() * len(pixels)

    cdef int take_resized(self, str pixel, double least, double most, cnp.ndarray ratios) except -1:
        cdef fb_image_column *image = &self.storage.image
        cdef cnp.dtype dtype = self.source.dtype
        if pixel not in RESIZABLE or not self.source.flags.aligned or not dtype.isnative:
            raise ValueError(f"images that are resized must be aligned, of {', '.join(RESIZABLE)}, got {pixel}, "
                             f"{dtype}")
        self.storage.pixel = <fb_pixel><int>RESIZABLE[pixel]
        if fb_pixel_nbytes(self.storage.pixel) != <size_t>dtype.itemsize:
            raise ValueError(f"images of {pixel} are not {dtype}")
        if self.cast.readable != ("uint8" if pixel == "uint8" else "float32"):
            raise ValueError(f"a cast from {self.cast.readable} does not read what is resized of {pixel}")
        if image.padding > 0 or not 0 < least <= most <= 1:
            raise ValueError(f"a rectangle must have from 0 to 1 of an unpadded image, got {least} to {most}")
        if ratios.dtype != np.float32 or (<object>ratios).shape != (N_RATIOS,) or not cnp.PyArray_ISCARRAY_RO(ratios) \
                or not (ratios[0] > 0 and np.all(np.diff(ratios) >= 0) and ratios[N_RATIOS - 1] < np.inf):
            raise ValueError(f"ratios must be {N_RATIOS} float32 above 0, got {ratios.dtype} {(<object>ratios).shape}")
        if image.height > MAX_SHRINK * image.out_height or image.width > MAX_SHRINK * image.out_width:
            raise ValueError(f"images of {image.height} x {image.width} are more than {MAX_SHRINK} times as large as "
                             f"{image.out_height} x {image.out_width}")
        self.ratios = ratios
        self.storage.least_area, self.storage.most_area = least, most
        self.storage.ratios = <const float *>cnp.PyArray_DATA(ratios)
        return 0
