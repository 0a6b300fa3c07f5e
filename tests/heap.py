"""An allocator of buffers for tests."""

import ctypes
import math

import numpy as np


class Heap:
    """An allocator that counts, fills with rubbish, and refuses more than `most`."""

    def __init__(self):
        self.live = {}
        self.n_allocated = 0
        self.most = math.inf
        self.misuse = []
        self.allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(self._allocate)
        self.free = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(self._free)

    @property
    def hook(self):
        return (*(ctypes.cast(function, ctypes.c_void_p).value for function in (self.allocate, self.free)), 77)

    def _allocate(self, context, nbytes):
        if nbytes > self.most or context != 77:
            return None
        block = np.full(nbytes + 64, 0xA5, np.uint8)
        address = -(-block.ctypes.data // 64) * 64
        self.live[address] = (block, nbytes)
        self.n_allocated += 1
        return address

    def _free(self, context, address, nbytes):
        block, expected = self.live.pop(address, (None, None))
        if block is None or nbytes != expected or context != 77:
            self.misuse.append((context, address, nbytes))
        else:
            block[:] = 0x5A
