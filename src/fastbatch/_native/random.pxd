from fastbatch._native.c cimport fb_key


# 128 random bits from whatever numpy.random.default_rng takes; a Generator passed in moves on.
cdef fb_key key_from_rng(object rng)

cdef fb_key key_from_words(object words)
