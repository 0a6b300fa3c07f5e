"""How batches of rows of different lengths are made."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastbatch.arguments import as_integer
from fastbatch.ragged.values import check_pad


class Options(NamedTuple):
    """How batches of a `Ragged` are made."""

    pad: Any
    side: str
    multiple: int
    length: int | None
    layout: str


def check_options(options: Options) -> Options:
    """The options of a `Ragged`, as it keeps them; whether elements can hold `pad` is another question.

    Raises
    ------
    TypeError, ValueError
        One is not what it must be.
    """
    check_pad(options.pad)
    if options.layout not in ("padded", "packed"):
        raise ValueError(f'layout must be "padded" or "packed", got {options.layout!r}')
    if options.side not in ("right", "left"):
        raise ValueError(f'side must be "right" or "left", got {options.side!r}')
    multiple = _at_least_1("multiple", options.multiple)
    length = None if options.length is None else _at_least_1("length", options.length)
    if length is not None and length % multiple:
        raise ValueError(f"length must be a multiple of multiple={multiple}, got {length}")
    if options.layout == "packed":
        for name, value, default in (
            ("pad", options.pad, 0),
            ("side", options.side, "right"),
            ("multiple", multiple, 1),
        ):
            if value != default:
                raise ValueError(f'layout="packed" has no padding: leave {name} out, got {value!r}')
    return options._replace(multiple=multiple, length=length)


def _at_least_1(name: str, value: Any) -> int:
    number = as_integer(value, name)
    if not 1 <= number < 2**31:
        raise ValueError(f"{name} must be at least 1 and below 2**31, got {number}")
    return number
