"""Class-balanced mini-batches from imbalanced data: three ways to end and to weigh an epoch.

Of 1000 rows, about 60 % belong to class 0, 30 % to class 1 and 10 % to class 2.
"""

import numpy as np

import fastbatch as fb

BATCH_SIZE = 32


def show(title, x, y, sampler):
    """Print the class counts of the first batches, and how often the epoch took the rows of each class."""
    loader = fb.Loader((x, y), BATCH_SIZE, sampler=sampler, seed=0, rows=True)
    first_counts, seen = [], np.zeros(len(y), dtype=int)
    for _, batch_y, rows in loader:
        if len(first_counts) < 3:
            first_counts.append(np.bincount(batch_y, minlength=3).tolist())
        np.add.at(seen, rows, 1)  # a recycled row can come twice in one batch
    print(f"{title}: {len(loader)} batches, {seen.sum()} rows")
    print(f"  classes 0, 1, 2 in the first batches: {first_counts}")
    for label in range(3):
        of_class = seen[y == label]
        print(f"  class {label}: {len(of_class)} rows, each taken {of_class.min()} to {of_class.max()} times")


def main():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 10))
    y = rng.choice([0, 1, 2], size=1000, p=[0.6, 0.3, 0.1])

    show("stop when a class runs out", x, y, fb.Balanced(y, exhausted="stop"))
    show("recycle the small classes", x, y, fb.Balanced(y, exhausted="recycle"))
    show("recycle, one half of class 0", x, y, fb.Balanced(y, exhausted="recycle", proportions={0: 2, 1: 1, 2: 1}))


if __name__ == "__main__":
    main()
