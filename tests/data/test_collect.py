import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from moving import MovingSquare

from telos.data import EpisodeStore, Persistent, UncommittedTail, Uniform, collect
from telos.data import store as store_module
from telos.errors import FrozenFrames, StoreError, WorldError
from telos.worlds import Rooms

LARGE = "SHARD_BYTES", 4 * 7 * 192


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(store_module, *LARGE)


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def run(path, *, episodes=8, num=3, **settings):
    return collect(MovingSquare(num), path, episodes=episodes, seed=5, **settings)


def test_episodes_hold_what_the_world_did(tmp_path):
    store = run(tmp_path / "s")
    assert len(store) == 8
    for episode in store:
        assert episode.steps == 6
        np.testing.assert_array_equal(episode.readings["time"][:, 0], np.arange(7))
        assert episode.layout == episode.seed % 5
        place = episode.readings["agent_xy"]
        np.testing.assert_allclose(place[1:], np.clip(place[:-1] + episode.actions, 0, 6), atol=1e-5)
        np.testing.assert_array_equal(episode.frames[:, 0, 0, 0], np.arange(7))
    assert len({episode.seed for episode in store}) == 8


def test_the_schema_says_what_was_collected(tmp_path):
    schema = run(tmp_path / "s", length=4).schema
    world = MovingSquare()
    assert (schema.world, schema.frame_shape, schema.action_space) == (
        world.id,
        world.frame_shape,
        world.action_space,
    )
    assert schema.source["length"] == 4
    assert schema.source["policy"] == repr(Persistent())


def test_the_number_of_copies_does_not_change_the_bytes(tmp_path):
    run(tmp_path / "three", num=3)
    run(tmp_path / "five", num=5)
    assert contents(tmp_path / "three") == contents(tmp_path / "five")


def test_another_seed_gives_other_episodes(tmp_path):
    one = run(tmp_path / "one")
    two = collect(MovingSquare(3), tmp_path / "two", episodes=8, seed=6)
    assert not {episode.seed for episode in one} & {episode.seed for episode in two}


def test_more_episodes_are_added_and_fewer_change_nothing(tmp_path):
    run(tmp_path / "whole")
    for episodes in (2, 5, 4, 8):
        run(tmp_path / "grown", episodes=episodes)
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")


