"""scikit-learn out of core: `partial_fit` on batches of a table in a file, standardised on the way.

The first pass over the file learns the mean and the deviation of each feature, the others train a classifier. Besides
the labels, no more than a few batches are in memory at a time. Needs scikit-learn.
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

import fastbatch as fb

N_ROWS, N_FEATURES, N_CLASSES, BATCH_SIZE, N_EPOCHS = 50_000, 20, 3, 500, 2


def write_table(path, rng):
    """A file of features in units of all sizes, and the class of each row."""
    labels = rng.integers(0, N_CLASSES, size=N_ROWS)
    centres = rng.normal(size=(N_CLASSES, N_FEATURES))
    units = 10 ** rng.uniform(-3, 3, size=N_FEATURES)
    table = np.lib.format.open_memmap(path, "w+", np.float32, (N_ROWS, N_FEATURES))
    for first in range(0, N_ROWS, BATCH_SIZE):
        of_batch = labels[first : first + BATCH_SIZE]
        noise = 2 * rng.normal(size=(len(of_batch), N_FEATURES))
        table[first : first + BATCH_SIZE] = units * (centres[of_batch] + noise)
    table.flush()
    return labels


def accuracy(model, scaled, loader):
    """The share of a loader's rows that the model classifies right."""
    n_right, n_rows = 0, 0
    for features, labels in loader:
        n_right += np.count_nonzero(model.predict(scaled(features)) == labels)
        n_rows += len(labels)
    return n_right / n_rows


def train(name, scaled, training, held_out):
    """Fit a linear classifier, printing how well it does on rows that it has not seen."""
    model = SGDClassifier(loss="log_loss", alpha=1e-3, random_state=0)
    for epoch in range(1, N_EPOCHS + 1):
        for features, labels in training:
            model.partial_fit(scaled(features), labels, classes=range(N_CLASSES))  # no batch has to hold all classes
        print(f"{name}, epoch {epoch}: {accuracy(model, scaled, held_out):.3f} right")


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npy"
        labels = write_table(path, np.random.default_rng(0))
        table = np.load(path, mmap_mode="r")
        print(f"{table.nbytes:,} bytes in the file, {BATCH_SIZE * table[0].nbytes:,} in a batch")

        rows, rows_held_out = fb.split(len(table), [0.8, 0.2], labels=labels, seed=0)
        in_order = fb.Sequential(len(rows_held_out))
        with (
            fb.Loader((table, labels), BATCH_SIZE, sampler=fb.Subset(rows), seed=0) as training,  # shuffled
            fb.Loader((table, labels), BATCH_SIZE, sampler=fb.Subset(rows_held_out, in_order)) as held_out,
        ):
            scaler = StandardScaler()
            for features, _ in training:
                scaler.partial_fit(features)
            print(f"{scaler.n_samples_seen_:.0f} rows to learn from, {len(rows_held_out)} held out")
            train("standardised", scaler.transform, training, held_out)
            train("as they are", lambda features: features, training, held_out)
        del table  # Windows removes no file that is mapped


if __name__ == "__main__":
    main()
