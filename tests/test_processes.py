"""Loaders in several processes: forked while threads are at work, or sent to spawned ones."""

import multiprocessing
import os

import numpy as np
import pytest

import fastbatch as fb
from programs import SANITIZED, assert_quiet, forks_with_threads, run_program

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")

# What both sides of a fork share: batches that are right, and children that are ended when they hang.
COMMON = """
import itertools, os, signal, sys, threading
import numpy as np
import fastbatch as fb

N, BATCH = 400, 16
x = np.arange(N, dtype=np.float64)[:, None] + np.zeros(12_000)  # 1.5 MB a batch, in parts

def make(**options):
    return fb.Loader(x, BATCH, shuffle=True, seed=1, rows=True, **options)

def is_right(batches, epoch, position=0):
    order = fb.Shuffle(N).order(1, epoch)[position:]
    batches = list(batches)
    rows = np.concatenate([rows for _, rows in batches])
    return np.array_equal(rows, order) and all((values == rows[:, None]).all() for values, rows in batches)

def in_child(check):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        status = 99
        try:
            status = check()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(status)
    return child

def assert_went_well(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

def refuses(iterator):
    try:
        next(iterator)
    except RuntimeError as error:
        return "forked" in str(error)
"""

WHILE_PRODUCERS_FILL = """
for threads, prefetch, attempt in ((1, 1, 0), (1, 8, 3), (4, 1, 1), (4, 8, 0), (4, 8, 2), (4, 8, 3)):
    loader = make(threads=threads, prefetch=prefetch)
    iterator = iter(loader)
    n_drawn = 1 + 7 * attempt  # the last one leaves threads at the next epoch
    held = list(itertools.islice(iterator, n_drawn))
    position = min(N, n_drawn * BATCH)

    def check():
        if not refuses(iterator):
            return 1
        if position < N and not is_right(loader, 0, position):
            return 2
        if position == N and list(loader):
            return 3
        if not is_right(loader, 1):
            return 4
        if not is_right(held, 0) if position == N else False:
            return 5
        held.clear()
        loader.close()
        return 0

    children = [in_child(check) for _ in range(2)]
    assert is_right([*held, *iterator], 0)
    assert is_right(loader, 1)
    for child in children:
        assert_went_well(child)
"""

WHILE_A_THREAD_ITERATES = """
loader, quiet = make(threads=2, prefetch=4), make(threads=2)
begun, over = threading.Event(), threading.Event()
wrong = []

def iterate():
    epoch = 0
    while not over.is_set():
        for i, (values, rows) in enumerate(loader):
            begun.set()
            if not (values == rows[:, None]).all():
                wrong.append(rows)

def check():
    loader.set_epoch(10**9)  # which the thread does not reach
    return 0 if is_right(loader, 10**9) and is_right(quiet, 0, BATCH) else 1

next(iter(quiet))
thread = threading.Thread(target=iterate, daemon=True)
thread.start()
begun.wait()
for _ in range(12):
    assert_went_well(in_child(check))
over.set()
thread.join()
assert not wrong
"""

AGAIN_AND_AGAIN = """
# Each child has a child, in the middle of its own epoch.
loader = make(threads=2, prefetch=4)

def descend(depth):
    iterator = iter(loader)
    n = len(list(itertools.islice(iterator, 3)))
    if n != 3 or loader.state_dict()["position"] != (5 - depth) * 3 * BATCH:
        return 10 + depth
    if depth == 0:
        return 0
    child = in_child(lambda: descend(depth - 1))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status or (0 if is_right(iterator, 0, (5 - depth) * 3 * BATCH) else 20 + depth)

assert descend(4) == 0
"""

WITH_MAP_THREADS = """
loader = make(threads=2, prefetch=4, map=lambda batch: batch, map_threads=2)
iterator = iter(loader)
held = list(itertools.islice(iterator, 3))
inside = threading.Event()
answer = threading.Event()

def check():
    if not refuses(iterator):
        return 1
    return 0 if is_right(loader, 0, 3 * BATCH) and is_right(loader, 1) else 2

for _ in range(10):
    assert_went_well(in_child(check))
assert is_right([*held, *iterator], 0)

# A thread waits inside the iterator, which is locked, for a function that does not return in the child.
def wait(batch):
    inside.set()
    answer.wait()
    return batch

waits = make(threads=1, map=wait, map_threads=1)
waiting = iter(waits)
thread = threading.Thread(target=next, args=(waiting,))
thread.start()
inside.wait()

def check_waiting():
    global waiting
    if not refuses(waiting):
        return 1
    waiting = None
    answer.set()
    return 0 if is_right(waits, 0) else 2

for _ in range(3):
    assert_went_well(in_child(check_waiting))
answer.set()
thread.join()
assert is_right(waiting, 0, BATCH)
"""

