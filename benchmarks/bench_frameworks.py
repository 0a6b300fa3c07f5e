"""fastbatch beside the loaders of others, in place of torch's, and under the trainers that people use."""

from functools import partial

from benchmarks.epochs import fastbatch_loader, fastbatch_tensors, torch_dataloader
from benchmarks.measure import Case, Faster, PairsWithin
from benchmarks.peers import (
    PeersEpoch,
    batch_dataset,
    grain_indices,
    grain_source,
    spdl_pipeline,
    tf_data_gather,
    tf_data_shuffle,
    torch_batch_sampler,
    torch_dataloader_2_workers,
    torchrl_replay_buffer,
)
from benchmarks.trainers import (
    TrainedEpoch,
    lightning_dataloader,
    lightning_fastbatch,
    transformers_dataset,
    transformers_fastbatch,
)

PEERS = (grain_source, grain_indices, tf_data_shuffle, tf_data_gather, torchrl_replay_buffer, spdl_pipeline)
EPOCH = "shuffled epoch, 1 M rows of 64 B + label, batch 256"

CASES = [
    Case(
        name="torch-out",
        work=f"{EPOCH}, torch tensors",
        stage=PeersEpoch,
        contenders=(torch_dataloader, torch_dataloader_2_workers, torch_batch_sampler, fastbatch_tensors),
        goals=(
            Faster(fastbatch_tensors, (torch_dataloader,), 150),
            Faster(fastbatch_tensors, (torch_dataloader_2_workers,), 40),
            Faster(fastbatch_tensors, (torch_batch_sampler,), 20),
        ),
        unit="batch",
        fewest=5,
    ),
    Case(
        name="batch-dataset",
        work=f"{EPOCH}, BatchDataset under torch's DataLoader",
        stage=PeersEpoch,
        contenders=(torch_dataloader, batch_dataset),
        goals=(Faster(batch_dataset, (torch_dataloader,), 10),),
        unit="batch",
        fewest=5,
    ),
    Case(
        name="trainer-lightning",
        work="an epoch by Lightning's Trainer, 100 k x 64 float32, batch 256, one hidden layer",
        stage=partial(TrainedEpoch, 100_000),
        contenders=(lightning_dataloader, lightning_fastbatch),
        goals=(PairsWithin(lightning_fastbatch, (lightning_dataloader,), 1.0),),
        unit="batch",
    ),
    Case(
        name="trainer-transformers",
        work="an epoch by transformers' Trainer, 60 k x 64 float32, batch 256, one hidden layer",
        stage=partial(TrainedEpoch, 60_000),
        contenders=(transformers_dataset, transformers_fastbatch),
        goals=(PairsWithin(transformers_fastbatch, (transformers_dataset,), 1.0),),
        unit="batch",
    ),
    # Last, because TensorFlow's threads stay, and no process is to be forked beside them.
    Case(
        name="peers",
        work=f"{EPOCH}, other loaders",
        stage=PeersEpoch,
        contenders=(*PEERS, fastbatch_loader),
        goals=tuple(Faster(fastbatch_loader, (peer,), 1) for peer in PEERS),
        unit="batch",
        fewest=3,
    ),
]


def test_frameworks(timed, stage, contender):
    timed(stage, contender)
