"""A table in a file, larger than it pays to load: batches made ahead, normalised on the way, and watched.

Native threads read the rows while the model computes; a function of ours runs on Python threads of its own; and the
loader says how long the training loop has waited for data.
"""

import tempfile
from pathlib import Path

import numpy as np

import fastbatch as fb

N_ROWS, N_FEATURES, BATCH_SIZE = 200_000, 64, 512


def write_table(folder, rng):
    """A file of raw readings, and the labels that a linear model can learn from them."""
    readings = rng.integers(0, 256, size=(N_ROWS, N_FEATURES), dtype=np.uint8)
    np.save(folder / "readings.npy", readings)
    score = (readings.astype(np.float32) - 127.5) @ np.linspace(-1, 1, N_FEATURES, dtype=np.float32)
    return folder / "readings.npy", (score > 0).astype(np.float32)


def normalised(batch):
    """From bytes to floats of about unit size: what a model wants and a file should not hold."""
    readings, labels = batch
    return (readings.astype(np.float32) - 127.5) / 73.9, labels


def train(loader, n_epochs):
    """Logistic regression by mini-batch gradient descent."""
    weights = np.zeros(N_FEATURES, np.float32)
    for epoch in range(n_epochs):
        n_right = 0
        for x, y in loader:
            p = 1 / (1 + np.exp(-x @ weights))
            n_right += np.count_nonzero((p > 0.5) == (y == 1))
            weights -= 0.5 * x.T @ (p - y) / len(y)
        stats = loader.stats(reset=True)
        print(f"epoch {epoch}: {n_right / stats.samples:.3f} right, {stats.batches} batches of {stats.samples} rows")
        print(f"  waited for data: {stats.wait_share:.1%} of the time; ready when asked for: {stats.ready_share:.0%}")


def main():
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path, labels = write_table(Path(folder), rng)
        readings = np.load(path, mmap_mode="r")
        with fb.Loader(
            (readings, labels), BATCH_SIZE, shuffle=True, seed=0, threads=1, map=normalised, map_threads=1
        ) as loader:
            train(loader, n_epochs=2)
            print(loader.explain())
        del readings


if __name__ == "__main__":
    main()
