from typing import Any, Self, final

import numpy as np

from fastbatch._native.cast import Cast
from fastbatch._native.column import Column
from fastbatch._native.runs import Runs

@final
class PaddedColumn(Column):
    def __new__(
        cls,
        runs: Runs,
        *,
        pad: bytes,
        left: bool = False,
        multiple: int = 1,
        width: int = 0,
        dlpack_type: tuple[int, int, int] | None = None,
        blocking: bool = False,
        cast: Cast | None = None,
        dtype: np.dtype[Any] | None = None,
        simd: str | None = None,
    ) -> Self: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def cast(self) -> Cast | None: ...

@final
class MaskColumn(Column):
    def __new__(cls, runs: Runs, *, left: bool = False, multiple: int = 1, width: int = 0) -> Self: ...
    @property
    def runs(self) -> Runs: ...

@final
class LengthsColumn(Column):
    def __new__(cls, runs: Runs, *, most: int = 0) -> Self: ...
    @property
    def runs(self) -> Runs: ...

@final
class PackedColumn(Column):
    def __new__(
        cls,
        runs: Runs,
        *,
        most: int = 0,
        dlpack_type: tuple[int, int, int] | None = None,
        blocking: bool = False,
        cast: Cast | None = None,
        dtype: np.dtype[Any] | None = None,
    ) -> Self: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def cast(self) -> Cast | None: ...

@final
class BoundsColumn(Column):
    def __new__(cls, runs: Runs, *, most: int = 0) -> Self: ...
    @property
    def runs(self) -> Runs: ...
