from typing import Any, Final, SupportsFloat, SupportsIndex

import numpy as np
import numpy.typing as npt

MAX_SHRINK: Final[int]

def resize(
    image: npt.NDArray[np.uint8 | np.float32],
    box: tuple[SupportsFloat, SupportsFloat, SupportsFloat, SupportsFloat],
    size: tuple[SupportsIndex, SupportsIndex],
    *,
    flip: bool = False,
    planar: bool = False,
    dtype: npt.DTypeLike | None = None,
    level: str | None = None,
) -> npt.NDArray[Any]: ...
