"""Classes of rows, and the shares that they are dealt in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from fastbatch._native.classes import group_rows


def group(labels: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The classes, the rows of each behind those of the one before, and where each begins."""
    if isinstance(labels, np.ma.MaskedArray):
        raise TypeError("labels must not be a masked array; give masked rows a label of their own: labels.filled(-1)")
    labels = np.asarray(labels)
    if labels.dtype.kind == "T":  # strings of variable width
        labels = labels.astype(np.str_)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"labels must be of shape (n,) with n > 0, got shape {labels.shape}")
    if labels.dtype.kind not in "iubUS":
        raise TypeError(f"labels must be integers, bools or strings, got dtype {labels.dtype}")
    low = span = 0
    counts_directly = labels.dtype.kind in "iub"
    if counts_directly:
        low = int(labels.min())
        span = int(labels.max()) - low + 1
        counts_directly = span <= max(1 << 16, 4 * labels.size) and span < 2**32
    if not counts_directly:  # strings, and numbers too far apart to count in a table
        classes, codes = np.unique(labels, return_inverse=True)
        return classes, *group_rows(codes.astype(np.uint32), len(classes))
    wide = labels.astype(np.uint64 if labels.dtype.kind == "u" else np.int64).view(np.uint64)
    members, starts = group_rows((wide - np.uint64(low % 2**64)).astype(np.uint32), span)
    present = np.flatnonzero(np.diff(starts.astype(np.int64)))
    classes = (present.astype(np.uint64) + np.uint64(low % 2**64)).astype(labels.dtype)
    return classes, members, np.append(starts[present], starts[-1])


def integer_shares(proportions: Any, classes: np.ndarray, name: str = "proportions") -> list[int]:
    """Integers in the given proportions, one for each class, with a sum of at most 2**40."""
    labels = classes.tolist()
    if isinstance(proportions, Mapping):
        given = {key.item() if isinstance(key, np.generic) else key: weight for key, weight in proportions.items()}
        if set(given) != set(labels):
            unknown, missing = sorted(set(given) - set(labels), key=str), sorted(set(labels) - set(given), key=str)
            raise ValueError(
                "proportions must give a weight for every class, 0 to leave it out, and for no other: "
                f"missing {missing}, unknown {unknown}"
            )
        weights = [given[label] for label in labels]
    else:
        weights = list(proportions)
        if len(weights) != len(labels):
            raise ValueError(f"{name} must have one weight for each of {len(labels)} classes, got {len(weights)}")
    if len(weights) > 1 << 20:
        raise ValueError(f"{name} are dealt for up to 2**20 classes, got {len(weights)}")
    for weight in weights:
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"{name} must be finite and not negative, got {weight}")
    if not any(weights):
        raise ValueError(f"{name} must not all be 0")
    exact = [_as_fraction(weight) for weight in weights]
    total = sum(exact)
    scale = math.lcm(*((weight / total).denominator for weight in exact))
    if scale <= 1 << 40:
        return [int(weight / total * scale) for weight in exact]
    # Too fine for integers of that size: the nearest there are, none of them 0 that was not.
    return [max(1, round(weight / total * ((1 << 40) - 2 * len(exact)))) if weight else 0 for weight in exact]


def _as_fraction(weight: Any) -> Fraction:
    """The simple fraction that a float stands for, such as 1/10 for 0.1; otherwise the float exactly."""
    if not isinstance(weight, (float, np.floating)):
        return Fraction(weight.item() if isinstance(weight, np.generic) else weight)
    simple = Fraction(float(weight)).limit_denominator(1_000_000)
    return simple if float(simple) == float(weight) else Fraction(float(weight))
