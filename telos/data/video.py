"""Bring your own: a folder of videos and a table of actions become an episode store.

The table (csv, or parquet with pyarrow; or a folder of such files) has one row per frame:

    video,step,action_x,action_y,gripper_x,gripper_y
    pick_01.mp4,0,0.10,0.00,12.5,40.0
    pick_01.mp4,1,0.10,0.05,13.4,40.1
    ...

* `video` (or `episode`, `episode_index`): the video's file name, with or without its ending or the folders
  it is in; or a number, for videos whose names hold one number each (`episode_000012.mp4` is 12).
* `step` (or `frame`, `frame_index`): the number of the frame, from 0, each once, in any order.
* action columns: what was done between this frame and the next, in numbers of your choice. The last
  row's are not used, for bounds neither, and may be empty. By default every column whose name begins with
  `action`.
* reading columns: true quantities at this frame, for readouts and guardrails, chosen by name.
* `layout` (optional): an integer that identifies the scene; no scene is in both parts of a split.

Without readings the last row of each video may be missing. A column may hold lists (parquet). All videos
must have the same frame rate, since a step is a frame.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from telos.data.footage import checksum, count_frames, decoded, frame_rate
from telos.data.resume import begin_or_continue
from telos.data.schema import Episode, Schema
from telos.data.store import EpisodeStore
from telos.data.table import Table, VideoImportError
from telos.files import write_json
from telos.progress import Progress, silent
from telos.types import ActionSpace, Reading

VIDEOS = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v")
CHECKSUMS = "videos.json"
"""The file in an imported store that tells the checksum of each episode's video, in their order."""


@dataclass(frozen=True)
class Imported:
    """What an import made. `unused` are videos in the folder that the table does not name."""

    store: EpisodeStore
    episodes: int
    frames: int
    action_columns: tuple[str, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class _Recording:
    file: Path
    actions: np.ndarray  # float32 [rows, A]
    readings: Mapping[str, np.ndarray]  # float32 [rows, k]
    layout: int


def import_videos(
    videos: str | Path,
    table: str | Path,
    out: str | Path,
    *,
    actions: Sequence[str] | None = None,
    readings: Mapping[str, Sequence[str]] | None = None,
    action_space: ActionSpace | None = None,
    size: int | tuple[int, int] = 64,
    progress: Progress = silent,
) -> Imported:
    """Make the store `out` of the folder `videos` and the `table` that this module's docstring describes.

    `actions` are the table's action columns, `readings` the columns of each named reading. Frames are
    cropped about their centre to the shape of `size` (pixels, or height and width) and averaged down to
    it. `action_space` are the bounds (by default the smallest and largest action that is used). A killed
    import continues when it is run again, and is refused where what it has imported is another now.
    `VideoImportError` names the video, row or column that does not fit. Needs PyAV:
    `pip install 'telos[video]'`.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise ValueError(f"size must be positive; got {size}.")
    columns = Table(table)
    chosen = {
        name: tuple(columns.find(f"reading '{name}'", [column]) for column in of)
        for name, of in (readings or {}).items()
    }
    action_columns = _action_columns(columns, actions)
    files = _videos(Path(videos))
    recordings = _match(columns, files, action_columns, chosen)
    space = _space(action_space, recordings, has_readings=bool(chosen))
    schema = Schema(
        frame_shape=(height, width, 3),
        action_space=space,
        readings={name: Reading(values.shape[1]) for name, values in recordings[0].readings.items()},
        frame_rate=_one_rate([recording.file for recording in recordings]),
        source={
            "made_by": "import",
            "videos": Path(videos).name,
            "table": Path(table).name,
            "actions": list(action_columns),
            "columns": {name: list(of) for name, of in chosen.items()},
        },
    )
    with begin_or_continue(out, schema) as store:
        _same_so_far(store, recordings)
        progress("import", len(store), len(recordings))
        for recording in recordings[len(store) :]:
            store.append([_episode(recording, (height, width), has_readings=bool(chosen))])
            progress("import", len(store), len(recordings))
    used = {recording.file for recording in recordings}
    unused = tuple(name for name, file in files.items() if file not in used)
    return Imported(store, len(store), store.num_frames, action_columns, unused)


def _same_so_far(store: EpisodeStore, recordings: Sequence[_Recording]) -> None:
    """`VideoImportError` where a recording is another than the one imported; then keeps all checksums."""
    path = store.path / CHECKSUMS
    now = [checksum(recording.file) for recording in recordings]
    try:
        before = json.loads(path.read_text()) if path.exists() else now
    except ValueError as error:
        raise VideoImportError(f"{path} is damaged ({error}). Import into another folder.") from error
    for number in range(len(store)):
        if number >= len(recordings):
            what = "is in neither"
        elif before[number : number + 1] != now[number : number + 1]:
            what = f"is another video than {recordings[number].file} is"
        elif wrong := _other_numbers(store, number, recordings[number]):
            what = f"has other {wrong} than the table says of {recordings[number].file.name}"
        else:
            continue
        raise VideoImportError(
            f"{store.path} was begun with another table or other videos: its episode {number} {what} now. "
            "Choose another folder."
        )
    write_json(path, now)


def _other_numbers(store: EpisodeStore, number: int, recording: _Recording) -> str:
    """Which of an episode's numbers are not those of the table; empty if all are."""
    first, rows = store.first_rows[number], store.lengths[number]
    actions = store.table("actions")[first : first + rows - 1]
    if len(recording.actions) > rows or not np.array_equal(actions, recording.actions[: rows - 1]):
        return "actions"
    for name, values in recording.readings.items():
        if not np.array_equal(store.table(f"reading.{name}")[first : first + rows], values):
            return f"readings '{name}'"
    return "layouts" if store.layouts[number] != recording.layout else ""


def _action_columns(table: Table, actions: Sequence[str] | None) -> tuple[str, ...]:
    if actions is not None:
        return tuple(table.find("actions", [name]) for name in actions)
    chosen = tuple(name for name in table.names if name.lower().startswith("action"))
    if not chosen:
        raise VideoImportError(
            f"{table.path} has no column whose name begins with 'action'; say which ones hold the actions. "
            f"It has: {', '.join(table.names)}."
        )
    return chosen


def _videos(folder: Path) -> dict[str, Path]:
    """Videos in the folder, and the folders in it, by their path relative to it."""
    if not folder.is_dir():
        raise VideoImportError(f"{folder} is not a folder of videos.")
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in VIDEOS)
    if not found:
        raise VideoImportError(f"{folder} holds no videos: no file ends in {', '.join(VIDEOS)}.")
    return {file.relative_to(folder).as_posix(): file for file in found}


