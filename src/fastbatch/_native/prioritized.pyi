from typing import Any, Self, final

import numpy as np
import numpy.typing as npt

from fastbatch._native.sampler import Sampler

def check_priorities(values: Any, shape: tuple[int, ...] | None = None) -> npt.NDArray[np.float64]: ...

@final
class Prioritized(Sampler):
    def __new__(cls, weights: npt.NDArray[np.float64], length: int, exponent: float, lag: int) -> Self: ...
    @property
    def lag(self) -> int: ...
    def update(self, rows: Any, values: Any) -> None: ...
    def update_exponent(self, exponent: float) -> None: ...
    def save(
        self,
    ) -> tuple[
        npt.NDArray[np.float64],
        float,
        npt.NDArray[np.uint64],
        npt.NDArray[np.uint64],
        npt.NDArray[np.float64],
    ]: ...
    def load(
        self,
        weights: npt.NDArray[np.float64],
        exponent: float,
        due: npt.NDArray[np.uint64],
        rows: npt.NDArray[np.uint64],
        values: npt.NDArray[np.float64],
    ) -> None: ...
    @property
    def exponent(self) -> float: ...
    @property
    def digest(self) -> int: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...
