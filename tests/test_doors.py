"""The native classes check what Python hands them: nothing that is refused here reaches the loops."""

import ctypes

import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native import classes
from fastbatch._native import sampler as native
from fastbatch._native.column import Column, GatherColumn
from fastbatch._native.engine import Engine
from fastbatch._native.structure import LEAF, Structure
from iterating import iterate, open_epoch
from threads import run_threads

COLUMN = GatherColumn(np.arange(4))


def pair(first, second):
    return Engine([first, second], Structure("tuple", (LEAF, LEAF)), [None, None])


def opened(sampler=None, batch_size=2, **options):
    return open_epoch(Engine([COLUMN], LEAF, [None]), sampler or native.Sequential(4), batch_size, **options)


def u32(*values):
    return np.array(values, np.uint32)


def u64(*values):
    return np.array(values, np.uint64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Engine([], Structure("tuple", ()), []), ValueError, "an engine needs 1 to 1024 columns, got 0"),
        (lambda: Engine([Column()], LEAF, [None]), TypeError, "columns must be made of arrays, got <"),
        (lambda: Engine([3], LEAF, [None]), TypeError, "columns must be made of arrays, got 3"),
        (lambda: Engine([COLUMN], Structure("tuple", (LEAF, LEAF)), [None]), ValueError, "has 2 leaves, got 1 columns"),
        (lambda: Engine([COLUMN], LEAF, [None], names="xy"), ValueError, "there are 1 columns, got 2 names"),
        (lambda: pair(COLUMN, GatherColumn(np.arange(5))), ValueError, r"columns differ in length: \[4, 5\]"),
        (lambda: GatherColumn(np.zeros((4, 4))[:, ::2]), ValueError, "each of them contiguous"),
        (lambda: GatherColumn(np.array(3)), ValueError, "source must have rows"),
        (lambda: LEAF.unflatten([]), ValueError, "the structure has 1 leaves, got 0"),
        (lambda: opened(native.Sequential(5)), ValueError, "the sampler draws from 5 rows, the columns have 4"),
        (lambda: opened(batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda: opened().fill(0), ValueError, "no such ticket is out"),
        (lambda: opened().feed(u32(1)), RuntimeError, "the rows of this epoch come from a sampler"),
        (lambda: opened(native.Fed(4), fed=True).at(0), RuntimeError, "fed come in one order only"),
        (lambda: opened().set_batch_size(0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda: native.Given(3, np.arange(3)), ValueError, "rows must be a contiguous array of uint32, got int64"),
        (lambda: native.Given(2, u32(0, 2)), ValueError, "rows must be below 2, got 2"),
        (lambda: classes.Balanced(2, u32(0, 1, 2), u64(0, 3), 3), ValueError, "members must be below 2, got 2"),
        (lambda: classes.Balanced(3, u32(0, 1, 2), u32(0, 3), 3), ValueError, "starts must be a contiguous array"),
        (lambda: classes.Balanced(3, u32(0, 1, 2), u64(0, 2, 2, 3), 3), ValueError, "no class be empty"),
        (lambda: classes.Balanced(3, u32(0, 1, 2), u64(0, 5, 3), 3), ValueError, "starts must rise from 0"),
        (lambda: classes.Balanced(3, u32(0, 1), u64(0, 1, 2), 2, u32(1, 1)), ValueError, "shares must be a contiguous"),
        (lambda: classes.Balanced(3, u32(0, 1), u64(0, 1, 2), 2, u64(1)), ValueError, "got 1 for 2"),
        (lambda: classes.Balanced(3, u32(0, 1), u64(0, 1, 2), 2, u64(1, 0)), ValueError, "two positive ones"),
        (lambda: classes.group_rows(u32(0, 5), 3), ValueError, "codes must be below n_classes = 3, got 5"),
        (lambda: fb.Loader(np.arange(4), 2**48), ValueError, r"batch_size must be below 2\*\*48, got 281474976710656"),
        (lambda: fb.take(np.arange(3), np.ma.masked_array([1])), TypeError, "indices must not be a masked array"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_row_that_is_no_integer_in_a_stream_is_refused_by_name():
    with pytest.raises(TypeError, match="a row number must be an integer, got True"):
        list(fb.Loader(np.arange(4), 2, sampler=(row for row in [True])))


def test_an_iterator_as_sampler_has_one_epoch():
    loader = fb.Loader(np.arange(4), 2, sampler=iter([1, 2]))
    assert [batch.tolist() for batch in loader] == [[1, 2]]
    with pytest.raises(RuntimeError, match="the sampler is an iterator, which has one epoch"):
        next(iter(loader))


def test_data_that_holds_itself_is_refused():
    data = [np.arange(4)]
    data.append(data)
    with pytest.raises(ValueError, match="data may be nested 32 deep: does it hold itself"):
        fb.Loader(data, 2)


class ManagedTensor(ctypes.Structure):
    _fields_ = [
        ("tensor", ctypes.c_byte * 48),
        ("manager", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ]


def consume(capsule):
    """The address of the tensor in a capsule, which from here on must be released by hand."""
    get, rename = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_SetName
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = get(capsule, b"dltensor")
    rename(capsule, USED)
    return address


USED = b"used_dltensor"  # a capsule keeps the pointer


@pytest.mark.parametrize("closed", [False, True])
def test_leases_end_on_several_threads_that_do_not_hold_the_gil(closed):
    engine = Engine([GatherColumn(np.arange(4000))], LEAF, [consume])
    held = list(iterate(open_epoch(engine, native.Sequential(4000), 4)))
    assert engine.buffers() == [(1000, 1000)]
    if closed:
        engine.close()

    def release(addresses):
        for address in addresses:
            ManagedTensor.from_address(address).deleter(address)  # ctypes gives the GIL up around the call

    run_threads(*(lambda mine=held[i::4]: release(mine) for i in range(4)))
    if not closed:
        assert engine.buffers()[0][0] <= 16