def test_a_kill_at_any_moment_of_writing_leaves_a_store_that_continues_to_the_same_bytes(
    tmp_path, monkeypatch
):
    """A copy of the folder halfway through each write is what a kill there would leave."""
    original, snapshots = store_module.append_bytes, []

    def watched(path, parts):
        data = b"".join(bytes(part) for part in parts)
        original(path, [data[: len(data) // 2]])
        snapshots.append(tmp_path / f"killed{len(snapshots)}")
        shutil.copytree(path.parent, snapshots[-1])
        original(path, [data[len(data) // 2 :]])

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "append_bytes", watched)
        run(tmp_path / "whole")
    assert len(snapshots) > 15
    for snapshot in snapshots:
        with pytest.warns(UncommittedTail):
            run(snapshot)
        assert contents(snapshot) == contents(tmp_path / "whole")


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from moving import MovingSquare
from telos.data import collect, store
store.SHARD_BYTES = {shard}
original, calls = store.append_bytes, []
def deadly(path, parts):
    calls.append(path)
    if len(calls) == 7:
        original(path, [bytes(parts[0])[:100]])
        os.kill(os.getpid(), signal.SIGKILL)
    original(path, parts)
store.append_bytes = deadly
collect(MovingSquare(3), {path!r}, episodes=8, seed=5)
"""


def test_a_process_that_is_killed_while_it_writes_is_continued(tmp_path):
    code = KILLED.format(folder=str(Path(__file__).parent), shard=LARGE[1], path=str(tmp_path / "killed"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    died = subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=120)
    assert died.returncode == -signal.SIGKILL
    with pytest.warns(UncommittedTail):
        committed = EpisodeStore.open(tmp_path / "killed")
    assert len(committed) == 3
    committed.verify()
    with warnings.catch_warnings(action="ignore", category=UncommittedTail):
        run(tmp_path / "killed")
    run(tmp_path / "whole")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_an_interrupt_leaves_a_store_that_continues(tmp_path):
    def interrupt(stage, done, total, **values):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", progress=interrupt)
    run(tmp_path / "s")
    run(tmp_path / "whole")
    assert contents(tmp_path / "s") == contents(tmp_path / "whole")


def test_progress_counts_episodes(tmp_path):
    seen = []
    run(tmp_path / "s", progress=lambda stage, done, total, **values: seen.append((stage, done, total)))
    assert seen == [("collect", done, 8) for done in (0, 3, 6, 8)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 4}, "made with length=6; got length=4"),
        ({"policy": Uniform()}, "got policy=Uniform"),
        ({"split": "heldout"}, "made with split=train; got split=heldout"),
    ],
)
def test_a_store_collected_otherwise_is_not_continued(tmp_path, settings, message):
    run(tmp_path / "s")
    with pytest.raises(StoreError, match=message):
        run(tmp_path / "s", episodes=9, **settings)
    run(tmp_path / "s", episodes=9)


def test_what_a_world_says_beyond_its_id_is_kept_and_must_stay_the_same(tmp_path):
    def rooms(path, **settings):
        return collect(Rooms(num=2, **settings), path, episodes=2, length=2, seed=0)

    assert rooms(tmp_path / "s", hazards=1).schema.source["settings"]["hazards"] == 1
    assert "settings" not in rooms(tmp_path / "plain").schema.source
    with pytest.raises(StoreError, match=r"made with settings=\{'hazards': 1.*; got settings=None"):
        rooms(tmp_path / "s")


class Ending(MovingSquare):
    """Ends after the fourth step, in every second copy."""

    def ended(self):
        return (self._time[:, 0] >= 4) & (np.arange(self.num) % 2 == 0)


def test_steps_after_the_end_of_an_episode_are_counted_and_said(tmp_path):
    # Of episodes 0 to 4 of three copies a time, 0, 2 and 3 have two of six steps after their end.
    with pytest.warns(FrozenFrames, match=r"before 6 of the 30 steps that were collected \(20.0%\)"):
        collect(Ending(3), tmp_path / "s", episodes=5, seed=5)
    with pytest.warns(FrozenFrames, match="before 2 of the 6 steps"):  # episode 5 alone
        collect(Ending(3), tmp_path / "s", episodes=6, seed=5)
    collect(Ending(3), tmp_path / "short", episodes=5, seed=5, length=4)
    assert contents(tmp_path / "s") == contents(run(tmp_path / "same", episodes=6).path)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("dtype", r"MovingSquare: frames must be uint8 \[3, 8, 8, 3\]; got float32"),
        ("shape", r"MovingSquare: frames must be .*got uint8 \[3, 7, 8, 3\] at step 0"),
        ("reading", "MovingSquare: reading 'agent_xy' must be finite.*nan"),
    ],
)
def test_a_world_that_breaks_its_contract_is_named(tmp_path, bad, message):
    with pytest.raises(WorldError, match=message):
        collect(MovingSquare(3, bad=bad), tmp_path / "s", episodes=3, seed=0)
    assert len(EpisodeStore.open(tmp_path / "s")) == 0


def nan_at_third_step(space, length, generator):
    actions = np.zeros((length, space.dimension), np.float32)
    actions[2, 1] = np.nan
    return actions


def one_action_short(space, length, generator):
    return np.zeros((length - 1, space.dimension), np.float32)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (nan_at_third_step, "nan_at_third_step: actions must be finite; got .*nan.* at step 2 of episode 0"),
        (one_action_short, r"one_action_short: actions must have shape \[6, 2\]; got \[5, 2\]"),
    ],
)
def test_a_policy_that_breaks_its_contract_is_named(tmp_path, policy, message):
    with pytest.raises(WorldError, match=message):
        run(tmp_path / "s", policy=policy)


@pytest.mark.parametrize("settings", [{"episodes": 0}, {"length": 0}])
def test_nothing_to_collect_is_refused(tmp_path, settings):
    with pytest.raises(ValueError, match="must be at least 1"):
        run(tmp_path / "s", **settings)


def test_the_schema_file_is_plain_json(tmp_path):
    run(tmp_path / "s")
    value = json.loads((tmp_path / "s" / "schema.json").read_text())
    assert value["readings"]["agent_xy"] == {"size": 2, "unit": "px", "low": None, "high": None}
