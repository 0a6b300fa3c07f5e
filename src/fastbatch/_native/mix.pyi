from typing import Final, Self, final

from fastbatch._native.column import Column

WRITABLE: Final[dict[str, int]]
MIXINGS: Final[dict[str, int]]

@final
class MixColumn(Column):
    def __new__(
        cls,
        inner: Column,
        mixing: str,
        written: str,
        alpha: float,
        chance: float,
        *,
        size: tuple[int, int] = (1, 1),
        n_planes: int = 1,
        simd: str | None = None,
    ) -> Self: ...
    @property
    def inner(self) -> Column: ...
