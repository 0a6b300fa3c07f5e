"""Columns of one's own from Numba, Cython and cffi: what docs/native_columns.md says, and what each may do wrong."""

import re
import subprocess
import sys

import cffi
import numba
import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native.random import derive
from fastbatch.seeding import root_key
from own_columns import PAGE, PROGRAMS, TOLD, compile_c, random_bits, run_page
from programs import run_example

SIGNATURE = "int64(voidptr, CPointer(int64), int64, voidptr, uint64, uint64, uint64)"
TYPE = "int64_t(*)(const void *, const int64_t *, int64_t, void *, uint64_t, uint64_t, uint64_t)"
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_programs_of_the_page_run(kind, tmp_path):
    assert run_page(kind, tmp_path) == "as NumPy has it"


def test_the_example_is_the_same_on_any_number_of_threads(tmp_path):
    printed = run_example("own_column.py", tmp_path)
    assert "bytes of recording; its 200,000 windows would be 819,200,000 bytes" in printed
    assert "as NumPy makes them: True" in printed
    assert "the same on 0 and on 2 threads: True" in printed
    assert "written by the user's function fill at 0x" in printed


# ---------------------------------------------------------------------------------------------------------------------
# Numba
# ---------------------------------------------------------------------------------------------------------------------


@numba.njit
def bits_of(seed, position, draw):
    """fastbatch_random, as the page has it."""
    bits = seed + position * GOLDEN
    for i in range(2):
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
        if i == 0:
            bits += (draw + np.uint64(1)) * GOLDEN
    return bits


@numba.cfunc(SIGNATURE)
def random(state, rows, n, out, seed, epoch, position):
    batch = numba.carray(out, (n, 2), np.uint64)
    for i in range(n):
        for j in range(2):
            batch[i, j] = bits_of(seed, position + np.uint64(i), np.uint64(j))
    return n


@pytest.mark.parametrize("threads", [0, 2])
def test_random_bits_in_numba_are_those_of_the_header(threads):
    data = fb.NativeColumn(random, 300, np.uint64, (2,)), np.arange(300)
    loader = fb.Loader(data, 16, shuffle=True, seed=5, threads=threads)
    got = np.concatenate([batch for batch, _ in loader])
    seed, *_ = derive(root_key(5), 0, 13, 0)
    assert got.tolist() == [[random_bits(seed, place, draw) for draw in range(2)] for place in range(300)]


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_in_numba_refuses_a_row(threads):
    @numba.cfunc(SIGNATURE)
    def fails(state, rows, n, out, seed, epoch, position):
        for i in range(n):
            if rows[i] == 30:
                raise ValueError("mine")
        return n

    loader = fb.Loader(fb.NativeColumn(fails, 100, np.float32), 10, threads=threads)
    with pytest.raises(IndexError, match=r"^row 30 cannot be read: data, written by the user's function fails at 0x"):
        list(loader)


RECORD = np.dtype([("a", "i4"), ("b", "f8")], align=True)


@numba.cfunc(
    numba.types.int64(
        *(numba.types.CPointer(numba.from_dtype(RECORD)), numba.types.CPointer(numba.int64), numba.int64),
        *(numba.types.CPointer(numba.float64), numba.uint64, numba.uint64, numba.uint64),
    )
)
def products(state, rows, n, out, seed, epoch, position):
    table = numba.carray(state, (3,))
    for i in range(n):
        out[i] = table[rows[i]].a * table[rows[i]].b
    return n


def test_a_state_of_records_in_numba():
    table = np.array([(1, 2.5), (3, 4.5), (5, 6.5)], RECORD)
    (batch,) = fb.Loader(fb.NativeColumn(products, 3, np.float64, state=table), 3, sampler=[2, 0, 1])
    assert batch.tolist() == [32.5, 2.5, 13.5]


def test_what_numba_has_of_another_type_is_refused():
    @numba.cfunc("int64(int64)")
    def other(n):
        return n

    with pytest.raises(TypeError, match=r"uint64_t\), got integer \(integer\)$"):
        fb.NativeColumn(other, 3, np.int8)
    with pytest.raises(TypeError, match=r"^fill must be a compiled function: one of Numba's cfunc.* got CPUDispat"):
        fb.NativeColumn(bits_of, 3, np.int8)


# ---------------------------------------------------------------------------------------------------------------------
# cffi
# ---------------------------------------------------------------------------------------------------------------------

