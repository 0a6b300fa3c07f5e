"""A column filled by itself: without a Loader, as whoever fills does it."""

import numpy as np

from fastbatch._native.batches import Batches, Epoch
from fastbatch._native.engine import Engine
from fastbatch._native.sampler import Sequential
from fastbatch._native.structure import LEAF


def filled(column, n, *, key=(0, 0), epoch=0):
    """All rows of a column, in their order, as one array."""
    engine = Engine([column], LEAF, [None])
    opened = Epoch(engine, Sequential(n), key, epoch, 0, n)
    batches = Batches(lambda batches: batches.start(opened, None, None))
    return np.array(next(batches))
