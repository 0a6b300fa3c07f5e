"""The interpreter ends while batches are held and iterators are at work."""

import importlib.util
import subprocess
import sys

import pytest

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
