"""Several sequences in one row of a fixed size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastbatch._native.packing import first_fit
from fastbatch.arguments import as_integer
from fastbatch.packed import PackedPart, PackedRows
from fastbatch.ragged import Ragged
from fastbatch.ragged.sources import Lists
from fastbatch.ragged.values import check_pad, pad_item
from fastbatch.samplers.lengths import check_lengths


class FirstFit:
    """Sequences packed into rows of `context` tokens: first-fit decreasing [1]_, so that hardly anything is padding.

    The NumPy equivalent is::

        rows, room = [], []
        for i in numpy.argsort(-lengths, kind="stable"):
            row = next((row for row in range(len(rows)) if room[row] >= lengths[i]), len(rows))
            if row == len(rows):
                rows.append([]), room.append(context)
            rows[row].append(i)
            room[row] -= lengths[i]

    A sequence is never cut. It is done once, for all epochs, and the same everywhere; the rows are then data like any
    other, to be shuffled by a Loader::

        packing = fastbatch.FirstFit(numpy.diff(offsets), 2048)
        loader = fastbatch.Loader(packing.pack(tokens, offsets), 8, shuffle=True)
        for values, positions, segments in loader: ...

    Sequences that share a row must not see each other [2]_: attention is between values of one segment,
    ``segments[:, :, None] == segments[:, None, :]``, and of none where it is 0.

    Parameters
    ----------
    lengths : array_like of int, of shape (n,)
        Of the sequences, in tokens: from 1 to `context`.
    context : int
        Tokens of a row, below 2**31.

    Attributes
    ----------
    context : int
    n : int
        Sequences.
    offsets : int64 of shape (n_rows + 1,)
        Where each row begins in `sequences`.
    sequences : int64 of shape (n,)
        Which ones each row has, the longest first: those of row i are ``sequences[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    TypeError
        Not integers.
    ValueError
        Lengths are not 1-D, too many, or out of range; `context` is.

    References
    ----------
    .. [1] Johnson, "Near-optimal bin packing algorithms", PhD thesis, MIT 1973.
    .. [2] Krell, Kosec, Perez and Fitzgibbon, "Efficient sequence packing without cross-contamination: accelerating
       large language models without impacting performance", arXiv:2107.02027.
    """

    def __init__(self, lengths: Any, context: int) -> None:
        self._lengths = check_lengths(lengths)
        self.context = as_integer(context, "context")
        if not 1 <= self.context < 2**31:
            raise ValueError(f"context must be at least 1 and below 2**31, got {self.context}")
        self.n = len(self._lengths)
        if self.n > 0 and int(self._lengths.max()) > self.context:
            sequence = int(self._lengths.argmax())
            raise ValueError(
                f"context must be at least {self._lengths[sequence]}, the length of sequence {sequence}, "
                f"got {self.context}"
            )
        self._starts, sequences = first_fit(self._lengths, self.context)
        self.offsets, self.sequences = self._starts.astype(np.int64), sequences.astype(np.int64)

    def __len__(self) -> int:
        """Rows."""
        return len(self.offsets) - 1

    @property
    def n_rows(self) -> int:
        """Rows."""
        return len(self)

    @property
    def padding(self) -> float:
        """The share of padding in all rows."""
        return 1 - int(self._lengths.sum(dtype=np.int64)) / (len(self) * self.context) if len(self) > 0 else 0.0

    def pack(
        self, values: Any, offsets: Any = None, *, pad: float | complex = 0, ids: npt.DTypeLike | None = None
    ) -> PackedRows:
        """The packed rows, as data for a Loader: nothing is copied before a batch is made.

        Parameters
        ----------
        values : Ragged, or array of shape (n_values, ...), or what else `Ragged` takes without offsets
            The sequences that were packed.
        offsets : integer array of shape (n + 1,), optional
            Sequence i is ``values[offsets[i] : offsets[i + 1]]``.
        pad : number
            What is left of a row is filled up with. What a `Ragged` says of padding counts for batches of its own only.
        ids : dtype, optional
            Of positions and segments: int64 or int32. None: int64, and int32 where the output is JAX's.

        Returns
        -------
        PackedRows
            Of columns, each of `n_rows` rows. A batch is a `PackedRows` of arrays. Any of the columns may be given to a
            Loader alone, or beside others: labels that are packed as the tokens are, say.

        Raises
        ------
        TypeError
            Values are none of these, or no numbers; `pad` is no number.
        ValueError
            There is another number of sequences, or one of another length; `pad` is no value of their dtype; `ids` is
            another dtype.
        """
        dtype = None if ids is None else np.dtype(ids)
        if dtype not in (None, np.dtype(np.int64), np.dtype(np.int32)):
            raise ValueError(f"ids must be int64 or int32, got {dtype}")
        ragged = values
        if offsets is not None or not isinstance(values, Ragged):
            ragged = Ragged(values, offsets, layout="packed")
        lengths, (sources, starts, _) = ragged.lengths, ragged.lists
        if len(lengths) != self.n:
            raise ValueError(f"values must be of the {self.n} sequences that were packed, got {len(lengths)}")
        wrong = np.flatnonzero(lengths != self._lengths)
        if len(wrong) > 0:
            i = int(wrong[0])
            raise ValueError(
                f"values must be as long as they were packed: sequence {i} had {self._lengths[i]}, got {lengths[i]}"
            )
        check_pad(pad)
        item = pad_item(pad, sources[0].array.dtype, sources[0].dlpack_type)
        in_order = Ragged.of(Lists(sources, starts[: self.n][self.sequences], lengths[self.sequences]))
        return PackedRows(
            *(PackedPart(in_order, self._starts, self.context, name, item, dtype) for name in PackedRows._fields)
        )

    def __repr__(self) -> str:
        """Sequences and rows."""
        return f"FirstFit({self.n} sequences in {len(self)} rows of {self.context})"
