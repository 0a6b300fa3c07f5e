"""fb.NativeColumn: a column that a function of the user's writes; include/fastbatch.h, and what comes of errors."""

import ctypes
import gc
import os
import pickle
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from fastbatch._native.random import derive
from fastbatch.gathering import Gatherer
from fastbatch.seeding import root_key
from own_columns import (
    COMPILER,
    PROGRAMS,
    SOURCE,
    TOLD,
    TYPES,
    WIDTH,
    address,
    compile_c,
    random_bits,
    run_compiler,
    run_page,
)
from programs import SANITIZED, assert_quiet, forks_with_threads, run_program
from reference import DTYPES

MAX_ROWS = 512

#: The address of a function, as long as nobody calls it.
SOMEWHERE = 4096


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    lib = compile_c(tmp_path_factory.mktemp("own"), SOURCE)
    lib.bits.argtypes, lib.bits.restype = [ctypes.c_uint64] * 3, ctypes.c_uint64
    return lib


def seed_of(seed, epoch):
    return derive(root_key(seed), epoch, 13, 0)[0]


def epoch_of(loader):
    """The rows of an epoch's batches, one behind the other."""
    return np.concatenate([np.empty(0, TOLD), *loader])


# ---------------------------------------------------------------------------------------------------------------------
# What the function is told
# ---------------------------------------------------------------------------------------------------------------------


