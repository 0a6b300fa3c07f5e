"""A Lightning DataModule of Loaders, and a run that stops in the middle of an epoch and is taken up from a checkpoint.

Lightning saves the state of what it gets batches from, so that the resumed run begins with the very next row. Needs
torch and Lightning.
"""

import logging
import tempfile
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

import fastbatch as fb
import fastbatch.torch
from fastbatch.demo import load_digits

BATCH_SIZE, N_EPOCHS, STOP_AT = 32, 3, 60


class Digits(lightning.LightningDataModule):
    """Handwritten digits: a shuffled part to learn from, and one to validate on."""

    def setup(self, stage):
        images, digits = load_digits()
        self.data = torch.from_numpy(images), torch.from_numpy(digits)
        self.training, self.held_out = fb.split(len(digits), [0.8, 0.2], labels=digits, seed=0)

    def train_dataloader(self):
        # rank="auto" shares the rows among the Trainer's processes, which finds no sampler to do it by.
        loader = fb.Loader(self.data, BATCH_SIZE, sampler=fb.Subset(self.training), seed=0, rank="auto")
        return fastbatch.torch.as_dataloader(loader)

    def val_dataloader(self):
        # In order, and "exact": on several processes as well, every row is counted once.
        sampler = fb.Subset(self.held_out, fb.Sequential(len(self.held_out)))
        loader = fb.Loader(self.data, 4 * BATCH_SIZE, sampler=sampler, seed=0, rank="auto", uneven="exact")
        return fastbatch.torch.as_dataloader(loader)


class Classifier(lightning.LightningModule):
    """One hidden layer."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.n_batches = 0  # in this process
        self.n_right, self.n_rows = 0, 0

    def training_step(self, batch, i):
        images, digits = batch
        self.n_batches += 1
        return nn.functional.cross_entropy(self.net(images), digits)

    def on_validation_epoch_start(self):
        self.n_right, self.n_rows = 0, 0

    def validation_step(self, batch, i):
        images, digits = batch
        self.n_right += int((self.net(images).argmax(dim=1) == digits).sum())
        self.n_rows += len(digits)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def run(folder, checkpoint=None, **limits):
    """Train from the beginning or from a checkpoint, saving one after STOP_AT batches."""
    torch.manual_seed(0)
    model = Classifier()
    trainer = lightning.Trainer(
        accelerator="cpu",
        callbacks=[ModelCheckpoint(folder, filename="{step}", every_n_train_steps=STOP_AT, save_top_k=-1)],
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **limits,
    )
    trainer.fit(model, datamodule=Digits(), ckpt_path=checkpoint, weights_only=False if checkpoint else None)
    return model


def main():
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # Lightning would like to have worker processes; the Loader has threads
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        whole = run(first, max_epochs=N_EPOCHS)
        print(f"{N_EPOCHS} epochs without a break: {whole.n_batches} batches")
        print(f"  {whole.n_right / whole.n_rows:.3f} of {whole.n_rows} held-out images right")

        stopped = run(second, max_epochs=N_EPOCHS, max_steps=STOP_AT)
        (checkpoint,) = Path(second).glob("*.ckpt")
        print(f"stopped after {stopped.n_batches} batches, at {checkpoint.name}")
        resumed = run(second, checkpoint, max_epochs=N_EPOCHS)
        print(f"went on with {resumed.n_batches} batches")
        print(f"  {resumed.n_right / resumed.n_rows:.3f} of {resumed.n_rows} held-out images right")
        pairs = zip(whole.parameters(), resumed.parameters(), strict=True)
        print(f"the same weights as without a break: {all(torch.equal(a, b) for a, b in pairs)}")


if __name__ == "__main__":
    main()
