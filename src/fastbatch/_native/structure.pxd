# The shape of a user's data: a tree with arrays as leaves.
cdef class Structure:
    cdef readonly str kind
    cdef int code  # of the kind
    cdef readonly tuple children
    cdef readonly Py_ssize_t n_leaves
    cdef readonly object keys
    cdef readonly object factory

    # The tree over the next leaves, from leaves[at[0]] on; at[0] moves behind them.
    cdef object build(self, tuple leaves, Py_ssize_t *at)
