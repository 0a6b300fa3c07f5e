"""From a user's data to a tree of columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastbatch._native.column import (
    Column,
    ConcatColumn,
    GatherColumn,
    ImportanceColumn,
    IndexedColumn,
    JoinedColumn,
    RowNumberColumn,
    ValidColumn,
)
from fastbatch._native.structure import LEAF, Structure, flatten
from fastbatch._native.take import take
from fastbatch.concatenation import Concat
from fastbatch.containers import opened
from fastbatch.delivery import BFLOAT16, OUTPUTS, Source, element_type, is_array, source_of, wrapper_for
from fastbatch.mapped_files import MappedFile, is_file_backed, mapped_file
from fastbatch.native_column import NativeColumn
from fastbatch.packed import PackedPart, PackedRows
from fastbatch.picking import Picked
from fastbatch.ragged import Packed, Padded, Part, Ragged
from fastbatch.transforms import Rows, Transform, match, written_elements
from fastbatch.transforms.mixing import Mix


class Columns(NamedTuple):
    """What the engine is made of, and what `Loader.explain` says of it."""

    structure: Structure
    columns: list[Column]
    wraps: list[Callable[[object], Any] | None]
    frameworks: list[str]  # of each column's batches
    paths: list[str]
    notes: list[str]  # for each column: a copy that had to be made, and what is done with its rows, or ""
    files: list[tuple[str, MappedFile]]  # path and file of each column that is read from one, to be checked every epoch
    n_rows: int
    padded: list[tuple[str, Ragged]]  # path and rows of each column that is padded


def make_columns(data: Any, *, output: str | None = None, rows: bool = False, transforms: Any = None) -> Columns:
    """The columns of `data`, with the row numbers as one more if `rows`.

    What else a batch may carry comes from `with_valid`.

    Raises
    ------
    TypeError
        A leaf is not an array, holds references, or has no counterpart in the output's framework; a transform does not
        read it.
    ValueError
        There is no array; an array is 0-d; lengths differ; the data has a key "rows" already; a transform does not fit.
    OSError
        A mapped file that has to be copied was truncated.
    """
    if output is not None and output not in OUTPUTS:
        raise ValueError(f"output must be one of {', '.join(map(repr, OUTPUTS))} or None, got {output!r}")
    structure, leaves, paths = flatten(data, is_column, opened)
    if not leaves:
        raise ValueError(f"data must hold at least one array, got {data!r}")
    columns: list[Column] = []
    wraps, frameworks, notes, files = [], [], [], []
    n_rows = -1
    matched = match(transforms, structure)
    made_rows: list[Rows | None] = []
    for leaf, path, asked in zip(leaves, paths, matched.leaves, strict=True):
        column, framework, note, read, rows_of = _make_column(leaf, path, asked, output)
        made_rows.append(rows_of)
        if n_rows < 0:
            n_rows = column.n_rows or 0
        elif column.n_rows != n_rows:
            raise ValueError(f"columns differ in length: {paths[0]} has {n_rows} rows, {path} has {column.n_rows}")
        if framework == "numpy" and column.dlpack_type == BFLOAT16 and column.dtype.kind in "iu":
            column.hold_as(element_type("bfloat16", framework, path)[0])
        columns.append(column)
        framework, wrap = _wrap_in(framework, column, needed=not isinstance(leaf, Part) or leaf.is_users)
        wraps.append(wrap)
        frameworks.append(framework)
        notes.append(note)
        files += read
    for several, mix in matched.mixes:
        _mix(several, mix, columns, made_rows, paths)
        for leaf in several:
            notes[leaf] = "; ".join(filter(None, [notes[leaf], _mixed_with(leaf, several, mix, paths)]))
    padded = [(path, leaf.ragged) for leaf, path in zip(leaves, paths, strict=True) if _is_padded(leaf)]
    made = Columns(structure, columns, wraps, frameworks, paths, notes, files, n_rows, padded)
    return _with_column(made, "rows", RowNumberColumn(), "rows=True") if rows else made


def is_column(leaf: object) -> bool:
    """Whether an object is one column rather than a structure of them."""
    return isinstance(leaf, (Concat, NativeColumn, PackedPart, Part, Picked)) or is_array(leaf)


def _is_padded(leaf: object) -> bool:
    return isinstance(leaf, Part) and leaf.is_users and leaf.ragged.options.layout == "padded"


def _make_column(
    leaf: Any, path: str, transforms: Sequence[Transform], output: str | None
) -> tuple[Column, str, str, list[tuple[str, MappedFile]], Rows | None]:
    """A column, its framework, what was copied of it, the files that it is read from, and what its rows become."""
    column: Column
    if isinstance(leaf, Part):
        framework = output or leaf.framework
        column = leaf.column(path, written_elements(leaf, path, transforms, framework))
        note = "; ".join(filter(None, [leaf.copies, _said(transforms)]))
        return column, framework, note, [(path, file) for file in leaf.files], None
    if isinstance(leaf, PackedPart):
        if transforms:
            raise TypeError(f"{path}: transforms read arrays, and this is part of packed rows")
        return leaf.column(output), output or leaf.framework, leaf.note, [(path, file) for file in leaf.files], None
    if isinstance(leaf, Picked):
        inner, framework, copied, files, made = _make_column(leaf.array, path, transforms, output)
        return IndexedColumn(inner, leaf.rows), framework, copied, files, made
    if isinstance(leaf, NativeColumn):
        if transforms:
            raise TypeError(f"{path} must be an array to be transformed, got a NativeColumn: its function can do it")
        file = mapped_file(leaf.state) if isinstance(leaf.state, np.ndarray) else None
        return leaf.column, output or "numpy", "", [] if file is None else [(path, file)], None
    parts = leaf.arrays if isinstance(leaf, Concat) else (leaf,)
    names = [f"{path}: array {i} of concat" for i in range(len(parts))] if isinstance(leaf, Concat) else [path]
    for part, name in zip(parts, names, strict=True):
        if not is_array(part.array if isinstance(part, Picked) else part):
            raise TypeError(f"{name} must be an array, got {type(part).__name__}")
    sources = [_source_of_part(part) for part in parts]
    taken = [_with_contiguous_rows(source.array, name) for source, name in zip(sources, names, strict=True)]
    arrays = [array for array, _ in taken]
    copies = [
        f"copied once ({array.nbytes:,} bytes): {source.copied or reason}"
        for source, (array, reason) in zip(sources, taken, strict=True)
        if source.copied or reason
    ]
    kinds = {(array.dtype, array.shape[1:], source.dlpack_type) for source, array in zip(sources, arrays, strict=True)}
    if len(kinds) > 1:
        said = " and ".join(sorted(f"{dtype} {shape}" for dtype, shape, _ in kinds))
        raise ValueError(f"{path}: the arrays of concat must have rows of one dtype and shape, got {said}")
    kind, blocking = sources[0].dlpack_type, any(map(is_file_backed, arrays))
    framework = output or sources[0].framework
    made = Rows(path, arrays[0].dtype, arrays[0].shape[1:], dlpack_type=kind, framework=framework)
    if transforms:
        for transform in transforms:
            made.then(transform)
        made_of = [made.column(array, blocking=is_file_backed(array)) for array in arrays]
        column = JoinedColumn(made_of) if isinstance(leaf, Concat) else made_of[0]
    elif isinstance(leaf, Concat):
        column = ConcatColumn(arrays, dlpack_type=kind, blocking=blocking)
    else:
        column = GatherColumn(arrays[0], dlpack_type=kind, blocking=blocking)
    found = zip(names, map(mapped_file, arrays), strict=True)
    files = [(name, file) for name, file in found if file is not None]
    return column, framework, "; ".join(filter(None, [*copies, _said(transforms)])), files, made


def _said(transforms: Sequence[Transform]) -> str:
    """Which ones, for `Loader.explain`."""
    return f"transforms: {', '.join(map(repr, transforms))}" if transforms else ""


def _mix(
    several: Sequence[int], mix: Mix, columns: list[Column], made: Sequence[Rows | None], paths: Sequence[str]
) -> None:
    """Let some of the columns be mixed."""
    rows = []
    for leaf in several:
        if (of := made[leaf]) is None:
            raise TypeError(f"{paths[leaf]}: {mix!r} mixes arrays, and this is none")
        rows.append(of)
    for leaf, column in zip(several, mix.mixed([columns[leaf] for leaf in several], rows), strict=True):
        columns[leaf] = column


def _mixed_with(leaf: int, several: Sequence[int], mix: Mix, paths: Sequence[str]) -> str:
    """What is done with the batches of one of the columns that are mixed."""
    others = ", ".join(paths[other] for other in several if other != leaf)
    return f"then {mix!r}, in pairs of a batch's rows" + (f", together with {others}" if others else "")


def _source_of_part(part: Any) -> Source:
    if not isinstance(part, Picked):
        return source_of(part)
    source = source_of(part.array)
    return source._replace(array=take(source.array, part.rows), copied="it is some rows of an array, and more follow")


def with_weights(columns: Columns, importances: np.ndarray | None) -> Columns:
    """The columns, and one more with the sampler's weights: of each row, or None where it gives them as it draws.

    Raises
    ------
    ValueError
        The data has a key "weights" already.
    """
    column: Column = ImportanceColumn()
    if importances is not None:
        of_rows = np.full(columns.n_rows, np.inf, np.float32)  # what is never drawn
        of_rows[: len(importances)] = importances
        column = GatherColumn(of_rows)
    return _with_column(columns, "weights", column, "rows=True, with a sampler that has weights,")


def with_valid(columns: Columns, length: int) -> Columns:
    """The columns, and one more that tells the rows of an epoch of `length` from those that fill up its end.

    Raises
    ------
    ValueError
        The data has a key "valid" already.
    """
    return _with_column(columns, "valid", ValidColumn(length), 'uneven="pad"')


def _with_column(columns: Columns, name: str, column: Column, why: str) -> Columns:
    """One more column, whose batches are of the framework that those of the others are of."""
    framework = columns.frameworks[0] if len(set(columns.frameworks)) == 1 else "numpy"
    framework, wrap = _wrap_in(framework, column, needed=False)
    return columns._replace(
        structure=with_leaf(columns.structure, name, why),
        columns=[*columns.columns, column],
        wraps=[*columns.wraps, wrap],
        frameworks=[*columns.frameworks, framework],
        paths=[*columns.paths, name],
        notes=[*columns.notes, ""],
    )


def _wrap_in(framework: str, column: Column, *, needed: bool) -> tuple[str, Callable[[object], Any] | None]:
    """What makes the framework's tensors of a column's batches; of NumPy, where they need not be the framework's."""
    try:
        return framework, wrapper_for(framework, column.dtype, column.dlpack_type)
    except TypeError:  # JAX has 64-bit integers only where it is told to
        if needed:
            raise
        return "numpy", None


