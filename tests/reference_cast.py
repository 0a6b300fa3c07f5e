"""Slow and obvious: bfloat16, by rounding the digits of float64."""

import numpy as np

LARGEST = (2 - 2.0**-7) * 2.0**127


def float_of_bfloat_bits(bits):
    with np.errstate(invalid="ignore"):
        return (np.asarray(bits, np.uint32) << 16).view(np.float32).astype(np.float64)


def bfloat_bits(x):
    """To the nearest of 8 binary digits, ties to even; below 2**-126 to the nearest multiple of 2**-133."""
    x = np.asarray(x, np.float64)
    _, exponent = np.frexp(x)
    step = np.ldexp(1.0, np.maximum(exponent - 8, -133))
    with np.errstate(invalid="ignore"):
        rounded = np.where(np.isfinite(x), np.rint(x / step) * step, x)
    rounded = np.where(np.abs(rounded) > LARGEST, np.copysign(np.inf, x), np.where(np.isnan(x), x, rounded))
    return (rounded.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def written(name, x):
    """Numbers as elements of a type: bfloat16 as bits."""
    with np.errstate(all="ignore"):
        return bfloat_bits(x) if name == "bfloat16" else x.astype(name)


def numbers_of(name, x):
    """What elements are, as float64: bfloat16 from bits."""
    return float_of_bfloat_bits(x) if name == "bfloat16" else x.astype(np.float64)


def normalized(readable, writable, x, mean=None, std=None):
    """Elements less a mean, by a standard deviation, as those of another type; without these, cast."""
    wide = readable in ("int32", "float64") or writable == "float64"
    real = np.float64 if wide else np.float32
    with np.errstate(all="ignore"):
        y = numbers_of(readable, x).astype(real)
        if mean is not None:
            y = (y - np.asarray(mean, real)) * (1 / np.asarray(std, np.float64)).astype(real)
        return written(writable, y)
