"""An epoch of training by the trainers that people use, which take their batches from a DataLoader or from a Loader."""

import logging
import tempfile
import warnings
from itertools import count

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, default_collate

import fastbatch as fb
from benchmarks.optional import needs
from benchmarks.steps import Steps, torch_threads
from fastbatch.torch import as_dataloader

N_COLUMNS, N_CLASSES, BATCH = 64, 10, 256


class TrainedEpoch(Steps):
    """An epoch for a network with one hidden layer, 64 float32 to a row, which are trained by a trainer that is new.

    The first two columns hold the thousands and the rest of the row's number, so that a batch can be checked.
    """

    def __init__(self, n, scale):
        n = int(n * scale)
        X = np.random.default_rng(0).standard_normal((n, N_COLUMNS), np.float32)
        X[:, 0], X[:, 1] = np.divmod(np.arange(n), 1000)
        X[:, :2] /= 1000
        super().__init__(X, np.arange(n) % N_CLASSES, BATCH)
        self.tensors = (torch.from_numpy(self.X), torch.from_numpy(self.y))
        self.dataset = TensorDataset(*self.tensors)
        self.seeds = count()  # of orders, so that none is repeated

    def rows_of(self, x_batch, _y_batch):
        thousands, units = np.rint(x_batch[:, :2].astype(float) * 1000).T
        return (thousands * 1000 + units).astype(np.int64)

    def refresh(self, contender):
        """Nothing is left from the repeat before: the trainer and its iterator are new."""

    def network(self):
        return nn.Sequential(nn.Linear(N_COLUMNS, 128), nn.ReLU(), nn.Linear(128, N_CLASSES))

    def fit_lightning(self, loader, keep):
        """An epoch by Lightning's Trainer, without whatever it does besides."""
        import lightning

        class Model(lightning.LightningModule):
            def __init__(self, network):
                super().__init__()
                self.network = network

            def training_step(self, batch, _i):
                if keep is not None:
                    keep(*batch)
                x, labels = batch
                return nn.functional.cross_entropy(self.network(x), labels)

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), 0.01)

        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch_threads(1):
            warnings.simplefilter("ignore")  # of too few workers
            trainer = lightning.Trainer(accelerator="cpu", max_epochs=1, barebones=True)
            trainer.fit(Model(self.network()), loader)

    def fit_transformers(self, keep, *, dataset=None, loader=None):
        """An epoch by the Trainer of transformers, over a dataset or a Loader."""
        import transformers

        class Model(nn.Module):
            def __init__(self, network):
                super().__init__()
                self.network = network

            def forward(self, x, labels):
                if keep is not None:
                    keep(x, labels)
                return {"loss": nn.functional.cross_entropy(self.network(x), labels)}

        class Trainer(transformers.Trainer):
            def get_train_dataloader(self):
                return super().get_train_dataloader() if loader is None else as_dataloader(loader)

        with tempfile.TemporaryDirectory() as folder, torch_threads(1):
            arguments = transformers.TrainingArguments(
                folder,
                seed=next(self.seeds),
                num_train_epochs=1,
                per_device_train_batch_size=BATCH,
                optim="sgd",
                max_grad_norm=0,
                lr_scheduler_type="constant",
                logging_strategy="no",
                save_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
                dataloader_pin_memory=False,
            )
            trainer = Trainer(Model(self.network()), arguments, train_dataset=dataset, data_collator=named)
            trainer.remove_callback(transformers.PrinterCallback)
            trainer.train()


def named(samples):
    """The batch with the names that the model's arguments have."""
    return dict(zip(("x", "labels"), default_collate(samples), strict=True))


@needs("lightning")
def lightning_dataloader(stage, keep=None):
    stage.fit_lightning(DataLoader(stage.dataset, BATCH, shuffle=True), keep)


@needs("lightning")
def lightning_fastbatch(stage, keep=None):
    stage.fit_lightning(fb.Loader(stage.tensors, BATCH, shuffle=True, seed=next(stage.seeds), threads=0), keep)


@needs("transformers", "accelerate")
def transformers_dataset(stage, keep=None):
    """Its Trainer makes a DataLoader of the dataset, shuffled."""
    stage.fit_transformers(keep, dataset=stage.dataset)


@needs("transformers", "accelerate")
def transformers_fastbatch(stage, keep=None):
    data = dict(zip(("x", "labels"), stage.tensors, strict=True))
    loader = fb.Loader(data, BATCH, shuffle=True, seed=next(stage.seeds), threads=0)
    stage.fit_transformers(keep, loader=loader)