@given(
    n=st.integers(0, 1500), batch_size=st.integers(1, 1300), threads=st.sampled_from([0, 2]), seed=st.integers(0, 2**70)
)
def test_it_is_told_rows_and_places_and_the_seed_of_the_epoch(lib, n, batch_size, threads, seed):
    loader = fb.Loader(fb.NativeColumn(lib.echo, n, TOLD), batch_size, shuffle=True, seed=seed, threads=threads)
    for epoch in range(2):
        batches = list(loader)
        assert [len(batch) for batch in batches] == [min(batch_size, n - at) for at in range(0, n, batch_size)]
        got = np.concatenate([np.empty(0, TOLD), *batches])
        assert np.array_equal(got["row"], fb.Shuffle(n).order(seed, epoch))
        assert np.array_equal(got["position"], np.arange(n))
        assert (got["seed"] == seed_of(seed, epoch)).all()
        assert (got["epoch"] == epoch).all()
        assert (got["state"] == -1).all()
        for batch in batches:
            asked = [MAX_ROWS] * (len(batch) // MAX_ROWS) + [len(batch) % MAX_ROWS]
            assert batch["n"].tolist() == [n for n in asked for _ in range(n)]


def test_rows_beyond_32_bits(lib):
    n = 2**40
    rows = [2**40 - 1, 0, 2**32, 2**33 + 5, 7]
    loader = fb.Loader(fb.NativeColumn(lib.echo, n, TOLD), 2, sampler=rows, rows=True)
    batches = list(loader)
    assert [batch["row"].tolist() for batch, _ in batches] == [rows[:2], rows[2:4], rows[4:]]
    assert all(np.array_equal(batch["row"], numbers) for batch, numbers in batches)
    assert next(iter(fb.Loader(fb.NativeColumn(lib.echo, 2**63 - 1, TOLD), 3)))["row"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("uneven", ["wrap", "exact"])
def test_ranks_are_told_places_in_the_order_of_all(lib, uneven):
    n, size, world = 1003, 30, 4
    column, options = fb.NativeColumn(lib.echo, n, TOLD), {"shuffle": True, "seed": 5, "uneven": uneven}
    parts = [epoch_of(fb.Loader(column, size, rank=rank, world_size=world, **options)) for rank in range(world)]
    got = np.sort(np.concatenate(parts), order="position")
    order = fb.Shuffle(n).order(5, 0)
    assert np.array_equal(got["position"], np.arange(len(got)))
    assert len(got) == (1004 if uneven == "wrap" else 1003)
    assert np.array_equal(got["row"], np.resize(order, len(got)))
    assert (got["seed"] == seed_of(5, 0)).all()


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("at", [0, 1, 9])
def test_a_run_that_is_taken_up_again_is_told_the_same(lib, threads, at):
    def make():
        return fb.Loader(fb.NativeColumn(lib.echo, 500, TOLD), 20, shuffle=True, seed=1, threads=threads)

    whole, loader = list(make()), make()
    batches = iter(loader)
    for _ in range(at):
        next(batches)
    other = make()
    other.load_state_dict(loader.state_dict())
    rest = list(other)
    assert len(rest) == len(whole) - at
    assert all(map(np.array_equal, rest, whole[at:]))
    assert np.array_equal(loader.batch(0, 9), whole[9])


@given(seed=st.integers(0, 2**64 - 1), position=st.integers(0, 2**64 - 1), draw=st.integers(0, 2**64 - 1))
def test_random_bits_are_those_of_the_twin(lib, seed, position, draw):
    assert lib.bits(seed, position, draw) == random_bits(seed, position, draw)


def test_random_bits_are_uniform_and_independent():
    n = 20_000
    bits = np.array([[random_bits(3, place, draw) for draw in range(2)] for place in range(n)], np.uint64)
    each = (bits[:, :, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    deviations = (each.mean(axis=0) - 0.5) * 2 * np.sqrt(n)
    assert np.abs(deviations).max() < 10  # p around 1e-20, for 128 bits
    signs = each.reshape(n, -1) * 2.0 - 1
    products = signs.T @ signs / np.sqrt(n)
    assert np.abs(products[~np.eye(128, dtype=bool)]).max() < 11
    following = signs[1:].T @ signs[:-1] / np.sqrt(n - 1)
    assert np.abs(following).max() < 11


# ---------------------------------------------------------------------------------------------------------------------
# What it writes
# ---------------------------------------------------------------------------------------------------------------------


def noisy_oracle(table, rows, seed, first):
    bits = [[random_bits(seed, first + i, j) & 1 for j in range(3)] for i in range(len(rows))]
    return 2 * table[rows] + np.array(bits, np.int32).reshape(-1, 3)


@given(
    n=st.integers(1, 400), batch_size=st.integers(1, 90), seed=st.integers(0, 2**40), threads=st.sampled_from([0, 3])
)
def test_random_numbers_are_the_same_for_any_number_of_threads(lib, n, batch_size, seed, threads):
    table = np.random.default_rng(0).integers(0, 1000, (n, 3), np.int32)
    column = fb.NativeColumn(lib.noisy, n, np.int32, (3,), state=table)
    loader = fb.Loader((column, table), batch_size, shuffle=True, seed=seed, rows=True, threads=threads)
    for epoch in range(2):
        first = 0
        for batch, rows_of_table, rows in loader:
            assert np.array_equal(rows_of_table, table[rows])
            assert np.array_equal(batch, noisy_oracle(table, rows, seed_of(seed, epoch), first))
            first += len(rows)


@pytest.mark.parametrize("threads", [0, 2])
def test_batches_filled_in_parts_by_several_threads(lib, threads):
    n = 20_000
    loader = fb.Loader(
        fb.NativeColumn(lib.wide, n, np.int64, (WIDTH,)), 9000, shuffle=True, seed=2, rows=True, threads=threads
    )
    for batch, rows in loader:
        assert np.array_equal(batch, np.repeat(rows[:, None], WIDTH, axis=1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rows_of_any_dtype(lib, dtype):
    column = fb.NativeColumn(lib.zeros, 5, dtype, (2, 3), state=np.array([6 * dtype.itemsize]))
    (batch,) = fb.Loader(column, 5)
    assert batch.dtype == dtype
    assert batch.shape == (5, 2, 3)
    assert batch.tobytes() == bytes(batch.nbytes)


def test_rows_of_bfloat16(lib):
    torch = pytest.importorskip("torch")
    for dtype in ("bfloat16", torch.bfloat16):
        column = fb.NativeColumn(lib.zeros, 5, dtype, (3,), state=np.array([6]))
        (batch,) = fb.Loader(column, 5, output="torch")
        assert torch.equal(batch, torch.zeros(5, 3, dtype=torch.bfloat16))
        ml_dtypes = pytest.importorskip("ml_dtypes")
        for held in (column, fb.NativeColumn(lib.zeros, 5, ml_dtypes.bfloat16, (3,), state=np.array([6]))):
            (batch,) = fb.Loader(held, 5)
            assert batch.dtype == ml_dtypes.bfloat16
            assert batch.tobytes() == bytes(30)
            (batch,) = fb.Loader(held, 5, output="torch")
            assert batch.dtype == torch.bfloat16


def test_rows_of_no_bytes(lib):
    (batch,) = fb.Loader(fb.NativeColumn(lib.zeros, 5, np.float32, (0, 3), state=np.array([0])), 5)
    assert batch.shape == (5, 0, 3)


def test_it_stands_in_a_structure_and_goes_to_torch(lib):
    torch = pytest.importorskip("torch")
    data = {"own": fb.NativeColumn(lib.wide, 200, np.int64, (WIDTH,)), "its": [np.arange(200)]}
    for batch in fb.Loader(data, 16, shuffle=True, seed=0, output="torch"):
        assert isinstance(batch["own"], torch.Tensor)
        assert torch.equal(batch["own"], batch["its"][0][:, None].expand(-1, WIDTH))


def test_samplers_of_every_kind(lib):
    table = np.random.default_rng(0).integers(0, 100, 300).astype(np.int8)
    column = fb.NativeColumn(lib.copies, 300, np.int8, state=table)
    labels = np.arange(300) % 3
    for sampler in (fb.Subset([5, 7, 299]), fb.Balanced(labels), fb.Weighted(labels + 1), iter([3, -1, 5])):
        for batch, rows, *_ in fb.Loader(column, 9, sampler=sampler, seed=0, rows=True):
            assert np.array_equal(batch, table[rows])
    batches = list(fb.Loader(column, batch_sampler=[[1, 2], [-3]]))
    assert [batch.tolist() for batch in batches] == [table[[1, 2]].tolist(), table[[-3]].tolist()]
    assert Gatherer(column).batch([9, -1, 9]).tolist() == table[[9, -1, 9]].tolist()


# ---------------------------------------------------------------------------------------------------------------------
# The state, and what is kept alive
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 2])
def test_the_state_may_change_between_epochs(lib, threads):
    state = np.array([0])
    loader = fb.Loader(fb.NativeColumn(lib.echo, 300, TOLD, state=state), 20, seed=0, threads=threads, prefetch=4)
    for epoch in range(20):
        state[0] = 1000 + epoch
        n = 0
        for batch in loader:
            assert (batch["state"] == 1000 + epoch).all()
            n += len(batch)
            for _ in range(50):  # threads come as far as they may
                loader.stats()
        assert n == 300


def test_states_that_are_addresses(lib):
    number = np.array([5])
    for state in (number, number.ctypes.data, np.array(5), number[:1], np.ma.getdata(number)):
        column = fb.NativeColumn(lib.echo, 4, TOLD, state=state, keep=number)
        assert next(iter(fb.Loader(column, 4)))["state"].tolist() == [5] * 4


def test_what_it_needs_lives_as_long_as_it(lib):
    class Kept:
        pass

    kept, fill, state = Kept(), ctypes.CFUNCTYPE(*TYPES)(address(lib.echo)), np.array([7])
    alive = [weakref.ref(kept), weakref.ref(fill), weakref.ref(state)]
    batches = iter(fb.Loader(fb.NativeColumn(fill, 40, TOLD, state=state, keep=kept), 4, threads=1))
    del kept, fill, state
    gc.collect()
    assert next(batches)["state"].tolist() == [7] * 4
    assert all(reference() is not None for reference in alive)
    del batches
    gc.collect()
    assert all(reference() is None for reference in alive)


def test_a_state_in_a_truncated_file_is_refused(lib, tmp_path):
    np.save(tmp_path / "table.npy", np.arange(100_000, dtype=np.int8) % 7)
    table = np.load(tmp_path / "table.npy", mmap_mode="r")
    loader = fb.Loader({"own": fb.NativeColumn(lib.copies, len(table), np.int8, state=table)}, 100)
    assert next(iter(loader))["own"].tolist() == table[:100].tolist()
    with open(tmp_path / "table.npy", "r+b") as file:
        file.truncate(500)
    with pytest.raises(OSError, match=r"data\['own'\] needs the first 100,128 bytes"):
        next(iter(loader))


# ---------------------------------------------------------------------------------------------------------------------
# Rows that it refuses
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 64, 700, 5000])
def test_a_row_that_is_refused_is_named_and_the_loader_stays_usable(lib, threads, batch_size):
    n, bad = 5000, 1234
    flags = np.zeros(n, np.int8)
    flags[bad] = 1
    column = fb.NativeColumn(lib.wide, n, np.int64, (WIDTH,), state=flags)
    data = (np.arange(n), column)
    loader = fb.Loader(data, batch_size, shuffle=True, seed=4, threads=threads, prefetch=3 if threads else None)
    order = fb.Shuffle(n).order(4, 0)
    place = order.tolist().index(bad)
    got, batches = [], iter(loader)
    where = f"written by the user's function wide at {address(lib.wide):#x}"
    with pytest.raises(IndexError, match=rf"^row 1234 cannot be read: data\[1\], {where}, refused it$"):
        got.extend(batch for batch, _ in batches)
    assert next(batches, None) is None
    assert loader.state_dict()["position"] == place // batch_size * batch_size == sum(map(len, got))
    flags[bad] = 0
    loader.load_state_dict(loader.state_dict())
    got += [batch for batch, _ in loader]
    assert np.array_equal(np.concatenate(got), order)


@pytest.mark.parametrize("threads", [0, 3])
def test_of_several_rows_the_first_of_the_batch_is_named_whoever_filled_which(lib, threads):
    n = 30_000
    order = fb.Shuffle(n).order(0, 0)
    for first, others in ((7, [5000, 9000, 29_999]), (9999, [10_000, 10_001]), (513, [514, 20_000])):
        flags = np.zeros(n, np.int8)
        flags[order[[first, *others]]] = 1
        column = fb.NativeColumn(lib.wide, n, np.int64, (WIDTH,), state=flags)
        loader = fb.Loader(column, 10_000, shuffle=True, seed=0, threads=threads, prefetch=3 if threads else None)
        for _ in range(5):
            loader.set_epoch(0)
            with pytest.raises(IndexError, match=rf"^row {order[first]} cannot be read: data"):
                list(loader)


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("answer", [0, -1, 9, -(2**63), 2**62])
def test_any_other_answer_refuses_the_first_row(lib, threads, answer):
    column = fb.NativeColumn(lib.says, 64, np.int64, state=np.array([answer]), name="mine")
    loader = fb.Loader(column, 8, sampler=np.arange(64)[::-1], threads=threads)
    with pytest.raises(IndexError, match=r"^row 63 cannot be read: data, written by the user's function mine at "):
        next(iter(loader))


def test_an_answer_below_n_refuses_the_row_at_that_place(lib):
    column = fb.NativeColumn(lib.says, 64, np.int64, state=np.array([5]))
    with pytest.raises(IndexError, match=r"^row 5 cannot be read"):
        next(iter(fb.Loader(column, 8)))


def test_a_batch_by_number_is_refused_too(lib):
    flags = np.zeros(100, np.int8)
    flags[50] = 1
    loader = fb.Loader(fb.NativeColumn(lib.wide, 100, np.int64, (WIDTH,), state=flags), 10)
    assert loader.batch(0, 4)[0, 0] == 40
    with pytest.raises(IndexError, match=r"^row 50 cannot be read: data"):
        loader.batch(0, 5)
    assert loader.batch(0, 6)[0, 0] == 60


# ---------------------------------------------------------------------------------------------------------------------
# Other processes
# ---------------------------------------------------------------------------------------------------------------------


class Anew(fb.NativeColumn):
    def __init__(self, path, n):
        self.path = path
        super().__init__(ctypes.CDLL(path).echo, n, TOLD)

    def __reduce__(self):
        return Anew, (self.path, self.n_rows)


def test_it_is_pickled_only_by_those_who_say_how(lib):
    column = fb.NativeColumn(SOMEWHERE, 50, TOLD)
    for data in (column, fb.Loader((column,), 10)):
        with pytest.raises(TypeError, match=r"^a NativeColumn cannot be pickled, because the address"):
            pickle.dumps(data)
    loader = fb.Loader(Anew(lib._name, 50), 10, shuffle=True, seed=0)
    again = pickle.loads(pickle.dumps(loader))
    assert np.array_equal(epoch_of(again), epoch_of(loader))


FORKED = """
import ctypes, os, sys
import fastbatch as fb
sys.path.append(sys.argv[1])
from own_columns import TOLD

fill = ctypes.CDLL(sys.argv[2]).echo
loader = fb.Loader(fb.NativeColumn(fill, 100, TOLD), 10, threads=1, shuffle=True, seed=0)
batches = iter(loader)
first = next(batches)["row"].tolist()
child = os.fork()
rest = [row for batch in loader for row in batch["row"].tolist()] if child == 0 else []
if child == 0:
    loader.close()
    os._exit(0 if sorted(first + rest) == list(range(100)) else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@forks_with_threads
def test_a_forked_child_calls_it_too(lib):
    assert_quiet(run_program(FORKED, Path(__file__).parent, lib._name))


# ---------------------------------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------------------------------


def capsule(function, name=None):
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return make(function, name, None)


NAME = b"fastbatch.fill.1"  # a capsule keeps the pointer
OTHER_NAME = b"fastbatch.fill.2"


def test_a_function_may_be_an_address_or_in_a_capsule(lib):
    for fill in (address(lib.echo), capsule(address(lib.echo), NAME), ctypes.CFUNCTYPE(*TYPES)(address(lib.echo))):
        column = fb.NativeColumn(fill, 5, TOLD)
        assert next(iter(fb.Loader(column, 5)))["row"].tolist() == [0, 1, 2, 3, 4]


SEVEN = r"^fill must be of type int64_t \(const void \*, .*, uint64_t, uint64_t, uint64_t\)"


def declared(*types, address=SOMEWHERE):
    return ctypes.CFUNCTYPE(*types)(address)


def in_python(*arguments):
    return 0


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"fill": in_python}, TypeError, "^fill must be a compiled function: .*, got function$"),
        ({"fill": ctypes.CFUNCTYPE(*TYPES)(in_python)}, TypeError, "^fill must be a compiled function, got one of Pyt"),
        ({"fill": None}, TypeError, "^fill must be a compiled function: .*, got NoneType$"),
        ({"fill": True}, TypeError, "^fill must be a compiled function: .*, got bool$"),
        ({"fill": 0}, ValueError, "^fill must not be a null pointer$"),
        ({"fill": declared(*TYPES, address=0)}, ValueError, "^fill must not be a null pointer$"),
        ({"fill": -8}, ValueError, "^fill must be an address of 64 bits, got -8$"),
        ({"fill": 2**64}, ValueError, "^fill must be an address of 64 bits, got 18446744073709551616$"),
        ({"fill": capsule(SOMEWHERE, OTHER_NAME)}, TypeError, "named 'fastbatch.fill.1', got 'fastbatch.fill.2'$"),
        ({"fill": capsule(SOMEWHERE)}, TypeError, "named 'fastbatch.fill.1', got None$"),
        ({"fill": declared(*TYPES[:-1])}, TypeError, SEVEN + ", got integer .pointer, pointer, integer, pointer, inte"),
        ({"fill": declared(ctypes.c_int, *TYPES[1:])}, TypeError, SEVEN + r", got c_int \(pointer, "),
        ({"fill": declared(*TYPES[:-1], ctypes.c_double)}, TypeError, SEVEN + r".*, c_double\)$"),
        ({"fill": declared(None)}, TypeError, SEVEN + r", got None \(\)$"),
        ({"n_rows": -1}, ValueError, r"^n_rows must be at least 0 and below 2\*\*63, got -1$"),
        ({"n_rows": 2**63}, ValueError, r"^n_rows must be at least 0 and below 2\*\*63, got 9223372036854775808$"),
        ({"n_rows": 1.5}, TypeError, "integer"),
        ({"dtype": object}, TypeError, "^dtype must be of items of fixed size held in the array, got object$"),
        ({"dtype": [("a", "O")]}, TypeError, "^dtype must be of items of fixed size held in the array, got "),
        ({"dtype": "(3,)f4"}, TypeError, "^dtype must be that of an element, with row_shape for the shape, got "),
        ({"dtype": "nothing"}, TypeError, "nothing"),
        ({"row_shape": 3}, TypeError, r"^row_shape must be a tuple of int, got 3$"),
        ({"row_shape": (1.5,)}, TypeError, "integer"),
        ({"row_shape": (3, -1)}, ValueError, r"^row_shape must not be negative, got \(3, -1\)$"),
        ({"row_shape": (1,) * 32}, ValueError, "^row_shape must have at most 31 axes, got 32$"),
        ({"row_shape": (2**24, 2**24)}, ValueError, r"^a row must be smaller than 2\*\*48 bytes, got 1351"),
        ({"state": 0}, ValueError, "^state must not be a null pointer$"),
        ({"state": "text"}, TypeError, "^state must be an array, a pointer of cffi, an address or None, got str$"),
        ({"state": True}, TypeError, "^state must be an array, .* got bool$"),
        ({"state": np.array([None])}, TypeError, "^state must have items of fixed size held in the array"),
        ({"state": np.ma.masked_array([1])}, TypeError, "^state must not be a masked array"),
        ({"state": np.arange(9)[::2]}, ValueError, r"^state must be C-contiguous, got strides \(16,\)$"),
        ({"name": 3}, TypeError, "name"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, said):
    arguments = {"fill": SOMEWHERE, "n_rows": 5, "dtype": TOLD, "row_shape": (), **change}
    with pytest.raises(error, match=said):
        fb.NativeColumn(**arguments)


def test_lengths_are_compared_with_those_of_others():
    with pytest.raises(ValueError, match=r"columns differ in length: data\[0\] has 5 rows, data\[1\] has 6"):
        fb.Loader((fb.NativeColumn(SOMEWHERE, 5, TOLD), np.zeros(6)), 2)


def test_it_is_no_part_of_a_concatenation():
    with pytest.raises(TypeError, match="array 1 of concat must be an array, got NativeColumn"):
        fb.Loader(fb.concat([np.zeros(3, TOLD), fb.NativeColumn(SOMEWHERE, 5, TOLD)]), 2)


def test_it_is_not_transformed():
    data = (fb.NativeColumn(SOMEWHERE, 5, np.uint8), np.zeros(5, np.uint8))
    with pytest.raises(TypeError, match=r"^data\[0\] must be an array to be transformed, got a NativeColumn: "):
        fb.Loader(data, 2, transforms=[fb.Cast("float32"), None])
    (batch,) = fb.Loader(data[1:], 5, transforms=[fb.Cast("float32")])
    assert batch[0].dtype == np.float32


def test_it_says_what_it_is(lib):
    column = fb.NativeColumn(lib.wide, 50, np.int64, (WIDTH,))
    where = f"written by the user's function wide at {address(lib.wide):#x}"
    assert repr(column) == f"NativeColumn of 50 rows of int64 (128,), {where}"
    assert (len(column), column.n_rows, column.dtype, column.row_shape) == (50, 50, np.int64, (WIDTH,))
    assert (column.fill, column.state, column.keep) == (lib.wide, None, None)
    said = fb.Loader({"own": column}, 10).explain()
    assert f"data['own']: {where}, int64 (128,), 1,024 bytes per row, 10,240 per batch, handed over as NumPy" in said
    assert "mapped file" not in said
    named = fb.NativeColumn(address(lib.wide), 50, np.int64, (WIDTH,), name="rows")
    assert f"written by the user's function rows at {address(lib.wide):#x}" in repr(named)
    assert f"user's function at {address(lib.wide):#x}" in repr(fb.NativeColumn(address(lib.wide), 50, np.int64))


# ---------------------------------------------------------------------------------------------------------------------
# The header
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(COMPILER is None or os.name != "posix", reason="needs a C compiler")
@pytest.mark.parametrize("language", [("c", "c99"), ("c", "c11"), ("c++", "c++11"), ("c++", "c++17")])
def test_the_header_needs_nothing_else(language, tmp_path):
    (tmp_path / "own.c").write_text('#include "fastbatch.h"\n#include "fastbatch.h"\nextern fastbatch_fill f;\n')
    command = [COMPILER, "-x", language[0], f"-std={language[1]}", "-pedantic", "-Wall", "-Wextra", "-Wconversion"]
    run_compiler([*command, "-Werror", "-fsyntax-only", "-I", fb.get_include(), tmp_path / "own.c"])


def test_the_header_is_installed_and_of_the_version_that_capsules_name():
    header = (Path(fb.get_include()) / "fastbatch.h").read_text()
    version = re.search(r"#define FASTBATCH_FILL_VERSION (\d+)", header)[1]
    assert f'#define FASTBATCH_FILL_CAPSULE "fastbatch.fill.{version}"' in header
    assert f"#define FASTBATCH_FILL_MAX_ROWS {MAX_ROWS}" in header
    assert (Path(fb.__file__).parent / "__init__.pxd").is_file()


# ---------------------------------------------------------------------------------------------------------------------
# One of each kind, as docs/native_columns.md has them. tests/integration runs them where none may be skipped.
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(SANITIZED, reason="compilers are not to be run under a sanitizer")
@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_programs_of_the_page_run(kind, tmp_path):
    if COMPILER is None and kind != "numba":
        pytest.skip("needs a C compiler")
    for package in PROGRAMS[kind]:
        pytest.importorskip(package)
    assert run_page(kind, tmp_path) == "as NumPy has it"
