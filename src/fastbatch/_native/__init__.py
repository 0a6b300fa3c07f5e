"""The native layer: Cython and C, importing nothing of the package above it.

===============  ============================================================  =========================
module           what it holds                                                 C beneath it
===============  ============================================================  =========================
``array``        what the kernels ask of arrays
``signals``      letting long calls be interrupted                             ``fb_base``
``random``       a door to keys and draws, for tests                           ``fb_random``
``shuffle``      in-place shuffle                                              ``fb_permutation``
``permutation``  whole permutations                                            ``fb_permutation``
``take``         rows into a buffer; the check of row numbers                  ``fb_gather``, ``fb_index``
``sampler``      which rows, in which order: one class for each kind of order  ``fb_sampler`` and its kinds
``column``       how to write rows into a slot                                 ``fb_column``, ``fb_gather``
``structure``    batches in the shape of the user's data
``engine``       tickets, slots, leases, the iterator                          ``fb_pool``, ``fb_cursor``
===============  ============================================================  =========================

The C files know no Python; ``fb_pool`` and ``fb_cursor`` are C++17, for its threads, locks and atomics.
"""
