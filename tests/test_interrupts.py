"""Signals while threads are at work: answered at once, by the main thread; the iterator ends, the Loader does not."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fastbatch as fb
from programs import SANITIZED, assert_quiet, run_program
from stalls import StallingArray

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a SIGINT cannot be sent to one process on Windows")

# A helper, in a process of its own so that it needs no GIL, sends a SIGINT after each delay. The answer is timed from
# before it is sent; what was over by then, or had not begun, does not count.
COMMON = """
import faulthandler, itertools, os, signal, struct, subprocess, sys, time, traceback
import numpy as np
import fastbatch as fb

faulthandler.dump_traceback_later(100, exit=True)
signal.signal(signal.SIGINT, signal.default_int_handler)

HELPER = '''
import os, struct, sys, time
while delay := sys.stdin.buffer.read(8):
    time.sleep(*struct.unpack("d", delay))
    sys.stdout.buffer.write(struct.pack("d", time.monotonic()))
    sys.stdout.buffer.flush()
    os.kill(os.getppid(), 2)
'''
# Before there are threads: a child that is forked beside them may not even allocate.
helper = subprocess.Popen(
    [sys.executable, "-c", HELPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
)

def is_inside(error):
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    return names[-1] not in ("interrupt", "work", "<lambda>", "__iter__", "append")

def interrupt(work, delays):
    n_interrupted = 0
    # Where the machine has other work, each signal may come when all is over: then once more.
    for attempt, delay in enumerate(itertools.islice(itertools.cycle(delays), 20 * len(delays))):
        if attempt >= len(delays) and n_interrupted > 0:
            break
        helper.stdin.write(struct.pack("d", delay))
        try:
            try:
                work()
            except KeyboardInterrupt as error:
                if is_inside(error):
                    n_interrupted += 1
                elif iterators:  # it had not begun
                    iterators.pop()
            else:
                while True:  # it was over before
                    time.sleep(0.01)
        except KeyboardInterrupt:
            pass
        answered = time.monotonic()
        (sent,) = struct.unpack("d", helper.stdout.read(8))
        took.append(answered - sent)
    assert n_interrupted > 0, "the work was over before each signal"
    return n_interrupted

fb.Shuffle(9).order(1, 0)  # what NumPy imports at the first call swallows a KeyboardInterrupt
took, iterators = [], []
threads = int(sys.argv[1])
"""

FILLING = """
# One batch of 1 GB: more than is filled, by whoever is there, between two looks for signals.
x = np.broadcast_to(np.ones(1 << 20, np.uint8), (1000, 1 << 20))
loader = fb.Loader(x, 1000, shuffle=True, seed=1, rows=True, threads=threads, prefetch=1)

def work():
    iterators.append(iter(loader))
    next(iterators[-1])

interrupt(work, [0.001, 0.01, 0.03, 0.06])
assert all(list(iterator) == [] for iterator in iterators)
state = loader.state_dict()
assert state["position"] in (0, 1000)
for epoch in (loader.epoch + 1, loader.epoch + 2):
    (values, rows), = loader
    assert np.array_equal(rows, fb.Shuffle(1000).order(1, epoch)) and (values == 1).all()
"""

SHUFFLING = """
n = 100_000_000
x = np.broadcast_to(np.uint8(1), (n,))
loader = fb.Loader(x, 1000, shuffle=True, seed=1, threads=threads)

def work():
    iterators.append(iter(loader))
    next(iterators[-1])

interrupt(work, [0.02, 0.05, 0.15])
assert all(list(iterator) == [] for iterator in iterators)
assert loader.epoch == 0 and loader.state_dict()["position"] in (0, 1000)  # a signal may come when it is done
loader.set_epoch(1)
assert len(next(iter(loader))) == 1000
assert loader.state_dict()["position"] == 1000
"""

BY_NUMBER = """
loader = fb.Loader(np.broadcast_to(np.uint8(1), (100_000_000,)), 1000, shuffle=True, seed=1, threads=threads)
interrupt(lambda: loader.batch(5, 9), [0.02, 0.1])
assert len(loader.batch(5, 9)) == 1000
"""

AN_ORDER = """
sampler = fb.Shuffle(100_000_000)
interrupt(lambda: sampler.order(1, 0), [0.005, 0.1, 0.3])
x = np.zeros(100_000_000, np.uint8)
interrupt(lambda: fb.shuffle(x, rng=1), [0.005, 0.1, 0.3])
interrupt(lambda: fb.permutation(100_000_000, rng=1), [0.005, 0.1, 0.3])
"""

MAPPING = """
# Whoever iterates waits for a function that takes long.
def wait(batch):
    if loader.epoch < 4:
        released.wait(20)
    return batch

import threading
released = threading.Event()
loader = fb.Loader(np.arange(40), 4, threads=threads, map=wait, map_threads=2)

def work():
    iterators.append(iter(loader))
    next(iterators[-1])

loader.set_epoch(0)
assert interrupt(work, [0.1, 0.1]) > 0
released.set()
assert all(list(iterator) == [] for iterator in iterators)
assert len(list(loader)) == 10
"""

REPORT = """
print(max(took))
"""

PROGRAMS = {
    "filling": FILLING,
    "shuffling": SHUFFLING,
    "by number": BY_NUMBER,
    "an order": AN_ORDER,
    "mapping": MAPPING,
}
CASES = [(name, threads) for name in PROGRAMS for threads in ((0,) if name == "an order" else (0, 2))]


def assert_answered_within(limit, program, *arguments):
    """In the best of three runs: the machine may have other work."""
    took = []
    while len(took) < 3 and not (took and took[-1] < limit):
        done = run_program(program, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        took.append(float(done.stdout))
    assert min(took) < limit


@pytest.mark.parametrize(("name", "threads"), CASES)
def test_ctrl_c_is_answered_within_a_fifth_of_a_second(name, threads):
    # Sanitizers make everything several times as long, and tell nothing of how soon somebody looks.
    assert_answered_within(2.0 if SANITIZED else 0.2, COMMON + PROGRAMS[name] + REPORT, threads)


WAITING = """
sys.path.append(sys.argv[2])
from stalls import StallingArray

with StallingArray(20, 1 << 20, first=1) as source:
    loader = fb.Loader(source.array, 1, rows=True, threads=threads, prefetch=1)
    iterator = iter(loader)
    next(iterator)
    source.wait()  # a thread fills the next batch, and does not come to an end
    assert interrupt(lambda: next(iterator), [0.15]) == 1
    assert list(iterator) == []
    assert loader.state_dict()["position"] == 1
    source.release()
    assert [rows.tolist() for _, rows in loader] == [[row] for row in range(20)]
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_wait_for_a_thread(threads):
    with StallingArray(1, 4096, first=0):
        pass  # or the test is skipped
    assert_answered_within(0.2, COMMON + WAITING + REPORT, threads, Path(__file__).parent)


# ---------------------------------------------------------------------------------------------------------------------
# Who gets a signal
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not say what threads block")
def test_native_threads_block_all_signals_but_faults():
    def blocking():
        masks = {}
        for task in Path("/proc/self/task").iterdir():
            try:
                text = (task / "status").read_text()
            except (FileNotFoundError, ProcessLookupError):  # a thread that was joined may be listed for a moment
                continue
            masks[task.name] = int(dict(line.split(":", 1) for line in text.splitlines())["SigBlk"], 16)
        return masks

    before = set(blocking())
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    loader = fb.Loader(bytearray(1 << 20), 1 << 18, threads=3, prefetch=4)
    next(iter(loader))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    fresh = {task: blocked for task, blocked in blocking().items() if task not in before}
    assert len(fresh) == loader.stats().threads == 3
    never = {signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
    everything = sum(1 << (number - 1) for number in set(range(1, 32)) - never)
    assert all(blocked & everything == everything for blocked in fresh.values())


HANDLER = """
import os, signal, sys, threading
import numpy as np
import fastbatch as fb

seen = []
for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, lambda number, frame: seen.append((number, threading.current_thread().name)))
loader = fb.Loader(np.ones((64, 1 << 20), np.uint8), 8, threads=4, prefetch=8)
for i, batch in enumerate(loader):
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM):
        os.kill(os.getpid(), number)
    assert (batch == 1).all()
assert i == 7
assert {name for _, name in seen} == {"MainThread"} and len({number for number, _ in seen}) == 3
"""


def test_handlers_run_in_the_main_thread_and_may_let_the_loop_go_on():
    assert_quiet(run_program(HANDLER))


FOREVER = """
import itertools, signal, sys
import numpy as np
import fastbatch as fb
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
loader = fb.Loader(np.ones((64, 1 << 20), np.uint8), 32, threads=int(sys.argv[1]), prefetch=4)
for epoch in itertools.count():
    for batch in loader:
        if epoch == 1:
            print("at work", flush=True)
"""


@pytest.mark.parametrize("threads", [0, 4])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_process(name, threads):
    command = [sys.executable, "-c", FOREVER, str(threads)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout.readline() == "at work\n"
            process.send_signal(getattr(signal, name))
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == -getattr(signal, name)
    assert errors == "" if name == "SIGTERM" else errors.endswith("KeyboardInterrupt\n")


ITERATING_HANDLER = """
import signal, sys
import numpy as np
import fastbatch as fb

x = np.arange(60)[:, None] + np.zeros(20_000)
loader = fb.Loader(x, 2, shuffle=True, seed=1, rows=True, threads=int(sys.argv[1]), prefetch=4)
shared = iter(loader)
got, of_its_own = [], []

def iterate(*_):
    got.extend(next(shared, (None, []))[1])
    of_its_own.append(next(iter(loader))[1])

signal.signal(signal.SIGALRM, iterate)
signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
while len(of_its_own) < 40:
    for _, rows in shared:
        got.extend(rows)
signal.setitimer(signal.ITIMER_REAL, 0)
assert sorted(got) == list(range(60))
"""


@pytest.mark.parametrize("threads", [0, 2])
def test_a_handler_may_use_the_iterator_and_the_loader_that_it_interrupts(threads):
    assert_quiet(run_program(ITERATING_HANDLER, threads))
