from collections.abc import Sequence
from typing import Any, Final, Self, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

DLPACK_CODES: Final[dict[str, int]]

def dlpack_type_of(dtype: npt.DTypeLike) -> tuple[int, int, int] | None: ...

@disjoint_base
class Column:
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def n_rows(self) -> int | None: ...
    @property
    def row_shape(self) -> tuple[int, ...]: ...
    @property
    def dlpack_type(self) -> tuple[int, int, int] | None: ...
    @property
    def blocking(self) -> bool: ...
    @property
    def kernel(self) -> str: ...
    @property
    def row_nbytes(self) -> int: ...
    @property
    def sized_axis(self) -> int | None: ...
    def usual_nbytes(self, n: int) -> int: ...
    def hold_as(self, dtype: np.dtype[Any]) -> None: ...

@final
class GatherColumn(Column):
    def __new__(
        cls,
        source: npt.NDArray[Any],
        *,
        dlpack_type: tuple[int, int, int] | None = None,
        blocking: bool = False,
    ) -> Self: ...
    @property
    def source(self) -> npt.NDArray[Any]: ...

@final
class ConcatColumn(Column):
    def __new__(
        cls,
        sources: Sequence[npt.NDArray[Any]],
        *,
        dlpack_type: tuple[int, int, int] | None = None,
        blocking: bool = False,
    ) -> Self: ...
    @property
    def sources(self) -> tuple[npt.NDArray[Any], ...]: ...

@final
class JoinedColumn(Column):
    def __new__(cls, parts: Sequence[Column]) -> Self: ...
    @property
    def parts(self) -> tuple[Column, ...]: ...

@final
class IndexedColumn(Column):
    def __new__(cls, inner: Column, rows: npt.NDArray[Any]) -> Self: ...
    @property
    def inner(self) -> Column: ...
    @property
    def rows(self) -> npt.NDArray[Any]: ...

@final
class RowNumberColumn(Column):
    def __new__(cls) -> Self: ...

@final
class ImportanceColumn(Column):
    def __new__(cls) -> Self: ...

@final
class ValidColumn(Column):
    def __new__(cls, length: int) -> Self: ...
