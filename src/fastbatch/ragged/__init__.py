"""Rows of different lengths: token sequences, audio frames, events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastbatch._native.column import Column
from fastbatch._native.ragged import BoundsColumn, LengthsColumn, MaskColumn, PackedColumn, PaddedColumn
from fastbatch._native.runs import Runs
from fastbatch.delivery import is_array, source_of
from fastbatch.mapped_files import MappedFile, is_file_backed, mapped_file, open_npy
from fastbatch.ragged.options import Options, check_options
from fastbatch.ragged.sources import Lists, as_elements, lists_of
from fastbatch.ragged.values import Written, check_numbers, pad_item


class Padded(NamedTuple):
    """A batch of a `Ragged`, padded.

    Attributes
    ----------
    values : array of shape (n, width, ...)
    lengths : int64 array of shape (n,)
        How many of the values of each row are its own. Where the others are: with `device`, on the device, whereas
        `torch.nn.utils.rnn.pack_padded_sequence` takes lengths on the CPU.
    mask : bool array of shape (n, width)
        Which ones.
    """

    values: Any
    lengths: Any
    mask: Any


class Packed(NamedTuple):
    """A batch of a `Ragged`, one row behind the other.

    Attributes
    ----------
    values : array of shape (total, ...)
    cu_seqlens : int32 array of shape (n + 1,)
        Row i is ``values[cu_seqlens[i] : cu_seqlens[i + 1]]``.
    """

    values: Any
    cu_seqlens: Any


class Ragged:
    """Rows of different lengths, for the `data` of a Loader, alone or within a structure.

    A batch of it is a `Padded`, whose NumPy equivalent is::

        lengths = numpy.diff(offsets)[rows]
        mask = numpy.arange(lengths.max()) < lengths[:, None]
        batch = numpy.full(mask.shape, pad, values.dtype)
        batch[mask] = numpy.concatenate([values[offsets[row] : offsets[row + 1]] for row in rows])

    or, with ``layout="packed"``, a `Packed`, as attention over sequences of variable length takes it.

    Parameters
    ----------
    values : array of shape (total, ...)
        The elements of all rows, one row behind the other: numbers, each of any shape, such as frames of features.
        Or the path of a .npy file of them, which is mapped. Without `offsets`: a list of arrays, or of lists of numbers
        (which are copied, one behind the other), an Arrow list array, also a chunked one, a nested tensor of torch or
        an Array of awkward. They are referred to, not copied, unless they are not contiguous, or held in another form
        (`Loader.explain` says so).
    offsets : integer array of shape (n + 1,), optional
        Row i is ``values[offsets[i] : offsets[i + 1]]``. Copied. Or the path of a .npy file.
    pad : number
        What shorter rows are filled up with, as a batch holds it: `transforms` leave it as it is.
    side : {"right", "left"}
        Whether behind what they hold, or in front of it.
    multiple : int
        Batches are as wide as their longest row, rounded up to a multiple of this.
    length : int, optional
        Batches are all so wide, and of longer rows the first `length` elements count, whatever `side` is. With
        ``layout="packed"`` it only cuts rows off.
    layout : {"padded", "packed"}

    Attributes
    ----------
    lengths : int64 array of shape (n,)
        Of the rows, `length` at most: what samplers go by.

    Raises
    ------
    TypeError
        `values` are none of these, or no numbers; an option is of another type.
    ValueError
        Offsets decrease, or run past the values; `values` have nulls; an option is out of range, or has no meaning
        with ``layout="packed"``. By the Loader: the batches' dtype cannot hold `pad`; a row is empty, which in the
        padded layout none may be, because what takes lengths refuses it (`torch.nn.utils.rnn.pack_padded_sequence`).
    IndexError
        While iterating: a packed batch has 2**31 elements or more.

    Notes
    -----
    Of transforms it takes `Cast`, `Scale` and `Normalize`, whose numbers are broadcast to an element: of frames of
    features, one for each feature.

    A slot has room for a batch of the longest rows. Of that, only what is written takes memory; all of it does in
    pinned memory, where `length` bounds it.

    Examples
    --------
    >>> import numpy as np
    >>> import fastbatch as fb
    >>> tokens, offsets = np.arange(10, 17), [0, 2, 3, 7]
    >>> for batch in fb.Loader(fb.Ragged(tokens, offsets, pad=-1), 3):
    ...     print(batch.values, batch.lengths)
    [[10 11 -1 -1]
     [12 -1 -1 -1]
     [13 14 15 16]] [2 1 4]
    """

    def __init__(
        self,
        values: Any,
        offsets: Any = None,
        *,
        pad: Any = 0,
        side: str = "right",
        multiple: int = 1,
        length: int | None = None,
        layout: str = "padded",
    ) -> None:
        options = check_options(Options(pad, side, multiple, length, layout))
        if offsets is None:
            lists = lists_of(values, "values")
        else:
            values = open_npy(values)
            if not is_array(values):
                raise TypeError(
                    "values must be an array, or the path of a .npy file, where there are offsets, got "
                    f"{type(values).__name__}"
                )
            lists = Lists((as_elements(source_of(values), "values"),), open_npy(offsets))
        self._set_up(lists, options, "values")

    def _set_up(self, lists: Lists, options: Options, path: str) -> None:
        self._sources, self._options = lists.sources, options
        check_numbers(self._sources, path)
        self._runs = Runs([source.array for source in self._sources], lists.starts, lists.lengths)

    @classmethod
    def of(cls, lists: Lists, options: Options | None = None, path: str = "values") -> Ragged:
        """Lists that were opened, called `path` in messages; by themselves, padded with 0 on the right."""
        made = cls.__new__(cls)
        made._set_up(lists, options or Options(0, "right", 1, None, "padded"), path)
        return made

    def __len__(self) -> int:
        """Rows."""
        return self._runs.n_rows

    @property
    def lengths(self) -> np.ndarray:
        """How many elements each row has in a batch, `length` at most."""
        lengths = self._runs.lengths
        return lengths if self._options.length is None else np.minimum(lengths, self._options.length, out=lengths)

    @property
    def widths(self) -> np.ndarray:
        """How wide a padded batch of each row by itself is, int64: one of several is as wide as the widest of them."""
        if self._options.length is not None:
            return np.full(len(self), self._options.length, np.int64)
        return -(-self._runs.lengths // self._options.multiple) * self._options.multiple

    @property
    def options(self) -> Options:
        """How batches are made."""
        return self._options

    @property
    def runs(self) -> Runs:
        """What columns are made of."""
        return self._runs

    @property
    def lists(self) -> Lists:
        """The elements, and which of them each row has."""
        return Lists(self._sources, self._runs.starts, self._runs.given_lengths)

    def picked(self, rows: np.ndarray) -> Ragged:
        """Some of the rows, without a copy of their elements."""
        starts = self._runs.starts[: len(self)]
        return Ragged.of(Lists(self._sources, starts[rows], self._runs.lengths[rows]), self._options)

    @staticmethod
    def joined(parts: Iterable[Ragged], path: str) -> Ragged:
        """The rows of several, one behind the other, without a copy of their elements."""
        parts = tuple(parts)
        kinds = {
            (part._sources[0].framework, part._sources[0].dlpack_type, repr(part._options))  # NaN differs from itself
            for part in parts
        }
        if len(kinds) > 1:
            raise ValueError(f"{path}: the Ragged arrays of concat must be of one framework and have the same options")
        starts, n_elements = [], 0
        for part in parts:
            starts.append(part._runs.starts[: len(part)] + n_elements)
            n_elements += sum(len(source.array) for source in part._sources)
        lengths = np.concatenate([part._runs.lengths for part in parts])
        sources = tuple(source for part in parts for source in part._sources)
        return Ragged.of(Lists(sources, np.concatenate(starts), lengths), parts[0]._options)

    def opened(self, path: str) -> Padded | Packed:
        """What a batch consists of, as columns to be.

        Raises
        ------
        ValueError
            A row is empty.
        """
        if self._options.layout == "packed":
            return Packed(*(Part(self, name) for name in Packed._fields))
        if (empty := self._runs.lengths == 0).any():
            raise ValueError(
                f"{path} must have no empty rows in the padded layout, and row {int(np.argmax(empty))} is one: "
                'leave such rows out, or use layout="packed"'
            )
        return Padded(*(Part(self, name) for name in Padded._fields))

    def __reduce__(self) -> tuple[Any, ...]:
        """By value."""
        return Ragged.of, (self.lists, self._options)

    def __repr__(self) -> str:
        """How many rows of what, and how long they are."""
        lengths, array = self.lengths, self._sources[0].array
        kind = f"{array.dtype} of shape {array.shape[1:]}" if array.ndim > 1 else f"{array.dtype}"
        span = f", {lengths.min():,} to {lengths.max():,} long" if len(self) else ""
        return f"Ragged({len(self):,} rows of {kind}{span}, {self._options.layout})"


@dataclass(frozen=True)
class Part:
    """One array of the batches of a `Ragged`: what a column is made of.

    Attributes
    ----------
    ragged : Ragged
    name : str
        Of a field of `Padded` or `Packed`.
    """

    ragged: Ragged
    name: str

    @property
    def is_users(self) -> bool:
        """Whether it is made of the user's own numbers, and not of how many there are."""
        return self.name == "values"

    @property
    def framework(self) -> str:
        """Of its batches."""
        return self.ragged.lists.sources[0].framework

    @property
    def arrays(self) -> list[np.ndarray]:
        """What it is read from."""
        return [source.array for source in self.ragged.lists.sources] if self.is_users else []

    @property
    def files(self) -> list[MappedFile]:
        """Those that the arrays lie in."""
        return [file for file in map(mapped_file, self.arrays) if file is not None]

    @property
    def copies(self) -> str:
        """What had to be copied, and why."""
        nbytes: dict[str, int] = {}
        for source in self.ragged.lists.sources if self.is_users else ():
            if source.copied:
                nbytes[source.copied] = nbytes.get(source.copied, 0) + source.array.nbytes
        return "; ".join(f"copied once ({n:,} bytes): {reason}" for reason, n in nbytes.items())

    def column(self, path: str, written: Written | None = None) -> Column:
        """The native column.

        Parameters
        ----------
        path : str
            What to call it in messages.
        written : Written, optional
            What the elements become. None: they stay as they are.

        Raises
        ------
        ValueError
            What is written cannot hold the padding.
        """
        runs, options, source = self.ragged._runs, self.ragged.options, self.ragged.lists.sources[0]
        most = options.length or 0
        blocking = any(map(is_file_backed, self.arrays))
        cast, dtype, dlpack_type = written or (None, source.array.dtype, source.dlpack_type)
        if self.name == "cu_seqlens":
            return BoundsColumn(runs, most=most)
        if self.name == "lengths":
            return LengthsColumn(runs, most=most)
        if options.layout == "packed":
            return PackedColumn(runs, most=most, dlpack_type=dlpack_type, blocking=blocking, cast=cast, dtype=dtype)
        left = options.side == "left"
        if self.name == "mask":
            return MaskColumn(runs, left=left, multiple=options.multiple, width=most)
        return PaddedColumn(
            runs,
            pad=pad_item(options.pad, dtype, dlpack_type, f"{path}: pad"),
            left=left,
            multiple=options.multiple,
            width=most,
            dlpack_type=dlpack_type,
            blocking=blocking,
            cast=cast,
            dtype=dtype,
        )
