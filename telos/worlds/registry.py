"""Which worlds there are, by name, and how a name becomes one."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium

from telos.errors import UnknownName, WorldError
from telos.imports import imported
from telos.types import World
from telos.worlds.adapter import GymAdapter
from telos.worlds.checked import Checked
from telos.worlds.gym_world import GymWorld
from telos.worlds.orbits import IDS as ORBITS
from telos.worlds.orbits import Orbits
from telos.worlds.reacher import ReacherAdapter
from telos.worlds.rooms import IDS as ROOMS
from telos.worlds.rooms import Rooms

_REGISTERED: dict[str, Callable[[int], World]] = {}


def register(name: str, build: Callable[[int], World]) -> None:
    """Give a world a name: `build(num)` returns `num` copies of it."""
    if name in _REGISTERED:
        raise ValueError(f"name must be new; '{name}' is registered already. Choose another.")
    _REGISTERED[name] = build


def names() -> list[str]:
    """The worlds that have a name of their own, sorted; `make` takes more names than these."""
    return sorted(_REGISTERED)


def make(name: str, num: int = 1) -> World:
    """`num` copies of a world, stepped together; `make(world.id)` makes it again.

    Args:
        name: a name of `names()`, the id of any Gymnasium environment, or "package.module:Thing",
            where Thing is a `GymAdapter` that says its `env`, a class of Gymnasium environments, or a
            class or function that gives a `World` when called with `num=`.
        num: how many copies.

    Raises:
        UnknownName: no world has that name; the message lists the near ones.
        WorldError: the world breaks its contract, or something that it needs is not installed.
    """
    if name in _REGISTERED:
        return _REGISTERED[name](num)
    if name in gymnasium.registry:
        return GymWorld(name, num)
    if ":" in name:
        return _imported(name, num)
    near = difflib.get_close_matches(name, gymnasium.registry, n=3, cutoff=0.5)
    raise UnknownName("world", name, {*names(), *near})


def _imported(name: str, num: int) -> World:
    module, attribute = imported(name, "", WorldError)
    if attribute in gymnasium.registry:  # Gymnasium's own form, "package:Id-v0": importing registers
        return GymWorld(attribute, num, id=name)
    if attribute not in vars(module):
        raise UnknownName(f"world in {module.__name__}", attribute, _candidates(vars(module)))
    thing: Any = vars(module)[attribute]
    if isinstance(thing, type) and issubclass(thing, GymAdapter):
        if not thing.env:
            raise WorldError(f"{name} must say which environment it is for: set its `env` attribute.")
        return GymWorld(thing.env, num, adapter=thing(), id=name)
    if isinstance(thing, type) and issubclass(thing, gymnasium.Env):
        return GymWorld(thing, num, id=name)
    if callable(thing):
        world: Any = thing(num=num)
        return Checked(world, id=name)
    raise WorldError(
        f"{name} must be a GymAdapter, a class of Gymnasium environments, or a class or function that gives "
        f"a World when called with num=; got {type(thing).__name__}."
    )


def _candidates(members: dict[str, object]) -> list[str]:
    return [name for name, member in members.items() if isinstance(member, type) and not name.startswith("_")]


for _id in ROOMS:
    register(_id, partial(Rooms, _id))
for _id in ORBITS:
    register(_id, partial(Orbits, _id))
register("Reacher-v5", lambda num: GymWorld("Reacher-v5", num, adapter=ReacherAdapter()))
