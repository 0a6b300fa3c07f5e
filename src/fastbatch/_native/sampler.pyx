import numpy as np

cimport cython
cimport numpy as cnp

from fastbatch._native.c cimport (
    FB_BIJECTION_MIN_ROWS, FB_BIJECTION_ROWS_END, FB_NARROW_ROWS, FB_NO_MEMORY, fb_blocks, fb_blocks_of, fb_given,
    fb_given_init, fb_key, fb_poll, fb_sampler, fb_sequential, fb_shuffled, fb_simd, fb_streamed, fb_streamed_of,
    fb_subset, fb_subset_init
)
from fastbatch._native.random cimport key_from_words
from fastbatch._native.signals cimport poll_for, raise_pending
from fastbatch._native.simd cimport simd_level_of

from libc.stdint cimport uint64_t

cnp.import_array()

# Rows an order is asked for between two looks for signals, when all of it is wanted.
cdef enum:
    PIECE_ROWS = 1 << 16


cdef fb_sampler NO_ROWS = fb_sequential(0)


@cython.no_gc_clear
cdef class Sampler:
    """Which rows, in which order: a pure function of (key, epoch). This class itself draws from no rows."""

    def __cinit__(self, *arguments, **options):
        self.sampler = &NO_ROWS

    @property
    def n(self):
        """Rows it draws from."""
        return self.sampler.n_rows

    def __len__(self):
        return self.sampler.length

    @property
    def weighs(self):
        """Whether it says of each row that it draws what undoes its weight."""
        return self.sampler.weigh != NULL

    @property
    def live(self):
        """Whether what it draws changes while an epoch runs."""
        return self.sampler.turn != NULL

    cdef void *begin(self, fb_key key, uint64_t epoch, void *over) except? NULL:
        cdef void *state = over
        cdef fb_poll poll = poll_for(self.sampler.n_rows * 4)
        cdef int answer
        with nogil:
            answer = self.sampler.begin(self.sampler, key, epoch, poll, &state)
        if answer == FB_NO_MEMORY:
            raise MemoryError(f"no memory for an order of {self.sampler.length} rows")
        if answer != 0:
            raise_pending()
        return state

    def order(self, key, uint64_t epoch):
        """The whole order of one epoch, as int64 of shape (len,)."""
        cdef cnp.ndarray out = np.empty(len(self), np.uint64 if self.sampler.wide else np.uint32)
        cdef fb_poll poll = poll_for(out.nbytes)
        cdef void *state = self.begin(key_from_words(key), epoch, NULL)
        cdef int answer
        with nogil:
            answer = draw_all(self.sampler, state, <char *>cnp.PyArray_DATA(out), poll)
            self.sampler.end(state)
        if answer != 0:
            raise_pending()
        return out.astype(np.int64)


cdef int draw_all(const fb_sampler *sampler, void *state, char *out, fb_poll poll) noexcept nogil:
    cdef uint64_t unit, done = 0, n
    cdef int answer
    if sampler.unit_of != NULL:
        for unit in range(sampler.n_units(state)):
            answer = sampler.prepare(state, unit, poll)
            if answer != 0:
                return answer
    while done < sampler.length:
        n = min(sampler.length - done, <uint64_t>PIECE_ROWS)
        sampler.draw(state, done, out + done * (8 if sampler.wide else 4), n)
        done += n
        answer = poll.function(poll.argument) if poll.function != NULL else 0
        if answer != 0:
            return answer
    return 0


@cython.final
@cython.no_gc_clear
cdef class Sequential(Sampler):
    """Every row once, in the order of the data."""

    cdef fb_sampler storage

    def __cinit__(self, uint64_t n):
        self.storage = fb_sequential(n)
        self.sampler = &self.storage

    def __reduce__(self):
        return Sequential, (self.n,)


@cython.final
@cython.no_gc_clear
cdef class Shuffled(Sampler):
    """Every row once, in uniformly random order."""

    cdef fb_sampler storage

    def __cinit__(self, uint64_t n):
        self.storage = fb_shuffled(n)
        self.sampler = &self.storage

    def __reduce__(self):
        return Shuffled, (self.n,)


#: From so many rows on an order may be `Streamed`.
STREAMED_MIN_ROWS = FB_BIJECTION_MIN_ROWS


