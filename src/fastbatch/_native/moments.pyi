from typing import Any

import numpy as np
import numpy.typing as npt

def moments(
    rows: npt.NDArray[Any], readable: str, center: npt.NDArray[np.float64], *, simd: str | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
