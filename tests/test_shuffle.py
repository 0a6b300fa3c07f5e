"""fb.shuffle: rows of any width put into random order where they lie."""

import os
import signal
import statistics
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
from reference import (
    DTYPES,
    ONE_UNIT_ROWS,
    ZERO_WIDTH_DTYPES,
    assert_identical,
    fenced,
    is_permutation,
    make_array,
    sorted_rows,
    unaligned,
)

SIZES = st.sampled_from([0, 1, 2, 3, 5, 6, 7, 17, 100, 513, 700])
ROW_SHAPES = st.sampled_from([(), (1,), (3,), (2, 5), (0,), (40,)])


def shuffled_numbers(n, seed):
    numbers = np.arange(n)
    fb.shuffle(numbers, rng=seed)
    return numbers


@given(st.sampled_from(DTYPES), SIZES, ROW_SHAPES, st.integers(0, 9))
def test_the_rows_are_the_same_rows(dtype, n, row_shape, seed):
    array = make_array(dtype, (n, *row_shape), seed)
    before = sorted_rows(array)
    assert fb.shuffle(array, rng=seed) is None
    assert sorted_rows(array) == before


@given(st.sampled_from(DTYPES), SIZES, ROW_SHAPES, st.integers(0, 9), st.booleans())
def test_one_seed_gives_one_order_whatever_the_rows_are(dtype, n, row_shape, seed, aligned):
    """So that a table and its labels shuffled with the same seed stay together."""
    array = make_array(dtype, (n, *row_shape), seed)
    expected = array[shuffled_numbers(n, seed)]
    array = array if aligned else unaligned(array)
    fb.shuffle(array, rng=seed)
    assert_identical(array, expected)


WIDTHS = [*range(1, 35), 48, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 1000, 1024, 4096, 4097, 8200, 70_000]


@pytest.mark.parametrize("row_nbytes", WIDTHS)
def test_rows_of_every_width_stay_within_their_bounds(row_nbytes):
    for n in (1, 2, 3, 64, 130):
        array, fences_stand = fenced((n, row_nbytes), np.uint8, fence=4096)
        array[...] = np.random.default_rng(row_nbytes).integers(0, 256, array.shape)
        expected = array[shuffled_numbers(n, 11)]
        fb.shuffle(array, rng=11)
        assert fences_stand()
        assert np.array_equal(array, expected)


def numbered_rows(n, dtype):
    """Rows that hold their own number, byte by byte, as far as they are wide; and a look at their fences."""
    array, fences_stand = fenced((n,), dtype)
    raw = array.view(np.uint8).reshape(n, -1)
    for at in range(raw.shape[1]):
        raw[:, at] = np.arange(n) >> (8 * (at % 3))
    return array, raw, fences_stand


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "c16", "V3", "V24"])
def test_rows_beyond_the_cache(dtype):
    n = 1_500_000
    array, raw, fences_stand = numbered_rows(n, dtype)
    expected = raw[shuffled_numbers(n, 5)]
    fb.shuffle(array, rng=5)
    assert fences_stand()
    assert np.array_equal(raw, expected)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "c16"])
def test_rows_that_go_through_buckets(dtype):
    n = ONE_UNIT_ROWS + 300_000
    array, raw, fences_stand = numbered_rows(n, dtype)
    expected = raw[shuffled_numbers(n, 5)]
    fb.shuffle(array, rng=5)
    assert fences_stand()
    assert np.array_equal(raw, expected)


def test_as_many_rows_of_three_bytes():
    n = ONE_UNIT_ROWS + 300_000
    array, raw, fences_stand = numbered_rows(n, "V3")
    fb.shuffle(array, rng=5)
    assert fences_stand()
    order = raw.astype(np.int64) @ [1, 1 << 8, 1 << 16]
    assert is_permutation(order, n)
    assert not np.array_equal(order, np.arange(n))


@pytest.mark.parametrize("n", [1000, ONE_UNIT_ROWS + 1])
@pytest.mark.parametrize("dtype", ["u2", "u4", "u8"])
def test_the_order_does_not_depend_on_where_the_array_lies(dtype, n):
    aligned = np.arange(n).astype(dtype)
    odd = unaligned(aligned)
    fb.shuffle(aligned, rng=2)
    fb.shuffle(odd, rng=2)
    assert np.array_equal(odd, aligned)