def with_leaf(structure: Structure, name: str, why: str) -> Structure:
    """The structure of a batch that carries one more leaf, the last."""
    if structure.kind == "leaf" or structure.factory in (Padded, Packed, PackedRows):
        return Structure("tuple", (structure, LEAF))
    if structure.kind in ("tuple", "list"):
        return Structure(structure.kind, (*structure.children, LEAF))
    keys = structure.keys or ()
    if name in keys:
        raise ValueError(f'{why} adds the key "{name}", which the data has already')
    return Structure("dict", (*structure.children, LEAF), (*keys, name))


def _with_contiguous_rows(array: np.ndarray, path: str) -> tuple[np.ndarray, str]:
    """The array, or a copy and why it had to be made."""
    if array.ndim == 0:
        raise ValueError(f"{path} must have an axis of rows, got a 0-d array")
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{path} must not be a masked array; give its data and its mask as two columns")
    if array.dtype.hasobject or array.dtype.kind == "T":
        raise TypeError(
            f"{path} must have items of fixed size held in the array, got dtype {array.dtype}; "
            "use a numeric dtype, or strings of fixed width such as 'U16'"
        )
    row = array[:1]
    if row.flags.c_contiguous or array.size == 0:
        return array, ""
    if (file := mapped_file(array)) is not None:
        file.check(path)  # the copy reads all of it
    return np.ascontiguousarray(array), f"its rows are not contiguous (strides {array.strides})"
