"""Names that were mistyped: which command or option was meant."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def mistyped(arguments: Sequence[str], commands: Mapping[str, Callable[..., Any]]) -> str | None:
    """What is wrong with the names in `arguments`, with the near ones; None if nothing is."""
    if not arguments or arguments[0].startswith("-"):
        return None
    command, *rest = arguments
    if command not in commands:
        return f"There is no command called '{command}'. {_near(command, commands)}"
    known = {"--help", *_options(commands[command])}
    for word in rest:
        name = word.partition("=")[0]
        if name.startswith("--") and len(name) > 2 and name.replace("_", "-") not in known:
            return f"telos {command} has no option called '{name}'. {_near(name, known)}"
    return None


def _near(name: str, known: typing.Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}Known: {', '.join(sorted(known))}."


def _options(command: Any) -> set[str]:
    """The options of a command: its parameters, and the fields of those that are dataclasses."""
    hints = typing.get_type_hints(command)
    found: set[str] = set()
    for name in inspect.signature(command).parameters:
        parts = [
            part for part in (hints[name], *typing.get_args(hints[name])) if dataclasses.is_dataclass(part)
        ]
        names = [field.name for part in parts for field in dataclasses.fields(part)] or [name]
        found |= {"--" + name.replace("_", "-") for name in names}
    return found
