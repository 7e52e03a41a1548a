"""From arguments to a command, and from what happens there to an exit code and one clear message."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

import telos
from telos.cli import console
from telos.cli.collect import collect
from telos.cli.data import data
from telos.cli.demo import demo
from telos.cli.evaluate import evaluate
from telos.cli.names import mistyped
from telos.cli.plan import plan
from telos.cli.report import report
from telos.cli.train import train
from telos.cli.worlds import worlds
from telos.errors import TelosError

COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": demo,
    "collect": collect,
    "train": train,
    "evaluate": evaluate,
    "plan": plan,
    "report": report,
    "worlds": worlds,
    "data": data,
}

_DESCRIPTION = """Learn how a world works from pixels and actions, without rewards; then act by planning.

`telos COMMAND --help` says what a command takes. `--debug`, anywhere, shows the traceback of an error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0: fine. 1: something was wrong, said in one message. 2: the arguments could not be understood.
    130: interrupted by Ctrl-C.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # so that `--world my_module:MyWorld` finds the user's file
    if arguments == ["--version"]:
        console.out.print(f"telos {telos.__version__}")
        return 0
    if wrong := mistyped(arguments, COMMANDS):
        console.fail(wrong)
        return 2
    with warnings.catch_warnings():
        warnings.showwarning = _notice
        return _run(arguments, debug)


def _run(arguments: list[str], debug: bool) -> int:
    try:
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="telos",
            description=_DESCRIPTION,
            args=arguments or ["--help"],
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes),
        )
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else 1
    except console.Interrupted as interrupted:
        return _interrupted(str(interrupted))
    except KeyboardInterrupt:
        return _interrupted("Nothing was written.")
    except (TelosError, ValueError, OSError) as error:
        if debug:
            Console(stderr=True).print_exception(show_locals=False)
        console.fail(_message(error))
        return 1
    return 0


def _notice(message: Warning | str, category: type[Warning], *where: object) -> None:
    console.say(f"note: {message}")


def _interrupted(kept: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the message
    console.say(f"Interrupted. {kept}")
    return 130


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}."
    return str(error)
