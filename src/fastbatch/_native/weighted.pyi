from typing import Any, Self, final

import numpy as np
import numpy.typing as npt

from fastbatch._native.sampler import Sampler

def check_weights(weights: Any) -> npt.NDArray[np.float64]: ...
def alias_table(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]: ...
def alias_weights(cells: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]: ...
def log_weights(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...

@final
class Weighted(Sampler):
    def __new__(cls, cells: npt.NDArray[np.uint64], length: int) -> Self: ...

@final
class Race(Sampler):
    def __new__(
        cls, n: int, log_weights: npt.NDArray[np.float64], runners: npt.NDArray[np.uint32] | None, length: int
    ) -> Self: ...
