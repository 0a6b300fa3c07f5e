"""Mapped files: what lies beneath an array, how much of it the array needs, and whether it is still there.

No test reads a map after its file was truncated: that would kill the process.
"""

import dataclasses
import mmap
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import fastbatch.mapped_files
from fastbatch.columns import make_columns
from fastbatch.mapped_files import MappedFile, address_range, file_beneath, is_file_backed, mapped_file

SIZE = 5 * mmap.ALLOCATIONGRANULARITY + 300
HEADER = 100  # no multiple of a page, so that maps begin inside one

needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells where a map begins")
needs_truncation = pytest.mark.skipif(os.name == "nt", reason="Windows refuses to truncate mapped files")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file that no test changes."""
    return written(tmp_path_factory.mktemp("mapped") / "x.bin")


@pytest.fixture
def victim(tmp_path):
    """A file to truncate."""
    return written(tmp_path / "victim.bin")


def written(path):
    path.write_bytes(np.random.default_rng(0).bytes(SIZE))
    return path


def bare(path, length=0, offset=0, access=mmap.ACCESS_READ):
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), length, access=access, offset=offset)


# ---------------------------------------------------------------------------------------------------------------------
# How much of the file an array needs
# ---------------------------------------------------------------------------------------------------------------------


def byte_addresses(array):
    """The slow way: the address of every byte of every element."""
    first = array.__array_interface__["data"][0]
    for index in np.ndindex(array.shape):
        start = first + sum(i * stride for i, stride in zip(index, array.strides, strict=True))
        yield from range(start, start + array.itemsize)


@pytest.mark.parametrize(
    ("view", "needed"),
    [
        (lambda x: x, 8000),
        (lambda x: x[:10], 800),
        (lambda x: x[90:95], 7600),
        (lambda x: x[::-1], 8000),
        (lambda x: x[9::-3], 800),
        (lambda x: x[:, 2], 7932),
        (lambda x: x[:1, ::-1], 80),
        (lambda x: x[0, 0, ...], 4),
        (lambda x: x.T, 8000),
        (lambda x: x[:5].reshape(-1, 10), 400),
        (lambda x: x[:5].view(np.uint8)[:, 3:6], 326),
        (lambda x: x[:5].view([("a", "f4"), ("b", "u1", 12), ("c", "f4")])["b"], 396),
        (lambda x: np.asarray(x)[3:4], 320),
        (lambda x: x[3:4].view(np.ndarray).view(np.memmap), 320),
        (lambda x: sliding_window_view(x[:9, 0], 3), 644),
        (lambda x: as_strided(x[7:], (2, 3), (0, 4)), 572),
        (lambda x: np.broadcast_to(x[3], (50, 20)), 320),
        (lambda x: np.asarray(memoryview(x)[:6]), 480),
        (lambda x: np.frombuffer(memoryview(x).cast("B")[8:88], np.uint16), 88),
    ],
)
@pytest.mark.parametrize("offset", [0, HEADER, mmap.ALLOCATIONGRANULARITY, 2 * mmap.ALLOCATIONGRANULARITY + 1])
def test_views_need_the_file_up_to_their_highest_byte(path, view, needed, offset):
    array = view(np.memmap(path, "f4", "r", offset=offset, shape=(100, 20)))
    found = mapped_file(array)
    assert (found.path, found.needed) == (str(path), offset + needed)
    assert isinstance(file_beneath(array), np.memmap)
    assert is_file_backed(array)
    found.check("x")


def test_files_in_fortran_order_are_measured_in_theirs(path):
    mapped = np.memmap(path, "f4", "r", offset=HEADER, shape=(100, 20), order="F")
    assert mapped_file(mapped[:, :2][::-1]).needed == HEADER + 800
    assert mapped_file(mapped[:10]).needed == HEADER + 7640


def test_the_range_of_a_reversed_view_is_that_of_the_view():
    array = np.zeros((4, 6), "i2")
    low, high = address_range(array)
    assert high - low == 48
    assert address_range(array[::-1]) == address_range(array[:, ::-1]) == address_range(array[::-1].T) == (low, high)
    assert address_range(array[2:0:-1, 4]) == (low + 20, low + 34)


# Each makes a view of an array, or leaves it alone where it cannot.
STEPS = {
    "rows": lambda x, i, j: x[i : i + abs(j) + 1] if x.ndim else x,
    "backwards": lambda x, i, j: x[:: -1 - abs(i)] if x.ndim else x,
    "columns": lambda x, i, j: x[..., i : j or None] if x.ndim else x,
    "step": lambda x, i, j: x[..., abs(i) :: j or 1] if x.ndim else x,
    "one": lambda x, i, j: x[i % len(x), ...] if x.ndim and len(x) else x,
    "transposed": lambda x, i, j: x.T,
    "flat": lambda x, i, j: x.reshape(-1) if x.flags.c_contiguous else x,
    "bytes": lambda x, i, j: x.view(np.uint8) if x.flags.c_contiguous and x.ndim and x.itemsize > 1 else x,
    "plain": lambda x, i, j: np.asarray(x),
    "memoryview": lambda x, i, j: np.asarray(memoryview(x)),
    "windows": lambda x, i, j: sliding_window_view(x, 2, axis=0) if x.ndim and len(x) > 1 else x,
    "repeated": lambda x, i, j: np.broadcast_to(x, (abs(i), *x.shape)),
}


@given(
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(-9, 9), st.integers(-9, 9)), max_size=5),
    rows=st.integers(0, 12),
    columns=st.integers(0, 5),
    offset=st.integers(0, 2 * mmap.ALLOCATIONGRANULARITY),
    kind=st.sampled_from(["memmap", "bare"]),
)
def test_what_any_view_needs_is_what_its_bytes_say(path, steps, rows, columns, offset, kind):
    if kind == "memmap":
        root = np.memmap(path, "i2", "r", offset=offset, shape=(rows, columns))
    else:
        begin = offset - offset % mmap.ALLOCATIONGRANULARITY if sys.platform.startswith("linux") else 0
        mapping = bare(path, offset=begin)
        root = np.ndarray((rows, columns), "i2", mapping, offset=offset - begin)
    array = root
    for step, i, j in steps:
        array = STEPS[step](array, i, j)
    addresses = list(byte_addresses(array))
    low, high = address_range(array)
    if not addresses:
        assert low == high
        assert mapped_file(array) is None
    else:
        assert (low, high) == (min(addresses), max(addresses) + 1)
        assert mapped_file(array).needed == offset + max(addresses) + 1 - root.__array_interface__["data"][0]


# ---------------------------------------------------------------------------------------------------------------------
# Bare maps
# ---------------------------------------------------------------------------------------------------------------------

BARE = {
    "frombuffer": lambda mapping: np.frombuffer(mapping, np.uint8)[10:90],
    "ndarray": lambda mapping: np.ndarray((40,), "i2", mapping, offset=10),
    "memoryview": lambda mapping: np.asarray(memoryview(mapping)[10:90]),
    "memoryview backwards": lambda mapping: np.asarray(memoryview(mapping)[89:9:-1]),
    "memmap by hand": lambda mapping: np.frombuffer(mapping, np.uint8)[10:90].view(np.memmap),
    "memmap without a file": lambda mapping: np.ndarray.__new__(np.memmap, (80,), np.uint8, mapping, 10),
}


@pytest.mark.parametrize("make", BARE.values(), ids=BARE)
@pytest.mark.parametrize("access", [mmap.ACCESS_READ, mmap.ACCESS_WRITE, mmap.ACCESS_COPY])
@pytest.mark.parametrize("pages", [0, 1, 3])
@needs_linux
def test_where_a_bare_map_begins_is_found_out(path, make, access, pages):
    mapping = bare(path, offset=pages * mmap.ALLOCATIONGRANULARITY, access=access)
    found = mapped_file(make(mapping))
    assert found == MappedFile(mapping, str(path), pages * mmap.ALLOCATIONGRANULARITY + 90)
    found.check("x")


@needs_linux
def test_where_a_map_begins_is_found_though_the_kernel_joins_neighbours_and_splits_maps(path):
    page = mmap.ALLOCATIONGRANULARITY
    with open(path, "rb") as file:  # the last page first: the kernel puts each new map below the one before
        descriptor = file.fileno()
        mappings = [mmap.mmap(descriptor, page, access=mmap.ACCESS_READ, offset=i * page) for i in (4, 3, 2, 1, 0)]
    whole = bare(path)
    whole.madvise(mmap.MADV_RANDOM, page, page)
    for i, mapping in enumerate(reversed(mappings)):
        assert mapped_file(np.frombuffer(mapping, np.uint8)).needed == (i + 1) * page
    assert mapped_file(np.frombuffer(whole, np.uint8)[: 3 * page]).needed == 3 * page


@needs_linux
def test_names_with_blanks_are_whole(tmp_path):
    path = written(tmp_path / "a  b \u00e9.bin")
    assert mapped_file(np.frombuffer(bare(path), np.uint8)).path == str(path)


ELSEWHERE = f"{2**63:x}-{2**64 - 1:x} r--s 00009000 fe:00 12 /x\n"


@pytest.mark.parametrize("text", [None, "", "junk\n", "0-1\n", "xyz-1 r--p 0 0 0\n", ELSEWHERE])
def test_a_map_that_begins_nobody_knows_where_is_taken_to_begin_with_the_file(path, tmp_path, monkeypatch, text):
    if text is not None:
        (tmp_path / "maps").write_text(text)
    monkeypatch.setattr(fastbatch.mapped_files, "MAPS", str(tmp_path / "maps"))
    mapping = bare(path, offset=mmap.ALLOCATIONGRANULARITY)
    assert mapped_file(np.frombuffer(mapping, np.uint8)[:50]) == MappedFile(mapping, None, 50)


# ---------------------------------------------------------------------------------------------------------------------
# Memory that no file can be missing from
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.arange(5),
        np.arange(5)[::-1],
        np.frombuffer(b"12345", np.uint8),
        np.asarray(memoryview(bytearray(5))),
        np.array(3.0),
        np.empty((0, 3)),
    ],
    ids=["array", "view", "bytes", "bytearray", "0-d", "empty"],
)
def test_ordinary_memory_has_no_file(array):
    assert mapped_file(array) is None
    assert not is_file_backed(array)


def test_copies_of_memmaps_have_no_file(path):
    mapped = np.memmap(path, np.uint8, "r")
    for copy in (mapped.copy(), mapped[3:].copy()[::2], mapped[[1, 2]], mapped + 1):
        assert mapped_file(copy) is None
        assert file_beneath(copy) is None
        assert not is_file_backed(copy)


@pytest.mark.skipif(os.name == "nt" or sys.version_info >= (3, 15), reason="anonymous maps have a size")
def test_anonymous_maps_are_not_checked():
    assert mapped_file(np.frombuffer(mmap.mmap(-1, 5000), np.uint8)) is None


class Sized(mmap.mmap):
    """A map that tells its size where it has no file, as from Python 3.15 on."""

    def size(self):
        return len(self)


@pytest.mark.parametrize("flags", ["MAP_SHARED", "MAP_PRIVATE"])
@pytest.mark.skipif(os.name == "nt", reason="other arguments on Windows")
def test_anonymous_maps_with_a_size_pass(flags):
    for mapping in [Sized(-1, 5000, flags=mmap.MAP_ANON | getattr(mmap, flags)) for _ in range(5)]:
        found = mapped_file(np.frombuffer(mapping, np.uint8))
        assert found.needed == 5000
        found.check("x")


def test_views_of_no_bytes_need_nothing(path):
    mapped = np.memmap(path, np.uint8, "r")
    assert mapped_file(mapped[:0]) is None
    assert mapped_file(mapped[SIZE:]) is None
    assert mapped_file(as_strided(mapped, (0, 4), (-1, 1))) is None
    assert mapped_file(np.memmap(path, "V0", "r", shape=(3,))) is None


def test_closed_maps_pass(path):
    mapping = bare(path)
    found = mapped_file(np.frombuffer(mapping, np.uint8))
    mapping.close()
    found.check("x")


class Sizeless(mmap.mmap):
    """A map whose size cannot be asked, as with Python 3.13's trackfd=False."""

    def size(self):
        raise OSError("no descriptor")


