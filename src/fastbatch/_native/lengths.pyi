from typing import Self, final

import numpy as np
import numpy.typing as npt

from fastbatch._native.sampler import Sampler

@final
class Bucketed(Sampler):
    def __new__(cls, lengths: npt.NDArray[np.uint32], window: int, block: int, simd: str | None = None) -> Self: ...
