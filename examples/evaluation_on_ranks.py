"""Evaluation on several processes, of every row once: no row is counted twice to make the ranks equal.

Each process evaluates its share, and the counts are added: the sum is that of one process.
"""

import multiprocessing

import numpy as np

import fastbatch as fb
from fastbatch.demo import load_digits

N_RANKS, BATCH_SIZE = 4, 64


def classifier(x, y):
    """The mean image of each digit."""
    return np.stack([x[y == digit].mean(axis=0) for digit in range(10)])


def evaluate(rank, uneven):
    """(right, evaluated, batches) of one rank."""
    x, y = load_digits()
    means = classifier(x[:900], y[:900])
    n_right, n_rows, n_batches = 0, 0, 0
    loader = fb.Loader((x[900:], y[900:]), BATCH_SIZE, rank=rank, world_size=N_RANKS, uneven=uneven, seed=0)
    for images, digits in loader:
        distances = np.linalg.norm(images[:, None] - means, axis=2)
        n_right += int((distances.argmin(axis=1) == digits).sum())
        n_rows += len(digits)
        n_batches += 1
    return n_right, n_rows, n_batches


def main():
    with multiprocessing.get_context("spawn").Pool(N_RANKS) as pool:
        for uneven in ("exact", "wrap"):
            ranks = pool.starmap(evaluate, [(rank, uneven) for rank in range(N_RANKS)])
            n_right, n_rows = sum(right for right, _, _ in ranks), sum(rows for _, rows, _ in ranks)
            batches = {n_batches for _, _, n_batches in ranks}
            print(f"{uneven}: {n_right} of {n_rows} right, on {N_RANKS} ranks with {batches} batches each")
    x, y = load_digits()
    distances = np.linalg.norm(x[900:, None] - classifier(x[:900], y[:900]), axis=2)
    print(f"one process: {(distances.argmin(axis=1) == y[900:]).sum()} of {len(y) - 900} right")


if __name__ == "__main__":
    main()