def _match(
    table: Table, files: dict[str, Path], actions: tuple[str, ...], readings: dict[str, tuple[str, ...]]
) -> list[_Recording]:
    """The table's rows by video, each in the order of its steps; checked before any video is decoded."""
    if not len(table):
        raise VideoImportError(f"{table.path} has no rows.")
    names = _names(files)
    rows_of: dict[Path, list[int]] = {}
    for row, key in enumerate(table.values(table.find("the video", ["video", "episode", "episode_index"]))):
        rows_of.setdefault(_find(key, names), []).append(row)
    steps = table.numbers([table.find("the frame's number", ["step", "frame", "frame_index"])])[:, 0]
    action = table.numbers(actions).astype(np.float32)
    values = {name: table.numbers(columns).astype(np.float32) for name, columns in readings.items()}
    layouts = table.numbers(["layout"])[:, 0] if "layout" in table.names else np.full(len(table), -1.0)
    recordings = []
    for file in sorted(rows_of, key=_natural):
        rows = np.array(rows_of[file])
        rows = rows[np.argsort(steps[rows], kind="stable")]
        what = f"{table.path}, video {file.name}"
        wrong = np.flatnonzero(steps[rows] != np.arange(len(rows)))
        if len(wrong):
            raise VideoImportError(
                f"{what}: steps must be 0 to {len(rows) - 1}, each once; "
                f"got {steps[rows[wrong[0]]]:g} where {wrong[0]} belongs."
            )
        _finite(f"{what}: action", action[rows[:-1]])
        for name, of in values.items():
            _finite(f"{what}: reading '{name}'", of[rows])
        layout = np.unique(layouts[rows])
        if len(layout) > 1 or not float(layout[0]).is_integer():
            raise VideoImportError(f"{what}: layout must be one integer; got {layout.tolist()}.")
        chosen = {name: of[rows] for name, of in values.items()}
        recordings.append(_Recording(file, action[rows], chosen, int(layout[0])))
    return recordings


