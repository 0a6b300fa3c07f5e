import os

from fastbatch._native.c cimport FB_SIMD_LEVELS, FB_SIMD_LOWEST, fb_simd_supported

NAMES = (FB_SIMD_LOWEST.decode(), "avx2", "avx512")
assert len(NAMES) == FB_SIMD_LEVELS

#: The paths that this machine has.
SUPPORTED = NAMES[:fb_simd_supported() + 1]


cdef int simd_level_of(object name) except -1:
    if name is None:
        return LEVEL
    if name not in SUPPORTED:
        raise ValueError(f"the SIMD path must be one that this machine has, of {', '.join(SUPPORTED)}, got {name!r}")
    return NAMES.index(name)


cdef int level_of_environment() except -1:
    name = os.environ.get("FASTBATCH_SIMD") or SUPPORTED[len(SUPPORTED) - 1]  # empty is unset
    if name not in SUPPORTED:
        raise ValueError("the environment variable FASTBATCH_SIMD must be a SIMD path that this machine has, of "
                         f"{', '.join(SUPPORTED)}, got {name!r}")
    return simd_level_of(name)


cdef int LEVEL = level_of_environment()


def simd_path():
    """The path that kernels take where nothing else is asked for."""
    return NAMES[LEVEL]
