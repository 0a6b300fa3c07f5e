"""What ``fastbatch demo`` shows: a network learning from batches of real digits, and what the batches cost."""

import copy
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

import fastbatch as fb
from fastbatch.progress import ProgressBar

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Batch = tuple[Floats, Labels]

N_CLASSES = 10
N_HIDDEN = 64
N_HELD_OUT = 360
N_RARE_IMAGES = 10  # left of each of the digits 5-9 in the thinned training part
LEARNING_RATE = 0.1  # at a batch size of 32 and more
MOMENTUM = 0.9
N_REPEATS = 7


def run(epochs: int, batch_size: int, seed: int) -> None:
    """Train three times, measure, and print as the figures come in."""
    start = time.perf_counter()
    show_training(epochs, batch_size, seed)
    print()
    show_rates(batch_size, seed)
    print(f"\nTotal time {time.perf_counter() - start:.1f} s.")


def load_digits() -> Batch:
    """Return the UCI optical digits: 1797 images of 64 pixels in 0..1 (float32), and their labels (int64)."""
    with files("fastbatch").joinpath("data", "digits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        return arrays["images"].astype(np.float32) / 16, arrays["labels"].astype(np.int64)


# -- training --------------------------------------------------------------------------------------------------------


class Network:
    """One hidden layer of rectified units and a softmax, trained by stochastic gradient descent with momentum."""

    def __init__(self, n_inputs: int, rng: np.random.Generator) -> None:
        self.parameters = [
            rng.normal(0, np.sqrt(2 / n_inputs), (n_inputs, N_HIDDEN)).astype(np.float32),
            np.zeros(N_HIDDEN, np.float32),
            rng.normal(0, np.sqrt(2 / N_HIDDEN), (N_HIDDEN, N_CLASSES)).astype(np.float32),
            np.zeros(N_CLASSES, np.float32),
        ]
        self.velocities = [np.zeros_like(parameter) for parameter in self.parameters]

    def forward(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the hidden activations and the logits."""
        w_hidden, b_hidden, w_out, b_out = self.parameters
        hidden = np.maximum(x @ w_hidden + b_hidden, 0)
        return hidden, hidden @ w_out + b_out

    def step(self, x: Floats, y: Labels, learning_rate: float) -> None:
        """One update by the gradient of the batch's mean cross-entropy."""
        hidden, logits = self.forward(x)
        # The gradient by the logits is softmax minus one-hot.
        d_logits = np.exp(logits - logits.max(axis=1, keepdims=True))
        d_logits /= d_logits.sum(axis=1, keepdims=True)
        d_logits[np.arange(len(y)), y] -= 1
        d_logits /= len(y)
        d_hidden = (d_logits @ self.parameters[2].T) * (hidden > 0)
        gradients = [x.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_logits, d_logits.sum(axis=0)]
        for parameter, velocity, gradient in zip(self.parameters, self.velocities, gradients, strict=True):
            velocity *= MOMENTUM
            velocity -= learning_rate * gradient
            parameter += velocity

    def accuracy(self, x: Floats, y: Labels) -> float:
        """Return the share of rows whose largest logit is the label's."""
        return float((self.forward(x)[1].argmax(axis=1) == y).mean())


@dataclass
class Training:
    """What one training showed of its batches."""

    waiting: float  # share of the time spent in `next`
    imbalance: int  # most minus fewest images of a digit, in the worst batch


def train(network: Network, loader: Any, n_updates: int, bar: ProgressBar) -> Training:
    """Update `network` by `n_updates` batches, over as many epochs as that takes."""
    # A batch below 32 has a noisier gradient: smaller steps keep it stable.
    first_rate = LEARNING_RATE * min(1, loader.batch_size / 32)
    waited, imbalance = 0.0, 0
    batches = iter(loader)
    start = time.perf_counter()
    for update in range(n_updates):
        asked = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)  # the next epoch, in another order
            batch = next(batches)
        waited += time.perf_counter() - asked
        x, y = batch
        network.step(x, y, first_rate * (1 - update / n_updates))
        counts = np.bincount(y, minlength=N_CLASSES)
        imbalance = max(imbalance, int(counts.max() - counts.min()))
        bar.advance()
    return Training(waited / (time.perf_counter() - start), imbalance)


def thin(y: Labels) -> Labels:
    """Return the positions in `y` of all digits 0-4, and of the first few of each digit 5-9."""
    kept = [np.flatnonzero(y == digit)[: None if digit < 5 else N_RARE_IMAGES] for digit in range(N_CLASSES)]
    return np.concatenate(kept)


def show_training(epochs: int, batch_size: int, seed: int) -> None:
    """Train on all images and on a thinned part, shuffled and balanced, and print the accuracies."""
    rng = np.random.default_rng(seed)
    x, y = load_digits()
    order = fb.permutation(len(x), rng=rng)
    x_held_out, y_held_out = fb.take(x, order[:N_HELD_OUT]), fb.take(y, order[:N_HELD_OUT])
    x_all, y_all = fb.take(x, order[N_HELD_OUT:]), fb.take(y, order[N_HELD_OUT:])
    kept = thin(y_all)
    x_thin, y_thin = fb.take(x_all, kept), fb.take(y_all, kept)

    shuffled = fb.Loader((x_all, y_all), batch_size, shuffle=True, seed=seed)
    thin_shuffled = fb.Loader((x_thin, y_thin), batch_size, shuffle=True, seed=seed)
    thin_balanced = fb.Loader((x_thin, y_thin), batch_size, sampler=fb.Balanced(y_thin, exhausted="recycle"), seed=seed)
    runs = [
        ("all", "shuffled", len(x_all), shuffled),
        ("digits 5-9 rare", "shuffled", len(x_thin), thin_shuffled),
        ("digits 5-9 rare", "class-balanced", len(x_thin), thin_balanced),
    ]

    n_updates = epochs * len(shuffled)
    print(f"Handwritten digits: {len(x_all)} images to train on, {N_HELD_OUT} others, drawn at random, held out.")
    print(f"A {x.shape[1]}-{N_HIDDEN}-{N_CLASSES} network in NumPy; {n_updates} updates by batches of {batch_size}.\n")
    print(f"{'trained on':<17}{'images':>6}  {'batches':<16}{'imbalance':>9}{'waiting':>10}{'held-out accuracy':>20}")
    initial = Network(x.shape[1], rng)
    for images, batches, n_images, loader in runs:
        network = copy.deepcopy(initial)
        with ProgressBar(f"{images}, {batches}", n_updates, sys.stderr) as bar:
            result = train(network, loader, n_updates, bar)
        accuracy = network.accuracy(x_held_out, y_held_out)
        print(
            f"{images:<17}{n_images:>6}  {batches:<16}{result.imbalance:>9}{result.waiting:>10.1%}{accuracy:>20.1%}",
            flush=True,
        )
    print("\nimbalance: most minus fewest images of a digit in one batch, in the worst batch of all.")
    print("waiting:   share of the training time spent waiting for the next batch.")


# -- batches per second ----------------------------------------------------------------------------------------------


def numpy_batches(x: Floats, y: Labels, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield a shuffled epoch as it is usually written in NumPy."""
    perm = rng.permutation(len(x))
    for i in range(0, len(x), batch_size):
        rows = perm[i : i + batch_size]
        yield x[rows], y[rows]


def show_rates(batch_size: int, seed: int) -> None:
    """Print batches per second of the NumPy idiom and of fastbatch, for the digits and for a larger table."""
    rng = np.random.default_rng(seed)
    digits = load_digits()
    table = rng.integers(0, 256, (1_000_000, 16), dtype=np.uint8).astype(np.float32), rng.integers(0, 10, 1_000_000)
    print("Batches per second on this machine, over whole shuffled epochs:\n")
    print(f"{'rows':<40}{'x[perm[i:j]]':>14}{'fastbatch':>14}{'ratio':>8}")
    for (x, y), size, n_epochs in ((digits, batch_size, 20), (table, 256, 1)):
        n_batches = n_epochs * -(-len(x) // size)
        numpy_seconds, fastbatch_seconds = time_epochs(x, y, size, n_epochs, rng)
        rows = f"{len(x):,} x {x[0].nbytes} B + label, batch {size}"
        print(
            f"{rows:<40}{n_batches / numpy_seconds:>14,.0f}{n_batches / fastbatch_seconds:>14,.0f}"
            f"{numpy_seconds / fastbatch_seconds:>7.1f}x",
            flush=True,
        )
    print(f"\nMedians of {N_REPEATS} repeats, taken in turn.")


def time_epochs(x: Floats, y: Labels, batch_size: int, n_epochs: int, rng: np.random.Generator) -> list[float]:
    """Median seconds for `n_epochs` epochs: of the NumPy idiom, then of fastbatch."""
    loader = fb.Loader((x, y), batch_size, shuffle=True, seed=int(rng.integers(2**32)))
    contenders: list[Callable[[], Iterable[Batch]]] = [lambda: numpy_batches(x, y, batch_size, rng), lambda: loader]
    for epoch in contenders:
        check_epoch(epoch(), x, y)
    seconds: list[list[float]] = [[] for _ in contenders]
    for _ in range(N_REPEATS):
        for epoch, times in zip(contenders, seconds, strict=True):
            start = time.perf_counter()
            for _ in range(n_epochs):
                for _batch in epoch():
                    pass
            times.append(time.perf_counter() - start)
    return [median(times) for times in seconds]


def check_epoch(batches: Iterable[Batch], x: Floats, y: Labels) -> None:
    """Raise unless `batches` hold every row of `x` with its label: sums of label times row, exact in float64."""
    total = np.zeros(x.shape[1])
    for batch_x, batch_y in batches:
        total += batch_y.astype(np.float64) @ batch_x
    if not np.array_equal(total, y.astype(np.float64) @ x):
        raise RuntimeError("the batches of an epoch do not add up to the data")
