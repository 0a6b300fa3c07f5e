"""From a seed to the root key that every order and every random augmentation is derived from."""

import numpy as np

from fastbatch.arguments import as_integer


def check_seed(seed: int | None) -> int:
    """The seed itself, or a new one from the operating system for None.

    Raises
    ------
    TypeError
        Not an integer.
    ValueError
        Negative.
    """
    if seed is None:
        entropy = np.random.SeedSequence().entropy
        assert isinstance(entropy, int)
        return entropy
    seed = as_integer(seed, "seed")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    return seed


def check_epoch(epoch: int) -> int:
    """The epoch itself; TypeError unless it is an integer, ValueError unless it fits 64 bits."""
    epoch = as_integer(epoch, "epoch")
    if epoch < 0:
        raise ValueError(f"epoch must not be negative, got {epoch}")
    if epoch >= 2**64:
        raise ValueError(f"epoch must be below 2**64, got {epoch}")
    return epoch


def root_key(seed: int) -> tuple[int, int]:
    """128 well-mixed bits: neighbouring seeds have unrelated keys (O'Neill's seed_seq, `numpy.random.SeedSequence`)."""
    first, second = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    return int(first), int(second)
