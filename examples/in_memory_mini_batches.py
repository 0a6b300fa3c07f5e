"""Mini-batches of arrays in memory: a dataset, a training loop, and the last, shorter batch.

No dataset class and no batching code: the Loader takes the arrays as they are.
"""

import numpy as np

import fastbatch as fb

N_FEATURES = 10


def make_dataset(n_rows, rng):
    """Features and binary labels that a linear model can learn, up to some noise."""
    x = rng.normal(size=(n_rows, N_FEATURES))
    direction = np.linspace(-2, 2, N_FEATURES)
    y = (x @ direction + rng.normal(size=n_rows) > 0).astype(np.int64)
    return x, y


def probability(x, weights, bias):
    """Logistic regression: the probability of label 1 for each row."""
    return 1 / (1 + np.exp(-(x @ weights + bias)))


def train(loader, n_epochs, learning_rate):
    """Fit by mini-batch gradient descent, printing the mean loss of every epoch."""
    weights, bias = np.zeros(N_FEATURES), 0.0
    for epoch in range(n_epochs):
        total_loss, n_rows = 0.0, 0
        for x, y in loader:  # each loop over the loader is one epoch, in an order of its own
            p = probability(x, weights, bias)
            total_loss -= np.log(np.where(y == 1, p, 1 - p)).sum()
            n_rows += len(y)
            weights -= learning_rate * x.T @ (p - y) / len(y)
            bias -= learning_rate * (p - y).mean()
        print(f"epoch {epoch + 1}: loss {total_loss / n_rows:.4f}")
    return weights, bias


def batch_sizes(x, y, drop_last):
    """The number of rows in each batch of 32."""
    return [len(batch_y) for _, batch_y in fb.Loader((x, y), 32, shuffle=True, seed=0, drop_last=drop_last)]


def main():
    rng = np.random.default_rng(0)
    x, y = make_dataset(1000, rng)
    loader = fb.Loader((x, y), 32, shuffle=True, seed=0)
    batch_x, batch_y = next(iter(loader))
    print(f"{len(x)} rows in {len(loader)} batches; the first: x {batch_x.shape}, y {batch_y.shape}")

    weights, bias = train(loader, n_epochs=10, learning_rate=0.5)
    x_new, y_new = make_dataset(1000, rng)
    accuracy = ((probability(x_new, weights, bias) > 0.5) == y_new).mean()
    print(f"accuracy on 1000 new rows: {accuracy:.3f}")

    x, y = make_dataset(1005, rng)
    for drop_last in (False, True):
        sizes = batch_sizes(x, y, drop_last)
        print(f"1005 rows, drop_last={drop_last}: {len(sizes)} batches, the last of {sizes[-1]} rows")


if __name__ == "__main__":
    main()
