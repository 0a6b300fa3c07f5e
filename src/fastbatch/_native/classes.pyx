import numpy as np

cimport cython
cimport numpy as cnp

from fastbatch._native.c cimport (
    FB_NARROW_ROWS, fb_balanced, fb_balanced_init, fb_classes, fb_group_rows, fb_perclass, fb_perclass_init
)
from fastbatch._native.sampler cimport Sampler, check_row_numbers

from libc.stdint cimport uint32_t, uint64_t

cnp.import_array()


@cython.final
@cython.no_gc_clear
cdef class Balanced(Sampler):
    """Classes dealt round-robin, or by integer shares.

    Parameters
    ----------
    n : int
        Rows of the data.
    members : uint32 of shape (n_members,), or uint64 from 2**32 rows on; None: all rows as they stand
        Rows by class, as `group_rows` makes them.
    starts : uint64 of shape (n_classes + 1,)
        Where each class begins in `members`, and their end. No class is empty.
    length : int
        Rows of an epoch.
    shares : uint64 of shape (n_classes,), optional
        At least two of them positive, with a sum of at most 2**40, and at most 2**20 classes. None: round-robin.
    """

    cdef fb_balanced storage
    cdef tuple arguments

    def __cinit__(self, uint64_t n, cnp.ndarray members, cnp.ndarray starts not None, uint64_t length,
                  cnp.ndarray shares=None):
        self.storage.classes = classes_of(n, members, starts)
        self.arguments = (n, members, starts, length, shares)  # kept alive: the storage points into them
        self.storage.sampler.n_rows = n
        self.storage.sampler.length = length
        if shares is not None:
            check_shares(shares, starts.shape[0] - 1)
            self.storage.shares = <const uint64_t *>cnp.PyArray_DATA(shares)
            self.storage.total_share = sum(shares.tolist())
        fb_balanced_init(&self.storage)
        self.sampler = &self.storage.sampler

    def __reduce__(self):
        return Balanced, self.arguments


@cython.final
@cython.no_gc_clear
cdef class PerClass(Sampler):
    """Groups of some rows of each of some classes.

    Parameters
    ----------
    n, members, starts
        As `Balanced` takes them.
    classes, samples : int
        Classes of a group, at most as many as there are, and rows of each: at least 1.
    length : int
        Rows of an epoch.
    """

    cdef fb_perclass storage
    cdef tuple arguments

    def __cinit__(self, uint64_t n, cnp.ndarray members, cnp.ndarray starts not None, uint64_t classes,
                  uint64_t samples, uint64_t length):
        self.storage.classes = classes_of(n, members, starts)
        if not 1 <= classes <= self.storage.classes.n_classes or not 1 <= samples < 1 << 31:
            raise ValueError(f"a group must be of 1 to {self.storage.classes.n_classes} classes and of at least one "
                             f"row of each, got {classes} and {samples}")
        self.arguments = (n, members, starts, classes, samples, length)  # kept alive: the storage points into them
        self.storage.sampler.n_rows = n
        self.storage.sampler.length = length
        self.storage.n_together = classes
        self.storage.rows_of_each = samples
        fb_perclass_init(&self.storage)
        self.sampler = &self.storage.sampler

    def __reduce__(self):
        return PerClass, self.arguments


cdef fb_classes classes_of(uint64_t n, cnp.ndarray members, cnp.ndarray starts) except *:
    cdef fb_classes classes
    cdef uint64_t n_members = n
    if members is not None:
        check_row_numbers(n, members, "members")
        n_members = members.shape[0]
    if starts.dtype != np.uint64 or not cnp.PyArray_ISCARRAY_RO(starts) or starts.ndim != 1 or starts.shape[0] < 2:
        raise ValueError("starts must be a contiguous array of uint64, one more than there are classes")
    if starts[0] != 0 or starts[starts.shape[0] - 1] != n_members or not np.all(np.diff(starts) - 1 < n):
        raise ValueError(f"starts must rise from 0 to the {n_members} members, and no class be empty")
    classes.n_classes = starts.shape[0] - 1
    classes.wide = n >= FB_NARROW_ROWS
    classes.n_members = n_members
    classes.members = NULL
    if members is not None:
        classes.members = cnp.PyArray_DATA(members)
    classes.starts = <const uint64_t *>cnp.PyArray_DATA(starts)
    return classes


cdef int check_shares(cnp.ndarray shares, Py_ssize_t n_classes) except -1:
    if shares.dtype != np.uint64 or not cnp.PyArray_ISCARRAY_RO(shares) or shares.ndim != 1:
        raise ValueError("shares must be a contiguous array of uint64")
    if shares.shape[0] != n_classes or n_classes > 1 << 20:
        raise ValueError(f"shares must be one for each of up to 2**20 classes, got {shares.shape[0]} for {n_classes}")
    if np.count_nonzero(shares) < 2 or sum(shares.tolist()) > 1 << 40:
        raise ValueError("shares must have two positive ones at least, and a sum of at most 2**40")
    return 0


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
