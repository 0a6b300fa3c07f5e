import numpy as np

cimport cython
cimport numpy as cnp

from fastbatch._native.c cimport (
    FB_NARROW_ROWS, FB_NO_MEMORY, fb_balanced, fb_balanced_init, fb_group_rows, fb_key, fb_poll, fb_sampler,
    fb_sequential, fb_shuffled
)
from fastbatch._native.random cimport key_from_words
from fastbatch._native.signals cimport poll_for, raise_pending

from libc.stdint cimport uint32_t, uint64_t

cnp.import_array()

# Rows an order is asked for between two looks for signals, when all of it is wanted.
cdef enum:
    PIECE_ROWS = 1 << 16


cdef class Sampler:
    """Which rows, in which order: a pure function of (key, epoch)."""

    @property
    def n(self):
        """Rows it draws from."""
        return self.sampler.n_rows

    def __len__(self):
        return self.sampler.length

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
cdef class Sequential(Sampler):
    """Every row once, in the order of the data."""

    cdef fb_sampler storage

    def __cinit__(self, uint64_t n):
        self.storage = fb_sequential(n)
        self.sampler = &self.storage


@cython.final
cdef class Shuffled(Sampler):
    """Every row once, in uniformly random order."""

    cdef fb_sampler storage

    def __cinit__(self, uint64_t n):
        self.storage = fb_shuffled(n)
        self.sampler = &self.storage


@cython.final
cdef class Fed(Sampler):
    """Rows that Python hands in while the epoch runs: it begins no order of its own."""

    cdef fb_sampler storage

    def __cinit__(self, uint64_t n):
        self.storage = fb_sequential(n)
        self.storage.consecutive = False
        self.sampler = &self.storage


@cython.final
cdef class Balanced(Sampler):
    """Classes dealt round-robin, or by integer shares.

    Parameters
    ----------
    members : uint32 or uint64 of shape (n,)
        Rows by class, as `group_rows` makes them; uint64 from 2**32 rows on.
    starts : uint64 of shape (n_classes + 1,)
        Where each class begins in `members`. No class is empty.
    length : int
        Rows of an epoch.
    shares : uint64 of shape (n_classes,), optional
        At least two of them positive, with a sum of at most 2**40, and at most 2**20 classes.
    """

    cdef fb_balanced storage
    cdef object arrays

    def __cinit__(self, cnp.ndarray members not None, const uint64_t[::1] starts not None, uint64_t length,
                  const uint64_t[::1] shares=None):
        if not cnp.PyArray_IS_C_CONTIGUOUS(members) or members.dtype not in (np.uint32, np.uint64):
            raise ValueError("members must be contiguous, of uint32 or uint64")
        self.arrays = (members, starts, shares)  # kept alive: the storage points into them
        self.storage.sampler.n_rows = members.shape[0]
        self.storage.sampler.length = length
        self.storage.n_classes = starts.shape[0] - 1
        self.storage.members = cnp.PyArray_DATA(members)
        self.storage.starts = &starts[0]
        if shares is not None:
            self.storage.shares = &shares[0]
            self.storage.total_share = sum(shares)
        fb_balanced_init(&self.storage)
        self.storage.sampler.wide = members.itemsize == 8  # by the rows they are drawn from, not by how many these are
        self.sampler = &self.storage.sampler


def group_rows(const uint32_t[::1] codes not None, uint32_t n_classes):
    """Sort rows by class, by counting.

    Parameters
    ----------
    codes : uint32 of shape (n,)
        The class of each row, below `n_classes`.

    Returns
    -------
    members : uint32 of shape (n,), or uint64 from 2**32 rows on
        The rows of class 0, of class 1, ...; ascending in each.
    starts : uint64 of shape (n_classes + 1,)
        Where each class begins in `members`.
    """
    cdef uint64_t n = codes.shape[0]
    cdef bint wide = n >= FB_NARROW_ROWS
    cdef cnp.ndarray members = np.empty(n, np.uint64 if wide else np.uint32)
    cdef cnp.ndarray starts = np.empty(n_classes + 1, np.uint64)
    cdef void *members_data = cnp.PyArray_DATA(members)
    cdef uint64_t *starts_data = <uint64_t *>cnp.PyArray_DATA(starts)
    if n > 0:
        if np.max(codes) >= n_classes:
            raise ValueError(f"codes must be below n_classes = {n_classes}, got {np.max(codes)}")
        with nogil:
            fb_group_rows(&codes[0], n, n_classes, wide, starts_data, members_data)
    else:
        starts[:] = 0
    return members, starts
