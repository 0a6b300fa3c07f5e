from typing import Any, Self, final

import numpy as np
import numpy.typing as npt

from fastbatch._native.sampler import Sampler

@final
class Balanced(Sampler):
    def __new__(
        cls,
        n: int,
        members: npt.NDArray[Any] | None,
        starts: npt.NDArray[np.uint64],
        length: int,
        shares: npt.NDArray[np.uint64] | None = None,
    ) -> Self: ...

@final
class PerClass(Sampler):
    def __new__(
        cls,
        n: int,
        members: npt.NDArray[Any] | None,
        starts: npt.NDArray[np.uint64],
        classes: int,
        samples: int,
        length: int,
    ) -> Self: ...

def group_rows(codes: npt.NDArray[np.uint32], n_classes: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint64]]: ...
