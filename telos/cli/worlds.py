"""`telos worlds`: what there is to live in, and whether a world of your own keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telos.cli import console

if TYPE_CHECKING:
    from telos.types import World


def worlds(*, check: str | None = None) -> None:
    """List the worlds, or check one.

    Args:
        check: a telos name, a Gymnasium id or package.module:Class: step it and say what it gives, or
            what is wrong with it.
    """
    from telos.worlds import make, names

    if check is not None:
        world = make(check, 2)
        try:
            _check(world)
        finally:
            world.close()
        return
    rows, missing = [], []
    for name in names():
        try:
            world = make(name)
        except Exception as error:  # one world that cannot be made must not hide the others
            rows.append([name, "not available", "", "", ""])
            missing.append(f"{error}")
            continue
        rows.append([name, *_described(world).values()])
        world.close()
    console.table("Worlds", ["name", "frame", "actions", "readings", "episode"], rows)
    for reason in missing:
        console.say(reason)
    console.say(
        "Any Gymnasium environment that renders and has Box or Discrete actions works too: "
        "telos worlds --check package.module:Class, and docs/worlds.md."
    )


def _described(world: World) -> dict[str, str]:
    space = world.action_space
    bounds = ", ".join(f"{low:.3g}..{high:.3g}" for low, high in zip(space.low, space.high, strict=True))
    norm = "" if space.max_norm is None else f", norm <= {space.max_norm:.3g}"
    actions = f"one of {space.dimension}" if space.one_hot else bounds + norm
    readings = [f"{name} [{reading.size}] {reading.unit}".strip() for name, reading in world.readings.items()]
    return {
        "frame": " x ".join(map(str, world.frame_shape)),
        "actions": actions,
        "readings": ", ".join(readings) or "none",
        "episode": f"{world.episode_steps} steps",
    }


def _check(world: World) -> None:
    from telos.cli.world_check import check_world
    from telos.errors import WorldError

    console.facts(world.id, _described(world))
    findings = check_world(world)
    console.table("Checks", ["what", "", "found"], [[f.what, f.verdict, f.said] for f in findings])
    failed = [finding for finding in findings if finding.verdict == "failed"]
    if failed:
        raise WorldError(f"{world.id}: {len(failed)} of {len(findings)} checks failed; docs/worlds.md helps.")
