"""One script for a laptop and for many machines: it shares its data with as many processes as it finds itself in.

    python training_on_ranks.py
    torchrun --nproc-per-node 4 training_on_ranks.py --checkpoint run.pt

The second one can be killed at any time and started again with another number of processes: each row of the epoch that
it was in comes once, and in the order that it would have had.
"""

import argparse
import os
import signal
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

import fastbatch as fb
from fastbatch.demo import load_digits

GLOBAL_BATCH, N_EPOCHS = 64, 3


def save(path, network, loader, seen):
    """All ranks are at the same place; what each has seen is added up."""
    total = seen.clone()
    dist.all_reduce(total)
    if dist.get_rank() == 0:
        state = {"network": network.state_dict(), "loader": loader.state_dict(), "seen": total}
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)  # whoever is killed here leaves a whole file


def train(network, optimizer, options):
    """How often each row was seen, on all ranks."""
    rank, world_size = dist.get_rank(), dist.get_world_size()
    images, digits = load_digits()
    loader = fb.Loader(
        (torch.from_numpy(images), torch.from_numpy(digits)),
        GLOBAL_BATCH // world_size,
        shuffle=True,
        seed=0,
        rank="auto",  # that of torch.distributed
        uneven="exact",
        rows=True,
    )
    seen = torch.zeros(len(images), dtype=torch.int64)
    if options.checkpoint and options.checkpoint.exists():
        state = torch.load(options.checkpoint)
        network.load_state_dict(state["network"])
        loader.load_state_dict(state["loader"])
        if rank == 0:
            seen += state["seen"]
            print(f"goes on at row {state['loader']['position']} of epoch {loader.epoch}, on {world_size} processes")

    n_batches = 0
    for _ in range(loader.epoch, N_EPOCHS):
        for x, y, rows in loader:
            if n_batches == options.kill_at and rank == world_size - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            optimizer.zero_grad()
            # A sum, because the last batch is shorter, for some ranks by one row more: each row counts the same.
            (nn.functional.cross_entropy(network(x), y, reduction="sum") / GLOBAL_BATCH).backward()
            for parameter in network.parameters():
                dist.all_reduce(parameter.grad)  # DistributedDataParallel does this while it goes backward
            optimizer.step()
            seen[rows] += 1
            n_batches += 1
            if options.checkpoint and n_batches % 5 == 0:
                save(options.checkpoint, network, loader, seen)
        if options.checkpoint:
            save(options.checkpoint, network, loader, seen)
    dist.all_reduce(seen)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="where to begin, if it exists, and what to write")
    parser.add_argument("--kill-at", type=int, help="the last process is killed before it trains on this batch")
    options = parser.parse_args()

    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    # Before the process group: what torch imports for it would refer to the group for good, whose threads have to end
    # before Python does.
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)

    if "RANK" in os.environ:  # set by torchrun
        dist.init_process_group("gloo")
    else:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    rank, world_size = dist.get_rank(), dist.get_world_size()
    seen = train(network, optimizer, options)
    dist.destroy_process_group()
    if rank == 0:
        images, digits = load_digits()
        with torch.no_grad():
            accuracy = (network(torch.from_numpy(images)).argmax(1).numpy() == digits).mean()
        times = f"{seen.min()} to {seen.max()} times in {N_EPOCHS} epochs"
        print(f"{world_size} processes: each of {len(seen)} rows {times}; accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
