# The shape of a user's data: a tree with arrays as leaves.
cdef class Structure:
    cdef readonly str kind
    cdef int code  # of the kind
    cdef bint is_plain  # it is a tuple, or a namedtuple that its class does nothing to
    cdef readonly tuple children
    cdef readonly Py_ssize_t n_leaves
    cdef readonly object keys
    cdef readonly object factory

    # A tuple for n parts, which are to be set.
    cdef tuple new_tuple(self, Py_ssize_t n)
    # The tree over the next leaves, from leaves[at[0]] on; at[0] moves behind them.
    cdef object build(self, tuple leaves, Py_ssize_t *at)
