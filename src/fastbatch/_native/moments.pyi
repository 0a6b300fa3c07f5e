from typing import Any, Final

import numpy as np
import numpy.typing as npt

READABLE: Final[dict[str, int]]

def moments(
    rows: npt.NDArray[Any], readable: str, center: npt.NDArray[np.float64], *, simd: str | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
