"""Columns of rows that several sequences share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastbatch._native.column import Column
from fastbatch._native.packing import PackedNumbersColumn, PackedValuesColumn
from fastbatch.mapped_files import MappedFile, is_file_backed
from fastbatch.ragged import Part, Ragged


class PackedRows(NamedTuple):
    """A batch of rows that sequences share; or, as data, the columns that it is made of.

    Attributes
    ----------
    values : array of shape (batch, context, ...)
        Of the sequences, one behind the other, then padding.
    positions : int array of shape (batch, context)
        The place of each value in its sequence, from 0 on; 0 in the padding.
    segments : int array of shape (batch, context)
        Which sequence of its row a value is of, from 1 on; 0 in the padding.
    """

    values: Any
    positions: Any
    segments: Any


@dataclass(frozen=True)
class PackedPart:
    """One array of the batches of packed rows: what a column is made of.

    Attributes
    ----------
    ragged : Ragged
        The sequences, in the order of the rows.
    starts : uint64 of shape (n_rows + 1,)
        Where those of each row begin.
    context : int
    name : str
        Of a field of `PackedRows`.
    pad : bytes
        One item of padding.
    ids : numpy.dtype or None
        Of positions and segments.
    """

    ragged: Ragged
    starts: np.ndarray
    context: int
    name: str
    pad: bytes
    ids: np.dtype | None

    @property
    def framework(self) -> str:
        """Of its batches."""
        return self._part.framework

    @property
    def files(self) -> list[MappedFile]:
        """Those that it is read from."""
        return self._part.files

    @property
    def copies(self) -> str:
        """What had to be copied, and why."""
        return self._part.copies

    @property
    def note(self) -> str:
        """What a Loader says of it besides: with the values, how much of all rows is padding."""
        said = [self.copies] if self.copies else []
        if self.name == "values" and len(self.starts) > 1:
            lengths = self.ragged.lengths
            padding = 1 - int(lengths.sum(dtype=np.int64)) / ((len(self.starts) - 1) * self.context)
            said.append(f"{len(lengths):,} sequences in rows of {self.context:,}, {padding:.1%} of all rows is padding")
        return "; ".join(said)

    def over(self, ragged: Any) -> PackedPart:
        """The same of other sequences."""
        return replace(self, ragged=ragged)

    def column(self, output: str | None) -> Column:
        """The native column.

        Parameters
        ----------
        output : str or None
            The framework of its batches, if not that of the sequences.
        """
        runs, source = self.ragged.runs, self.ragged.lists.sources[0]
        if self.name != "values":
            ids = self.ids
            if ids is None:  # JAX has 64-bit integers only where it is told to
                ids = np.dtype(np.int32 if (output or source.framework) == "jax" else np.int64)
            return PackedNumbersColumn(runs, self.starts, self.context, ids, positions=self.name == "positions")
        return PackedValuesColumn(
            runs,
            self.starts,
            self.context,
            pad=self.pad,
            dlpack_type=source.dlpack_type,
            blocking=any(map(is_file_backed, self._part.arrays)),
        )

    @property
    def _part(self) -> Part:
        return Part(self.ragged, self.name)
