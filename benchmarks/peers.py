"""Other loaders over the same arrays: what their epochs are made of, and the loops over them.

Each is written as its documentation has it, and faster where there is a way: where row numbers are shuffled, and a
batch of them is gathered at once. Epochs are timed as a whole, because a part of one shows neither its order, nor the
filling of a shuffle buffer, nor the start of threads.
"""

import logging
import os
from functools import cached_property
from itertools import count

import numpy as np
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, TensorDataset

from benchmarks.epochs import Epoch
from benchmarks.optional import needs
from fastbatch.torch import BatchDataset


class Rows:
    """Single rows, as Grain reads them from what it calls a random-access source."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays[0])

    def __getitem__(self, index):
        return tuple(array[index] for array in self.arrays)


class Indexed(Rows, Dataset):
    """Whole batches, for a DataLoader whose sampler gives the row numbers of each."""


class PeersEpoch(Epoch):
    """1 M rows of 64 B, more than a cache holds, in batches of 256. What others iterate over is made once for all."""

    def __init__(self, scale):
        super().__init__(int(1_000_000 * scale), 16, 256)
        self.units = len(range(0, self.n, self.batch))
        self.seeds = count()

    @cached_property
    def two_workers(self):
        """They are started at the first epoch, and stay."""
        dataset = TensorDataset(self.X_tensor, self.y_tensor)
        return DataLoader(dataset, self.batch, shuffle=True, num_workers=2, persistent_workers=True)

    @cached_property
    def batch_sampled(self):
        dataset = Indexed(self.X_tensor, self.y_tensor)
        sampler = BatchSampler(RandomSampler(dataset), self.batch, drop_last=False)
        return DataLoader(dataset, sampler=sampler, batch_size=None)

    @cached_property
    def of_batch_dataset(self):
        dataset = BatchDataset((self.X_tensor, self.y_tensor))
        return DataLoader(dataset, self.batch, shuffle=True, collate_fn=BatchDataset.collate)

    @cached_property
    def tf(self):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it greets in ten lines, on machines without a GPU
        import tensorflow

        return tensorflow

    @cached_property
    def tf_tensors(self):
        return self.tf.constant(self.X), self.tf.constant(self.y)

    @cached_property
    def tf_shuffled(self):
        tf = self.tf
        dataset = tf.data.Dataset.from_tensor_slices(self.tf_tensors)
        return dataset.shuffle(self.n).batch(self.batch).prefetch(tf.data.AUTOTUNE)

    @cached_property
    def tf_gathered(self):
        """As Keras feeds arrays to `fit`: a shuffled order is cut into batches of row numbers, a tensor for each."""
        tf, n, (X, y) = self.tf, self.n, self.tf_tensors
        n_full = n // self.batch * self.batch
        slices = tf.data.Dataset.from_tensor_slices

        def orders(_):
            order = tf.random.shuffle(tf.range(n, dtype=tf.int64))
            full = slices(tf.reshape(order[:n_full], (-1, self.batch)))
            return full.concatenate(slices(order[None, n_full:])) if n_full < n else full

        def gather(rows):
            return tf.gather(X, rows), tf.gather(y, rows)

        return tf.data.Dataset.range(1).flat_map(orders).map(gather).prefetch(tf.data.AUTOTUNE)

    @cached_property
    def replay_buffer(self):
        """It holds a copy of the arrays. A pair is taken from it faster than a TensorDict."""
        from torchrl.data import LazyTensorStorage, ReplayBuffer
        from torchrl.data.replay_buffers import SamplerWithoutReplacement

        logging.getLogger("torchrl").setLevel(logging.WARNING)
        storage, sampler = LazyTensorStorage(self.n), SamplerWithoutReplacement()
        buffer = ReplayBuffer(storage=storage, sampler=sampler, batch_size=self.batch)
        buffer.extend((self.X_tensor, self.y_tensor))
        return buffer

    def row_numbers(self):
        """Those of each batch of the next epoch."""
        order = self.rng.permutation(self.n)
        for start in range(0, self.n, self.batch):
            yield order[start : start + self.batch]

    def gather(self, rows):
        """`take`, which is twice as fast here as `X[rows]`."""
        return self.X.take(rows, axis=0), self.y.take(rows)


def consume(batches, keep):
    for x_batch, y_batch in batches:
        if keep is not None:
            keep(x_batch, y_batch)


def torch_dataloader_2_workers(stage, keep=None):
    consume(stage.two_workers, keep)


def torch_batch_sampler(stage, keep=None):
    """The trick of torch's forum: a sampler of lists, and a dataset that is indexed with each."""
    consume(stage.batch_sampled, keep)


def batch_dataset(stage, keep=None):
    consume(stage.of_batch_dataset, keep)


@needs("grain")
def grain_source(stage, keep=None):
    """As its documentation has it: rows are read one by one, and stacked."""
    import grain

    rows = grain.MapDataset.source(Rows(stage.X, stage.y)).shuffle(seed=next(stage.seeds))
    consume(rows.batch(stage.batch), keep)


@needs("grain")
def grain_indices(stage, keep=None):
    """Its shuffled numbers, and rows gathered where a batch is made of them."""
    import grain

    rows = grain.MapDataset.range(stage.n).shuffle(seed=next(stage.seeds))
    consume(rows.batch(stage.batch, batch_fn=lambda rows: stage.gather(np.array(rows))), keep)


@needs("tensorflow-cpu")
def tf_data_shuffle(stage, keep=None):
    """As its documentation has it, with a buffer for all rows: a smaller one shuffles less."""
    consume(stage.tf_shuffled, keep)


@needs("tensorflow-cpu")
def tf_data_gather(stage, keep=None):
    consume(stage.tf_gathered, keep)


@needs("torchrl")
def torchrl_replay_buffer(stage, keep=None):
    consume(stage.replay_buffer, keep)


@needs("spdl")
def spdl_pipeline(stage, keep=None):
    """One thread, which is no slower here than two, and the faster of its queues to hand batches out."""
    from spdl.pipeline import PipelineBuilder

    builder = PipelineBuilder().add_source(stage.row_numbers()).pipe(stage.gather).add_sink(8)
    pipeline = builder.build(num_threads=1, use_thread_output_queue=True)
    with pipeline.auto_stop():
        consume(pipeline.get_iterator(), keep)
