import operator

import numpy as np

cimport numpy as cnp

from fastbatch._native.c cimport (
    FB_NARROW_ROWS, fb_count_up, fb_key, fb_permutation, fb_permutation_begin, fb_permutation_n_units,
    fb_permutation_prepare, fb_poll
)
from fastbatch._native.random cimport key_from_rng
from fastbatch._native.signals cimport poll_for, raise_pending

from libc.stdint cimport uint32_t, uint64_t

cnp.import_array()


cdef void widen(const uint32_t *rows, uint64_t *out, uint64_t n) noexcept nogil:
    """out[i] = rows[i], where `rows` may be the upper half of `out`: each block is read before it is written."""
    cdef uint64_t block[16]
    cdef uint64_t i = 0
    cdef int j
    while i + 16 <= n:
        for j in range(16):
            block[j] = rows[i + j]
        for j in range(16):
            out[i + j] = block[j]
        i += 16
    while i < n:
        out[i] = rows[i]
        i += 1


cdef int permute(void *rows, bint wide, uint64_t n, uint64_t *wide_out, fb_key key, fb_poll poll) noexcept nogil:
    """Fills `rows`; each unit is widened into `wide_out`, unless that is NULL, while it is in the cache."""
    cdef fb_permutation permutation
    cdef uint64_t unit, start
    cdef int answer = fb_count_up(wide, 0, rows, n, poll)
    if answer == 0:
        answer = fb_permutation_begin(&permutation, rows, 8 if wide else 4, n, key, 0, poll)
    if answer != 0:
        return answer
    for unit in range(fb_permutation_n_units(&permutation)):
        answer = fb_permutation_prepare(&permutation, unit, poll)
        if answer != 0:
            return answer
        if wide_out != NULL:
            start = permutation.starts[unit]
            widen(<const uint32_t *>rows + start, wide_out + start, permutation.starts[unit + 1] - start)
    return 0


def permutation(n, *, rng=None, dtype=np.int64):
    """The numbers 0 to n - 1 in random order, every order equally likely.

    The NumPy equivalent is::

        numpy.random.default_rng(rng).permutation(n)

    with another order. It is the order of a `Loader` that shuffles, made at once: the numbers are 32-bit inside while
    n <= 2**32, and above 2**22 they are sorted in place into random buckets that fit the cache, each then shuffled
    with a random stream of its own (see `shuffle`).

    Parameters
    ----------
    n : int
        How many.
    rng : optional
        What `numpy.random.default_rng` takes; a Generator moves on by two words.
    dtype : dtype, optional
        int64, uint64 or uint32. The order is the same for each.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    TypeError
        `n` is not an integer.
    ValueError
        `n` is negative or no array can hold so many, `dtype` another one, or too narrow for `n`.
    """
    n = operator.index(n)
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    dtype = np.dtype(dtype)
    if dtype not in (np.dtype(np.int64), np.dtype(np.uint64), np.dtype(np.uint32)):
        raise ValueError(f"dtype must be int64, uint64 or uint32, got {dtype}")
    if dtype.itemsize == 4 and n > FB_NARROW_ROWS:
        raise ValueError(f"dtype uint32 holds row numbers up to 2**32 - 1, got n = {n}; use dtype=numpy.uint64")
    if n >= 2**60:
        raise ValueError(f"n must be below 2**60, what an array can hold, got {n}")
    cdef cnp.ndarray out = np.empty(n, dtype)
    cdef fb_key key = key_from_rng(rng)
    cdef uint64_t count = n
    cdef uint64_t *wide_out = NULL
    cdef void *rows = cnp.PyArray_DATA(out)
    cdef bint wide = count > FB_NARROW_ROWS
    if dtype.itemsize == 8 and not wide:
        wide_out = <uint64_t *>rows
        rows = <uint32_t *>rows + count  # the 32-bit work is done in the upper half: no memory beside the result
    cdef fb_poll poll = poll_for(count * 8)
    cdef int answer
    with nogil:
        answer = permute(rows, wide, count, wide_out, key, poll)
    if answer != 0:
        raise_pending()
    return out
