"""Overlapping windows of a time series as training rows, without a copy of the series for each window.

`sliding_window_view` makes row i of `windows` the values i .. i + WINDOW of the series: rows overlap in memory, yet
each is contiguous, so that `fb.take` and `fb.Loader` read them where they are. A linear model learns to predict the
last value of a window from the others.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import fastbatch as fb

WINDOW = 17  # 16 known values and the one to predict
N_KNOWN = WINDOW - 1
RECURSION = (1.5, -0.9)  # the share of the last value and of the one before


def make_series(n_values, rng):
    """A damped oscillation kept alive by noise of variance 1, which nobody can predict."""
    last, before = RECURSION
    noise = rng.normal(size=n_values).tolist()
    series = [0.0, 0.0]
    for i in range(2, n_values):
        series.append(last * series[i - 1] + before * series[i - 2] + noise[i])
    return np.array(series)


def mean_squared_error(windows, weights):
    """The error of the linear prediction over all `windows`."""
    return np.mean((windows[:, :-1] @ weights - windows[:, -1]) ** 2)


def train(windows, n_epochs):
    """Fit the weights by mini-batch gradient descent, with steps that shrink to zero."""
    loader = fb.Loader(windows, 64, shuffle=True, seed=0)
    weights = np.zeros(N_KNOWN)
    n_steps = n_epochs * len(loader)
    step = 0
    for _ in range(n_epochs):
        for batch in loader:
            known, following = batch[:, :-1], batch[:, -1]
            gradient = known.T @ (known @ weights - following) / len(batch)
            weights -= 0.01 * (1 - step / n_steps) * gradient
            step += 1
    return weights


def main():
    rng = np.random.default_rng(0)
    series = make_series(60_000, rng)
    windows = sliding_window_view(series, WINDOW)
    print(f"series: {series.nbytes:,} bytes; its {len(windows):,} windows as a copy: {windows.nbytes:,} bytes")
    print(f"windows are a view of the series: {np.shares_memory(windows, series)}")

    # The end of the series is held out. No window may hold values of both parts.
    training, held_out = windows[:50_000], windows[50_000 + WINDOW :]
    some = fb.take(held_out, rng.integers(0, len(held_out), size=5))
    print(f"five windows at random, by fb.take: {some.shape}")

    last_value = np.eye(N_KNOWN)[-1]
    recursion = np.zeros(N_KNOWN)
    recursion[[-1, -2]] = RECURSION
    learned = train(training, n_epochs=5)
    print("mean squared error on held-out windows:")
    print(f"  the last value again: {mean_squared_error(held_out, last_value):.3f}")
    print(f"  learned from batches: {mean_squared_error(held_out, learned):.3f}")
    print(f"  the best possible:    {mean_squared_error(held_out, recursion):.3f}")


if __name__ == "__main__":
    main()