CLOSED_AND_INDEXED = """
closed, indexed, unbegun = make(threads=2), make(threads=2, prefetch=8), make(threads=2)
list(itertools.islice(closed, 2))
closed.close()
first = indexed.batch(3, 0)

def check():
    try:
        iter(closed)
    except RuntimeError:
        order = fb.Shuffle(N).order(1, 3)
        for i in (7, 0, 24):
            values, rows = indexed.batch(3, i)
            if not np.array_equal(rows, order[BATCH * i:BATCH * i + BATCH]) or not (values == rows[:, None]).all():
                return 1
        return 0 if is_right(unbegun, 0) and indexed.stats().leases >= 0 else 2
    return 3

for _ in range(5):
    assert_went_well(in_child(check))
assert np.array_equal(indexed.batch(3, 1)[1], fb.Shuffle(N).order(1, 3)[BATCH:2 * BATCH])
"""

PROGRAMS = {
    "while producers fill": WHILE_PRODUCERS_FILL,
    "while a thread iterates": WHILE_A_THREAD_ITERATES,
    "again and again": AGAIN_AND_AGAIN,
    "with map threads": WITH_MAP_THREADS,
    "closed, indexed and not begun": CLOSED_AND_INDEXED,
}


@forks_with_threads
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_parent_and_child_both_go_on_after_a_fork(name):
    done = run_program("import warnings; warnings.simplefilter('ignore')" + COMMON + PROGRAMS[name])
    assert_quiet(done)


STALLED = """
from stalls import StallingArray

# A producer stands in the middle of a batch: at the fork, and for as long as the child lives.
with StallingArray(24, 1 << 20, first=1) as source:
    loader = fb.Loader(source.array, 1, rows=True, threads=2, prefetch=2)
    iterator = iter(loader)
    next(iterator)
    source.wait()

    def check():  # the child's copy of the memory stalls nobody
        if not refuses(iterator):
            return 1
        return 0 if np.concatenate([rows for _, rows in loader]).tolist() == list(range(1, 24)) else 2

    for _ in range(3):
        assert_went_well(in_child(check))
    source.release()
    assert np.concatenate([rows for _, rows in iterator]).tolist() == list(range(1, 24))
"""


@needs_fork
def test_a_child_forked_in_the_middle_of_a_fill_goes_on():
    with_tests = f"import sys; sys.path.append({os.path.dirname(__file__)!r})\n"
    done = run_program(with_tests + COMMON + STALLED)
    if "Skipped" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert_quiet(done)


# ---------------------------------------------------------------------------------------------------------------------
# Sent to another process
# ---------------------------------------------------------------------------------------------------------------------


def go_on(loader, results):
    """In another process: what a Loader gives there, through to the end of the next epoch."""
    rest, following = ([(x.tobytes(), y.tobytes()) for x, y in loader] for _ in range(2))
    results.put((rest, following, loader.stats().threads <= 2))


def same(batch):
    return batch


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize("map_threads", [0, 2])
def test_a_loader_at_work_is_sent_to_another_process(method, map_threads):
    if method not in multiprocessing.get_all_start_methods() or (method == "fork" and SANITIZED):
        pytest.skip(f"no {method} on this platform, or not with threads at work")
    options = {"map": same, "map_threads": map_threads} if map_threads else {}
    x = np.arange(200)[:, None] + np.zeros(2000)
    loader = fb.Loader((x, np.arange(200)), 16, shuffle=True, seed=4, threads=2, prefetch=4, **options)
    iterator = iter(loader)
    for _ in range(3):
        next(iterator)
    context = multiprocessing.get_context(method)
    results = context.SimpleQueue()
    process = context.Process(target=go_on, args=(loader, results))
    process.start()
    here = [[(x.tobytes(), y.tobytes()) for x, y in batches] for batches in (iterator, loader)]
    assert results.get() == (*here, True)
    process.join()
    assert process.exitcode == 0
