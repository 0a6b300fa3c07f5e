"""Ranks of one host share mapped files: what each has for itself does not grow with the data, nor with the ranks."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="this system does not say")

# 96 MB, of which a rank reads every page: rows of 3 KB are spread over all of them.
N, WIDTH = 32_768, 3_000

# One rank: ready, then an epoch when told so, then what it has for itself while the others still have theirs.
RANK = """
import sys
import numpy as np
import fastbatch as fb

def private():
    fields = [line.split() for line in open("/proc/self/smaps_rollup")]
    return sum(int(field[1]) for field in fields if field[0] == "Anonymous:")  # kB of no file

path, rank, world_size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
x = np.load(path, mmap_mode="r")
before = private()
loader = fb.Loader(x, 256, shuffle=True, seed=1, rank=rank, world_size=world_size, threads=1, prefetch=2)
for batch in loader:
    break
print("ready", flush=True)
input()
total = n = 0
for _ in range(3):
    for batch in loader:
        total += int(batch[:, 0].astype(np.int64).sum())
        n += len(batch)
print(private() - before, total, n, flush=True)
input()
"""


def epochs_on(path, world_size):
    """For each rank of `world_size` at once: kB of its own that were added, the sum of a column, rows."""
    command = [sys.executable, "-c", RANK, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    ranks = [subprocess.Popen([*command, str(rank), str(world_size)], **pipes) for rank in range(world_size)]
    limit = threading.Timer(120, lambda: [rank.kill() for rank in ranks])
    limit.start()
    try:
        assert [rank.stdout.readline() for rank in ranks] == ["ready\n"] * world_size
        for rank in ranks:
            rank.stdin.write("\n")
            rank.stdin.flush()
        return [tuple(map(int, rank.stdout.readline().split())) for rank in ranks]
    finally:
        limit.cancel()
        for rank in ranks:
            rank.communicate("\n", timeout=60)


def test_ranks_share_one_copy_of_a_mapped_table(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.uint8, shape=(N, WIDTH))
    x[:] = np.arange(N, dtype=np.uint32)[:, None] % 251
    x.flush()
    nbytes, total = x.nbytes, int(x[:, 0].astype(np.int64).sum())
    del x
    for world_size in (1, 2, 4):
        ranks = epochs_on(tmp_path / "x.npy", world_size)
        assert sum(n for _, _, n in ranks) == 3 * N
        assert sum(seen for _, seen, _ in ranks) == 3 * total
        # A few batches of 768 KB, what Python has, and an eighth of all that is read where AddressSanitizer looks on.
        assert all(1000 * kb < nbytes / 5 for kb, _, _ in ranks), f"{ranks} for {nbytes} bytes on {world_size} ranks"
