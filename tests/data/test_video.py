import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from telos.data import EpisodeStore, VideoImportError, import_videos
from telos.data.footage import fit
from telos.errors import StoreError
from telos.types import ActionSpace

av = pytest.importorskip("av", reason="needs the video extra")
LENGTHS = {"take_01.mp4": 5, "take_02.mp4": 8, "deep/take_10.mp4": 6}


def write_video(path: Path, frames: int, *, shape=(48, 80), rate=10) -> None:
    """Each frame is grey, a step brighter than the one before; the columns outside the centre are black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width, stream.pix_fmt = *shape, "yuv420p"
        for number in range(frames):
            image = np.zeros((*shape, 3), np.uint8)
            image[:, 16:64] = 40 + 20 * number
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def rows() -> list[dict]:
    """One per frame; the action of frame t of a video of n frames is (t, -n)."""
    return [
        {"video": name, "step": step, "action_x": step, "action_y": -length, "x": step + 0.5, "y": length}
        for name, length in LENGTHS.items()
        for step in range(length)
    ]


def write_csv(path: Path, table: list[dict]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


@pytest.fixture
def videos(tmp_path):
    for name, frames in LENGTHS.items():
        write_video(tmp_path / "videos" / name, frames)
    return tmp_path / "videos"


def imported(videos: Path, table: list[dict], **settings):
    return import_videos(
        videos, write_csv(videos.parent / "table.csv", table), videos.parent / "s", **settings
    )


def test_videos_and_actions_become_episodes(videos):
    done = imported(videos, rows(), readings={"place": ["x", "y"]})
    assert (done.episodes, done.frames, done.action_columns) == (3, 19, ("action_x", "action_y"))
    assert done.unused == ()
    assert done.store.schema.frame_rate == 10
    store = EpisodeStore.open(videos.parent / "s")
    assert sorted(len(episode.frames) for episode in store) == [5, 6, 8]
    for episode in store:
        frames = len(episode.frames)
        np.testing.assert_array_equal(episode.actions[:, 0], np.arange(frames - 1))
        assert (episode.actions[:, 1] == -frames).all()
        np.testing.assert_array_equal(episode.readings["place"][:, 0], np.arange(frames) + 0.5)
        assert episode.frames.shape[1:] == (64, 64, 3)
        brightness = episode.frames.mean(axis=(1, 2, 3))
        np.testing.assert_allclose(brightness, 40 + 20 * np.arange(frames), atol=4)


def test_bounds_are_those_of_the_actions_unless_given(videos):
    assert imported(videos, rows()).store.schema.action_space == ActionSpace((0.0, -8.0), (6.0, -5.0))
    given = ActionSpace((-9.0, -9.0), (9.0, 9.0))
    done = import_videos(videos, videos.parent / "table.csv", videos.parent / "t", action_space=given)
    assert done.store.schema.action_space == given


LAST = {name: length - 1 for name, length in LENGTHS.items()}


def test_a_last_row_that_is_not_used_sets_no_bounds(videos):
    table = [
        {**row, "action_x": 999 if row["step"] == LAST[row["video"]] else row["action_x"]} for row in rows()
    ]
    assert imported(videos, table).store.schema.action_space.high == (6.0, -5.0)


def test_a_last_row_that_is_used_since_one_more_is_missing_sets_bounds(videos):
    table = [row for row in rows() if row["step"] < LAST[row["video"]]]
    store = imported(videos, table).store
    assert store.schema.action_space.high == (6.0, -5.0)  # of step 6 of 8 frames, the last there is
    assert store.table("actions")[:, 0].max() == 6


def test_a_last_row_that_is_used_must_be_finite(videos):
    table = [
        {**row, "action_x": "" if row["step"] == LAST[row["video"]] - 1 else row["action_x"]}
        for row in rows()
        if row["step"] < LAST[row["video"]]
    ]
    with pytest.raises(
        VideoImportError, match=r"take_10\.mp4: action must be finite numbers; got .* at step 4"
    ):
        imported(videos, table)


def test_an_empty_last_row_of_lists_is_allowed_and_others_are_named(videos):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def written(empty):
        cells = [None if empty(row) else [row["action_x"], row["action_y"]] for row in rows()]
        columns = {key: [row[key] for row in rows()] for key in ("video", "step")} | {"action": cells}
        parquet.write_table(pyarrow.table(columns), videos.parent / "table.parquet")
        return videos.parent / "table.parquet"

    last = written(lambda row: row["step"] == LAST[row["video"]])
    assert import_videos(videos, last, videos.parent / "s").store.schema.action_space.high == (6.0, -5.0)
    with pytest.raises(VideoImportError, match=r"video take_10\.mp4: action must be finite .* at step 1"):
        import_videos(videos, written(lambda row: row["step"] == 1), videos.parent / "t")


def test_a_parquet_table_may_hold_lists_and_episode_numbers(videos):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "episode_index": [int(Path(row["video"]).stem[-2:]) for row in rows()],
        "frame_index": [row["step"] for row in rows()],
        "action": [[float(row["action_x"]), float(row["action_y"])] for row in rows()],
    }
    parquet.write_table(pyarrow.table(columns), videos.parent / "table.parquet")
    done = import_videos(videos, videos.parent / "table.parquet", videos.parent / "s")
    reference = import_videos(videos, write_csv(videos.parent / "t.csv", rows()), videos.parent / "r")
    for one, two in zip(done.store, reference.store, strict=True):
        np.testing.assert_array_equal(one.actions, two.actions)
        np.testing.assert_array_equal(one.frames, two.frames)


def test_a_folder_of_tables_is_one_table(videos):
    (videos.parent / "tables").mkdir()
    for name in LENGTHS:
        part = [row for row in rows() if row["video"] == name]
        write_csv(videos.parent / "tables" / f"{Path(name).stem}.csv", part)
    assert import_videos(videos, videos.parent / "tables", videos.parent / "s").frames == 19


def test_the_last_row_may_be_empty_or_missing(videos):
    table = [row for row in rows() if row["video"] != "take_02.mp4" or row["step"] < LAST["take_02.mp4"]]
    table = [
        {**row, "action_x": "" if row["step"] == LAST[row["video"]] else row["action_x"]} for row in table
    ]
    assert imported(videos, table).frames == 19


def test_layouts_come_from_the_table(videos):
    done = imported(videos, [{**row, "layout": LENGTHS[row["video"]]} for row in rows()])
    assert [episode.layout for episode in done.store] == [len(episode.frames) for episode in done.store]


def test_a_video_that_the_table_does_not_name_is_reported(videos):
    done = imported(videos, [row for row in rows() if row["video"] != "take_01.mp4"])
    assert done.unused == ("take_01.mp4",)


def changed(number: int, **cells) -> list[dict]:
    return [{**row, **cells} if at == number else row for at, row in enumerate(rows())]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows()[:-2], r"take_10\.mp4 has 6 frames; the table has 4 rows"),
        (changed(1, action_x="nan"), r"video take_01\.mp4: action must be finite numbers; got .* at step 1"),
        (changed(1, action_x="fast"), "column 'action_x' must hold numbers; got 'fast' in row 1"),
        (changed(1, step=7), r"take_01\.mp4: steps must be 0 to 4, each once; got 2 where 1 belongs"),
        (changed(0, video="take_03.mp4"), r"'take_03\.mp4', which fits none.*Did you mean take_10\.mp4"),
        ([{**row, "stepp": row["step"], "step": None} for row in rows()], "steps must be 0 to"),
        ([{"video": "take_01.mp4", "steps": 0, "action": 1}], "no column for the frame's number.*mean step"),
        ([{"video": "take_01.mp4", "step": 0, "move": 1}], "no column whose name begins with 'action'.*move"),
    ],
)
def test_a_table_that_does_not_fit_is_said(videos, table, message):
    with pytest.raises(VideoImportError, match=message):
        imported(videos, table)


def test_columns_asked_for_that_are_not_there_are_named(videos):
    with pytest.raises(VideoImportError, match=r"no column for actions .acton_x.\. Did you mean action_x"):
        imported(videos, rows(), actions=["acton_x"])
    with pytest.raises(VideoImportError, match=r"no column for reading 'place' .xx."):
        imported(videos, rows(), readings={"place": ["xx"]})


def test_readings_must_be_finite_at_every_frame(videos):
    with pytest.raises(
        VideoImportError, match=r"reading 'place' must be finite numbers; got .nan. at step 4"
    ):
        imported(videos, changed(4, x=""), readings={"place": ["x"]})


def test_an_unreadable_video_is_named_and_the_import_continues_once_it_is_mended(videos):
    good = (videos / "take_02.mp4").read_bytes()
    (videos / "take_02.mp4").write_bytes(b"not a video")
    with pytest.raises(VideoImportError, match=r"take_02\.mp4 cannot be read as a video"):
        imported(videos, rows())
    (videos / "take_02.mp4").write_bytes(good)
    assert imported(videos, rows()).episodes == 3


def test_an_import_with_other_settings_is_not_continued(videos):
    imported(videos, rows())
    with pytest.raises(
        StoreError, match=r"made with frame_shape=\[64, 64, 3\]; got frame_shape=\[32, 48, 3\]"
    ):
        imported(videos, rows(), size=(32, 48))


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ({"action_x": 2}, r"other actions than the table says of take_01\.mp4"),
        ({"x": 7}, r"other readings 'place' than the table says of take_01\.mp4"),
    ],
)
def test_an_import_with_another_table_is_not_continued(videos, cells, what):
    imported(videos, rows(), readings={"place": ["x", "y"]})
    with pytest.raises(VideoImportError, match=rf"begun with another table.*its episode 1 has {what} now"):
        imported(videos, changed(1, **cells), readings={"place": ["x", "y"]})


def test_an_import_with_other_layouts_or_fewer_videos_is_not_continued(videos):
    table = [{**row, "action_x": row["step"] % 3, "action_y": 0, "layout": 3} for row in rows()]
    imported(videos, table)
    with pytest.raises(VideoImportError, match="its episode 0 has other layouts than"):
        imported(videos, [{**row, "layout": LENGTHS[row["video"]]} for row in table])
    with pytest.raises(VideoImportError, match="its episode 2 is in neither now"):
        imported(videos, [row for row in table if row["video"] != "take_02.mp4"])


def test_an_import_of_a_video_that_was_encoded_again_is_not_continued(videos):
    imported(videos, rows())
    write_video(videos / "take_02.mp4", LENGTHS["take_02.mp4"], shape=(96, 160))
    with pytest.raises(VideoImportError, match=r"its episode 2 is another video than .*take_02\.mp4 is now"):
        imported(videos, rows())


def test_copies_of_the_same_videos_and_more_of_them_continue_an_import(videos):
    table = [{**row, "action_y": -5} for row in rows()]
    first = [row for row in table if row["video"] != "take_02.mp4"]
    assert imported(videos, first).episodes == 2
    shutil.move(videos, videos.parent / "aside")
    shutil.copytree(videos.parent / "aside", videos, copy_function=shutil.copyfile)  # with other times
    with pytest.raises(StoreError, match="made with action="):  # the new one has larger actions
        imported(videos, table)
    assert imported(videos, [{**row, "action_x": min(row["step"], 4)} for row in table]).episodes == 3


def test_videos_of_different_frame_rates_are_not_mixed(videos):
    write_video(videos / "take_02.mp4", LENGTHS["take_02.mp4"], rate=25)
    with pytest.raises(VideoImportError, match=r"take_\d+\.mp4 has 10 frames per second, .*take_02\.mp4 25"):
        imported(videos, rows())
    assert imported(videos, [row for row in rows() if row["video"] != "take_02.mp4"]).episodes == 2


def test_a_folder_without_videos_is_said(tmp_path):
    table = write_csv(tmp_path / "table.csv", rows())
    (tmp_path / "videos").mkdir()
    with pytest.raises(VideoImportError, match="holds no videos"):
        import_videos(tmp_path / "videos", table, tmp_path / "s")
    with pytest.raises(VideoImportError, match="is not a folder of videos"):
        import_videos(tmp_path / "nowhere", table, tmp_path / "s")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("video,step,action\n", "has no rows"),
        ("video,step,step\na,0,0\n", "names a column twice"),
        ("video,step,action\na,0\n", "row 1 has 2 cells; the header has 3"),
    ],
)
def test_a_broken_csv_is_said(videos, content, message):
    (videos.parent / "t.csv").write_text(content)
    with pytest.raises(VideoImportError, match=message):
        import_videos(videos, videos.parent / "t.csv", videos.parent / "s")


def test_other_table_files_are_refused(videos):
    (videos.parent / "t.xlsx").touch()
    with pytest.raises(
        VideoImportError, match=r"must be a table that ends in \.csv or \.parquet; got '\.xlsx'"
    ):
        import_videos(videos, videos.parent / "t.xlsx", videos.parent / "s")


def test_frames_are_cropped_about_the_centre_and_averaged():
    frame = np.zeros((4, 8, 3), np.uint8)
    frame[:, 2:6] = np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * 8
    expected = frame[:, 2:6].reshape(2, 2, 2, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(fit(frame, (2, 2)), expected, atol=0.5)
    np.testing.assert_array_equal(fit(frame, (4, 8)), frame)
