"""Transforms of rows of different lengths: of each element by itself."""

from __future__ import annotations

from collections.abc import Sequence

from fastbatch.ragged import Part
from fastbatch.ragged.values import Written
from fastbatch.transforms.arithmetic import Cast, Normalize, Scale
from fastbatch.transforms.rows import Rows, Transform


def written_elements(part: Part, path: str, transforms: Sequence[Transform], framework: str) -> Written | None:
    """What the elements of a ragged column become; None where they stay as they are.

    Parameters
    ----------
    path : str
        What to call the column in messages.
    framework : str
        That the batches are for.

    Raises
    ------
    TypeError, ValueError
        A transform is none of single elements, or does not fit these.
    """
    if not transforms:
        return None
    if not part.is_users:
        raise TypeError(f"{path}: transforms read the values of a Ragged, and these are none")
    source = part.ragged.lists.sources[0]
    array = source.array
    elements = Rows(
        path, array.dtype, array.shape[1:], dlpack_type=source.dlpack_type, framework=framework, kind="elements"
    )
    for transform in transforms:
        if not isinstance(transform, (Cast, Scale, Normalize)):
            raise TypeError(
                f"{path}: {transform!r} reads rows of one shape, and those of a Ragged differ in length: "
                "it takes Cast, Scale and Normalize"
            )
        elements.then(transform)
    return None if elements.stay else Written(elements.cast(), *elements.element_type())
