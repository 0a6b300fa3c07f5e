"""Slow and obvious: what becomes of one image, drawn by the same words."""

import numpy as np

from fastbatch._native.random import derive
from fastbatch.seeding import root_key

IMAGE = 12  # the stream


def below(n, word):
    """A number below n, and what is left of the word."""
    product = n * int(word)
    return product >> 64, product & (2**64 - 1)


def pixels_first(image, layout):
    """An image of any layout as (height, width, channels)."""
    return image[:, :, None] if layout == "NHW" else image.transpose(1, 2, 0) if layout == "NCHW" else image


def laid_out(image, layout):
    return image[:, :, 0] if layout == "NHW" else image.transpose(2, 0, 1) if layout == "NCHW" else image


def changed(
    image,
    seed,
    epoch,
    position,
    *,
    crop=None,
    center=None,
    padding=0,
    mode="zero",
    flips=(0, 0),
    hole=0,
    pad=0,
    cover=0,
):
    """An image (height, width, channels) after all that is random. `pad` and `cover`: what is shown there."""
    words = [int(word) for word in derive(root_key(seed), epoch, IMAGE, position)]
    if padding:
        around = ((padding, padding), (padding, padding), (0, 0))
        if mode == "reflect":
            image = np.pad(image, around, "reflect")
        else:
            padded = np.empty([n + 2 * padding for n in image.shape[:2]] + [image.shape[2]], image.dtype)
            padded[:] = pad
            padded[padding:-padding, padding:-padding] = image
            image = padded
    if crop is not None:
        top, rest = below(image.shape[0] - crop[0] + 1, words[0])
        left, _ = below(image.shape[1] - crop[1] + 1, rest)
        image = image[top : top + crop[0], left : left + crop[1]]
    if center is not None:
        top, left = (image.shape[0] - center[0]) // 2, (image.shape[1] - center[1]) // 2
        image = image[top : top + center[0], left : left + center[1]]
    if words[1] < flips[0] * 2**64:
        image = image[:, ::-1]
    if words[2] < flips[1] * 2**64:
        image = image[::-1]
    if hole:
        image = image.copy()
        y, rest = below(image.shape[0], words[3])
        x, _ = below(image.shape[1], rest)
        top, left = y - hole // 2, x - hole // 2
        image[max(top, 0) : max(top + hole, 0), max(left, 0) : max(left + hole, 0)] = cover
    return image
