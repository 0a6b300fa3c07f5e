"""Keys and draws. The functions are a door for tests: the kernels use the C functions beneath them."""

import numpy as np

from libc.stdint cimport uint64_t

from fastbatch._native.c cimport (
    FB_BLOCK, FB_ONE_UNIT_ROWS, FB_ORDER_VERSION, fb_derive, fb_draw_descending, fb_key, fb_next, fb_seed, fb_sfc64,
    fb_sfc64_begin
)

#: The version of every order made by this package: it changes when any order does.
ORDER_VERSION = FB_ORDER_VERSION

#: Above this many rows an order is made by way of buckets.
ONE_UNIT_ROWS = FB_ONE_UNIT_ROWS


cdef fb_key key_from_words(object words):
    cdef fb_key key
    key.word[0], key.word[1] = words
    return key


cdef fb_key key_from_rng(object rng):
    generator = np.random.default_rng(rng)
    return key_from_words(generator.integers(0, 2**64 - 1, size=2, dtype=np.uint64, endpoint=True))


cdef fb_sfc64 stream_from(object words):
    cdef fb_seed seed
    seed.word[0], seed.word[1], seed.word[2], seed.word[3] = words
    return fb_sfc64_begin(seed)


def derive(key, epoch, stream, unit, part=0):
    """Philox4x64-10 of the counter (epoch, stream, unit, part) under a key of two words.

    Returns
    -------
    tuple of 4 int
        256 random bits: the seed of a stream.
    """
    cdef fb_seed seed = fb_derive(key_from_words(key), epoch, stream, unit, part)
    return (seed.word[0], seed.word[1], seed.word[2], seed.word[3])


def raw(seed, n):
    """The first `n` words of the sfc64 stream that a seed of four words begins, as uint64 of shape (n,)."""
    cdef fb_sfc64 rng = stream_from(seed)
    cdef uint64_t[::1] out = np.empty(n, np.uint64)
    cdef Py_ssize_t i
    for i in range(out.shape[0]):
        out[i] = fb_next(&rng)
    return np.asarray(out)


def descending(seed, bound, count):
    """The draws of a Fisher-Yates shuffle: the t-th is uniform in [0, bound - t).

    Parameters
    ----------
    seed : tuple of 4 int
        Where the stream begins.
    bound, count : int
        `count` draws, at most `bound`.

    Returns
    -------
    uint64 of shape (count,)
    """
    if not 0 <= count <= bound < 2**64:
        raise ValueError(f"0 <= count <= bound < 2**64 is required, got count {count} and bound {bound}")
    cdef fb_sfc64 rng = stream_from(seed)
    cdef uint64_t[::1] out = np.empty(max(count, 1), np.uint64)
    cdef uint64_t first = 0, n = count, high = bound
    while first < n:
        fb_draw_descending(&rng, high - first, min(n - first, <uint64_t>FB_BLOCK), &out[first])
        first += FB_BLOCK
    return np.asarray(out)[:count]
