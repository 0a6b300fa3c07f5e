from typing import Final

import numpy as np
import numpy.typing as npt

ORDER_VERSION: Final[int]
ONE_UNIT_ROWS: Final[int]

def derive(key: tuple[int, int], epoch: int, stream: int, unit: int, part: int = 0) -> tuple[int, int, int, int]: ...
def raw(seed: tuple[int, int, int, int], n: int) -> npt.NDArray[np.uint64]: ...
def descending(seed: tuple[int, int, int, int], bound: int, count: int) -> npt.NDArray[np.uint64]: ...
