from typing import Any

import numpy.typing as npt

def check_rows(indices: npt.ArrayLike, n_rows: int) -> npt.NDArray[Any]: ...
def take(
    source: npt.NDArray[Any], indices: npt.ArrayLike, *, out: npt.NDArray[Any] | None = None
) -> npt.NDArray[Any]: ...
