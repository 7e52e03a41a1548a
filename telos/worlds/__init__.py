"""Worlds: what the agent lives in. `make` gives `num` copies of a registered one, stepped together."""

from telos.worlds.registry import make, names, register
from telos.worlds.rooms import Rooms

__all__ = ["Rooms", "make", "names", "register"]
