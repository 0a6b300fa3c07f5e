"""Which transforms belong to which column: they are given in the shape of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastbatch._native.structure import Structure
from fastbatch.ragged import Packed, Padded
from fastbatch.transforms.mixing import Mix
from fastbatch.transforms.rows import Transform


class Matched(NamedTuple):
    """What is to be done with the leaves of a structure.

    Attributes
    ----------
    leaves : list of list of Transform
        For each leaf, from left to right.
    mixes : list of (tuple of int, Mix)
        For several together, by their numbers.
    """

    leaves: list[list[Transform]]
    mixes: list[tuple[tuple[int, ...], Mix]]


def match(transforms: Any, structure: Structure, path: str = "data", first: int = 0) -> Matched:
    """The transforms of each leaf of a structure, the first of which has the number `first`.

    Parameters
    ----------
    transforms
        For an array: a transform, or a sequence of them. For a tuple or list of arrays: a sequence with an item (or
        None) for each, or a mapping from their numbers; for a dict, namedtuple or dataclass: a mapping from names. In a
        mapping a tuple of such numbers or names stands for several arrays, which a `Mix` is for. For a `Ragged`, as for
        an array: they are those of its values.

    Raises
    ------
    TypeError, ValueError
        It has another shape.
    """
    if transforms is None:
        return Matched([[] for _ in range(structure.n_leaves)], [])
    if structure.kind == "leaf":
        return Matched([_of_leaf(transforms, path)], [])
    if structure.factory in (Padded, Packed) and not isinstance(transforms, Mapping):
        transforms = {"values": transforms}
    is_named = structure.keys is not None
    keys = list(structure.keys if structure.keys is not None else range(len(structure.children)))
    if isinstance(transforms, Mapping):
        given = dict(transforms)
    elif isinstance(transforms, (tuple, list)) and not is_named:
        if len(transforms) != len(structure.children):
            raise ValueError(f"{path} has {len(structure.children)} items, and transforms {len(transforms)}")
        given = dict(enumerate(transforms))
    else:
        kind = "names" if is_named else "numbers"
        raise TypeError(f"transforms of {path} must be a mapping from the {kind} of its items, got {transforms!r}")
    joint = {key: given.pop(key) for key in list(given) if isinstance(key, tuple) and key not in keys}
    for key in [*given, *(key for several in joint for key in several)]:
        if key not in keys:
            said = ", ".join(map(repr, keys))
            raise ValueError(f"transforms has the key {key!r}, and {path} has {said}")
    matched = Matched([], [])
    firsts = {}
    for key, child in zip(keys, structure.children, strict=True):
        below = f"{path}.{key}" if structure.factory is not None else f"{path}[{key!r}]"
        firsts[key] = first + len(matched.leaves) if child.kind == "leaf" else None
        inner = match(given.get(key), child, below, first + len(matched.leaves))
        matched.leaves.extend(inner.leaves)
        matched.mixes.extend(inner.mixes)
    for several, mix in joint.items():
        leaves = [firsts[key] for key in several]
        if not hasattr(mix, "mixed") or isinstance(mix, type):
            raise TypeError(f"transforms of {several} must be MixUp or CutMix, and one of them, got {mix!r}")
        for key in several:
            if firsts[key] is None:
                raise ValueError(
                    f"transforms of {several} of {path} must be of arrays, each once, and {key!r} is none: "
                    f"{mix!r} mixes what lies side by side in one tuple or dict"
                )
        if len(set(leaves)) != len(leaves) or not leaves:
            raise ValueError(f"transforms of {several} of {path} must be of arrays, each once")
        matched.mixes.append((tuple(leaf for leaf in leaves if leaf is not None), mix))
    mixed = [leaf for leaves, _ in matched.mixes for leaf in leaves]
    if len(set(mixed)) != len(mixed):
        raise ValueError(f"transforms of {path} mix an array twice")
    return matched


def _of_leaf(transforms: Any, path: str) -> list[Transform]:
    listed = list(transforms) if isinstance(transforms, (tuple, list)) else [transforms]
    for transform in listed:
        if hasattr(transform, "mixed") and not isinstance(transform, type):
            raise TypeError(
                f"transforms of {path} cannot be {transform!r}, which mixes the columns of a tuple or dict: give it "
                f"under the names of those that it mixes, all in one key, as in {{('x', 'y'): {transform!r}}}"
            )
        if isinstance(transform, (type, list)) or not hasattr(transform, "extend"):
            raise TypeError(f"transforms of {path} must be of fastbatch's, such as Cast('float32'), got {transform!r}")
    return listed
