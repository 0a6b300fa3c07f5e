from typing import Any, Final, Self, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from fastbatch._native.column import Column

READABLE: Final[dict[str, int]]
WRITABLE: Final[dict[str, int]]

def arithmetic_type(readable: str, writable: str) -> np.dtype[Any]: ...
def name_of_type(dtype: np.dtype[Any], dlpack_type: tuple[int, int, int] | None = None) -> str: ...

@disjoint_base
class Affine:
    def __new__(
        cls,
        centers: npt.NDArray[np.float64],
        scales: npt.NDArray[np.float64],
        run: int,
        n_elements: int,
        real: np.dtype[Any],
    ) -> Self: ...
    @property
    def centers(self) -> npt.NDArray[Any]: ...
    @property
    def scales(self) -> npt.NDArray[Any]: ...

@disjoint_base
class Cast:
    def __new__(
        cls,
        readable: str,
        writable: str,
        n_elements: int,
        centers: npt.NDArray[np.float64] | None = None,
        scales: npt.NDArray[np.float64] | None = None,
        *,
        run: int = 1,
        simd: str | None = None,
    ) -> Self: ...
    @property
    def readable(self) -> str: ...
    @property
    def writable(self) -> str: ...
    @property
    def affine(self) -> Affine | None: ...
    @property
    def n_elements(self) -> int: ...
    def apply(self, source: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]: ...

@final
class CastColumn(Column):
    def __new__(
        cls,
        source: npt.NDArray[Any],
        cast: Cast,
        dtype: np.dtype[Any],
        *,
        dlpack_type: tuple[int, int, int] | None,
        blocking: bool = False,
    ) -> Self: ...
    @property
    def source(self) -> npt.NDArray[Any]: ...
    @property
    def cast(self) -> Cast: ...

@final
class OneHotColumn(Column):
    def __new__(
        cls,
        source: npt.NDArray[Any],
        n_classes: int,
        on: Any,
        off: Any,
        dtype: np.dtype[Any],
        *,
        dlpack_type: tuple[int, int, int] | None,
        blocking: bool = False,
    ) -> Self: ...
    @property
    def source(self) -> npt.NDArray[Any]: ...
