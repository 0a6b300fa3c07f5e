"""The interpreter ends while batches are held and iterators are at work."""

import importlib.util
import subprocess
import sys

import pytest

from programs import assert_quiet, run_program

HAS_TORCH = importlib.util.find_spec("torch") is not None

AT_EXIT = """
import sys, threading
import numpy as np
import fastbatch as fb
outputs = ["numpy"] + (["torch"] if sys.argv[1] == "torch" else [])
x = np.arange(600_000.0).reshape(1000, 600)
loaders = [fb.Loader((x, x[:, 0].copy()), 20, shuffle=True, output=output) for output in outputs]
held = [batch for loader in loaders for batch in loader]
begun = [iter(loader) for loader in loaders]
firsts = [next(iterator) for iterator in begun]
closed = fb.Loader(x, 10); kept = list(closed); closed.close()
running = threading.Event()
def forever():
    mine = []
    while True:
        for loader in loaders[:1]:  # torch itself aborts where a daemon thread drops a tensor at the end
            for batch in loader:
                mine = [*mine[-5:], batch]
                running.set()
threading.Thread(target=forever, daemon=True).start()
running.wait()
class Cycle: pass
cycle = Cycle(); cycle.self = cycle; cycle.batches = held[:10]; cycle.loader = loaders[0]
sys.modules["kept_to_the_end"] = held
"""


@pytest.mark.parametrize(
    "framework",
    ["numpy", pytest.param("torch", marks=pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed"))],
)
def test_the_interpreter_ends_quietly_with_batches_held_and_a_thread_at_work(framework):
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", AT_EXIT, framework],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")


# ---------------------------------------------------------------------------------------------------------------------
# In the middle of work
# ---------------------------------------------------------------------------------------------------------------------

# Batches of 16 MB, of rows that lie far apart: threads are in the middle of them whenever the program ends.
AT_WORK = """
import itertools, os, sys, threading
import numpy as np
import fastbatch as fb

x = np.ones((512, 1 << 18), np.uint8)
options = {"map": lambda batch: batch, "map_threads": 2} if "mapped" in sys.argv else {}
loader = fb.Loader(x, 64, shuffle=True, threads=2, prefetch=16, **options)
iterator = iter(loader)
"""

ENDINGS = {
    "before anything began": "",
    "with a batch held": "held = next(iterator)",
    "with views held": "held = next(iterator)[3:5].T; del iterator, loader, x",
    "in a loop": "for _ in iterator: sys.exit()",
    "between epochs": "for _ in iterator: pass",
    "after a break": "for _ in iterator: break",
    "without its loader": "next(iterator); del loader",
    "without its iterator": "next(iterator); del iterator",
    "in a cycle": "next(iterator); loader.itself = loader; loader.iterator = iterator; del loader, iterator",
    "closed": "held = next(iterator); loader.close()",
    "while a thread goes on": "t = threading.Thread(target=list, args=(itertools.islice(iterator, 6),)); t.start()",
    "while a thread that has begun goes on": """
next(iterator)
def go_on():
    for _ in itertools.chain(iterator, loader):
        pass
threading.Thread(target=go_on).start()
""",
    "by a thread": "next(iterator); threading.Thread(target=sys.exit).start()",
    "in a daemon": """
running = threading.Event()
def forever():
    for _ in itertools.count():
        for _ in loader:
            running.set()
threading.Thread(target=forever, daemon=True).start()
running.wait()
""",
    "in four daemons that share an iterator": """
running = threading.Barrier(5)
def share():
    next(iterator)
    running.wait()
    for _ in iterator:
        pass
for _ in range(4):
    threading.Thread(target=share, daemon=True).start()
running.wait()
""",
    "at once": "held = next(iterator); os._exit(0)",
    "at once, in a daemon": """
next(iterator)
threading.Thread(target=lambda: (next(iterator), os._exit(0)), daemon=True).start()
threading.Event().wait()
""",
    "in an atexit function": """
import atexit
next(iterator)
atexit.register(lambda: print(sum(len(batch) for batch in itertools.chain(iterator, loader))))
""",
}


MAPPED = ["with a batch held", "in a loop", "in a cycle", "in a daemon", "while a thread that has begun goes on"]
CASES = [*((ending, "plain") for ending in ENDINGS), *((ending, "mapped") for ending in MAPPED)]


@pytest.mark.parametrize(("ending", "kind"), CASES)
def test_the_interpreter_ends_quietly_while_threads_fill_large_batches(ending, kind):
    assert_quiet(run_program(AT_WORK + ENDINGS[ending], kind), "960" if ending == "in an atexit function" else "")


def test_an_error_at_the_end_of_the_program_is_reported():
    done = run_program(AT_WORK + "next(iterator); raise ZeroDivisionError('mine')")
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: mine\n")
