"""Typed configuration to JSON and back, with errors for names that do not exist."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from telos.errors import UnknownName

T = TypeVar("T")

_NONE: Mapping[str, type] = types.MappingProxyType({})


def to_dict(value: Any, *, parts: Mapping[str, type] = _NONE) -> Any:
    """A dataclass, and what it holds, as plain dictionaries, lists, numbers and strings.

    Where a field may hold several dataclasses, its value is told with the name of its own. So are those of
    `parts`, wherever they are: needed where fields name what is called, not what is kept (`Planner`).
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value))
        told = {
            field.name: _tagged(getattr(value, field.name), hints[field.name], parts)
            for field in dataclasses.fields(value)
        }
        return {"kind": type(value).__name__} | told if type(value) in parts.values() else told
    if isinstance(value, Mapping):
        return {str(key): to_dict(item, parts=parts) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_dict(item, parts=parts) for item in value]
    return value


def from_dict(kind: type[T], value: Any, *, parts: Mapping[str, type] = _NONE) -> T:
    """Make a `kind` of what `to_dict` gave, with the same `parts`.

    `UnknownName` for a field that `kind` does not have, or a part that is not among `parts`.
    """
    return _convert(kind, value, kind.__name__, parts)


def _convert(kind: Any, value: Any, path: str, parts: Mapping[str, type]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        if kinds := _kinds(kind):
            return _one_of(kinds, value, path, parts)
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _convert(inner, value, path, parts)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{path} must be a list; got {value!r}.")
        inner = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_convert(part, item, path, parts) for part, item in zip(inner, value, strict=True))
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(f"{path} must be a table; got {value!r}.")
        return {key: _convert(arguments[1], item, f"{path}.{key}", parts) for key, item in value.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ValueError(f"{path} must be a table of settings; got {value!r}.")
        hints = typing.get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        if kind in parts.values() and value.get("kind") == kind.__name__:
            value = {name: item for name, item in value.items() if name != "kind"}
        for name in value:
            if name not in names:
                raise UnknownName(f"setting of {path}", name, names)
        return kind(
            **{name: _convert(hints[name], item, f"{path}.{name}", parts) for name, item in value.items()}
        )
    if parts and not isinstance(value, str | int | float | list | None):
        return _one_of(parts, value, path, parts)
    return value


def _tagged(value: Any, hint: Any, parts: Mapping[str, type]) -> Any:
    """Plain `value`; where one of several dataclasses could stand, with the name of the one that does."""
    plain = to_dict(value, parts=parts)
    return {"kind": type(value).__name__} | plain if type(value).__name__ in _kinds(hint) else plain


def _kinds(hint: Any) -> dict[str, type]:
    """The dataclasses, by name, that a union of several may be."""
    found = {
        part.__name__: part
        for part in typing.get_args(hint)
        if isinstance(part, type) and dataclasses.is_dataclass(part)
    }
    return found if len(found) > 1 and typing.get_origin(hint) in (types.UnionType, typing.Union) else {}


def _one_of(kinds: Mapping[str, type], value: Any, path: str, parts: Mapping[str, type]) -> Any:
    if not isinstance(value, Mapping) or "kind" not in value:
        raise ValueError(f"{path} must be a table with a 'kind' ({', '.join(kinds)}); got {value!r}.")
    if value["kind"] not in kinds:
        raise UnknownName(f"kind of {path}", value["kind"], kinds)
    rest = {key: item for key, item in value.items() if key != "kind"}
    return _convert(kinds[value["kind"]], rest, path, parts)
