"""A program for `torchrun`: one of the trainers, on as many processes as it finds, and which rows each has seen.

python -m torch.distributed.run --nproc-per-node 2 trainers_on_ranks.py TRAINER FOLDER
"""

import json
import os
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

import fastbatch as fb
import fastbatch.torch

N, BATCH, N_EPOCHS = 203, 16, 2
X = torch.randn(N, 8, generator=torch.Generator().manual_seed(0))
Y = (X.sum(dim=1) > 0).long()


def loader_of():
    """What everybody is given: it knows which of the processes it is in."""
    return fb.Loader({"x": X, "labels": Y}, BATCH, shuffle=True, seed=1, rows=True, rank="auto", uneven="exact")


class Classifier(nn.Module):
    """Says what it has seen."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(8, 2)
        self.seen = []

    def forward(self, x, labels, rows):
        self.seen.append(rows.tolist())
        scores = self.net(x)
        return {"loss": nn.functional.cross_entropy(scores, labels), "logits": scores}


def train(model, optimizer, batches, backward):
    for batch in batches:
        optimizer.zero_grad()
        backward(model(**batch)["loss"])
        optimizer.step()


def with_torch(folder):
    """Gradients are averaged by DistributedDataParallel."""
    torch.distributed.init_process_group("gloo")
    model = Classifier()
    parallel = nn.parallel.DistributedDataParallel(model)
    optimizer, loader = torch.optim.SGD(parallel.parameters(), 0.5), loader_of()
    for _ in range(N_EPOCHS):
        train(parallel, optimizer, loader, torch.Tensor.backward)
    return model.seen


def with_accelerate(folder):
    """The model and the optimizer are prepared. The Loader is not: it is shared out already."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model = Classifier()
    prepared, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 0.5))
    loader = loader_of()
    for _ in range(N_EPOCHS):
        train(prepared, optimizer, loader, accelerator.backward)
    return model.seen


def with_fabric(folder):
    """`setup_dataloaders` moves batches to the device, and shares out nothing that has no sampler."""
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=int(os.environ["WORLD_SIZE"]), strategy="ddp")
    fabric.launch()
    model = Classifier()
    prepared, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), 0.5))
    dataloader = fabric.setup_dataloaders(fastbatch.torch.as_dataloader(loader_of()))
    for _ in range(N_EPOCHS):
        train(prepared, optimizer, dataloader, fabric.backward)
    return model.seen


def with_lightning(folder):
    """The Loader is made when the Trainer asks for it: by then the processes know each other."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.classifier = Classifier()

        def training_step(self, batch, i):
            return self.classifier(**batch)["loss"]

        def train_dataloader(self):
            return fastbatch.torch.as_dataloader(loader_of())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.5)

    module = Module()
    names = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    lightning.Trainer(
        accelerator="cpu",
        devices=int(os.environ["WORLD_SIZE"]),
        strategy="ddp",
        max_epochs=N_EPOCHS,
        default_root_dir=folder,
        **dict.fromkeys(names, False),
    ).fit(module)
    return module.classifier.seen


def training_arguments(folder, batch_size):
    """For the Trainer of transformers, which is to do nothing but train."""
    import transformers

    return transformers.TrainingArguments(
        folder,
        num_train_epochs=N_EPOCHS,
        per_device_train_batch_size=batch_size,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )


def with_transformers(folder):
    """The one method that says where batches come from; what it gives is not prepared any more."""
    import transformers

    class Trainer(transformers.Trainer):
        def get_train_dataloader(self):
            return fastbatch.torch.as_dataloader(loader_of())

    model = Classifier()
    Trainer(model, training_arguments(folder, BATCH)).train()
    return model.seen


TRAINERS = {
    "torch": with_torch,
    "accelerate": with_accelerate,
    "fabric": with_fabric,
    "lightning": with_lightning,
    "transformers": with_transformers,
}


def main():
    warnings.simplefilter("ignore")
    trainer, folder = sys.argv[1], Path(sys.argv[2])
    seen = TRAINERS[trainer](folder)
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(seen))
    torch.distributed.barrier()
    # DistributedDataParallel keeps the threads of its process group. One that is at work when Python ends takes the
    # process down.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