def test_maps_whose_size_cannot_be_asked_are_not_checked(path):
    with open(path, "rb") as file:
        mapping = Sizeless(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert mapped_file(np.frombuffer(mapping, np.uint8)) is None
    MappedFile(mapping, str(path), SIZE + 1).check("x")


@pytest.mark.skipif(sys.version_info < (3, 13) or os.name == "nt", reason="no trackfd")
def test_maps_that_keep_no_descriptor_are_not_checked(path):
    with open(path, "rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, trackfd=False)
    assert mapped_file(np.frombuffer(mapping, np.uint8)) is None


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices")
def test_devices_have_no_size_and_are_not_checked():
    assert mapped_file(np.memmap("/dev/zero", np.uint8, "r", shape=(1000,))) is None
    assert mapped_file(np.frombuffer(bare("/dev/zero", 1000, access=mmap.ACCESS_WRITE), np.uint8)) is None


def test_shared_memory_is_a_file():
    shared_memory = pytest.importorskip("multiprocessing.shared_memory")
    memory = shared_memory.SharedMemory(create=True, size=5000)
    array = np.ndarray((10, 5), "i4", memory.buf)
    try:
        assert is_file_backed(array)
        if sys.platform.startswith("linux"):
            assert mapped_file(array).needed == 200
            mapped_file(array).check("x")
    finally:
        del array
        memory.close()
        memory.unlink()


# ---------------------------------------------------------------------------------------------------------------------
# Files that change
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@needs_truncation
def test_a_truncated_file_is_refused_with_rule_and_values(victim, mode):
    found = mapped_file(np.memmap(victim, np.uint8, mode, offset=HEADER, shape=(20_000,)))
    found.check("x")
    os.truncate(victim, 1000)
    with pytest.raises(OSError, match="truncated") as info:
        found.check("data['x']")
    assert str(info.value) == (
        f"data['x'] needs the first 20,100 bytes of the file {victim}, which is now 1,000 bytes long: "
        "it was truncated after it was mapped"
    )


@needs_truncation
def test_a_truncated_file_without_a_name_is_refused_too(victim, monkeypatch):
    monkeypatch.setattr(fastbatch.mapped_files, "MAPS", "")
    found = mapped_file(np.frombuffer(bare(victim), np.uint8))
    os.truncate(victim, 0)
    with pytest.raises(OSError, match=f"x needs the first {SIZE:,} bytes of a mapped file, which is now 0 bytes long"):
        found.check("x")


@pytest.mark.parametrize(("size", "fails"), [(0, True), (4999, True), (5000, False), (5001, False), (SIZE, False)])
@needs_truncation
def test_one_byte_less_than_needed_is_too_few(victim, size, fails):
    mapped = np.memmap(victim, np.uint8, "r")
    found, whole = mapped_file(mapped[4000:5000][::-1]), mapped_file(mapped)
    os.truncate(victim, size)
    assert raises_oserror(found) is fails
    assert raises_oserror(whole) is (size < SIZE)


def raises_oserror(found):
    try:
        found.check("x")
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    "make", [lambda path: np.memmap(path, np.uint8, "r"), lambda path: np.frombuffer(bare(path), "u1")]
)
@pytest.mark.parametrize("size", [0, 10])
@needs_truncation
def test_a_file_truncated_before_the_question_is_refused_as_well(victim, make, size):
    if size == 0 and not sys.platform.startswith("linux"):
        pytest.skip("a bare map of no known path may be that of a device")
    array = make(victim)
    os.truncate(victim, size)
    assert raises_oserror(mapped_file(array))


@needs_truncation
def test_a_file_that_grew_or_came_back_is_fine(victim):
    found = mapped_file(np.memmap(victim, np.uint8, "r"))
    os.truncate(victim, SIZE * 2)
    found.check("x")
    os.truncate(victim, SIZE - 1)
    assert raises_oserror(found)
    os.truncate(victim, SIZE)
    found.check("x")


@needs_truncation
def test_a_file_that_was_replaced_or_removed_is_fine(victim, tmp_path):
    """The map keeps the file that it was made of, whatever its path names now."""
    mapped = np.memmap(victim, np.uint8, "r")
    found, expected = mapped_file(mapped), mapped.copy()
    (tmp_path / "short").write_bytes(b"short")
    os.replace(tmp_path / "short", victim)
    found.check("x")
    victim.unlink()
    found.check("x")
    mapped_file(mapped).check("x")
    assert (mapped == expected).all()


@needs_truncation
def test_a_replaced_file_that_is_truncated_by_its_own_descriptor_is_refused(victim, tmp_path):
    found = mapped_file(np.memmap(victim, np.uint8, "r"))
    with open(victim, "r+b") as file:
        os.replace(written(tmp_path / "other"), victim)
        found.check("x")
        file.truncate(7)
    assert raises_oserror(found)


def test_what_was_found_does_not_change(path):
    found = mapped_file(np.memmap(path, np.uint8, "r"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.needed = 0


# ---------------------------------------------------------------------------------------------------------------------
# Columns
# ---------------------------------------------------------------------------------------------------------------------


def test_columns_name_the_files_that_they_read(path, tmp_path):
    np.save(tmp_path / "y.npy", np.zeros((50, 2)))
    x = np.memmap(path, "u1", "r", shape=(100, 20))[50:]
    data = {"x": x, "plain": np.arange(50), "both": (np.load(tmp_path / "y.npy", mmap_mode="r"), x[::-1])}
    columns = make_columns(data, rows=True)
    named = {name: (file.path, file.needed) for name, file in columns.files}
    y_nbytes = (tmp_path / "y.npy").stat().st_size
    assert named == {
        "data['x']": (str(path), 2000),
        "data['both'][0]": (str(tmp_path / "y.npy"), y_nbytes),
        "data['both'][1]": (str(path), 2000),
    }


def test_columns_that_were_copied_need_no_file(path):
    x = np.memmap(path, "u1", "r", shape=(100, 20))
    assert make_columns((x[:, ::2], x.copy(), np.arange(100))).files == []


@needs_truncation
def test_a_truncated_file_is_not_copied(victim):
    x = np.memmap(victim, "u1", "r", shape=(100, 20))
    os.truncate(victim, 1999)
    with pytest.raises(OSError, match=r"^data\[1\] needs the first 2,000 bytes .* which is now 1,999 bytes long"):
        make_columns((x, x[:, ::-1]))
