"""What a user names as `package.module:attribute`."""

from __future__ import annotations

import importlib
from types import ModuleType

from telos.errors import TelosError


def imported(name: str, what: str, error: type[TelosError] = TelosError) -> tuple[ModuleType, str]:
    """The module of `package.module:attribute`, and the attribute's name, which may not be there.

    Args:
        what: what it is to be, for the message.
        error: is raised where there is no such module; what fails inside the module is raised as it is.
    """
    module_name, _, attribute = name.partition(":")
    try:
        return importlib.import_module(module_name), attribute
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{module_name}.".startswith(f"{missing.name}."):
            raise
        raise error(
            f"There is no module {missing.name} to import {what}'{name}' from. Install it, or run from "
            "the folder that holds it (or put that folder on PYTHONPATH)."
        ) from missing
