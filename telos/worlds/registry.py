"""Which worlds there are, by name."""

from __future__ import annotations

from collections.abc import Callable

from telos.errors import UnknownName
from telos.types import World
from telos.worlds.rooms import IDS, Rooms

_REGISTERED: dict[str, Callable[[int], World]] = {}


def register(name: str, build: Callable[[int], World]) -> None:
    """Give a world a name: `build(num)` returns `num` copies of it."""
    if name in _REGISTERED:
        raise ValueError(f"name must be new; '{name}' is registered already. Choose another.")
    _REGISTERED[name] = build


def names() -> list[str]:
    """The registered worlds, sorted."""
    return sorted(_REGISTERED)


def make(name: str, num: int = 1) -> World:
    """`num` copies of a registered world."""
    if name in _REGISTERED:
        return _REGISTERED[name](num)
    raise UnknownName("world", name, names())


def _rooms(id: str) -> Callable[[int], World]:
    return lambda num: Rooms(id, num)


for _id in IDS:
    register(_id, _rooms(_id))
