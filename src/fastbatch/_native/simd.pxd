"""Which vector instructions the kernels use."""


# A level of fb_simd.h: what the CPU has, or what FASTBATCH_SIMD named when this was imported.
cdef int simd_level() noexcept

# The level of that name; the one above for None.
cdef int simd_level_of(object name) except -1
