"""Several processes, started by `torchrun`: together they see the whole set, with every trainer that has ranks."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from trainers_on_ranks import BATCH, N_EPOCHS, TRAINERS, N

import fastbatch as fb

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "training_on_ranks.py"


def torchrun(n_processes, *command, fails=False):
    """What the processes print."""
    runner = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n_processes)]
    done = subprocess.run(
        [*runner, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done.stdout


@pytest.mark.parametrize(("trainer", "n_processes"), [*((trainer, 2) for trainer in TRAINERS), ("torch", 4)])
def test_the_ranks_of_a_trainer_have_the_order_of_one(trainer, n_processes, tmp_path):
    torchrun(n_processes, HERE / "trainers_on_ranks.py", trainer, tmp_path)
    seen = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(n_processes)]
    n_batches = -(-N // (BATCH * n_processes))
    assert {len(of_rank) for of_rank in seen} == {N_EPOCHS * n_batches}
    for epoch in range(N_EPOCHS):
        batches = zip(*(of_rank[epoch * n_batches : (epoch + 1) * n_batches] for of_rank in seen), strict=True)
        together = list(itertools.chain.from_iterable(itertools.chain.from_iterable(batches)))
        assert together == fb.Shuffle(N).order(1, epoch).tolist()


@pytest.mark.parametrize("n_processes", [2, 4])
def test_the_example_is_the_same_on_any_number_of_processes(n_processes):
    printed = torchrun(n_processes, EXAMPLE)
    said = re.search(r"(\d) processes: each of 1797 rows 3 to 3 times in 3 epochs; accuracy (0\.\d+)", printed)
    assert said is not None, printed
    assert int(said[1]) == n_processes
    assert float(said[2]) > 0.92


@pytest.mark.parametrize(("before", "after"), [(4, 2), (2, 3)])
def test_after_a_kill_another_number_of_processes_sees_every_remaining_row_once(before, after, tmp_path):
    checkpoint = tmp_path / "run.pt"
    torchrun(before, EXAMPLE, "--checkpoint", checkpoint, "--kill-at", 43, fails=True)
    printed = torchrun(after, EXAMPLE, "--checkpoint", checkpoint)
    assert f"goes on at row {11 * 64} of epoch 1, on {after} processes" in printed  # 29 batches in the epoch before
    assert f"{after} processes: each of 1797 rows 3 to 3 times in 3 epochs" in printed


def test_one_process_needs_no_torchrun():
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, timeout=120, check=True)
    assert "1 processes: each of 1797 rows 3 to 3 times in 3 epochs" in done.stdout
