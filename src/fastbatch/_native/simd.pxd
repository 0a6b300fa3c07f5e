"""Which vector instructions the kernels use."""


# The level of fb_simd.h that has a name; for None the one that FASTBATCH_SIMD named when this was imported, or else the
# widest that the CPU has.
cdef int simd_level_of(object name) except -1
