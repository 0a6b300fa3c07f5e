"""Mean, standard deviation, smallest and largest of an array's features: what `Normalize` is given."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbatch._native.cast import READABLE, Cast, name_of_type
from fastbatch._native.moments import moments
from fastbatch._native.take import check_rows
from fastbatch.concatenation import Concat
from fastbatch.containers import opened
from fastbatch.cores import allowed_cores
from fastbatch.delivery import Source, is_array, source_of
from fastbatch.mapped_files import mapped_file
from fastbatch.ragged import Packed, Padded, Part, Ragged
from fastbatch.samplers.rows import as_picked
from fastbatch.spans import Rows, rows_of, runs_of
from fastbatch.workers import check_workers

# What one thread takes at a time. Part of the result's last bits, so a constant.
SPAN_NBYTES = 32 * 2**20

# Rows of fewer elements are read several at a time.
WIDE = 64

#: The axes, behind the first, over which images are summed up for each channel.
OVER_PIXELS = {"NHWC": (0, 1), "NCHW": (1, 2), "NHW": (0, 1)}


class Statistics(NamedTuple):
    """What `statistics` finds: float64 arrays of one shape, and the rows that were seen.

    Attributes
    ----------
    mean, std, min, max : ndarray
    n : int
    """

    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    min: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    n: int


class _Span(NamedTuple):
    """Rows from `first` to `end`, and the type of their elements."""

    rows: Rows
    first: int
    end: int
    readable: str


class _Sums(NamedTuple):
    """Of `n` numbers for each feature, whose mean is `mean` above a number that stays the same."""

    mean: npt.NDArray[np.float64]
    deviations: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    n: int


def statistics(x: Any, *, rows: Any = None, layout: str | None = None, threads: int | None = None) -> Statistics:
    """Mean, standard deviation, smallest and largest of each feature, in one pass.

    The NumPy equivalent is::

        x.mean(0), x.std(0), x.min(0), x.max(0)

    in float64, whatever the type of `x`.

    Parameters
    ----------
    x : array of shape (n, ...), tensor, path of a .npy file, `Ragged`, or what `concat` makes
        Of bool, uint8, int8, int16, uint16, int32, float16, bfloat16, float32 or float64, one row at least. It may be
        larger than the memory where it is mapped from a file. Of a `Ragged` the elements of all rows are seen, as far
        as its `length` lets them into batches.
    rows : array_like of int, of shape (k,), optional
        Which rows are seen: those of a `split`, say. Not negative; one that comes more than once counts as often. They
        are copied a span at a time, in the order of the data. None: all of them.
    layout : {"NHWC", "NCHW", "NHW"}, optional
        Of images, whose channels are taken together: the results are of shape (channels,), of NHW of shape ().
    threads : int, optional
        That read at once. None: as many as cores may be used. The result has the same bits for any number.

    Returns
    -------
    Statistics
        Of shape ``x.shape[1:]``, unless `layout` says otherwise; of a `Ragged`, of the shape of an element, and `n` are
        elements. A feature with a NaN has NaN in all four.

    Raises
    ------
    TypeError
        `x` is no array, or of another type; `rows` are no integers; `layout` is no name.
    ValueError
        There is no row; `rows` are negative or not 1-D; `layout` does not fit; `threads` is out of range.
    IndexError
        One of `rows` is out of range.

    Notes
    -----
    Blocks are summed in float64 around the mean of those before, and merged [1]_: the deviation is right to about 1e-13
    of itself, also where it is small beside the mean.

    References
    ----------
    .. [1] Chan, Golub and LeVeque, "Algorithms for computing the sample variance: analysis and recommendations",
       The American Statistician 37 (3), 1983.
    """
    n_threads = check_workers(threads, None)[0]
    sources, seen = _seen(x, rows)
    shape = sources[0].array.shape[1:]
    axes = _axes_of(layout, shape)
    spans = [span for source, of in zip(sources, seen, strict=True) for span in _spans(source, of, shape)]
    if not spans:
        raise ValueError(f"{'x' if rows is None else 'rows'} must have a row at least")
    center = _center_of(spans[0])
    with ThreadPoolExecutor(max(1, allowed_cores() if n_threads is None else n_threads)) as pool:
        whole = functools.reduce(_joined, pool.map(functools.partial(_sums_of, center), spans))
    sums = _together(_shaped(whole._replace(mean=center + whole.mean), shape), axes)
    has_nan = np.isnan(sums.mean) & ~(np.isneginf(sums.low) & np.isposinf(sums.high))
    low, high = (np.where(has_nan, np.nan, numbers) for numbers in (sums.low, sums.high))
    # Where no axes are left NumPy makes numbers of some, and arrays of others.
    mean, std, low, high = map(np.asarray, (sums.mean, np.sqrt(sums.deviations / sums.n), low, high))
    return Statistics(mean, std, low, high, whole.n)


def _axes_of(layout: str | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of a row that are summed up."""
    if layout is None:
        return ()
    if not isinstance(layout, str):
        raise TypeError(f"layout must be one of {', '.join(OVER_PIXELS)}, got {layout!r}")
    if layout not in OVER_PIXELS:
        raise ValueError(f"layout must be one of {', '.join(OVER_PIXELS)}, got {layout!r}")
    if len(shape) != len(layout) - 1 or 0 in shape:
        raise ValueError(
            f"images of layout {layout} have {len(layout) - 1} axes, and pixels, got rows of shape {shape}"
        )
    return OVER_PIXELS[layout]