@cython.final
@cython.no_gc_clear
cdef class Streamed(Sampler):
    """Every row once, in the order of a keyed bijection.

    Parameters
    ----------
    n : int
        Rows to draw from: at least STREAMED_MIN_ROWS, and below 2**62.
    simd : str, optional
        The path, of those that this machine has; the order is the same.
    """

    cdef fb_streamed storage

    def __cinit__(self, uint64_t n, simd=None):
        if not FB_BIJECTION_MIN_ROWS <= n < FB_BIJECTION_ROWS_END:
            raise ValueError(f"n must be at least {FB_BIJECTION_MIN_ROWS} and below 2**62, got {n}")
        self.storage = fb_streamed_of(n, <fb_simd>simd_level_of(simd))
        self.sampler = &self.storage.sampler

    def __reduce__(self):
        return Streamed, (self.n,)


@cython.final
@cython.no_gc_clear
cdef class Blocks(Sampler):
    """Every row once, in blocks of neighbours that are mixed a few at a time.

    Parameters
    ----------
    n : int
        Rows to draw from.
    block, window : int
        Rows of a block, blocks that are mixed: at least 1, their product below 2**63.
    """

    cdef fb_blocks storage
    cdef tuple arguments

    def __cinit__(self, uint64_t n, uint64_t block, uint64_t window):
        if block < 1 or window < 1 or <object>block * <object>window >= 2**63:
            raise ValueError(f"block and window must be at least 1, got {block} and {window}")
        self.arguments = (n, block, window)
        self.storage = fb_blocks_of(n, block, window)
        self.sampler = &self.storage.sampler

    def __reduce__(self):
        return Blocks, self.arguments


@cython.final
@cython.no_gc_clear
cdef class Given(Sampler):
    """Given rows in their given order, the same every epoch.

    Parameters
    ----------
    n : int
        Rows of the data.
    rows : uint32 of shape (len,), or uint64 from 2**32 rows on
        Below `n`, as `check_rows` makes them; nobody may write them any more.
    """

    cdef fb_given storage
    cdef tuple arguments

    def __cinit__(self, uint64_t n, cnp.ndarray rows not None):
        check_row_numbers(n, rows, "rows")
        self.arguments = (n, rows)  # kept alive: the storage points into them
        self.storage.sampler.n_rows = n
        self.storage.sampler.length = rows.shape[0]
        self.storage.rows = cnp.PyArray_DATA(rows)
        fb_given_init(&self.storage)
        self.sampler = &self.storage.sampler

    def __reduce__(self):
        return Given, self.arguments


cdef int check_row_numbers(uint64_t n, cnp.ndarray rows, str name) except -1:
    expected = np.uint64 if n >= FB_NARROW_ROWS else np.uint32
    if rows.dtype != expected or not cnp.PyArray_ISCARRAY_RO(rows) or rows.ndim != 1:
        raise ValueError(f"{name} must be a contiguous array of {expected.__name__}, got {rows.dtype}")
    if rows.shape[0] > 0 and np.max(rows) >= n:
        raise ValueError(f"{name} must be below {n}, got {np.max(rows)}")
    return 0


@cython.final
@cython.no_gc_clear
cdef class Subset(Sampler):
    """Some rows of the data, in the order that another sampler gives them.

    Parameters
    ----------
    n : int
        Rows of the data.
    rows : uint32 of shape (inner.n,), or uint64 from 2**32 rows on
        Below `n`; nobody may write them any more.
    inner : Sampler
        Draws from positions in `rows`.
    """

    cdef fb_subset storage
    cdef tuple arguments

    def __cinit__(self, uint64_t n, cnp.ndarray rows not None, Sampler inner not None):
        check_row_numbers(n, rows, "rows")
        if inner.sampler.n_rows != <uint64_t>rows.shape[0]:
            raise ValueError(f"inner draws from {inner.n} rows, there are {rows.shape[0]}")
        self.arguments = (n, rows, inner)  # kept alive: the storage points into them
        self.storage.sampler.n_rows = n
        self.storage.sampler.wide = n >= FB_NARROW_ROWS
        self.storage.inner = inner.sampler
        self.storage.rows = cnp.PyArray_DATA(rows)
        fb_subset_init(&self.storage)
        self.sampler = &self.storage.sampler

    def __reduce__(self):
        return Subset, self.arguments


@cython.final
@cython.no_gc_clear
cdef class Fed(Sampler):
    """Rows that Python hands in while the epoch runs: it begins no order of its own."""

    cdef fb_sampler storage

    def __cinit__(self, uint64_t n):
        self.storage = fb_sequential(n)
        self.storage.consecutive = False
        self.sampler = &self.storage

    def __reduce__(self):
        return Fed, (self.n,)
