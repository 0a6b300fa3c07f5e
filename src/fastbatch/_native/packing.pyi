from typing import Self, final

import numpy as np
import numpy.typing as npt

from fastbatch._native.column import Column
from fastbatch._native.runs import Runs

def first_fit(
    lengths: npt.NDArray[np.uint32], context: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]: ...

@final
class PackedValuesColumn(Column):
    def __new__(
        cls,
        runs: Runs,
        starts: npt.NDArray[np.uint64],
        context: int,
        *,
        pad: bytes,
        dlpack_type: tuple[int, int, int] | None = None,
        blocking: bool = False,
    ) -> Self: ...

@final
class PackedNumbersColumn(Column):
    def __new__(
        cls, runs: Runs, starts: npt.NDArray[np.uint64], context: int, dtype: npt.DTypeLike, *, positions: bool
    ) -> Self: ...
