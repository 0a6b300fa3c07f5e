"""The native layer: Cython and C, importing nothing of the package above it.

===============  ============================================================  =========================
module           what it holds                                                 C beneath it
===============  ============================================================  =========================
``array``        what the kernels ask of arrays
``signals``      letting long calls be interrupted                             ``fb_base``
``simd``         which vector instructions the kernels use                     ``fb_simd``
``random``       a door to keys and draws, for tests                           ``fb_random``
``shuffle``      in-place shuffle                                              ``fb_permutation``
``permutation``  whole permutations                                            ``fb_permutation``
``take``         rows into a buffer; the check of row numbers                  ``fb_gather``, ``fb_index``
``sampler``      which rows, in which order: one class for each kind of order  ``fb_sampler`` and its kinds
``classes``      rows by their classes: in shares, or in groups                ``fb_balanced``, ``fb_perclass``
``weighted``     rows by their weights                                         ``fb_alias``, ``fb_race``
``curriculum``   rows from easy to hard                                        ``fb_curriculum``
``lengths``      rows by their lengths, and batches by their padded size       ``fb_bucketed``
``packing``      sequences that share rows, and columns of them                ``fb_first_fit``
``prioritized``  rows by weights that change while they are drawn              ``fb_prioritized``
``column``       how to write rows into a slot                                 ``fb_column``, ``fb_concat``
``cast``         how to write them as another type                             ``fb_cast``, ``fb_one_hot``
``image``        images, cropped, resized, mirrored and laid out anew          ``fb_image``, ``fb_resized``
``mix``          batches whose rows are mixed with each other                  ``fb_mix``
``moments``      mean, deviation, smallest and largest of columns              ``fb_moments``
``native``       what a function of the user's writes                          ``fb_native``
``runs``         where rows of different lengths lie
``ragged``       rows of different lengths into a slot                         ``fb_ragged``
``resize``       a door to the resampling of images, for tests                 ``fb_resize``, ``fb_taps``
``structure``    batches in the shape of the user's data
``engine``       slots, leases, threads; handing a filled slot over            ``fb_engine``, ``fb_pool``
``batches``      an epoch's tickets, the iterator over its batches             ``fb_cursor``, ``fb_ahead``
``shelf``        memory that a framework lends to slots                        ``fb_shelf``
===============  ============================================================  =========================

The C files know no Python. The engine's are C++17, for its threads, locks and atomics: ``fb_engine`` owns slots and
threads, ``fb_cursor`` the tickets of one epoch (``fb_asking``: for whoever asks for its batches; ``fb_ahead``: what
threads do before anybody asks), ``fb_draw`` the rows that are in no ticket, ``fb_pace`` whether threads fill at all,
``fb_meter`` the counts, ``fb_pool`` buffers and their leases.
"""
