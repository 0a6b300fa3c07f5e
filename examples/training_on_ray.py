"""Ray Train: the same function on the workers of a laptop or of a cluster, which share the rows of each epoch.

    python training_on_ray.py --workers 2 --folder FOLDER

What is in the folder is gone on with, on any number of workers: each row of the epoch comes once.
"""

import argparse
import os
import signal
import tempfile
from pathlib import Path

import ray
import torch
import torch.distributed as dist
from ray.train import Checkpoint, CheckpointConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from torch import nn

import fastbatch as fb
from fastbatch.demo import load_digits

GLOBAL_BATCH, N_EPOCHS = 64, 2


def train_on_worker(config):
    """What each worker does."""
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    images, digits = load_digits()
    loader = fb.Loader(
        (torch.from_numpy(images), torch.from_numpy(digits)),
        GLOBAL_BATCH // world_size,
        shuffle=True,
        seed=0,
        rank="auto",  # Ray has set up torch.distributed
        uneven="exact",
        rows=True,
    )
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(images.shape[1], 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    seen = torch.zeros(len(images), dtype=torch.int64)
    checkpoint = ray.train.get_checkpoint() or config["checkpoint"]
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder, "state.pt"))
        network.load_state_dict(state["network"])
        loader.load_state_dict(state["loader"])
        seen += state["seen"] * (rank == 0)

    n_batches = 0
    for _ in range(loader.epoch, N_EPOCHS):
        for x, y, rows in loader:
            if n_batches == config["kill_at"] and rank == world_size - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            optimizer.zero_grad()
            (nn.functional.cross_entropy(network(x), y, reduction="sum") / GLOBAL_BATCH).backward()
            for parameter in network.parameters():
                dist.all_reduce(parameter.grad)
            optimizer.step()
            seen[rows] += 1
            n_batches += 1
            if n_batches % 5 == 0 or loader.remaining == 0:
                report(network, loader, seen)


def report(network, loader, seen):
    """All workers are at the same place; what each has seen is added up, and the first one writes it."""
    total = seen.clone()
    dist.all_reduce(total)
    metrics = {"fewest": int(total.min()), "most": int(total.max()), "position": loader.state_dict()["position"]}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = None
        if dist.get_rank() == 0:
            state = {"network": network.state_dict(), "loader": loader.state_dict(), "seen": total}
            torch.save(state, Path(folder, "state.pt"))
            checkpoint = Checkpoint.from_directory(folder)
        ray.train.report(metrics, checkpoint=checkpoint)


def latest_checkpoint(folder):
    """The one that was written last; None where there is none."""
    found = sorted(folder.rglob("state.pt"), key=lambda path: path.stat().st_mtime)
    return Checkpoint.from_directory(found[-1].parent) if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoints are, and come to be")
    parser.add_argument("--kill-at", type=int, help="the last worker is killed before it trains on this batch")
    options = parser.parse_args()
    checkpoint = latest_checkpoint(options.folder)
    trainer = TorchTrainer(
        train_on_worker,
        train_loop_config={"kill_at": options.kill_at, "checkpoint": checkpoint},
        scaling_config=ScalingConfig(num_workers=options.workers),
        run_config=RunConfig(
            name=f"on-{options.workers}-workers",
            storage_path=str(options.folder.resolve()),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
        ),
    )
    metrics = trainer.fit().metrics
    print(f"{options.workers} workers: each row {metrics['fewest']} to {metrics['most']} times in {N_EPOCHS} epochs")


if __name__ == "__main__":
    main()