def _names(files: dict[str, Path]) -> dict[str, Path]:
    """Every way a table may name each video; a short way that fits two videos is left out."""
    ways: dict[str, set[Path]] = {}
    for relative, file in files.items():
        numbers = re.findall(r"\d+", file.stem)
        short = {relative, relative.removesuffix(file.suffix), file.name, file.stem}
        for way in short | ({str(int(numbers[0]))} if len(numbers) == 1 else set()):
            ways.setdefault(way, set()).add(file)
    unique = {way: next(iter(found)) for way, found in ways.items() if len(found) == 1}
    return {**unique, **files}


def _find(cell: object, names: dict[str, Path]) -> Path:
    """The video that a cell of the table means."""
    key = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    for name in (key, str(int(key)) if key.isdecimal() else key):
        if name in names:
            return names[name]
    near = difflib.get_close_matches(key, names, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise VideoImportError(
        f"The table names the video '{key}', which fits none, or more than one, of the "
        f"{len(set(names.values()))} videos in the folder.{hint}"
    )


def _natural(file: Path) -> list[tuple[int, int, str]]:
    """Sorts episode 2 before episode 10."""
    parts = re.findall(r"\d+|\D+", file.as_posix())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _finite(what: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        step = int(np.argwhere(~np.isfinite(values))[0][0])
        raise VideoImportError(f"{what} must be finite numbers; got {values[step].tolist()} at step {step}.")


def _space(space: ActionSpace | None, recordings: Sequence[_Recording], *, has_readings: bool) -> ActionSpace:
    """The bounds that were given, or those of the actions that are used: of all rows but each video's last.

    The last row is used as well where the last frame has none, which only counting its frames tells; that is
    done where it would make a difference.
    """
    dimension = recordings[0].actions.shape[1]
    if space is not None and space.dimension != dimension:
        raise ValueError(
            f"action_space must have one dimension per action column, {dimension}; got {space.dimension}."
        )
    if space is not None:
        return space
    low, high = np.full(dimension, np.inf), np.full(dimension, -np.inf)
    for recording in recordings:
        used = recording.actions[:-1]
        low = np.minimum(low, used.min(0, initial=np.inf))
        high = np.maximum(high, used.max(0, initial=-np.inf))
    for recording in [] if has_readings else recordings:
        last, rows = recording.actions[-1], len(recording.actions)
        if ((last < low) | (last > high)).any() and count_frames(recording.file) > rows:
            low, high = np.fmin(low, last), np.fmax(high, last)
    if not np.isfinite([*low, *high]).all():
        raise VideoImportError("The table holds no actions: the cells that would be used are empty.")
    return ActionSpace(tuple(low.tolist()), tuple(high.tolist()))


def _one_rate(files: Sequence[Path]) -> float | None:
    """The frame rate of all videos; `VideoImportError` where two of them differ by more than 1 %."""
    rates = {file: rate for file in files if (rate := frame_rate(file))}
    if not rates:
        return None
    slowest, fastest = min(rates, key=rates.__getitem__), max(rates, key=rates.__getitem__)
    if rates[fastest] > 1.01 * rates[slowest]:
        raise VideoImportError(
            f"videos must have one frame rate, since a step is a frame; {slowest} has {rates[slowest]:g} "
            f"frames per second, {fastest} {rates[fastest]:g}. Bring them, and their rows, to one rate first."
        )
    return next(iter(rates.values()))


def _episode(recording: _Recording, size: tuple[int, int], *, has_readings: bool) -> Episode:
    frames = [*decoded(recording.file, size)]
    rows = len(recording.actions)
    if not frames or (rows != len(frames) and (has_readings or rows != len(frames) - 1)):
        raise VideoImportError(
            f"{recording.file} has {len(frames)} frames; the table has {rows} rows for it. "
            "It must have one row per frame."
        )
    actions = recording.actions[: len(frames) - 1]
    _finite(f"{recording.file}: action", actions)  # of the last row too, where the last frame has none
    return Episode(
        frames=np.stack(frames), actions=actions, readings=recording.readings, layout=recording.layout
    )
