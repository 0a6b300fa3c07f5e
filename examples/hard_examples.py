"""Hard examples first: rows whose loss is high come more often, by the exponential or a power of the loss.

A softmax regression learns handwritten digits of which three are rare. All runs make equally many updates.
"""

import numpy as np

import fastbatch as fb
from fastbatch.demo import load_digits

BATCH_SIZE, N_UPDATES, RATE = 32, 600, 0.5
RARE = (1, 8, 9)  # of these, one image in ten is left


def losses_and_gradient(weights, x, y):
    """The cross-entropy of each row, and what its sum changes by."""
    scores = x @ weights
    scores -= scores.max(axis=1, keepdims=True)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    right = shares[np.arange(len(y)), y]
    shares[np.arange(len(y)), y] -= 1
    return -np.log(np.maximum(right, 1e-12)), x[:, :, None] * shares[:, None, :]


def train(x, y, weight_of_loss):
    """Fit a softmax regression on batches whose rows are drawn by a function of the loss they had last."""
    weights = np.zeros((x.shape[1], 10))
    sampler = fb.Prioritized(np.full(len(x), weight_of_loss(np.log(10.0))), num_samples=N_UPDATES * BATCH_SIZE)
    for batch in fb.Loader({"x": x, "y": y}, BATCH_SIZE, sampler=sampler, seed=0, rows=True):
        losses, gradients = losses_and_gradient(weights, batch["x"], batch["y"])
        weights -= RATE * gradients.mean(axis=0)
        sampler.update(batch["rows"], weight_of_loss(losses))  # the very next batch is drawn from these
    return weights


def main():
    x, y = load_digits()
    x = np.hstack([x, np.ones((len(x), 1), x.dtype)])
    training, held_out = fb.split(len(x), [0.6, 0.4], labels=y, seed=0)
    is_kept = ~np.isin(y[training], RARE) | (np.arange(len(training)) % 10 == 0)
    training = training[is_kept]
    print(f"{len(training)} images to learn from, {np.isin(y[training], RARE).sum()} of them of digits {RARE}")

    rules = {
        "all alike": lambda loss: np.ones_like(loss),
        "exp(loss)": lambda loss: np.exp(np.minimum(loss, 5.0)),
        "loss ** 0.5": lambda loss: (loss + 1e-3) ** 0.5,
    }
    of_rare = np.isin(y[held_out], RARE)
    for name, rule in rules.items():
        weights = train(x[training], y[training], rule)
        is_right = (x[held_out] @ weights).argmax(axis=1) == y[held_out]
        print(f"{name:>11}: {is_right.mean():.3f} right, of the rare digits {is_right[of_rare].mean():.3f}")


if __name__ == "__main__":
    main()
