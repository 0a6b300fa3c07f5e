from typing import Self, final

import numpy as np
import numpy.typing as npt

from fastbatch._native.sampler import Sampler

@final
class Ladder:
    def __init__(self, rows: npt.NDArray[np.uint32], weights: npt.NDArray[np.float64] | None = None) -> None: ...
    @property
    def rows(self) -> npt.NDArray[np.uint32]: ...
    @property
    def sums(self) -> npt.NDArray[np.uint64] | None: ...
    @property
    def guide(self) -> npt.NDArray[np.uint32] | None: ...
    @property
    def importances(self) -> npt.NDArray[np.float32] | None: ...
    def __len__(self) -> int: ...

@final
class Curriculum(Sampler):
    def __new__(
        cls, ladder: Ladder, length: int, starts: npt.NDArray[np.uint64], eligible: npt.NDArray[np.uint64]
    ) -> Self: ...
