from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

@disjoint_base
class Sampler:
    def __new__(cls, *arguments: Any, **options: Any) -> Self: ...
    @property
    def n(self) -> int: ...
    def __len__(self) -> int: ...
    @property
    def weighs(self) -> bool: ...
    @property
    def live(self) -> bool: ...
    def order(self, key: tuple[int, int], epoch: int) -> npt.NDArray[np.int64]: ...

@final
class Sequential(Sampler):
    def __new__(cls, n: int) -> Self: ...

@final
class Shuffled(Sampler):
    def __new__(cls, n: int) -> Self: ...

STREAMED_MIN_ROWS: int

@final
class Streamed(Sampler):
    def __new__(cls, n: int, simd: str | None = None) -> Self: ...

@final
class Blocks(Sampler):
    def __new__(cls, n: int, block: int, window: int) -> Self: ...

@final
class Given(Sampler):
    def __new__(cls, n: int, rows: npt.NDArray[Any]) -> Self: ...

@final
class Subset(Sampler):
    def __new__(cls, n: int, rows: npt.NDArray[Any], inner: Sampler) -> Self: ...

@final
class Fed(Sampler):
    def __new__(cls, n: int) -> Self: ...
