cimport numpy as cnp

from fastbatch._native.array cimport require_plain, row_nbytes_of
from fastbatch._native.c cimport (
    fb_key, fb_permutation, fb_permutation_begin, fb_permutation_n_units, fb_permutation_prepare, fb_poll
)
from fastbatch._native.random cimport key_from_rng
from fastbatch._native.signals cimport poll_for, raise_pending

from libc.stdint cimport uint64_t

cnp.import_array()


cdef int shuffle_rows(void *rows, size_t row_nbytes, uint64_t n_rows, fb_key key, fb_poll poll) noexcept nogil:
    cdef fb_permutation permutation
    cdef uint64_t unit
    cdef int answer = fb_permutation_begin(&permutation, rows, row_nbytes, n_rows, key, 0, poll)
    if answer != 0:
        return answer
    for unit in range(fb_permutation_n_units(&permutation)):
        answer = fb_permutation_prepare(&permutation, unit, poll)
        if answer != 0:
            return answer
    return 0


def shuffle(x, *, rng=None):
    """Shuffle an array in place along axis 0, every order equally likely.

    The NumPy equivalent is::

        numpy.random.default_rng(rng).shuffle(x)

    with another order. A Fisher-Yates shuffle with batched unbiased draws [1]_. More than 2**22 rows are first sorted
    in place into random buckets [2]_: as uniform, and several times as fast. The order is a function of `rng` and the
    number of rows alone, so that arrays of one length and any dtypes stay together when each is shuffled with the same
    seed; it is the order of `permutation`, and changes with the order version only.

    Parameters
    ----------
    x : ndarray of shape (n, ...)
        C-contiguous and writable; any dtype of fixed-size items, rows of any width.
    rng : optional
        What `numpy.random.default_rng` takes; a Generator moves on by two words.

    Raises
    ------
    TypeError
        Not an ndarray; a masked array; items that are references (object, StringDType).
    ValueError
        0-d, read-only or not contiguous.

    Notes
    -----
    Runs without the GIL: nobody else may write `x` meanwhile. A signal such as Ctrl-C is answered within
    milliseconds (of the time that one row takes, if that is more); `x` then holds the same rows in an order that is not
    random.

    References
    ----------
    .. [1] Brackett-Rozinsky & Lemire, "Batched ranged random integer generation", arXiv:2408.06213.
    .. [2] Rao 1961; Sandelius 1962; Sanders, "Random permutations on distributed, external and hierarchical memory",
       Information Processing Letters 67 (1998).
    """
    require_plain(x, "x")
    cdef cnp.ndarray array = x
    if array.ndim == 0:
        raise ValueError("x must have an axis to shuffle along, got a 0-d array")
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError("x must be writable, got a read-only array; shuffle x.copy()")
    if not cnp.PyArray_IS_C_CONTIGUOUS(array):
        raise ValueError("x must be C-contiguous, got strides "
                         f"{x.strides} for shape {x.shape}; shuffle numpy.ascontiguousarray(x)")
    cdef fb_key key = key_from_rng(rng)
    cdef size_t row_nbytes = row_nbytes_of(array)
    cdef uint64_t n_rows = array.shape[0]
    cdef void *rows = cnp.PyArray_DATA(array)
    if n_rows < 2 or row_nbytes == 0:
        return
    cdef fb_poll poll = poll_for(n_rows * row_nbytes)
    cdef int answer
    with nogil:
        answer = shuffle_rows(rows, row_nbytes, n_rows, key, poll)
    if answer != 0:
        raise_pending()
