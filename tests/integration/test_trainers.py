"""Trainers that people use: each trains a real epoch, and sees every row once."""

import re

import lightning
import numpy as np
import pytest
import skorch
import torch
import transformers
from accelerate import Accelerator
from lightning.fabric import Fabric
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from trainers_on_ranks import Classifier, training_arguments

import fastbatch as fb
import fastbatch.torch
from programs import run_example

N, BATCH = 1000, 32
X = torch.randn(N, 8, generator=torch.Generator().manual_seed(0))
Y = (X.sum(dim=1) > 0).long()


def loader_of(**options):
    return fb.Loader((X, Y), BATCH, shuffle=True, seed=1, rows=True, **options)


def order_of(n_epochs):
    orders = [fb.Shuffle(N).order(1, epoch) for epoch in range(n_epochs)]
    return [order[first : first + BATCH].tolist() for order in orders for first in range(0, N, BATCH)]


def direct(loader):
    return loader


GIVEN = pytest.mark.parametrize("given", [direct, fastbatch.torch.as_dataloader])


# ---------------------------------------------------------------------------------------------------------------------
# Lightning
# ---------------------------------------------------------------------------------------------------------------------


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(8, 2)
        self.seen, self.losses = [], []

    def training_step(self, batch, i):
        x, y, rows = batch
        self.seen.append(rows.tolist())
        loss = nn.functional.cross_entropy(self.net(x), y)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.5)


class Data(lightning.LightningDataModule):
    def __init__(self, given):
        super().__init__()
        self.given = given

    def train_dataloader(self):
        return self.given(loader_of())


def trainer(tmp_path, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return lightning.Trainer(accelerator="cpu", default_root_dir=tmp_path, **quiet, **options)


@pytest.mark.filterwarnings("ignore")
@GIVEN
def test_lightning_trains_and_resumes_in_the_middle_of_an_epoch(tmp_path, given):
    torch.manual_seed(0)
    saving = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=10, save_top_k=-1)
    whole = Model()
    trainer(tmp_path, max_epochs=2, callbacks=[saving]).fit(whole, datamodule=Data(given))
    assert whole.seen == order_of(2)
    assert np.mean(whole.losses[-10:]) < 0.5 * np.mean(whole.losses[:3])
    for step in (10, 40):
        resumed = Model()
        with_data = trainer(tmp_path, max_epochs=2, enable_checkpointing=False)
        with_data.fit(resumed, datamodule=Data(given), ckpt_path=tmp_path / f"step={step}.ckpt", weights_only=False)
        assert resumed.seen == whole.seen[step:]
        assert resumed.losses == whole.losses[step:]


def test_the_example_of_a_datamodule_is_taken_up_in_the_middle_of_an_epoch(tmp_path):
    printed = run_example("lightning_datamodule.py", tmp_path, timeout=300)
    assert "3 epochs without a break: 135 batches" in printed
    assert "stopped after 60 batches, at step=60.ckpt" in printed
    assert "went on with 75 batches" in printed
    assert "the same weights as without a break: True" in printed
    whole, resumed = re.findall(r"batches\n  ([\d.]+) of 359 held-out images right", printed)
    assert whole == resumed
    assert float(whole) > 0.9


# ---------------------------------------------------------------------------------------------------------------------
# Fabric, Accelerate
# ---------------------------------------------------------------------------------------------------------------------


def train(model, optimizer, batches, backward):
    seen = []
    for x, y, rows in batches:
        optimizer.zero_grad()
        backward(nn.functional.cross_entropy(model(x), y))
        optimizer.step()
        seen.append(rows.tolist())
    return seen


def test_fabric_trains():
    fabric = Fabric(accelerator="cpu", devices=1)
    model = nn.Linear(8, 2)
    model, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), 0.5))
    dataloader = fabric.setup_dataloaders(fastbatch.torch.as_dataloader(loader_of()))
    seen = [train(model, optimizer, dataloader, fabric.backward) for _ in range(2)]
    assert seen[0] + seen[1] == order_of(2)


@GIVEN
def test_accelerate_trains(given):
    accelerator = Accelerator(cpu=True)
    model = nn.Linear(8, 2)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 0.5))
    dataloader = given(loader_of())
    if given is not direct:
        dataloader = accelerator.prepare(dataloader)
    seen = [train(model, optimizer, dataloader, accelerator.backward) for _ in range(2)]
    assert seen[0] + seen[1] == order_of(2)


# ---------------------------------------------------------------------------------------------------------------------
# Hugging Face's Trainer
# ---------------------------------------------------------------------------------------------------------------------


class Trainer(transformers.Trainer):
    """The one method that says where batches come from."""

    def __init__(self, *arguments, loader, **options):
        super().__init__(*arguments, **options)
        self.loader = loader

    def get_train_dataloader(self):
        return fastbatch.torch.as_dataloader(self.loader)


def test_the_trainer_of_transformers_trains(tmp_path):
    loader = fb.Loader({"x": X, "labels": Y}, BATCH, shuffle=True, seed=1, rows=True)
    model = Classifier()
    Trainer(model, training_arguments(tmp_path, BATCH), loader=loader).train()
    assert model.seen == order_of(2)


# ---------------------------------------------------------------------------------------------------------------------
# skorch
# ---------------------------------------------------------------------------------------------------------------------


def test_skorch_trains():
    net = skorch.NeuralNetClassifier(
        nn.Sequential(nn.Linear(8, 2), nn.Softmax(dim=-1)),
        max_epochs=3,
        lr=0.5,
        batch_size=BATCH,
        train_split=None,
        iterator_train__shuffle=True,
        iterator_train__collate_fn=fastbatch.torch.BatchDataset.collate,
        iterator_valid__collate_fn=fastbatch.torch.BatchDataset.collate,
        verbose=0,
    )
    dataset = fastbatch.torch.BatchDataset((X, Y))
    net.fit(dataset, y=None)
    assert (net.predict(dataset) == Y.numpy()).mean() > 0.9
    assert net.history[-1, "train_batch_count"] == -(-N // BATCH)
