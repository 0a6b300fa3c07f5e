"""Builds roofline.c with the system's C compiler and makes it callable."""

import ctypes
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

COMPILER = os.environ.get("CC", "cc")
# The flags of an ordinary wheel: -march=native is no faster for these loops, and slower for rows of 64 bytes.
FLAGS = ("-O3", "-std=c11", "-shared", "-fPIC", "-pthread")
LINE_NBYTES = 64

Keep = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


@cache
def library():
    """The compiled roofline.c. It is built anew in each process: that takes 0.2 s and is never stale."""
    source = Path(__file__).with_name("roofline.c")
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "roofline.so"
        subprocess.run([COMPILER, *FLAGS, str(source), "-o", str(built)], check=True)
        lib = ctypes.CDLL(str(built))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    lib.roofline_gather.argtypes = [
        pointer, size, pointer, pointer, size, size, size, ctypes.c_int, Keep, pointer, pointer,
    ]  # fmt: skip
    lib.roofline_gather_threads.argtypes = [
        pointer, size, pointer, pointer, size, size, size, size, ctypes.c_int, Keep, pointer, pointer,
    ]  # fmt: skip
    lib.roofline_memcpy.argtypes = [pointer, size, size, pointer]
    lib.roofline_memcpy.restype = None
    return lib


def aligned(shape, dtype):
    """An array of ones that begins at a cache line. Ones, so that its pages exist before anything is timed."""
    dtype = np.dtype(dtype)
    nbytes = int(np.prod(shape)) * dtype.itemsize
    raw = np.ones(nbytes + LINE_NBYTES, np.uint8)
    start = -raw.ctypes.data % LINE_NBYTES
    return raw[start : start + nbytes].view(dtype).reshape(shape)


def address(array):
    return None if array is None else array.ctypes.data


def gather(x, y, order, out_x, out_y, *, in_l2, n_threads=1, keep=None):
    """Rows `order` (uint32) of `x` and of `y` (or None), a batch at a time, into the slots of `out_x` and `out_y`.

    out_x has the shape (slots, batch, ...), out_y (slots, batch). `keep(x_batch, y_batch)` is called after each batch,
    for checks only: it has to copy what it wants to keep. Several threads share the slots out evenly among them, and
    the batches come in any order.
    """
    n_slots, batch = out_x.shape[:2]
    row_nbytes = x.strides[0]

    def seen(x_address, _y_address, n):
        slot = (x_address - address(out_x)) // (batch * row_nbytes)
        keep(out_x[slot, :n], None if y is None else out_y[slot, :n])

    what = (address(x), row_nbytes, address(y), address(order), len(order), batch)
    where = (in_l2, Keep(seen) if keep else Keep(), address(out_x), address(out_y))
    if n_threads == 1:
        status = library().roofline_gather(*what, n_slots, *where)
    else:
        status = library().roofline_gather_threads(*what, n_slots // n_threads, n_threads, *where)
    if status == -2:
        raise RuntimeError(f"no {n_threads} threads to be had")
    if status:
        raise ValueError(f"roofline.c has no loop for rows of {row_nbytes} bytes")


def copy(x, out):
    """All of `x`, piece by piece of the size of `out`, into `out`."""
    library().roofline_memcpy(address(x), x.nbytes, out.nbytes, address(out))
