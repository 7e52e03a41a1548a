"""Rooms: the dot world of PLDM (arXiv 2502.14819) and EB-JEPA (arXiv 2602.03604), vectorised in numpy.

A dot moves by at most 2.45/65 of the width per step through rooms joined by doors; walls and doors are
drawn anew each episode. The geometry is EB-JEPA's random-wall protocol, scaled from 65 to 64 px. Two
things differ from its code: walls are vertical in TwoRooms (its other orientation is a turned picture),
and a step that meets a wall stops a hair before it, where EB-JEPA's bounces back by random noise. As
there, the dot is a point: its centre may come up to a wall's face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, NamedTuple

import numpy as np

from telos.types import ActionSpace, Reading
from telos.worlds import layouts as plans
from telos.worlds.checked import check_actions, check_episodes
from telos.worlds.distractors import DISTRACTORS, Distractor, Playing
from telos.worlds.geometry import inside, move, shortest_path
from telos.worlds.layouts import BORDER, PADDING, SCALE, SIZE, Layouts
from telos.worlds.painting import background, bare_floor, hazard_cover, paint_dots, paint_hazards

MAX_STEP = 2.45 * SCALE
REACHED = 4.5 * SCALE
IDS: Mapping[str, Callable[[], Layouts]] = {
    "telos/TwoRooms-v0": plans.TwoRooms,
    "telos/FourRooms-v0": plans.FourRooms,
    "telos/TwoRoomsFixed-v0": plans.OneFloor,
    "telos/TwoRoomsDiscrete-v0": plans.TwoRooms,
    **dict.fromkeys(DISTRACTORS, plans.TwoRooms),
}
DISCRETE = ("telos/TwoRoomsDiscrete-v0",)
_EIGHTH = np.pi / 4 * np.arange(8)
MOVES = np.concatenate([np.zeros((1, 2)), MAX_STEP * np.stack([np.cos(_EIGHTH), np.sin(_EIGHTH)], axis=1)])
"""The displacements `[9, 2]` of the discrete actions: stay, then right and on clockwise by eighths."""


class _Episode(NamedTuple):
    """What is drawn for one episode."""

    layout: int
    start: np.ndarray  # [2]
    goal: np.ndarray  # [2]
    centers: np.ndarray  # [H, 2], of hazards
    radii: np.ndarray  # [H]


class Rooms:
    """`num` copies of a Rooms world, stepped together; a `telos.types.World`.

    The reading `agent_xy` is the dot's centre in pixels (x right, y down; the first pixel's centre is 0).
    An action is a displacement in pixels; longer ones than 2.41 px are shortened to that. In the worlds of
    `DISCRETE` it is one of nine, one-hot: to stay, or one of eight directions by 2.41 px (`MOVES`).

    Args:
        id: one of `IDS`.
        num: how many copies.
        hazards: how many forbidden discs each episode draws; entering one has no effect on the dot.
        hazard_radius: the range that their radii are drawn from, in pixels.
        hazards_visible: whether they are drawn.
        distractor: what moves on the floor without mattering (`telos.worlds.distractors`); by default the
            id's, which most do not have.
    """

    def __init__(
        self,
        id: str = "telos/TwoRooms-v0",
        num: int = 1,
        *,
        hazards: int = 0,
        hazard_radius: tuple[float, float] = (3.0, 6.0),
        hazards_visible: bool = True,
        distractor: Distractor | None = None,
    ) -> None:
        if id not in IDS:
            raise ValueError(f"id must be one of {', '.join(IDS)}; got '{id}'.")
        if num < 1:
            raise ValueError(f"num must be at least 1; got {num}.")
        if hazards < 0 or not 0 < hazard_radius[0] <= hazard_radius[1]:
            raise ValueError(
                "hazards must not be negative and hazard_radius must be an increasing pair of positive "
                f"numbers; got {hazards} and {hazard_radius}."
            )
        self.id = id
        self.num = num
        self.frame_shape: tuple[int, int, int] = (SIZE, SIZE, 3)
        self.action_space = (
            ActionSpace.discrete(len(MOVES))
            if id in DISCRETE
            else ActionSpace((-MAX_STEP,) * 2, (MAX_STEP,) * 2, max_norm=MAX_STEP)
        )
        self.readings: Mapping[str, Reading] = {
            "agent_xy": Reading(2, "px", tuple(BORDER[:2]), tuple(BORDER[2:]))
        }
        self.episode_steps = 200
        self._family = IDS[id]()
        self._hazards, self._hazard_radius, self._visible = hazards, hazard_radius, hazards_visible
        self.distractor = DISTRACTORS.get(id) if distractor is None else distractor
        self._playing: Playing | None = None
        self._goal_playing: Playing | None = None
        self._plain: dict[int, np.ndarray] = {}
        self._layouts: np.ndarray | None = None
        self._goal: np.ndarray | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        """Hazards and distractor, where they are not the id's; else nothing."""
        found: dict[str, Any] = {}
        if self._hazards:
            found["hazards"] = int(self._hazards)
            found["hazard_radius"] = [float(end) for end in self._hazard_radius]
            found["hazards_visible"] = bool(self._visible)
        if self.distractor != DISTRACTORS.get(self.id):
            kind = type(self.distractor).__qualname__
            found["distractor"] = repr(self.distractor) if is_dataclass(self.distractor) else kind
        return found

    def reset(self, seeds: Sequence[int], *, split: str = "train", task: bool = False) -> np.ndarray:
        """Start `num` episodes; the first frames, uint8 `[num, 64, 64, 3]`.

        A seed makes the same episode whatever the other seeds. Without `task` the dot starts anywhere
        free, uniformly. With it, start and goal lie in different (FourRooms: adjacent) rooms, each
        uniform over its room at two widths of the dot from the walls, as EB-JEPA draws them.
        """
        check_episodes(seeds, self.num, split)
        draws = [self._draw(int(seed), split == "heldout", task) for seed in seeds]
        self._layouts = np.array([draw.layout for draw in draws], dtype=np.int64)
        floors = [self._family.floor(int(layout)) for layout in self._layouts]
        self._walls = np.stack([floor.walls for floor in floors])
        self._position = np.stack([draw.start for draw in draws])
        self._before = self._position
        self._goal = np.stack([draw.goal for draw in draws]) if task else None
        self._plain_backgrounds = np.stack([self._plain_background(int(layout)) for layout in self._layouts])
        if self.distractor is not None and self.distractor.strength:
            self._playing = self.distractor.begin(seeds, split=split)
            self._goal_playing = self.distractor.begin(seeds, split=split, goal=True) if task else None
        self.place_hazards(
            np.stack([draw.centers for draw in draws]), np.stack([draw.radii for draw in draws])
        )
        return self._render(self._position)

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Move every dot by its action, float `[num, 2]` in pixels or `[num, 9]` one-hot; the next frames."""
        if self._layouts is None:
            raise ValueError("reset must be called before step.")
        actions = check_actions(np.asarray(actions, dtype=np.float64), self.num, self.action_space)
        if self.action_space.one_hot:
            actions = MOVES[actions.argmax(axis=1)]
        self._before = self._position
        self._position = self.true_step(self._position, actions)
        if self._playing is not None:
            self._playing.advance()
        return self._render(self._position)

    def true_step(self, position: np.ndarray, action: np.ndarray) -> np.ndarray:
        """The true dynamics in the present layouts, without changing the world: for oracles and checks.

        Args:
            position: `[num, ..., 2]` in pixels; the first dimension is the copy whose walls hold.
            action: `[num, ..., 2]` in pixels, shortened to `MAX_STEP` where longer.

        Returns: the next positions, float64 `[num, ..., 2]`.
        """
        action = np.asarray(action, dtype=np.float64)
        norm = np.sqrt((action * action).sum(axis=-1, keepdims=True))
        action = action * (MAX_STEP / np.maximum(norm, MAX_STEP))
        walls = self._walls.reshape(self.num, *(1,) * (action.ndim - 2), *self._walls.shape[1:])
        return move(np.asarray(position, dtype=np.float64), action, walls, BORDER)

    def read(self) -> dict[str, np.ndarray]:
        """`agent_xy`: the dot's centre in pixels, float32 `[num, 2]`."""
        return {"agent_xy": self._position.astype(np.float32)}

    def layouts(self) -> np.ndarray:
        """The number of each copy's layout, int64 `[num]`."""
        if self._layouts is None:
            raise ValueError("reset must be called before layouts.")
        return self._layouts.copy()

    def goal_frames(self) -> np.ndarray:
        """The rooms with the dot at the goal, uint8 `[num, 64, 64, 3]`; a distractor at a time of its own."""
        goals = self._goals()
        return paint_dots(self._floors(self._goal_playing), goals)

    def frames_at(self, copy: int, places: np.ndarray) -> np.ndarray:
        """One copy's rooms as they are now, the dot at each of `places` `[P, 2]`: uint8 `[P, 64, 64, 3]`."""
        if self._layouts is None:
            raise ValueError("reset must be called before frames_at.")
        now = self._floors(self._playing)[copy]
        return paint_dots(np.repeat(now[None], len(places), axis=0), np.asarray(places, dtype=np.float64))

    def goal_readings(self) -> dict[str, np.ndarray]:
        """`agent_xy` at the goal, float32 `[num, 2]`."""
        return {"agent_xy": self._goals().astype(np.float32)}

    def reached(self) -> np.ndarray:
        """Whether each dot is within 4.5/65 of the width of its goal, bool `[num]`."""
        return np.linalg.norm(self._position - self._goals(), axis=-1) < REACHED

    def waypoints(
        self, start: np.ndarray, goal: np.ndarray, layout: Sequence[int] | np.ndarray
    ) -> list[np.ndarray]:
        """The shortest way from start to goal in each layout: start, corners of doors, goal.

        Args:
            start: `[n, 2]`; goal: `[n, 2]`; layout: `[n]`, as `layouts()` numbers them.

        Returns: n polylines, each float64 `[P, 2]`; it keeps half a pixel from the corners it turns at.
        """
        ways = zip(np.asarray(start), np.asarray(goal), layout, strict=True)
        return [shortest_path(a, b, self._family.floor(int(c)).walls, BORDER) for a, b, c in ways]

    def place_hazards(self, centers: np.ndarray, radii: np.ndarray) -> None:
        """Replace this episode's hazards: discs, centres `[num, H, 2]` and radii `[num, H]` in pixels."""
        centers, radii = np.asarray(centers, dtype=np.float64), np.asarray(radii, dtype=np.float64)
        if radii.ndim != 2 or centers.shape != (*radii.shape, 2) or len(radii) != self.num:
            raise ValueError(
                f"centers must have shape [{self.num}, H, 2] and radii [{self.num}, H]; "
                f"got {list(centers.shape)} and {list(radii.shape)}."
            )
        self._centers, self._radii = centers, radii
        self._backgrounds = self._plain_backgrounds
        bare = bare_floor(self._plain_backgrounds)
        if self._visible and radii.shape[1]:
            covers = [hazard_cover(*discs) for discs in zip(centers, radii, strict=True)]
            images = zip(self._plain_backgrounds, covers, strict=True)
            self._backgrounds = np.stack([paint_hazards(*image) for image in images])
            bare *= 1 - np.stack(covers)
        for playing in (self._playing, self._goal_playing):
            if playing is not None:
                playing.place(self._backgrounds, bare)

    def hazards(self) -> tuple[np.ndarray, np.ndarray]:
        """This episode's forbidden discs: centres `[num, H, 2]` and radii `[num, H]`, in pixels."""
        return self._centers.copy(), self._radii.copy()

    def in_hazard(self) -> np.ndarray:
        """Whether the last step, anywhere along it, was in a hazard; bool `[num]`."""
        step = (self._position - self._before)[:, None]
        offset = self._centers - self._before[:, None]
        length = np.maximum((step * step).sum(-1), 1e-12)
        nearest = np.clip((offset * step).sum(-1) / length, 0.0, 1.0)[..., None] * step
        return (np.linalg.norm(offset - nearest, axis=-1) < self._radii).any(axis=-1)

    def close(self) -> None:
        """Nothing to free."""

    def _goals(self) -> np.ndarray:
        if self._goal is None:
            raise ValueError("there is no goal; call reset(..., task=True) first.")
        return self._goal

    def _render(self, positions: np.ndarray) -> np.ndarray:
        return paint_dots(self._floors(self._playing), positions)

    def _floors(self, playing: Playing | None) -> np.ndarray:
        """All that the dot is painted on, uint8 `[num, 64, 64, 3]`."""
        return self._backgrounds if playing is None else playing.paint()

    def _plain_background(self, layout: int) -> np.ndarray:
        if layout not in self._plain:
            if len(self._plain) >= 2048:
                self._plain.clear()
            self._plain[layout] = background(self._family.floor(layout))
        return self._plain[layout]

    def _draw(self, seed: int, held: bool, task: bool) -> _Episode:
        rng = np.random.default_rng(seed)
        layout = self._family.draw(rng)
        while plans.heldout(layout) != held:
            layout = self._family.draw(rng)
        floor = self._family.floor(layout)
        if task:
            pair = floor.rooms[floor.adjacent[rng.integers(len(floor.adjacent))]]
            start, goal = rng.uniform(pair[:, :2] + PADDING, pair[:, 2:] - PADDING)
        else:
            start = rng.uniform(BORDER[:2] + 0.5, BORDER[2:] - 0.5)
            while inside(start, floor.walls, margin=0.5):
                start = rng.uniform(BORDER[:2] + 0.5, BORDER[2:] - 0.5)
            goal = start
        clear = np.concatenate([floor.doors, start[None], goal[None]])
        centers, radii = self._draw_hazards(rng, clear)
        return _Episode(layout, start, goal, centers, radii)

    def _draw_hazards(self, rng: np.random.Generator, clear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Discs that keep clear of these points `[Q, 2]` (start, goal, doors) by the radius of success."""
        centers, radii = np.zeros((self._hazards, 2)), np.zeros(self._hazards)
        for hazard in range(self._hazards):
            for _ in range(1000):
                radius = rng.uniform(*self._hazard_radius)
                center = rng.uniform(BORDER[:2], BORDER[2:])
                if np.linalg.norm(clear - center, axis=-1).min() > radius + REACHED:
                    centers[hazard], radii[hazard] = center, radius
                    break
            else:
                raise ValueError(
                    f"hazard_radius must leave room for start, goal and doors; got {self._hazard_radius}. "
                    "Use smaller hazards."
                )
        return centers, radii
