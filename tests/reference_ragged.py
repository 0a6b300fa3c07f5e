"""Slow, obvious twins of the batches of rows of different lengths."""

from itertools import pairwise

import numpy as np


def rows_of(values, offsets):
    return [values[begin:end] for begin, end in pairwise(offsets)]


def padded(rows, like, pad=0, side="right", multiple=1, length=None):
    """(values, lengths, mask) of rows whose elements are of the kind of those in `like`."""
    rows = [row[:length] for row in rows]
    width = length
    if width is None:
        width = max(map(len, rows), default=0)
        while width % multiple:
            width += 1
    values = np.empty((len(rows), width, *like.shape[1:]), like.dtype)
    mask = np.empty((len(rows), width), bool)
    for i, row in enumerate(rows):
        for j in range(width):
            at = j if side == "right" else j - (width - len(row))
            mask[i, j] = 0 <= at < len(row)
            values[i, j] = row[at] if mask[i, j] else pad
    return values, np.array([len(row) for row in rows], np.int64), mask


def packed(rows, like, length=None):
    """(values, cu_seqlens)."""
    rows = [row[:length] for row in rows]
    bounds = [0]
    for row in rows:
        bounds.append(bounds[-1] + len(row))
    return np.concatenate([like[:0], *rows]).astype(like.dtype), np.array(bounds, np.int32)
