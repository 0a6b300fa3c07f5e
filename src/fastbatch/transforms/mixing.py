"""Batches whose rows are mixed with each other, images and labels alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fastbatch._native.cast import WRITABLE
from fastbatch._native.column import Column
from fastbatch._native.mix import MixColumn
from fastbatch.arguments import as_number
from fastbatch.transforms.geometry import Geometry, assumed_layout
from fastbatch.transforms.rows import Rows


class Mix(Protocol):
    """What is done with several columns of a filled batch."""

    def mixed(self, columns: Sequence[Column], rows: Sequence[Rows]) -> list[Column]:
        """The columns that write mixed batches.

        Raises
        ------
        TypeError, ValueError
            These cannot be mixed: the message names the column.
        """


class MixUp:
    """Rows of a batch as weighted means of pairs, their labels too [1]_.

    It stands in `transforms` under the names of the columns that are mixed, with what makes them floating numbers under
    their own::

        transforms={"x": fb.Scale(1 / 255), "y": fb.OneHot(10), ("x", "y"): fb.MixUp(0.2)}

    The NumPy equivalent is::

        share = rng.beta(alpha, alpha)
        x = x * share + x[::-1] * (1 - share)
        y = y * share + y[::-1] * (1 - share)

    Parameters
    ----------
    alpha : float
        At least 1e-6. The share is drawn anew for each batch.
    p : float
        How probably a batch is mixed.

    Raises
    ------
    TypeError, ValueError
        An argument is of another type, or out of range.

    Notes
    -----
    A row's partner is the one that lies as far from the end of its batch. The share is drawn from the Loader's seed,
    the epoch and the position of the batch's first row, so that each rank has its own.

    References
    ----------
    .. [1] Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018.
    """

    def __init__(self, alpha: float, p: float = 1.0) -> None:
        self.alpha, self.p = check_mix(alpha, p)

    def mixed(self, columns: Sequence[Column], rows: Sequence[Rows]) -> list[Column]:
        """The columns that write mixed batches."""
        for of in rows:
            require_floats(self, of)
        return [
            MixColumn(column, "rows", of.written, self.alpha, self.p) for column, of in zip(columns, rows, strict=True)
        ]

    def __repr__(self) -> str:
        """As it is made."""
        return f"MixUp({self.alpha}{'' if self.p == 1 else f', p={self.p}'})"


class CutMix:
    """Images of a batch exchange a rectangle in pairs, and their labels are mixed by its area [1]_.

    It stands in `transforms` under the names of the columns: those that are images exchange pixels, and the others,
    which have to be floating numbers, are mixed::

        transforms={"x": fb.Layout("NHWC", "NCHW"), "y": fb.OneHot(10), ("x", "y"): fb.CutMix(1.0)}

    Parameters
    ----------
    alpha : float
        At least 1e-6. The share of the image that stays is drawn from a beta distribution (alpha, alpha), each time.
    p : float
        How probably a batch is mixed.

    Raises
    ------
    TypeError, ValueError
        An argument is of another type, or out of range.

    Notes
    -----
    A row's partner is the one that lies as far from the end of its batch. The rectangle lies around any pixel, and what
    is outside of the image is cut off; labels are mixed by what is left of it.

    References
    ----------
    .. [1] Yun, Han, Oh, Chun, Choe and Yoo, "CutMix: regularization strategy to train strong classifiers with
       localizable features", ICCV 2019.
    """

    def __init__(self, alpha: float, p: float = 1.0) -> None:
        self.alpha, self.p = check_mix(alpha, p)

    def mixed(self, columns: Sequence[Column], rows: Sequence[Rows]) -> list[Column]:
        """The columns that write mixed batches."""
        images = [_geometry_in(of) for of in rows]
        sizes = {of.window for of in images if of is not None}
        if len(sizes) != 1:
            said = "no images" if not sizes else f"images of {sorted(sizes)}"
            raise ValueError(f"{', '.join(of.path for of in rows)}: {self!r} needs images of one size, got {said}")
        (size,) = sizes
        made: list[Column] = []
        for column, of, geometry in zip(columns, rows, images, strict=True):
            if geometry is None:
                require_floats(self, of)
                made.append(MixColumn(column, "by box", of.written, self.alpha, self.p, size=size))
            else:
                n_planes = geometry.shape[2] if geometry.planar[1] else 1
                made.append(MixColumn(column, "box", of.written, self.alpha, self.p, size=size, n_planes=n_planes))
        return made

    def __repr__(self) -> str:
        """As it is made."""
        return f"CutMix({self.alpha}{'' if self.p == 1 else f', p={self.p}'})"


def check_mix(alpha: float, p: float) -> tuple[float, float]:
    """The arguments of a mix.

    Raises
    ------
    TypeError, ValueError
        One is of another type, or out of range.
    """
    alpha, p = as_number(alpha, "alpha"), as_number(p, "p")
    if not 1e-6 <= alpha < 1e6:
        raise ValueError(f"alpha must be at least 1e-6 and below 1e6, got {alpha}")
    if not 0 <= p <= 1:
        raise ValueError(f"p must be from 0 to 1, got {p}")
    return alpha, p


def require_floats(what: Mix, rows: Rows) -> None:
    """TypeError where means of rows are not to be had."""
    if rows.written not in WRITABLE:
        raise TypeError(
            f"{rows.path}: {what!r} mixes {', '.join(WRITABLE)}, got {rows.written}; use Cast, or OneHot for labels"
        )


def _geometry_in(rows: Rows) -> Geometry | None:
    """That of rows which are images, said or not: of two or three axes."""
    if rows.images is None and rows.make is None and len(rows.shape) in (2, 3):
        layout = assumed_layout(rows, "CutMix")
        return Geometry(Rows(rows.path, rows.dtype, rows.shape, dlpack_type=rows.dlpack_type), layout, layout)
    return rows.images