def _seen(x: Any, rows: Any) -> tuple[Sequence[Source], list[Rows]]:
    """The arrays, and what is read of each."""
    found = x if isinstance(x, Ragged) else opened(x, "x")
    if isinstance(found, (Padded, Packed)) and isinstance(found.values, Part):
        found = found.values.ragged
    if isinstance(found, Ragged):
        return _elements_of(found if rows is None else found.picked(_checked(rows, len(found))))
    parts = found.arrays if isinstance(found, Concat) else (found,)
    for part in parts:
        if not is_array(part):
            raise TypeError(f"x must be an array, got {type(part).__name__}")
    sources = [source_of(part) for part in parts]
    for array, *_ in sources:
        if array.ndim == 0:
            raise ValueError("x must have rows, got a 0-d array")
    if rows is None:
        return sources, [Rows(source.array) for source in sources]
    edges = np.cumsum([0, *(len(source.array) for source in sources)])
    chosen = np.sort(_checked(rows, int(edges[-1])))
    cuts = np.searchsorted(chosen, edges)
    return sources, [
        rows_of(source.array, chosen[low:high] - edge if edge > 0 else chosen[low:high])
        for source, edge, low, high in zip(sources, edges, cuts, cuts[1:], strict=False)
    ]


def _elements_of(ragged: Ragged) -> tuple[Sequence[Source], list[Rows]]:
    """The arrays that a Ragged is of, and the elements that its rows have of each."""
    starts, lengths, sources = ragged.runs.starts[: len(ragged)], ragged.lengths, ragged.lists.sources
    order = np.argsort(starts, kind="stable")
    order = order[lengths[order] > 0]
    starts, lengths = starts[order], lengths[order]
    edges = np.cumsum([0, *(len(source.array) for source in sources)])
    cuts = np.searchsorted(starts, edges)
    return sources, [
        runs_of(source.array, starts[low:high] - edge, lengths[low:high])
        for source, edge, low, high in zip(sources, edges, cuts, cuts[1:], strict=False)
    ]


def _checked(rows: Any, n: int) -> npt.NDArray[Any]:
    return check_rows(as_picked(rows), n)


def _spans(source: Source, rows: Rows, shape: tuple[int, ...]) -> list[_Span]:
    """Rows that are summed by themselves."""
    array, readable = source.array, name_of_type(source.array.dtype, source.dlpack_type)
    if readable not in READABLE:
        raise TypeError(f"statistics reads {', '.join(READABLE)}, got {readable}")
    if array.shape[1:] != shape:
        raise ValueError(f"x must have rows, all of one shape, got {array.shape[1:]} beside {shape}")
    if (file := mapped_file(array)) is not None:
        file.check("x")
    n = max(1, SPAN_NBYTES // max(1, array.itemsize * math.prod(shape)))
    return [_Span(rows, first, min(first + n, len(rows)), readable) for first in range(0, len(rows), n)]


def _center_of(span: _Span) -> npt.NDArray[np.float64]:
    """Numbers of the size that each feature has: those of the first row."""
    first = np.ascontiguousarray(span.rows.read(span.first, span.first + 1)).reshape(-1)
    numbers = Cast(span.readable, "float64", len(first)).apply(first, np.dtype(np.float64))
    return np.where(np.isfinite(numbers), numbers, 0.0)


def _sums_of(center: npt.NDArray[np.float64], span: _Span) -> _Sums:
    array, readable = span.rows.read(span.first, span.end), span.readable
    n, n_features = len(array), math.prod(array.shape[1:])
    if not array[:1].flags.c_contiguous:
        array = np.ascontiguousarray(array)
    n_together = WIDE // n_features if 0 < n_features < WIDE and array.flags.c_contiguous else 1
    n_wide = n // n_together
    sums = None
    if n_together > 1 and n_wide > 0:
        rows = array[: n_wide * n_together].reshape(n_wide, n_together * n_features)
        wide = moments(rows, readable, np.tile(center, n_together))
        sums = _together(_shaped(_Sums(*wide, n_wide), (n_together, n_features)), (0,))
        array = array[n_wide * n_together :]
    if len(array) > 0:
        rest = _Sums(*moments(array.reshape(len(array), n_features), readable, center), len(array))
        sums = rest if sums is None else _joined(sums, rest)
    assert sums is not None
    return sums


def _shaped(sums: _Sums, shape: tuple[int, ...]) -> _Sums:
    mean, deviations, low, high, n = sums
    return _Sums(mean.reshape(shape), deviations.reshape(shape), low.reshape(shape), high.reshape(shape), n)


def _joined(sums: _Sums, more: _Sums) -> _Sums:
    """The sums of two sets of rows."""
    n = sums.n + more.n
    with np.errstate(invalid="ignore"):
        shift = more.mean - sums.mean
        mean = sums.mean + shift * (more.n / n)
        deviations = sums.deviations + more.deviations + shift * shift * (sums.n * (more.n / n))
    return _Sums(mean, deviations, np.minimum(sums.low, more.low), np.maximum(sums.high, more.high), n)


def _together(sums: _Sums, axes: tuple[int, ...]) -> _Sums:
    """The sums of features that are taken together along some axes."""
    if not axes:
        return sums
    with np.errstate(invalid="ignore"):
        mean = sums.mean.mean(axes)
        shift = sums.mean - np.expand_dims(mean, axes)
        deviations = sums.deviations.sum(axes) + sums.n * (shift * shift).sum(axes)
    n = sums.n * math.prod(sums.mean.shape[axis] for axis in axes)
    return _Sums(mean, deviations, sums.low.min(axes), sums.high.max(axes), n)
