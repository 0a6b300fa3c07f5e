from collections.abc import Sequence
from typing import Final, Self, final

import numpy.typing as npt

from fastbatch._native.column import Column

MAX_ROW_NBYTES: Final[int]

def address_in_capsule(capsule: object) -> int | None: ...
def address_of_array(array: object, name: str) -> int: ...

@final
class NativeColumn(Column):
    def __new__(
        cls,
        function: int,
        state: int | None,
        n_rows: int,
        dtype: npt.DTypeLike,
        row_shape: Sequence[int],
        *,
        name: str,
        dlpack_type: tuple[int, int, int] | None = None,
        kept: object = None,
    ) -> Self: ...
