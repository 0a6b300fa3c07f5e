from typing import Self, final

import numpy as np
import numpy.typing as npt

from fastbatch._native.sampler import Sampler

@final
class Bucketed(Sampler):
    def __new__(cls, lengths: npt.NDArray[np.uint32], window: int, block: int, simd: str | None = None) -> Self: ...

def plan_batches(
    lengths: npt.NDArray[np.uint32],
    tokens: int,
    max_rows: int,
    multiple: int,
    window: int,
    key: tuple[int, int],
    epoch: int,
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint64]]: ...
