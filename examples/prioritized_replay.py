"""Prioritized experience replay: transitions with a large error are replayed more often.

The blind cliff walk of Schaul et al. (2016): of two actions in each of n states one is right and goes on, the other
ends the episode; the only reward waits at the end. Of all that can be experienced, hardly anything is worth learning
from.
"""

import numpy as np

import fastbatch as fb

N_STATES, BATCH_SIZE, RATE, ALPHA, BETA, DISCOUNT = 10, 8, 0.25, 0.6, 0.5, 1 - 1 / 10
RIGHT = np.arange(N_STATES) % 2  # the right action of each state


def experience():
    """(state, action, reward, whether it ended) of every step of an agent that tries all 2^n sequences of actions."""
    for sequence in range(2**N_STATES):
        for state in range(N_STATES):
            action = sequence >> state & 1
            is_right, is_last = action == RIGHT[state], state == N_STATES - 1
            yield state, action, float(is_right and is_last), not is_right or is_last
            if not is_right:
                break


def replay(is_prioritized, seed):
    """How many batches it takes until all values are known to within 5 %."""
    capacity = 2**N_STATES * N_STATES
    memory = {
        "state": np.zeros(capacity, np.int64),
        "action": np.zeros(capacity, np.int64),
        "reward": np.zeros(capacity),
        "ended": np.zeros(capacity, bool),
    }
    sampler = fb.Prioritized(np.zeros(capacity), exponent=BETA if is_prioritized else 0.0, num_samples=2**40)
    for row, step in enumerate(experience()):  # an empty row has no weight; a new one has the weight of a large error
        for column, value in zip(memory.values(), step, strict=True):
            column[row] = value
        sampler.update(row, 1.0)

    known = np.zeros((N_STATES, 2))
    known[np.arange(N_STATES), RIGHT] = DISCOUNT ** np.arange(N_STATES)[::-1]
    values = np.random.default_rng(seed).normal(scale=0.1, size=(N_STATES, 2))
    for n_batches, batch in enumerate(fb.Loader(memory, BATCH_SIZE, sampler=sampler, seed=seed, rows=True), start=1):
        state, action = batch["state"], batch["action"]
        following = values[np.minimum(state + 1, N_STATES - 1)].max(axis=1)
        errors = batch["reward"] + np.where(batch["ended"], 0, DISCOUNT * following) - values[state, action]
        weights = batch["weights"] / batch["weights"].max()  # what undoes that some come more often, in part
        np.add.at(values, (state, action), RATE * weights * errors)
        if is_prioritized:
            sampler.update(batch["rows"], (np.abs(errors) + 1e-4) ** ALPHA)
        if n_batches % 100 == 0 and np.abs(values - known).max() < 0.05:
            return n_batches


def main():
    n_steps = sum(1 for _ in experience())
    print(f"{n_steps} transitions, {sum(reward > 0 for _, _, reward, _ in experience())} of them with a reward")
    for name, is_prioritized in (("uniform", False), ("prioritized", True)):
        counts = [replay(is_prioritized, seed) for seed in range(5)]
        print(f"{name}: {np.median(counts):.0f} batches of {BATCH_SIZE}, the median of 5 runs")


if __name__ == "__main__":
    main()
