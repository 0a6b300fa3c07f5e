from typing import Self, final

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
        simd: str | None = None,
    ) -> Self: ...
    @property
    def runs(self) -> Runs: ...

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
    ) -> Self: ...
    @property
    def runs(self) -> Runs: ...

@final
class BoundsColumn(Column):
    def __new__(cls, runs: Runs, *, most: int = 0) -> Self: ...
    @property
    def runs(self) -> Runs: ...
