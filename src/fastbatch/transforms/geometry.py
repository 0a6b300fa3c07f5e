"""Images on their way through transforms: which part of them is written, and how it lies in a batch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbatch._native.cast import Cast, arithmetic_type
from fastbatch._native.column import Column
from fastbatch._native.image import MAX_CHANNELS, ImageColumn
from fastbatch.arguments import Numbers
from fastbatch.transforms.rows import Rows

#: Where the axes of a row lie: height, width, and channels.
LAYOUTS = {"NHW": "HW", "NHWC": "HWC", "NCHW": "CHW"}


# Channels that images have as a rule: in rows of three axes they tell which one is theirs.
USUAL_CHANNELS = (1, 2, 3, 4)


class Geometry:
    """What is done with the pixels of each image of a column.

    Parameters
    ----------
    rows : Rows
        Of images; they are told what shape they have, and how their column is made.
    layout, to : str
        Keys of LAYOUTS: of the source and of the batch.

    Attributes
    ----------
    shape : tuple of (height, width, channels)
        Of the source.
    window : tuple of (height, width)
        What is written.
    place : tuple of (top, left) or None
        Of the window, in the padded image; None: random.
    padding : int
    reflect : bool
    flips : list of 2 float
        How probably an image is mirrored, and turned upside down.
    hole : int
        Side of a square that is covered; 0: none.
    resized : tuple of (str, float, float, float32 array), or None
        Which rectangles become the window; see `ImageColumn`.
    done : dict of str to object
        What was asked for so far, and by which transform.

    Raises
    ------
    ValueError
        The rows have other axes, or no pixel.
    """

    def __init__(self, rows: Rows, layout: str, to: str) -> None:
        axes = LAYOUTS[layout]
        if len(rows.shape) != len(axes):
            raise ValueError(
                f"{rows.path}: images of layout {layout} have {len(axes)} axes, got rows of shape {rows.shape}"
            )
        sizes = dict(zip(axes, rows.shape, strict=True))
        self.shape = sizes["H"], sizes["W"], sizes.get("C", 1)
        if 0 in self.shape or self.shape[2] > MAX_CHANNELS:
            raise ValueError(
                f"{rows.path}: images have pixels, and 1 to {MAX_CHANNELS} channels, got rows of shape {rows.shape}"
            )
        if to == "NHW" and self.shape[2] != 1:
            raise ValueError(f"{rows.path}: images of {self.shape[2]} channels cannot become NHW")
        self.planar = layout == "NCHW", to == "NCHW"
        self.to = to
        self.window = self.shape[:2]
        self.place: tuple[int, int] | None = (0, 0)
        self.padding, self.reflect = 0, False
        self.flips = [0.0, 0.0]
        self.hole = 0
        self.resized: tuple[str, float, float, npt.NDArray[np.float32]] | None = None
        self.done: dict[str, object] = {}
        # What was done with the numbers before the padding, and the hole, were asked for: there they are 0.
        self.padded_after: tuple[Numbers, Numbers] | None = None
        self.holed_after: tuple[Numbers, Numbers] | None = None
        self._take_channels(rows)
        rows.images = self
        rows.make = partial(self._column, rows)
        self.update(rows)

    def update(self, rows: Rows) -> None:
        """Tell the rows what shape they have now."""
        sizes = {"H": self.window[0], "W": self.window[1], "C": self.shape[2]}
        rows.shape = tuple(sizes[axis] for axis in LAYOUTS[self.to])
        rows.channel_run = self.window[0] * self.window[1] if self.planar[1] else 1

    def once(self, what: object, kind: str, path: str) -> None:
        """Refuse what was asked for before."""
        if kind in self.done:
            raise ValueError(f"{path}: an image has one {kind} at most, got {what!r} behind {self.done[kind]!r}")
        self.done[kind] = what

    def _take_channels(self, rows: Rows) -> None:
        """Numbers that were given for the last axis belong to channels from here on."""
        rows.channels = self.shape[2]
        if rows.affine is not None:
            if self.planar[0] and max(numbers.size for numbers in rows.affine) > 1:
                behind = ", ".join(rows.done)
                raise ValueError(
                    f"{rows.path}: Layout must come before numbers for each channel, got it behind {behind}"
                )
            what = ", ".join(rows.arithmetic)
            center, scale = (rows.fitted(numbers, "mean, std or factor", what) for numbers in rows.affine)
            rows.affine = center, scale

    def _column(self, rows: Rows, source: np.ndarray[Any, Any], *, blocking: bool) -> Column:
        dtype, dlpack_type = rows.element_type()
        return ImageColumn(
            source,
            rows.cast(),
            dtype,
            row_shape=rows.shape,
            dlpack_type=dlpack_type,
            shape=self.shape,
            planar=self.planar,
            window=self.window,
            place=self.place,
            padding=self.padding,
            reflect=self.reflect,
            flips=(self.flips[0], self.flips[1]),
            hole=self.hole,
            resized=self.resized,
            pad_pixel=self._zero_after(self.padded_after, rows, dtype),
            hole_pixel=self._zero_after(self.holed_after, rows, dtype),
            blocking=blocking,
        )

    def _zero_after(self, before: tuple[Numbers, Numbers] | None, rows: Rows, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """The pixel, as it is written, that is 0 once `before` was done with it."""
        if rows.affine is None:
            return np.zeros(self.shape[2], dtype)
        real = arithmetic_type(rows.readable, rows.written)
        pixel = np.zeros(self.shape[2], real)
        if before is not None:
            pixel += before[0].astype(real)
        center, scale = rows.affine
        pixel = (pixel - center.astype(real)) * scale.astype(real)
        return Cast(real.name, rows.written, self.shape[2]).apply(pixel, dtype)


def geometry_of(rows: Rows, what: object, layout: str | None = None, to: str | None = None) -> Geometry:
    """What is done with the pixels so far; from here on the rows are images.

    Raises
    ------
    TypeError, ValueError
        They are none.
    """
    if rows.images is not None and layout is None:
        return rows.images
    if rows.images is not None:
        behind = ", ".join(rows.done)
        raise ValueError(f"{rows.path}: {what!r} must come before crops, flips and holes, once, got it behind {behind}")
    if rows.make is not None:
        raise ValueError(f"{rows.path}: {what!r} cannot follow one-hot labels")
    if rows.dtype.kind not in "biufcV" or rows.dtype.itemsize not in (1, 2, 4, 8):
        raise TypeError(f"{rows.path}: {what!r} needs images of numbers of 1, 2, 4 or 8 bytes, got {rows.dtype}")
    rows.require_native(what)
    if layout is None:
        layout = assumed_layout(rows, what)
    return Geometry(rows, layout, to or layout)


def assumed_layout(rows: Rows, what: object) -> str:
    """What rows are taken for where nobody says.

    Raises
    ------
    ValueError
        They look as if channels came first.
    """
    if len(rows.shape) == 3 and rows.shape[0] in USUAL_CHANNELS and rows.shape[2] not in USUAL_CHANNELS:
        raise ValueError(
            f"{rows.path}: rows of shape {rows.shape} look as if channels came first: give Layout('NCHW') before "
            f"{what!r}, or Layout('NHWC') if they do not"
        )
    return "NHW" if len(rows.shape) == 2 else "NHWC"
