"""Orbits: a planet around a star, seen by two cameras, among detail that cannot be predicted or is of no use.

To say where a planet goes, six numbers are enough: position and velocity (`telos.worlds.propagate`). Its
picture is another matter: its surface, its weather, the noise of the sensor. The world is for asking whether
a representation keeps the six numbers and drops the rest, after an example in Yann LeCun's talks. Nobody
acts in it and it sets no tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import NamedTuple, NoReturn

import numpy as np

from telos.errors import NoTask
from telos.types import ActionSpace, Reading
from telos.worlds.checked import check_actions, check_episodes
from telos.worlds.kepler import Elements
from telos.worlds.layouts import heldout
from telos.worlds.sky import (
    FARTHEST,
    FRAME_SHAPE,
    Surface,
    Waves,
    empty_sky,
    flicker_and_noise,
    paint_planets,
    star_field,
    turned,
)

TIME_STEP = 0.045
"""Time units per environment step, where a circular orbit of radius 1 takes 2 pi of them."""
NEAREST = 0.4  # to the star's centre that an orbit comes
SEMI_MAJOR_AXES = (0.6, 1.2)  # turns of 65 to 184 steps
MOST_ECCENTRIC = 0.5


@dataclass(frozen=True)
class Nuisances:
    """How strong each detail is that does not matter for where the planet goes; 0 switches one off.

    Each has random numbers of its own, so none changes what another one draws.
    """

    texture: float = 1.0  # contrast of the planet's surface, which rotates: a share, 0 to 1
    weather: float = 0.8  # opacity of clouds, which drift and change at random: a share, 0 to 1
    flicker: float = 0.08  # deviation of a frame's brightness, as a share of it, anew in each frame
    stars: float = 1.0  # brightness of the episode's far stars: a share, 0 to 1
    noise: float = 6.0  # deviation of the sensor's noise in grey levels, anew in each pixel

    def __post_init__(self) -> None:
        for name, most in (("texture", 1), ("weather", 1), ("flicker", 1), ("stars", 1), ("noise", 255)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ValueError(f"{name} must be between 0, which is off, and {most}; got {value}.")


QUIET = Nuisances(**{field.name: 0.0 for field in fields(Nuisances)})
IDS: Mapping[str, Nuisances] = {"telos/Orbits-v0": Nuisances(), "telos/OrbitsQuiet-v0": QUIET}


class _Episode(NamedTuple):
    """What is drawn for one episode."""

    scene: int
    elements: np.ndarray  # [6]
    land: Waves
    colours: np.ndarray  # [2, 3]
    spin: np.ndarray  # [4]: axis, then radians per step
    clouds: Waves
    background: np.ndarray  # uint8 [64, 128, 3]
    weather: np.random.Generator
    flicker: np.random.Generator
    noise: np.random.Generator


class Orbits:
    """`num` copies of a planet on its orbit; a `telos.types.World` in which nobody acts.

    Readings: `position` in orbital radii and `velocity` in radii per time unit, from the star. A step takes
    `TIME_STEP` time units; the star's gravitational parameter is 1. Semi-major axis, eccentricity and the
    orbit's place in space are drawn anew in each episode, so that the planet is never hidden and always
    in both views. Frames show both side by side, `[64, 128, 3]`, since encoders take pictures of any even
    size but only of one or three channels.

    There is one action, which can only be 0 (an action space of zero width): whatever reads, stores, tells or
    plans actions works as it is. Others are taken for it, as actions out of bounds are elsewhere.

    Args:
        id: one of `IDS`.
        num: how many copies.
        nuisances: how strong what does not matter is; by default the id's.
    """

    def __init__(
        self, id: str = "telos/Orbits-v0", num: int = 1, *, nuisances: Nuisances | None = None
    ) -> None:
        if id not in IDS:
            raise ValueError(f"id must be one of {', '.join(IDS)}; got '{id}'.")
        if num < 1:
            raise ValueError(f"num must be at least 1; got {num}.")
        self.id = id
        self.num = num
        self.frame_shape: tuple[int, int, int] = FRAME_SHAPE
        self.action_space = ActionSpace((0.0,), (0.0,))
        self.readings: Mapping[str, Reading] = {
            "position": Reading(3, "radii", (-FARTHEST,) * 3, (FARTHEST,) * 3),
            "velocity": Reading(3, "radii per time unit", (-2.0,) * 3, (2.0,) * 3),
        }
        self.episode_steps = 200
        self.nuisances = IDS[id] if nuisances is None else nuisances
        self._episodes: list[_Episode] = []

    @property
    def settings(self) -> Mapping[str, float]:
        """The nuisances, where they are not the id's; else nothing."""
        return {} if self.nuisances == IDS[self.id] else asdict(self.nuisances)

    def reset(self, seeds: Sequence[int], *, split: str = "train", task: bool = False) -> np.ndarray:
        """Start `num` episodes; the first frames, uint8 `[num, 64, 128, 3]`.

        A seed makes the same episode whatever the other seeds. Everything in one is drawn from the number of
        its scene, and no number is in both splits: orbits, surfaces and star fields held out occur nowhere
        else. `NoTask` with `task`.
        """
        check_episodes(seeds, self.num, split)
        if task:
            self._no_task()
        self._episodes = [self._draw(int(seed), split == "heldout") for seed in seeds]
        self._elements = Elements(*np.stack([each.elements for each in self._episodes], axis=1))
        self._spin = np.stack([each.spin for each in self._episodes])
        self._backgrounds = np.stack([each.background for each in self._episodes])
        self._surface = Surface(
            land=Waves.join([each.land for each in self._episodes]),
            colours=np.stack([each.colours for each in self._episodes]),
            contrast=self.nuisances.texture,
            clouds=Waves.join([each.clouds for each in self._episodes]),
            cover=self.nuisances.weather,
        )
        self._steps = 0
        return self._render()

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Let `TIME_STEP` pass, whatever the actions `[num, 1]` are; the next frames."""
        self._check_begun("step")
        check_actions(actions, self.num, self.action_space)
        self._steps += 1
        if self.nuisances.weather:
            clouds = self._surface.clouds
            change = [each.weather.normal(0.0, 0.15, clouds.phases.shape[1]) for each in self._episodes]
            clouds = replace(clouds, phases=clouds.phases + np.stack(change))
            self._surface = replace(self._surface, clouds=clouds)
        return self._render()

    def motion(self) -> tuple[np.ndarray, np.ndarray]:
        """The true position and velocity now, float64 `[num, 3]` each: `read` in double precision."""
        self._check_begun("motion")
        return self._elements.at(TIME_STEP * self._steps)

    def read(self) -> dict[str, np.ndarray]:
        """`position` and `velocity`, float32 `[num, 3]` each."""
        position, velocity = self.motion()
        return {"position": position.astype(np.float32), "velocity": velocity.astype(np.float32)}

    def layouts(self) -> np.ndarray:
        """The number of each copy's scene, int64 `[num]`."""
        self._check_begun("layouts")
        return np.array([each.scene for each in self._episodes], dtype=np.int64)

    def goal_frames(self) -> np.ndarray:
        """There are none: `NoTask`."""
        self._no_task()

    def goal_readings(self) -> dict[str, np.ndarray]:
        """There are none: `NoTask`."""
        self._no_task()

    def reached(self) -> np.ndarray:
        """There is nothing to reach: `NoTask`."""
        self._no_task()

    def close(self) -> None:
        """Nothing to free."""

    def _no_task(self) -> NoReturn:
        raise NoTask(
            f"{self.id} sets no tasks, so there is no goal: nobody acts in it. Collect, train and measure "
            "predictions; for planning and for success rates, choose a world in which something can be done."
        )

    def _check_begun(self, method: str) -> None:
        if not self._episodes:
            raise ValueError(f"reset must be called before {method}.")

    def _render(self) -> np.ndarray:
        axis, angle = self._spin[:, :3], self._steps * self._spin[:, 3]
        land, clouds = (
            replace(waves, vectors=turned(waves.vectors, axis, angle))
            for waves in (self._surface.land, self._surface.clouds)
        )
        surface = replace(self._surface, land=land, clouds=clouds)
        frames = paint_planets(self._backgrounds, self.motion()[0], surface)
        gains = None
        if self.nuisances.flicker:
            drawn = np.array([each.flicker.standard_normal() for each in self._episodes])
            gains = np.maximum(1 + self.nuisances.flicker * drawn, 0)
        if gains is None and not self.nuisances.noise:
            return frames
        sensors = [each.noise for each in self._episodes]
        return flicker_and_noise(frames, gains, self.nuisances.noise, sensors)

    def _draw(self, seed: int, held: bool) -> _Episode:
        numbers = np.random.default_rng(seed)
        scene = int(numbers.integers(2**62))
        while heldout(scene) != held:
            scene = int(numbers.integers(2**62))
        orbit, surface, weather, flicker, stars, noise = (
            np.random.Generator(np.random.SFC64(np.random.SeedSequence(scene, spawn_key=(part,))))
            for part in range(6)
        )
        axis = surface.standard_normal(3)
        rate = surface.uniform(0.05, 0.2) * surface.choice([-1.0, 1.0])
        return _Episode(
            scene=scene,
            elements=_elements(orbit),
            land=Waves.draw(surface, 6, (2.0, 6.0)),
            colours=np.stack([surface.uniform(40, 130, 3), surface.uniform(130, 255, 3)]),
            spin=np.append(axis / np.linalg.norm(axis), rate),
            clouds=Waves.draw(weather, 5, (2.0, 5.0)),
            background=_background(stars, self.nuisances.stars),
            weather=weather,
            flicker=flicker,
            noise=noise,
        )


def _elements(rng: np.random.Generator) -> np.ndarray:
    """An orbit `[6]` in the order of `Elements`, in any direction: not near the star, and not out of view."""
    axis = rng.uniform(*SEMI_MAJOR_AXES)
    most = min(MOST_ECCENTRIC, FARTHEST / axis - 1, 1 - NEAREST / axis)
    inclination = np.arccos(rng.uniform(-1, 1))
    return np.array([axis, rng.uniform(0, most), inclination, *rng.uniform(0, 2 * np.pi, 3)])


def _background(rng: np.random.Generator, brightness: float) -> np.ndarray:
    """The sky behind a planet, uint8 `[64, 128, 3]`; far stars do not shine through the near one."""
    light = np.maximum(empty_sky(), star_field(rng, brightness))
    return np.rint(light).astype(np.uint8)
