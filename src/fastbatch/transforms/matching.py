"""Which transforms belong to which column: they are given in the shape of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbatch._native.structure import Structure
from fastbatch.transforms.rows import Transform


def match(transforms: Any, structure: Structure, path: str = "data") -> list[list[Transform]]:
    """The transforms of each leaf of a structure, from left to right.

    Parameters
    ----------
    transforms
        For an array: a transform, or a sequence of them. For a tuple or list of arrays: a sequence with an item (or
        None) for each, or a mapping from their numbers; for a dict, namedtuple or dataclass: a mapping from names.

    Raises
    ------
    TypeError, ValueError
        It has another shape.
    """
    if transforms is None:
        return [[] for _ in range(structure.n_leaves)]
    if structure.kind == "leaf":
        return [_of_leaf(transforms, path)]
    is_named = structure.keys is not None
    keys = structure.keys if is_named else range(len(structure.children))
    assert keys is not None
    if isinstance(transforms, Mapping):
        given = dict(transforms)
    elif isinstance(transforms, (tuple, list)) and not is_named:
        if len(transforms) != len(structure.children):
            raise ValueError(f"{path} has {len(structure.children)} items, and transforms {len(transforms)}")
        given = dict(enumerate(transforms))
    else:
        kind = "names" if is_named else "numbers"
        raise TypeError(f"transforms of {path} must be a mapping from the {kind} of its items, got {transforms!r}")
    unknown = [key for key in given if key not in keys]
    if unknown:
        said = ", ".join(map(repr, keys))
        raise ValueError(f"transforms has the key {unknown[0]!r}, and {path} has {said}")
    matched = []
    for key, child in zip(keys, structure.children, strict=True):
        below = f"{path}.{key}" if structure.factory is not None else f"{path}[{key!r}]"
        matched += match(given.get(key), child, below)
    return matched


def _of_leaf(transforms: Any, path: str) -> list[Transform]:
    listed = list(transforms) if isinstance(transforms, (tuple, list)) else [transforms]
    for transform in listed:
        if isinstance(transform, (type, list)) or not hasattr(transform, "extend"):
            raise TypeError(f"transforms of {path} must be of fastbatch's, such as Cast('float32'), got {transform!r}")
    return listed
