"""`telos demo`: the main job, from nothing to a report; every stage is skipped once it is finished."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telos.cli import console
from telos.cli.progress import Bars
from telos.errors import TelosError

if TYPE_CHECKING:
    from telos.evaluation import Evaluation
    from telos.training import Recipe

STATE = "demo.json"
_FRAMES_PER_MINUTE = 70_000  # that two cores learn from, roughly


def demo(*, out: Path = Path("runs/demo"), recipe: str = "rooms", seed: int = 0, quick: bool = False) -> None:
    """Learn a world from pixels, plan in it to unseen goals inside guardrails, and report.

    Run again, it continues where it stopped.

    Args:
        out: the folder for everything.
        recipe: what to learn, and how.
        seed: of the experience and the training.
        quick: do not train: take the small checkpoint that ships with telos.
    """
    from telos import recipes

    chosen = recipes.get(recipe)
    work = Demo(out=out, recipe=chosen, seed=seed, quick=quick)
    work.open()
    kept = f"What is finished is kept in {out}; the same command continues."
    with console.interruptible(kept):
        for stage in work.stages():
            work.do(stage)
    work.show()


@dataclass(frozen=True)
class Stage:
    """One part of the job."""

    name: str
    what: str
    minutes: float
    do: Callable[[Bars], None]


@dataclass(frozen=True)
class Demo:
    """The job in the folder `out`."""

    out: Path
    recipe: Recipe
    seed: int
    quick: bool

    @property
    def tasks(self) -> int:
        """How many tasks each evaluation has."""
        return 12 if self.quick else 50

    def settings(self) -> dict[str, Any]:
        """What must stay the same for a run to be continued."""
        import telos
        from telos.evaluation.plain import plain

        return {
            "telos": telos.__version__,
            "quick": self.quick,
            "seed": self.seed,
            "recipe": json.loads(json.dumps(plain(self.recipe))),
        }

    def open(self) -> None:
        """Begin in the folder, or continue there; say what will be done, and how long it takes."""
        from telos.files import write_json

        if not (self.out / STATE).exists():
            write_json(self.out / STATE, {"settings": self.settings(), "finished": []})
        before = self._state()["settings"]
        for name, value in self.settings().items():
            if before.get(name) != value:
                raise TelosError(
                    f"{self.out} holds a demo with another {name}{_difference(before.get(name), value)}. "
                    "Choose another folder with --out, or delete that one."
                )
        finished = self._state()["finished"]
        rows = [
            [stage.name, stage.what, "done" if stage.name in finished else _about(stage.minutes)]
            for stage in self.stages()
        ]
        left = sum(stage.minutes for stage in self.stages() if stage.name not in finished)
        console.table(f"telos demo in {self.out}", ["stage", "what", "on two cores"], rows)
        if self.quick:
            console.say(
                "Quick: nothing is trained now. The model is the small checkpoint that ships with telos "
                "(docs/commands.md says how it was made)."
            )
        if left:
            console.say(f"This takes {_about(left)}. Ctrl-C is safe at any time: the same command continues.")

    def stages(self) -> list[Stage]:
        """The parts of the job, in order."""
        collection = self.recipe.collection
        episodes = 128 if self.quick else collection.episodes
        found = [
            Stage(
                "collect", f"{episodes} episodes without rewards", 0.1 if self.quick else 0.3, self._collect
            ),
            Stage("model", "take the shipped checkpoint", 0.0, self._ship)
            if self.quick
            else Stage(
                "train", "representation, predictor, decoder, readouts", _training(self.recipe), self._train
            ),
            Stage(
                "evaluate",
                f"{self.tasks} goals in layouts never seen",
                0.5 if self.quick else 0.8,
                self._evaluate,
            ),
        ]
        if self._rooms():
            what = f"{self.tasks} goals behind a forbidden zone, with and without it held"
            found.append(Stage("guardrail", what, 0.7 if self.quick else 2, self._guardrail))
        found.append(Stage("analyse", "what the state knows, and how far ahead", 0.3, self._analyse))
        found.append(Stage("report", "one HTML file", 0.3, self._report))
        return found

    def do(self, stage: Stage) -> None:
        """Do a stage, unless it is finished, and remember that it is."""
        from telos.files import write_json

        state = self._state()
        if stage.name in state["finished"]:
            return
        with Bars() as bars:
            stage.do(bars)
        write_json(self.out / STATE, {**state, "finished": [*state["finished"], stage.name]})

    def show(self) -> None:
        """The numbers, and where the report is."""
        from telos.cli.evaluate import show
        from telos.evaluation import Evaluation

        show(Evaluation.load(self.out / "evaluation"))
        if self._rooms():
            show(Evaluation.load(self.out / "guardrail"))
        console.out.print(f"The report: {(self.out / 'report.html').resolve()}", soft_wrap=True)

    def _state(self) -> dict[str, Any]:
        path = self.out / STATE
        try:
            state = json.loads(path.read_text())
            return {"settings": dict(state["settings"]), "finished": list(state["finished"])}
        except (ValueError, KeyError, TypeError) as error:
            raise TelosError(f"{path} is damaged ({error}). Delete it and run the demo again.") from error

    def _rooms(self) -> bool:
        from telos.worlds.rooms import IDS

        return self.recipe.world in IDS

    def _collect(self, bars: Bars) -> None:
        from telos import data, worlds

        made = worlds.make(self.recipe.world, 16)
        try:
            data.collect(
                made,
                self.out / "data",
                episodes=128 if self.quick else self.recipe.collection.episodes,
                length=self.recipe.collection.length,
                seed=self.seed,
                policy=self.recipe.collection.policy,
                progress=bars,
            ).close()
        finally:
            made.close()

    def _train(self, bars: Bars) -> None:
        from telos.data import EpisodeStore
        from telos.training import train

        with EpisodeStore.open(self.out / "data") as store:
            train(store, self.recipe, self.out, seed=self.seed, progress=bars)

    def _ship(self, bars: Bars) -> None:
        from telos.files import atomic_folder

        bars("model", 0, 1)
        with as_file(files("telos") / "assets" / self.recipe.name) as shipped:
            if not (shipped / "config.json").is_file():
                raise TelosError(f"No checkpoint ships for the recipe {self.recipe.name}; leave --quick out.")
            with atomic_folder(self.out / "model") as aside:
                for file in shipped.iterdir():
                    shutil.copy(file, aside / file.name)
        bars("model", 1, 1)

    def _evaluate(self, bars: Bars) -> None:
        self._measure(bars, guardrail=None).save(self.out / "evaluation")

    def _guardrail(self, bars: Bars) -> None:
        self._measure(bars, guardrail="across").save(self.out / "guardrail")

    def _measure(self, bars: Bars, *, guardrail: str | None) -> Evaluation:
        from telos.cli.evaluate import command_line
        from telos.evaluation import Record, evaluate
        from telos.model import Model

        return evaluate(
            Model.load(self.out / "model"),
            self.recipe.world,
            tasks=self.tasks,
            configurator=self.recipe.configurator,
            guardrail=guardrail,
            record=Record(4, 4),
            command=command_line(),
            progress=bars,
        )

    def _analyse(self, bars: Bars) -> None:
        from telos.cli.report import analyse

        analyse(self.out, bars)

    def _report(self, bars: Bars) -> None:
        from telos.reports import write_report

        bars("report", 0, 1)
        write_report(self.out)
        bars("report", 1, 1)


def _training(recipe: Recipe) -> float:
    """Roughly how many minutes training takes on two cores: the frames that are encoded or drawn."""
    first, decoder = recipe.representation, recipe.heads.decoder
    assert first is not None
    learned = first.optimisation.steps * first.optimisation.batch * (first.horizon + 1)
    encoded = recipe.collection.episodes * recipe.collection.length / 3
    drawn = decoder.steps * decoder.batch
    assert recipe.prediction is not None
    imagined = recipe.prediction.optimisation.steps * recipe.prediction.optimisation.batch / 10
    return (learned + encoded + drawn + imagined) / _FRAMES_PER_MINUTE


def _about(minutes: float) -> str:
    if minutes < 1:
        return "under a minute"
    return f"about {minutes:.0f} minute{'s' if round(minutes) > 1 else ''}"


def _difference(before: Any, now: Any, path: str = "") -> str:
    """Where two settings differ: the first place, with both values."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            if before.get(key) != now.get(key):
                return _difference(before.get(key), now.get(key), f"{path}.{key}")
    return f" ({path.lstrip('.') + ': ' if path else ''}it was {before}, now it is {now})"
