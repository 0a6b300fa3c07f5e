"""For Cython modules of users: the header as Cython sees it, and the capsule that `fastbatch.NativeColumn` takes.

Compile them with ``include_dirs=[fastbatch.get_include()]``.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t, uint64_t


cdef extern from "fastbatch.h" nogil:
    enum:
        FASTBATCH_FILL_VERSION
        FASTBATCH_FILL_MAX_ROWS

    const char *FASTBATCH_FILL_CAPSULE

    ctypedef int64_t (*fastbatch_fill)(const void *state, const int64_t *rows, int64_t n, void *out, uint64_t seed,
                                       uint64_t epoch, uint64_t position) noexcept nogil

    uint64_t fastbatch_random(uint64_t seed, uint64_t position, uint64_t draw)


# The function for Python: what a NativeColumn is given.
cdef inline object fill_capsule(fastbatch_fill fill):
    return PyCapsule_New(<void *>fill, FASTBATCH_FILL_CAPSULE, NULL)
