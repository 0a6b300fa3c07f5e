"""What the system refuses: threads and memory. Batches are right without, or the Loader says so and stays usable."""

import os
import shutil
import subprocess
import sys

import pytest

from programs import SANITIZED, assert_quiet, run_program

COMPILER = shutil.which("cc") or shutil.which("gcc")

# ---------------------------------------------------------------------------------------------------------------------
# Threads
# ---------------------------------------------------------------------------------------------------------------------

# Root ignores RLIMIT_NPROC, so it is the C library that refuses: all but the first $REFUSE_AFTER threads, from the time
# on when the file $REFUSE is there.
REFUSING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static int n_left = -1;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    const char *file = getenv("REFUSE"), *after = getenv("REFUSE_AFTER");
    if (file != NULL && access(file, F_OK) == 0) {
        if (n_left < 0) n_left = after != NULL ? atoi(after) : 0;
        if (n_left-- == 0) return n_left = 0, EAGAIN;
    }
    return ((create *)dlsym(RTLD_NEXT, "pthread_create"))(thread, attributes, run, argument);
}
"""

CHECK_THREADS = """
import itertools, os, sys, warnings
import numpy as np
import fastbatch as fb

x = np.arange(300_000)[:, None] + np.zeros(4, np.int64)
threads, batch_size, n_threads = (None if word == "None" else int(word) for word in sys.argv[1:])
order = [fb.Shuffle(len(x)).order(1, epoch) for epoch in range(4)]

def make(**options):
    return fb.Loader(x, batch_size, shuffle=True, seed=1, threads=threads, prefetch=4, **options)

open(os.environ["REFUSE"], "w").close()  # only now: libraries have threads of their own
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    loader = make()
    for epoch in range(3):
        assert np.array_equal(np.concatenate(list(loader))[:, 0], order[epoch])
    stats = loader.stats()
    assert stats.threads == n_threads
    loader.batch(1, 1)
    loader.close()
messages = [str(warning.message) for warning in seen]
assert messages == ["the system refused to start a thread: batches are filled without"]
assert seen[0].category is RuntimeWarning

# As an error it costs no batch.
warnings.simplefilter("error")
loader = make()
iterator = iter(loader)
got = []
while True:
    try:
        got.extend(iterator)
    except RuntimeWarning:
        assert loader.state_dict()["position"] == sum(map(len, got))
        continue
    break
rest = fb.Loader(x, batch_size, shuffle=True, seed=1, threads=0)
if sum(map(len, got)) < len(x):  # the iterator ended, which is right too
    assert len(list(loader)) == len(list(rest))
else:
    assert np.array_equal(np.concatenate(got)[:, 0], order[0])

# When threads can be had again, a new Loader has them.
os.remove(os.environ["REFUSE"])
warnings.simplefilter("error")
loader = make()
assert np.array_equal(np.concatenate(list(loader))[:, 0], order[0])
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """What refuses threads when it is preloaded."""
    if not sys.platform.startswith("linux") or COMPILER is None:
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("refusing")
    (folder / "refusing.c").write_text(REFUSING)
    library = folder / "refusing.so"
    command = [COMPILER, "-shared", "-fPIC", "-o", library, folder / "refusing.c", "-ldl"]
    subprocess.run(command, check=True, env={name: os.environ[name] for name in os.environ if name != "LD_PRELOAD"})
    return library


@pytest.fixture
def refusing(library, tmp_path):
    """The environment in which a file refuses threads."""
    preloaded = [path for path in (os.environ.get("LD_PRELOAD"), str(library)) if path]
    return {"LD_PRELOAD": ":".join(preloaded), "REFUSE": str(tmp_path / "refuse")}


@pytest.mark.parametrize("batch_size", [3, 3000, 60_000])
@pytest.mark.parametrize(("threads", "n_given"), [(1, 0), (4, 0), (4, 1), (4, 3)])
def test_without_the_threads_it_wants_a_loader_warns_once_and_goes_on(refusing, threads, n_given, batch_size):
    done = run_program(CHECK_THREADS, threads, batch_size, n_given, **refusing, REFUSE_AFTER=str(n_given))
    assert_quiet(done)


# ---------------------------------------------------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------------------------------------------------

LIMITED = """
import itertools, os, resource, sys
import numpy as np
import fastbatch as fb

threads = int(sys.argv[1])
x = np.ones((400, 1 << 20), np.uint8)
x[:, 0] = np.arange(400) % 251
large = fb.Loader(x, 300, shuffle=True, seed=1, rows=True, threads=threads, prefetch=2)
small = fb.Loader(x, 20, shuffle=True, seed=1, rows=True, threads=threads, prefetch=2)
next(iter(small)), next(small.__iter__())  # its threads are there
warm = fb.Loader(x, 20, rows=True, threads=threads)
list(itertools.islice(warm, 2))
small.set_epoch(0)
begun = iter(large)

def size():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()

resource.setrlimit(resource.RLIMIT_AS, (size() + (250 << 20),) * 2)
before = None
for _ in range(5):
    for iterator in (begun, iter(large)):
        try:
            next(iterator)
        except MemoryError as error:
            assert "no memory for a batch of 300 rows" in str(error)
        else:
            raise AssertionError("there was memory")
    before = before or size()
assert size() < before + (32 << 20), "something leaked"
assert large.state_dict()["position"] == 0
order = fb.Shuffle(400).order(1, 0)
rows = []
for values, numbers in small:
    assert np.array_equal(values, x[numbers])
    rows.extend(numbers)
assert np.array_equal(rows, order)
fitting = fb.Loader(x, 10, shuffle=True, rows=True, threads=threads, prefetch=2)
fitting.load_state_dict(large.state_dict())
del values, numbers
assert np.array_equal(np.concatenate([numbers for _, numbers in fitting]), fb.Shuffle(400).order(1, fitting.epoch - 1))

"""


@pytest.mark.skipif(not sys.platform.startswith("linux") or SANITIZED, reason="needs a limit on address space")
@pytest.mark.parametrize("threads", [0, 2])
def test_without_memory_for_a_batch_smaller_ones_can_be_had(threads):
    assert_quiet(run_program(LIMITED, threads))
