from collections.abc import Callable, Iterable
from typing import Any, Final, Self, final

LEAF: Final[Structure]
CODES: Final[dict[str, int]]

@final
class Structure:
    def __new__(
        cls,
        kind: str,
        children: Iterable[Structure] = (),
        keys: tuple[Any, ...] | None = None,
        factory: Callable[..., Any] | None = None,
    ) -> Self: ...
    @property
    def kind(self) -> str: ...
    @property
    def children(self) -> tuple[Structure, ...]: ...
    @property
    def keys(self) -> tuple[Any, ...] | None: ...
    @property
    def factory(self) -> Callable[..., Any] | None: ...
    @property
    def n_leaves(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def unflatten(self, leaves: Iterable[Any]) -> Any: ...

def flatten(
    data: Any,
    is_leaf: Callable[[Any], bool],
    opened: Callable[[Any, str], Any] | None = None,
    path: str = "data",
    depth: int = 0,
) -> tuple[Structure, list[Any], list[str]]: ...