ECHO = """
#include "fastbatch.h"

int64_t echo(const void *state, const int64_t *rows, int64_t n, void *out, uint64_t seed, uint64_t epoch,
             uint64_t position) {
    struct { int64_t row, n; uint64_t seed, epoch, position; int64_t state; } *told = out;
    for (int64_t i = 0; i < n; ++i) {
        told[i].row = rows[i], told[i].n = n, told[i].seed = seed, told[i].epoch = epoch;
        told[i].position = position + (uint64_t)i;
        told[i].state = *(const int64_t *)state;
    }
    return n;
}

int64_t other(int n) { return n; }
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """ffi and lib of a module."""
    folder = tmp_path_factory.mktemp("cffi")
    builder = cffi.FFI()
    builder.cdef(f"{TYPE.replace('(*)', ' echo')}; int64_t other(int);")
    builder.set_source("echoing", ECHO, include_dirs=[fb.get_include()])
    builder.compile(tmpdir=str(folder))
    sys.path.insert(0, str(folder))
    try:
        import echoing
    finally:
        sys.path.remove(str(folder))
    return echoing.ffi, echoing.lib


def check_echo(column):
    (batch,) = fb.Loader(column, 3, seed=0)
    assert batch["row"].tolist() == [0, 1, 2]
    assert batch["state"].tolist() == [17] * 3


def test_pointers_of_cffi_are_functions_and_states(built):
    ffi, lib = built
    fill, number = ffi.addressof(lib, "echo"), ffi.new("int64_t *", 17)
    for function in (fill, ffi.cast("void *", fill), ffi.cast(TYPE, fill), int(ffi.cast("uintptr_t", fill))):
        for state in (number, ffi.cast("void *", number), ffi.new("int64_t[]", [17, 18])):
            check_echo(fb.NativeColumn(function, 3, TOLD, state=state))


def test_a_library_that_cffi_opens(tmp_path):
    compile_c(tmp_path, ECHO)
    ffi = cffi.FFI()
    ffi.cdef(f"{TYPE.replace('(*)', ' echo')};")
    lib = ffi.dlopen(str(tmp_path / "libown.so"))
    check_echo(fb.NativeColumn(lib.echo, 3, TOLD, state=np.array([17]), keep=lib))


def test_what_cffi_has_of_another_type_is_refused(built):
    ffi, lib = built
    with pytest.raises(TypeError, match=r"cffi \(ffi.addressof\(lib, 'fill'\)\).*, got builtin_function_or_method$"):
        fb.NativeColumn(lib.echo, 3, TOLD)
    with pytest.raises(TypeError, match=r"uint64_t\), got integer \(int\)$"):
        fb.NativeColumn(ffi.addressof(lib, "other"), 3, TOLD)
    with pytest.raises(TypeError, match=r"^fill must be a compiled function, got one of Python's, .* as map$"):
        fb.NativeColumn(ffi.callback(TYPE, lambda *arguments: 0), 3, TOLD)
    with pytest.raises(TypeError, match=r"^fill must point to a function, got a cffi int \*$"):
        fb.NativeColumn(ffi.new("int *"), 3, TOLD)
    with pytest.raises(ValueError, match=r"^fill must not be a null pointer$"):
        fb.NativeColumn(ffi.NULL, 3, TOLD)
    fill = ffi.addressof(lib, "echo")
    with pytest.raises(ValueError, match=r"^state must not be a null pointer$"):
        fb.NativeColumn(fill, 3, TOLD, state=ffi.NULL)
    with pytest.raises(
        TypeError, match=r"^state must be an array, a pointer of cffi, an address or None, got _CDataBase$"
    ):
        fb.NativeColumn(fill, 3, TOLD, state=ffi.cast("int", 5))


# ---------------------------------------------------------------------------------------------------------------------
# Cython
# ---------------------------------------------------------------------------------------------------------------------


def test_cython_refuses_a_function_of_another_type(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    (source,) = re.findall(r"^```cython\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    changed = source.replace("uint64_t epoch,\n                  uint64_t position", "uint64_t epoch")
    assert changed != source
    for text, works in ((source, True), (changed, False)):
        (tmp_path / "pixels.pyx").write_text(text)
        command = [sys.executable, "-m", "cython", "-3", "pixels.pyx"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode == 0) == works
        assert works or "Cannot assign type" in done.stderr
