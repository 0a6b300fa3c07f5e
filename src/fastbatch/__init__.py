"""Mini-batches from arrays you already have, as fast as memory allows."""

from fastbatch._native.permutation import permutation
from fastbatch._native.shuffle import shuffle
from fastbatch._native.take import take
from fastbatch.concatenation import concat
from fastbatch.loader import Loader
from fastbatch.samplers import (
    Balanced,
    Blocks,
    Mixture,
    PerClass,
    Sequential,
    Shuffle,
    Stratified,
    Subset,
    Weighted,
    split,
)

__version__ = "0.1.0"

__all__ = [
    "Balanced",
    "Blocks",
    "Loader",
    "Mixture",
    "PerClass",
    "Sequential",
    "Shuffle",
    "Stratified",
    "Subset",
    "Weighted",
    "concat",
    "permutation",
    "shuffle",
    "split",
    "take",
]
