from typing import Any

import numpy.typing as npt

def shuffle(x: npt.NDArray[Any], *, rng: Any = None) -> None: ...
