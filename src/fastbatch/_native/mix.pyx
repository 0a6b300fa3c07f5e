"""Columns whose filled batch is mixed. See csrc/fb_mix.h."""

cimport cython
cimport numpy as cnp
from libc.stdint cimport uint64_t

from fastbatch._native.c cimport (
    FB_MIX_BOX, FB_MIX_BY_BOX, FB_MIX_ROWS, fb_mix_column, fb_mix_fill, fb_mix_pair_of, fb_mixing, fb_simd, fb_type
)
from fastbatch._native.cast import WRITABLE
from fastbatch._native.column cimport Column
from fastbatch._native.simd cimport simd_level_of

cnp.import_array()

MIXINGS = {"rows": FB_MIX_ROWS, "box": FB_MIX_BOX, "by box": FB_MIX_BY_BOX}


@cython.final
@cython.no_gc_clear
cdef class MixColumn(Column):
    """Another column, each row of whose batches is mixed with the one that lies as far from the end.

    Parameters
    ----------
    inner : Column
    mixing : str
        A key of MIXINGS: rows, in one share; a box of images, which partners exchange; rows, in the share that such a
        box leaves.
    written : str
        The type of the elements; where rows are mixed, one of WRITABLE.
    alpha : float
        Above 0: the share is drawn from a beta distribution (alpha, alpha).
    chance : float
        How probably a batch is mixed.
    size : tuple of (height, width)
        Of the images.
    n_planes : int
        Planes of one channel each that an image has in a batch; 1 where the channels of a pixel lie together.
    simd : str, optional
        The path to take.
    """

    cdef fb_mix_column storage
    cdef readonly Column inner

    def __cinit__(self, Column inner not None, str mixing, str written, double alpha, double chance, *, size=(1, 1),
                  size_t n_planes=1, simd=None):
        cdef fb_mix_column *mix = &self.storage
        if inner.n_rows is None or inner.sized_axis is not None:
            raise ValueError("a column that is mixed must have rows of one size")
        if not 1e-6 <= alpha < 1e6 or not 0 <= chance <= 1:
            raise ValueError(f"alpha must be at least 1e-6 and below 1e6, and chance from 0 to 1, got {alpha} and "
                             f"{chance}")
        mix.mixing = <fb_mixing><int>MIXINGS[mixing]
        if mixing != "box" and written not in WRITABLE:
            raise TypeError(f"rows that are mixed must be of {', '.join(WRITABLE)}, got {written}")
        if mixing != "box" and inner.dtype.itemsize != {"float32": 4, "float64": 8}.get(written, 2):
            raise TypeError(f"rows of {inner.dtype} are not of {written}")
        mix.height, mix.width = size
        cdef size_t too_many = 2**24
        if not (0 < mix.height < too_many and 0 < mix.width < too_many and 0 < n_planes < too_many // 2**8):
            raise ValueError(f"images must have pixels, got {size} and {n_planes} planes")
        cdef size_t n_pixels = mix.height * mix.width * n_planes
        if mixing == "box" and inner.column.row_nbytes % n_pixels != 0:
            raise ValueError(f"images of {size} do not fit rows of {inner.column.row_nbytes} bytes")
        mix.alpha = alpha
        mix.chance = <uint64_t>min(int(chance * 2.0**64), 2**64 - 1)
        mix.pair = fb_mix_pair_of(<fb_type><int>WRITABLE.get(written, 0), <fb_simd>simd_level_of(simd))
        mix.n_elements = inner.column.row_nbytes // inner.dtype.itemsize
        mix.n_planes = n_planes
        mix.pixel_nbytes = inner.column.row_nbytes // n_pixels
        mix.inner = inner.column
        self.inner = inner
        self.dtype = inner.dtype
        self.n_rows = inner.n_rows
        self.row_shape = inner.row_shape
        self.dlpack_type = inner.dlpack_type
        self.blocking = inner.blocking
        self.kernel = f"{inner.kernel}, mixed in pairs ({mixing})"
        mix.column.fill = fb_mix_fill
        mix.column.row_nbytes = inner.column.row_nbytes
        mix.column.whole = True
        self.column = &mix.column
