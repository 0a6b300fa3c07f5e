"""Iterators by the hundred thousand leave nothing behind."""

import os

import pytest

from programs import SANITIZED, assert_quiet, run_program

pytestmark = pytest.mark.skipif(
    SANITIZED or not os.path.exists("/proc/self/statm"),
    reason="this system does not tell its memory, or a sanitizer keeps what was freed",
)

# In a process of its own, in which nobody else's memory comes and goes. What is left of each iterator would be at least
# the 16 bytes of the smallest block.
PROGRAM = """
import gc, os, sys
import numpy as np
import fastbatch as fb

def resident_nbytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def not_begun(loader):
    iter(loader)

def begun(loader):
    next(iter(loader))

def finished(loader):
    for _ in loader:
        pass

threads, n = int(sys.argv[1]), int(sys.argv[2])
for options in ({}, {"shuffle": True}, {"sampler": dict.fromkeys(range(20))}):
    loader = fb.Loader((np.arange(40.0).reshape(20, 2), np.arange(20)), 4, threads=threads, prefetch=4, **options)
    for use in (not_begun, begun, finished):
        epoch = loader.epoch
        for _ in range(n // 4):
            use(loader)
        before = resident_nbytes()
        for _ in range(n):
            use(loader)
        grown = resident_nbytes() - before
        assert grown < 16 * n, (use, options, grown)
        if use is finished:
            assert loader.epoch - epoch in (n + n // 4, n + n // 4 + 1)
    assert loader.stats().slots <= 20
"""


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "n"), [(0, 100_000), (2, 20_000)])
def test_memory_does_not_grow(threads, n):
    assert_quiet(run_program(PROGRAM, threads, n))