@pytest.mark.parametrize("n", [2**k + d for k in (8, 9, 11, 14, 16, 19, 21, 22) for d in (-1, 0, 1)])
def test_every_row_is_kept_at_sizes_where_the_draws_change(n):
    assert is_permutation(shuffled_numbers(n, 1), n)


@pytest.mark.parametrize("dtype", ZERO_WIDTH_DTYPES, ids=str)
def test_rows_without_bytes(dtype):
    array = np.zeros(5, dtype)
    assert fb.shuffle(array, rng=1) is None
    assert array.shape == (5,)
    fb.shuffle(np.empty((2**40, 0)), rng=1)


def test_a_seed_gives_the_same_order_again_and_another_seed_another():
    assert np.array_equal(shuffled_numbers(1000, 1), shuffled_numbers(1000, 1))
    assert not np.array_equal(shuffled_numbers(1000, 1), shuffled_numbers(1000, 2))


@pytest.mark.parametrize(
    "make_rng",
    [
        lambda: 7,
        lambda: np.int64(7),
        lambda: 2**100,
        lambda: [1, 2, 3],
        lambda: np.array([1, 2]),
        lambda: np.random.SeedSequence(7),
        lambda: np.random.PCG64(7),
        lambda: np.random.SFC64(7),
        lambda: np.random.MT19937(7),
        lambda: np.random.default_rng(7),
    ],
)
def test_rng_is_whatever_default_rng_takes(make_rng):
    directly = shuffled_numbers(500, make_rng())
    assert np.array_equal(directly, shuffled_numbers(500, np.random.default_rng(make_rng())))
    assert is_permutation(directly, 500)


@pytest.mark.parametrize("rng", ["seed", 1.5, -1, object()])
def test_refuses_an_rng_that_default_rng_refuses(rng):
    array = np.arange(9)
    with pytest.raises((TypeError, ValueError)):
        fb.shuffle(array, rng=rng)
    assert np.array_equal(array, np.arange(9))


def test_a_generator_advances():
    generator = np.random.default_rng(3)
    first, second = shuffled_numbers(200, generator), shuffled_numbers(200, generator)
    assert not np.array_equal(first, second)
    again = np.random.default_rng(3)
    assert np.array_equal(first, shuffled_numbers(200, again))
    assert np.array_equal(second, shuffled_numbers(200, again))


def test_a_bit_generator_advances():
    bits = np.random.PCG64(3)
    assert not np.array_equal(shuffled_numbers(200, bits), shuffled_numbers(200, bits))


def test_without_rng_each_call_differs():
    assert not np.array_equal(shuffled_numbers(200, None), shuffled_numbers(200, None))


def test_rng_is_a_keyword():
    with pytest.raises(TypeError):
        fb.shuffle(np.arange(3), 1)


