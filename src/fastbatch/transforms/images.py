"""Images: part of them, mirrored, partly covered, with their axes in another order."""

from __future__ import annotations

import numpy as np

from fastbatch._native.image import MAX_SHRINK, N_RATIOS, RESIZABLE
from fastbatch.arguments import as_integer, as_number
from fastbatch.transforms.geometry import LAYOUTS, Geometry, geometry_of
from fastbatch.transforms.rows import Rows


class Layout:
    """What the axes of rows that are images mean, and what they shall mean.

    The NumPy equivalent of ``Layout("NHWC", "NCHW")`` is::

        x[rows].transpose(0, 3, 1, 2)

    Parameters
    ----------
    layout : {"NHWC", "NCHW", "NHW"}
        Of the data: batch, height, width, channels. Without this, rows of three axes are taken for (H, W, C), and
        refused where they look like (C, H, W); of two for (H, W).
    to : {"NHWC", "NCHW", "NHW"}, optional
        Of the batches. None: the same.

    Raises
    ------
    TypeError
        A layout is no name.
    ValueError
        There is no such layout.
    """

    def __init__(self, layout: str, to: str | None = None) -> None:
        self.layout, self.to = layout, layout if to is None else to
        for name in (self.layout, self.to):
            if not isinstance(name, str):
                raise TypeError(f"a layout must be one of {', '.join(LAYOUTS)}, got {name!r}")
            if name not in LAYOUTS:
                raise ValueError(f"a layout must be one of {', '.join(LAYOUTS)}, got {name!r}")

    def extend(self, rows: Rows) -> None:
        """Say what the axes mean, before anything else is done with the pixels."""
        geometry_of(rows, self, self.layout, self.to)

    def __repr__(self) -> str:
        """As it is made."""
        return f"Layout({self.layout!r}, {self.to!r})"


class RandomCrop:
    """A window of each image, at a random place.

    Parameters
    ----------
    size : int or tuple of (height, width)
        Of the window, in pixels.
    padding : int
        Pixels around the image, before it is cropped.
    mode : {"zero", "reflect"}
        They are 0, where this stands among the transforms (so behind a `Normalize` they are the mean), or mirror the
        image without its outermost pixel.

    Raises
    ------
    TypeError, ValueError
        An argument is of another type, or out of range.

    Notes
    -----
    Each place is equally likely, and drawn from the Loader's seed, the epoch and the row's position in it: columns with
    the same windows, such as images and their masks, have the same places. An image is cropped first, then mirrored,
    then covered, in whatever order these stand.
    """

    def __init__(self, size: int | tuple[int, int], padding: int = 0, mode: str = "zero") -> None:
        self.size = check_size(size)
        self.padding = as_integer(padding, "padding")
        self.mode = mode
        if not 0 <= self.padding < 2**24:
            raise ValueError(f"padding must be at least 0 and below 2**24, got {padding}")
        if mode not in ("zero", "reflect"):
            raise ValueError(f"mode must be 'zero' or 'reflect', got {mode!r}")

    def extend(self, rows: Rows) -> None:
        """Crop the images."""
        geometry = geometry_of(rows, self)
        geometry.once(self, "crop", rows.path)
        height, width = geometry.shape[:2]
        if self.mode == "reflect" and self.padding >= min(height, width):
            raise ValueError(
                f"{rows.path}: padding={self.padding} that reflects must be below the images' size, {height} x {width}"
            )
        geometry.padding, geometry.reflect = self.padding, self.mode == "reflect"
        geometry.padded_after = rows.affine
        take_window(geometry, self.size, self, rows)
        geometry.place = None

    def __repr__(self) -> str:
        """As it is made."""
        more = f", padding={self.padding}, mode={self.mode!r}" if self.padding else ""
        return f"RandomCrop({self.size[0]} x {self.size[1]}{more})"


