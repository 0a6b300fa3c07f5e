"""Slow, obvious twins of what is done to images. Nothing here imports fastbatch."""

import numpy as np


def triangle_weights(n, low, high, n_out):
    """What each of n_out pixels has of each of n pixels, of which those from low to high are asked for: (n_out, n)."""
    scale = (high - low) / n_out
    places = low + (np.arange(n_out) + 0.5) * scale
    distances = np.abs(np.arange(n) + 0.5 - places[:, None])
    weights = np.maximum(0, 1 - distances / max(scale, 1))
    return weights / weights.sum(axis=1, keepdims=True)


def resize(image, box, size, flip=False):
    """Bilinear with antialiasing, in float64, not rounded: (height, width, ...) of any dtype."""
    left, top, right, bottom = box
    down = triangle_weights(image.shape[0], top, bottom, size[0])
    across = triangle_weights(image.shape[1], left, right, size[1])
    lines = np.einsum("yh,hw...->yw...", down, image.astype(np.float64))
    out = np.einsum("xw,yw...->yx...", across, lines)
    return out[:, ::-1] if flip else out
