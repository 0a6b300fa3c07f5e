"""Memory that a framework lends to an engine, block by block. See csrc/fb_shelf.hpp."""

cimport cython
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport uintptr_t
from libcpp.vector cimport vector

from fastbatch._native.cpp cimport CppShelf, fb_dl_managed_tensor, shelf_allocate, shelf_free
from fastbatch._native.engine cimport generation


@cython.final
cdef class Shelf:
    """Blocks that one column of an engine takes its buffers from."""

    cdef CppShelf *shelf
    cdef int process  # the generation of processes it was made in

    def __cinit__(self):
        self.process = generation()
        self.shelf = new CppShelf()

    def __dealloc__(self):
        if self.shelf != NULL and self.process == generation():  # in a forked child, its lock may be held for ever
            self.shelf.close()

    @property
    def allocator(self):
        """What an engine takes: the addresses of two functions and of what they work on."""
        return <uintptr_t>&shelf_allocate, <uintptr_t>&shelf_free, <uintptr_t>self.shelf

    def lend(self, uintptr_t address, size_t nbytes):
        """Lay a block down. It must stay valid until `clear` names it or, once recalled, its shell is gone."""
        if address == 0 or address % 64 != 0:
            raise ValueError(f"a block must be aligned to 64 bytes, got address {address:#x}")
        self.shelf.lend(<void *>address, nbytes)

    def recall(self, uintptr_t address):
        """A block that was taken does not come back."""
        self.shelf.recall(<void *>address)

    def clear(self):
        """The addresses of all blocks that nobody has taken, which are no longer here."""
        cdef vector[void *] idle = self.shelf.clear()
        return [<uintptr_t>memory for memory in idle]

    def take_wanted(self):
        """The most bytes that were asked for in vain since the last call, or 0."""
        return self.shelf.take_wanted()


def block_of(capsule):
    """What an engine's DLPack capsule is over.

    Returns
    -------
    address : int
    shape : tuple of int
    """
    cdef fb_dl_managed_tensor *tensor = <fb_dl_managed_tensor *>PyCapsule_GetPointer(capsule, "dltensor")
    return <uintptr_t>tensor.tensor.data, tuple([tensor.tensor.shape[axis] for axis in range(tensor.tensor.ndim)])