def test_the_global_seed_has_no_say():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fb.shuffle(np.arange(50))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_threads_that_share_a_generator_draw_what_one_thread_would():
    one = np.random.default_rng(8)
    expected = sorted(shuffled_numbers(300, one).tobytes() for _ in range(200))
    shared = np.random.default_rng(8)
    found = []

    def work():
        found.extend([shuffled_numbers(300, shared).tobytes() for _ in range(50)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == expected


def test_a_memmap_is_shuffled_where_it_lies(tmp_path):
    stored = np.memmap(tmp_path / "rows", np.int32, "w+", shape=(300, 3))
    stored[...] = np.arange(900).reshape(300, 3)
    expected = np.asarray(stored)[shuffled_numbers(300, 4)]
    fb.shuffle(stored, rng=4)
    stored.flush()
    assert np.array_equal(np.fromfile(tmp_path / "rows", np.int32).reshape(300, 3), expected)


def test_a_slice_of_rows_leaves_the_others_alone():
    table = np.arange(300).reshape(100, 3)
    fb.shuffle(table[20:60], rng=1)
    assert np.array_equal(np.delete(table, np.s_[20:60], 0), np.delete(np.arange(300).reshape(100, 3), np.s_[20:60], 0))
    assert not np.array_equal(table[20:60], np.arange(60, 180).reshape(40, 3))


@pytest.mark.parametrize("dtype", ["O", [("a", "O")], [("a", "i4"), ("b", [("c", "O")])], [("a", "O", (2,))]], ids=str)
def test_refuses_objects(dtype):
    with pytest.raises(TypeError, match="fixed size"):
        fb.shuffle(np.zeros(3, dtype))


def test_refuses_masked_arrays():
    array = np.ma.masked_array(np.arange(100), mask=np.arange(100) % 2)
    with pytest.raises(TypeError, match="mask"):
        fb.shuffle(array)
    assert np.array_equal(array.data, np.arange(100))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 1 has no StringDType")
def test_refuses_variable_width_strings():
    with pytest.raises(TypeError, match=r"fixed size.*StringDType|StringDType.*fixed size"):
        fb.shuffle(np.array(["a", "b"], np.dtypes.StringDType()))


@pytest.mark.parametrize("thing", [[1, 2, 3], (1, 2), bytearray(9), memoryview(bytearray(9)), None, 3, "abc"], ids=repr)
def test_refuses_what_is_no_array(thing):
    with pytest.raises(TypeError, match=r"ndarray|NumPy array|numpy array"):
        fb.shuffle(thing)


def test_refuses_read_only_arrays():
    array = np.arange(100)
    array.flags.writeable = False
    with pytest.raises(ValueError, match=r"read-only|writ"):
        fb.shuffle(array)
    assert np.array_equal(array, np.arange(100))
    with pytest.raises(ValueError, match=r"read-only|writ"):
        fb.shuffle(np.broadcast_to(np.arange(3), (1, 3)))


@pytest.mark.parametrize(
    "view",
    [
        lambda: np.arange(200)[::2],
        lambda: np.arange(100)[::-1],
        lambda: np.asfortranarray(np.arange(200).reshape(20, 10)),
        lambda: np.arange(200).reshape(20, 10)[:, :5],
        lambda: np.arange(200).reshape(20, 10).T,
    ],
)
def test_refuses_arrays_that_are_not_contiguous(view):
    array = view()
    before = array.copy()
    with pytest.raises(ValueError, match="contiguous"):
        fb.shuffle(array)
    assert np.array_equal(array, before)


def test_refuses_an_array_without_axes():
    with pytest.raises(ValueError, match=r"axis|0-d|dimension"):
        fb.shuffle(np.array(3.0))


def test_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dtype in DTYPES:
            fb.shuffle(make_array(dtype, (9,)), rng=1)


# ---------------------------------------------------------------------------------------------------------------------
# Ctrl-C
# ---------------------------------------------------------------------------------------------------------------------

CHILD = """
    import signal, sys, time
    import numpy as np
    import fastbatch as fb

    signal.signal(signal.SIGINT, signal.default_int_handler)
    N = 200_000_000

    def counts(array):
        total = np.zeros(256, np.int64)
        for first in range(0, N, 1 << 20):
            total += np.bincount(array[first : first + (1 << 20)].reshape(-1), minlength=256)
        return total

    array = {array}
    before = counts(array) if array is not None else None
    print("ready", flush=True)
    try:
        while True:
            {call}
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
    print("whole" if before is None or (counts(array) == before).all() else "broken", flush=True)
"""

INTERRUPTED = {
    "shuffle": ("np.resize(np.arange(256, dtype=np.uint8), N)", "fb.shuffle(array)"),
    "permutation": ("None", "fb.permutation(N, dtype=np.uint32)"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="a SIGINT cannot be sent to one process on Windows")
@pytest.mark.parametrize("work", INTERRUPTED)
def test_control_c_is_answered_within_a_fifth_of_a_second(work):
    code = textwrap.dedent(CHILD).format(array=INTERRUPTED[work][0], call=INTERRUPTED[work][1])
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    waits = []
    for delay in (0.05, 0.1, 0.15):
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            assert child.stdout.readline() == "ready\n"
            sent = []

            def interrupt(child=child, sent=sent):
                sent.append(time.monotonic())
                child.send_signal(signal.SIGINT)

            timer = threading.Timer(delay, interrupt)
            timer.start()
            answered = float(child.stdout.readline())
            timer.join()
            assert child.stdout.readline() == "whole\n"
            waits.append(answered - sent[0])
        assert child.returncode == 0
    assert statistics.median(waits) < 0.2, f"seconds from signal to KeyboardInterrupt: {waits}"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timer signals")
def test_signals_are_seen_while_few_but_very_wide_rows_are_shuffled():
    """A timer fires every millisecond; between two answers lies only a part of the call."""
    array = np.zeros((300, 1 << 20), np.uint8)
    array[:] = 1  # touch the memory
    answered = []
    old_handler = signal.signal(signal.SIGALRM, lambda *_: answered.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        started = time.monotonic()
        fb.shuffle(array, rng=1)
        ended = time.monotonic()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old_handler)
    inside = [started, *(at for at in answered if started < at < ended), ended]
    assert np.diff(inside).max() < (ended - started) / 2
