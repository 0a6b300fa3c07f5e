from typing import Any, Final, Self, final

import numpy as np
import numpy.typing as npt

from fastbatch._native.cast import Cast
from fastbatch._native.column import Column

MAX_CHANNELS: Final[int]
MAX_SHRINK: Final[int]
RESIZABLE: Final[dict[str, int]]
N_RATIOS: Final[int]

@final
class ImageColumn(Column):
    def __new__(
        cls,
        source: npt.NDArray[Any],
        cast: Cast,
        dtype: np.dtype[Any],
        *,
        row_shape: tuple[int, ...],
        dlpack_type: tuple[int, int, int] | None,
        shape: tuple[int, int, int],
        planar: tuple[bool, bool],
        window: tuple[int, int],
        place: tuple[int, int] | None = None,
        padding: int = 0,
        reflect: bool = False,
        flips: tuple[float, float] = (0.0, 0.0),
        hole: int = 0,
        pad_pixel: npt.NDArray[Any],
        hole_pixel: npt.NDArray[Any],
        resized: tuple[str, float, float, npt.NDArray[np.float32]] | None = None,
        blocking: bool = False,
        simd: str | None = None,
    ) -> Self: ...
    @property
    def source(self) -> npt.NDArray[Any]: ...
    @property
    def cast(self) -> Cast: ...