class RandomResizedCrop:
    """A random part of each image, of random size and proportions, resampled to one size [1]_.

    Parameters
    ----------
    size : int or tuple of (height, width)
        That all become, in pixels; at most 511 times smaller than the images along either axis.
    scale : tuple of 2 float
        The least and the most of the image's area that the part has, above 0 to 1.
    ratio : tuple of 2 float
        The least and the most of its width by its height, above 0: each logarithm is as likely.

    Raises
    ------
    TypeError, ValueError
        An argument is of another type, or out of range.

    Notes
    -----
    Bilinear, with antialiasing: as Pillow resizes what was cut out, to within one level of uint8. Images are uint8,
    which is rounded to whole levels, or float16, bfloat16, float32 or float64 of numbers that are finite in float32:
    these are resized in float32, then written as they were, or as `Cast` says. As in torchvision, ten parts are drawn
    before the largest one in the middle that has allowed proportions is taken. Drawn from the Loader's seed, the epoch
    and the row's position in it.

    References
    ----------
    .. [1] Szegedy et al., "Going deeper with convolutions", CVPR 2015.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        self.size = check_size(size)
        self.scale, self.ratio = check_range(scale, "scale"), check_range(ratio, "ratio")
        if self.scale[1] > 1:
            raise ValueError(f"scale must be at most 1, got {scale}")

    def extend(self, rows: Rows) -> None:
        """Let parts of the images be resampled."""
        geometry = geometry_of(rows, self)
        geometry.once(self, "crop", rows.path)
        if rows.readable not in RESIZABLE:
            raise TypeError(f"{rows.path}: {self!r} needs images of {', '.join(RESIZABLE)}, got {rows.readable}")
        height, width = geometry.shape[:2]
        if height > MAX_SHRINK * self.size[0] or width > MAX_SHRINK * self.size[1]:
            raise ValueError(
                f"{rows.path}: {self!r} is more than {MAX_SHRINK} times smaller than images of {height} x {width}"
            )
        # Rounded, so that no machine's logarithm shows.
        ratios = np.geomspace(*self.ratio, N_RATIOS).astype(np.float32)
        geometry.resized = (rows.readable, *self.scale, ratios)
        if rows.readable != "uint8":
            rows.writable = rows.written
            rows.readable = "float32"  # what is resized is cast
        geometry.window = self.size
        geometry.update(rows)

    def __repr__(self) -> str:
        """As it is made."""
        return f"RandomResizedCrop({self.size[0]} x {self.size[1]}, scale={self.scale}, ratio={self.ratio})"


class CenterCrop:
    """The window in the middle of each image.

    The NumPy equivalent is::

        top, left = (height - size) // 2, (width - size) // 2
        x[rows, top : top + size, left : left + size]

    Parameters
    ----------
    size : int or tuple of (height, width)
        Of the window, in pixels.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = check_size(size)

    def extend(self, rows: Rows) -> None:
        """Crop the images."""
        geometry = geometry_of(rows, self)
        geometry.once(self, "crop", rows.path)
        take_window(geometry, self.size, self, rows)
        height, width = geometry.shape[:2]
        geometry.place = (height - self.size[0]) // 2, (width - self.size[1]) // 2

    def __repr__(self) -> str:
        """As it is made."""
        return f"CenterCrop({self.size[0]} x {self.size[1]})"


class RandomFlip:
    """Each image mirrored, or not, at random.

    Parameters
    ----------
    p : float
        How probably it is.
    axis : {"horizontal", "vertical"}
        Left and right change places, or up and down.

    Raises
    ------
    TypeError, ValueError
        An argument is of another type, or out of range.

    Notes
    -----
    Drawn from the Loader's seed, the epoch and the row's position in it, so that images and their masks go together.
    """

    def __init__(self, p: float = 0.5, axis: str = "horizontal") -> None:
        self.p, self.axis = as_number(p, "p"), axis
        if not 0 <= self.p <= 1:
            raise ValueError(f"p must be from 0 to 1, got {p}")
        if axis not in ("horizontal", "vertical"):
            raise ValueError(f"axis must be 'horizontal' or 'vertical', got {axis!r}")

    def extend(self, rows: Rows) -> None:
        """Mirror the images."""
        geometry = geometry_of(rows, self)
        geometry.once(self, f"{self.axis} flip", rows.path)
        geometry.flips[self.axis == "vertical"] = self.p

    def __repr__(self) -> str:
        """As it is made."""
        return f"RandomFlip({self.p}, {self.axis!r})"


class Cutout:
    """A square at a random place of each image becomes 0 [1]_.

    Parameters
    ----------
    size : int
        Side of the square, in pixels. Its middle is any pixel with the same probability; what lies outside is cut off.

    Raises
    ------
    TypeError, ValueError
        `size` is of another type, or out of range.

    Notes
    -----
    0 where this stands among the transforms: behind a `Normalize` that is the mean. Drawn as the places of `RandomCrop`
    are.

    References
    ----------
    .. [1] DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", arXiv:1708.04552.
    """

    def __init__(self, size: int) -> None:
        self.size = as_integer(size, "size")
        if not 0 < self.size < 2**24:
            raise ValueError(f"size must be at least 1 and below 2**24, got {size}")

    def extend(self, rows: Rows) -> None:
        """Cover part of the images."""
        geometry = geometry_of(rows, self)
        geometry.once(self, "hole", rows.path)
        geometry.hole = self.size
        geometry.holed_after = rows.affine

    def __repr__(self) -> str:
        """As it is made."""
        return f"Cutout({self.size})"


def check_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width.

    Raises
    ------
    TypeError, ValueError
        They are not two integers above 0.
    """
    given = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(given) != 2:
        raise ValueError(f"size must be one number, or (height, width), got {size}")
    height, width = as_integer(given[0], "size"), as_integer(given[1], "size")
    if not (0 < height < 2**24 and 0 < width < 2**24):
        raise ValueError(f"size must be at least 1 and below 2**24, got {size}")
    return height, width


def check_range(given: tuple[float, float], name: str) -> tuple[float, float]:
    """The least and the most of something.

    Raises
    ------
    TypeError, ValueError
        They are not two finite numbers above 0 that rise.
    """
    try:
        low, high = map(float, given)
    except TypeError:
        raise TypeError(f"{name} must be two numbers, got {given!r}") from None
    except ValueError:
        raise ValueError(f"{name} must be two numbers, got {given!r}") from None
    if not 0 < low <= high < float("inf"):
        raise ValueError(f"{name} must be two numbers above 0, the first not larger, got {given}")
    return low, high


def take_window(geometry: Geometry, size: tuple[int, int], what: object, rows: Rows) -> None:
    """Let a window of the padded images be written; ValueError where it is larger."""
    height, width = (n + 2 * geometry.padding for n in geometry.shape[:2])
    if size[0] > height or size[1] > width:
        padded = f" with their padding of {geometry.padding}" if geometry.padding else ""
        raise ValueError(f"{rows.path}: {what!r} is larger than the images of {height} x {width}{padded}")
    geometry.window = size
    geometry.update(rows)
