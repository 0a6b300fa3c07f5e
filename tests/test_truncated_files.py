"""A mapped file that is truncated between epochs is refused when the next one begins: to read it would be fatal."""

import os

import numpy as np
import pytest

import fastbatch as fb
from programs import assert_quiet, run_program

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows refuses to truncate mapped files")

N, WIDTH = 100, 4096


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.bin"
    np.arange(N, dtype=np.uint8)[:, None].repeat(WIDTH, 1).tofile(path)
    return path


def make(file, threads, **options):
    x = np.memmap(file, np.uint8, "r", shape=(N, WIDTH))
    return fb.Loader({"x": x, "y": np.arange(N)}, 10, shuffle=True, seed=1, threads=threads, prefetch=4, **options)


REFUSAL = (
    r"'x'\].*needs the first 409,600 bytes of the file .*rows\.bin, which is now 4,096 bytes long: it was truncated"
)


def assert_refused(loader, file, place):
    for _ in range(2):
        with pytest.raises(OSError, match=REFUSAL):
            next(iter(loader))
        with pytest.raises(OSError, match=REFUSAL):
            list(loader)
    assert (loader.epoch, loader.state_dict()["position"]) == place
    with open(file, "r+b") as again:  # it is there again, and the Loader goes on
        again.write(np.arange(N, dtype=np.uint8)[:, None].repeat(WIDTH, 1).tobytes())
    batches = list(loader)
    assert np.array_equal(np.concatenate([batch["y"] for batch in batches]), fb.Shuffle(N).order(1, place[0]))
    assert all((batch["x"] == batch["y"][:, None]).all() for batch in batches)


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("options", [{}, {"map": lambda batch: batch, "map_threads": 2}], ids=["plain", "mapped"])
@pytest.mark.parametrize("unbegun", [False, True])
def test_before_the_first_epoch(file, threads, options, unbegun):
    loader = make(file, threads, **options)
    iterator = iter(loader)
    os.truncate(file, WIDTH)
    if unbegun:
        with pytest.raises(OSError, match=REFUSAL):
            next(iterator)
    assert_refused(loader, file, (0, 0))


@pytest.mark.parametrize("threads", [0, 2])
def test_after_an_epoch_that_was_left(file, threads):
    loader = make(file, threads)
    for _ in loader:
        break
    os.truncate(file, WIDTH)
    with pytest.raises(OSError, match=REFUSAL):
        next(iter(loader))
    assert loader.state_dict()["position"] == 10
    loader.set_epoch(7)
    assert_refused(loader, file, (7, 0))


@pytest.mark.parametrize("threads", [0, 2])
def test_before_a_batch_is_asked_for_by_number(file, threads):
    loader = make(file, threads)
    os.truncate(file, WIDTH)
    for _ in range(2):
        with pytest.raises(OSError, match=REFUSAL):
            loader.batch(3, 2)
    assert_refused(loader, file, (0, 0))
    assert np.array_equal(loader.batch(3, 2)["y"], fb.Shuffle(N).order(1, 3)[20:30])


BETWEEN = """
import os, sys
import numpy as np
import fastbatch as fb

path, threads = sys.argv[1], int(sys.argv[2])
open(path, "w").close()
n, width = 120, 1 << 20
for _ in range(5):
    os.truncate(path, 0)
    os.truncate(path, n * width)
    x = np.memmap(path, np.uint8, "r", shape=(n, width))
    loader = fb.Loader(x, 6, shuffle=True, threads=threads, prefetch=8)
    for _ in loader:
        pass
    os.truncate(path, 0)
    try:
        next(iter(loader))
    except OSError as error:
        assert "truncated" in str(error)
    else:
        raise AssertionError("it was not noticed")
    assert loader.epoch == 1
"""


@pytest.mark.parametrize("threads", [0, 2])
def test_after_an_epoch_nothing_reads_ahead_of_the_next(tmp_path, threads):
    assert_quiet(run_program(BETWEEN, tmp_path / "zeros.bin", threads))
