from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

def permutation(n: SupportsIndex, *, rng: Any = None, dtype: npt.DTypeLike = np.int64) -> npt.NDArray[Any]: ...
