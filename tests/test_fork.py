"""A forked child goes on from the same place with locks and memory of its own."""

import subprocess
import sys

from programs import forks_with_threads

# A child that hangs is ended by faulthandler, with status 1.
PROGRAM = """
import faulthandler, itertools, os, threading
import numpy as np
import fastbatch as fb

x = np.arange(1_000_000).reshape(-1, 10)
loader = fb.Loader(x, 2_000, shuffle=True, seed=1)  # large enough to be filled without the GIL
shared = itertools.cycle([loader])
threading.Thread(target=lambda: [sum(1 for _ in each) for each in shared], daemon=True).start()
quiet = fb.Loader(x, 100, shuffle=True, seed=2)
before = iter(quiet)
unbegun = iter(quiet)
for _ in range(3):
    next(before)
expected = np.concatenate(list(fb.Loader(x, 100, sampler=quiet._sampler.order(2, 0)[300:])))
for _ in range(20):
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(20, exit=True)
        wrong = 0
        for iterator in (before, unbegun):
            try:
                next(iterator)
                wrong = 2
            except RuntimeError as error:
                wrong = wrong or (0 if "forked" in str(error) else 3)
        rest = np.concatenate(list(quiet))
        if not np.array_equal(rest, expected):
            wrong = 4
        loader.set_epoch(10**9)  # an epoch that the thread cannot be in the middle of: its place would be kept
        if sum(len(batch) for batch in loader) != len(x):
            wrong = 5
        os._exit(wrong)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert len(next(before)) == 100  # the parent goes on as if nothing had happened
os._exit(0)
"""


@forks_with_threads
def test_a_child_forked_while_a_thread_iterates_goes_on_from_the_same_place():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
