"""Ray Train on a local cluster: a worker is killed, and another number of workers goes on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "training_on_ray.py"


def run(folder, *options):
    return subprocess.run(
        [sys.executable, EXAMPLE, "--folder", folder, *options],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"},
    )


def test_after_a_kill_another_number_of_workers_sees_every_remaining_row_once(tmp_path):
    killed = run(tmp_path, "--workers", "2", "--kill-at", "39")
    assert killed.returncode != 0
    latest = max(tmp_path.rglob("state.pt"), key=lambda path: path.stat().st_mtime)
    state = torch.load(latest)
    assert (state["loader"]["epoch"], state["loader"]["position"]) == (1, (35 - 29) * 64)  # 29 batches in an epoch
    assert sorted(set(state["seen"].tolist())) == [1, 2]
    done = run(tmp_path, "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert re.search("1 workers: each row 2 to 2 times in 2 epochs", done.stdout), done.stdout
