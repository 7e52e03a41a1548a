import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from telos.errors import TelosError
from telos.evaluation import Analysis, Evaluation, Floor, Planning, Recording, TaskRow
from telos.reports import Inputs, gather, write_report
from telos.reports.page import render

SECTIONS = [
    "results",
    "episodes",
    "guardrail",
    "energy",
    "planning",
    "failures",
    "prediction",
    "probes",
    "training",
    "data",
    "settings",
]


class Page(HTMLParser):
    """Ids and addresses of a page, and whether its tags are closed in order."""

    VOID = ("meta", "link", "img", "source", "br")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open, self.ids, self.addresses = [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.addresses += [values[key] for key in ("src", "href", "srcset") if key in values]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def source(run_folder):
    return write_report(run_folder, run_folder / "out.html").read_text()


def test_every_section_is_there(source):
    page = Page(source)
    assert page.open == []
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert len(page.ids) == len(set(page.ids))


def test_nothing_is_fetched_from_outside(source):
    assert all(address.startswith(("data:", "#")) for address in Page(source).addresses)
    assert not re.search(r"@import|url\((?!#)|<script|https?://", source)
    assert "default-src 'none'" in source


def test_every_picture_can_be_read(source):
    pictures = [address for address in Page(source).addresses if address.startswith("data:image")]
    assert len(pictures) > 20
    for address in pictures:
        with Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1]))) as picture:
            picture.load()


def test_what_was_measured_is_said(source, run_folder):
    found = gather(run_folder)
    assert f"{found.evaluation.successes} of {found.evaluation.n} goals" in source
    assert "7 labelled frames for the readout of agent_xy" in source
    assert "telos evaluate &lt;x&gt;" in source
    assert "telos evaluate <x>" not in source


def test_successes_come_before_failures(source):
    gallery = source[source.index('id="episodes"') : source.index('id="guardrail"')]
    kinds = re.findall(r'tag (good|bad)"', gallery)
    assert kinds == sorted(kinds, key=["good", "bad"].index)
    assert set(kinds) == {"good", "bad"}


def test_missing_parts_are_left_out_with_a_reason(run_folder):
    full = gather(run_folder)
    source = render(Inputs(metrics=full.metrics))
    assert [name for name in Page(source).ids if name in SECTIONS] == ["training", "settings"]
    for reason in (
        "Nothing was evaluated",
        "No guardrail was evaluated",
        "Open-loop prediction was not measured",
    ):
        assert reason in source


def test_what_could_not_be_measured_is_told_by_its_reason():
    told = {part: f"{part} cannot be had <here>." for part in ("probes", "open_loop", "landscapes")}
    source = render(Inputs(analysis=Analysis(missing=told)))
    for part in told:
        assert f"It could not be measured: {part} cannot be had &lt;here&gt;." in source


def test_a_goal_that_is_no_picture_is_not_shown_as_one(run_folder):
    found = gather(run_folder)
    aim = {"type": "Aim", "objective": {"type": "Objective", "goal_image": None, "goal": ["agent_xy=_,20"]}}
    records = [
        dataclasses.replace(record, goal_frame=None, goal_readings={"agent_xy": np.array([np.nan, 20.0])})
        for record in found.evaluation.recordings
    ]
    config = {**found.evaluation.config, "aim": aim}
    evaluation = dataclasses.replace(found.evaluation, recordings=tuple(records), config=config)
    source = render(Inputs(evaluation=evaluation))
    assert "pictures of goals" in render(Inputs(evaluation=found.evaluation))
    assert not re.search('pictures of goals|picture it was given|picture of the goal|the goal"', source)
    assert '<path class="goal" d="M0 20.50H64"/>' in source
    assert not re.search(r'="[^"]*\bnan\b', source)


def test_without_a_decoder_only_what_happened_is_shown(run_folder):
    found = gather(run_folder)
    blind = [
        dataclasses.replace(
            record, plans=tuple(dataclasses.replace(plan, frames=None) for plan in record.plans)
        )
        for record in found.evaluation.recordings
    ]
    evaluation = dataclasses.replace(found.evaluation, recordings=tuple(blind))
    source = render(dataclasses.replace(found, evaluation=evaluation))
    gallery = source[source.index('id="episodes"') : source.index('id="guardrail"')]
    assert "this model has no decoder" in gallery
    assert ">imagined<" not in gallery


def test_worlds_with_other_readings_or_none_are_shown_as_well():
    frames = np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), dtype=np.uint8)
    angle = {"tip": np.linspace(0, 0.2, 10).reshape(5, 2)}
    records = [
        Recording(1, True, "", frames, frames[-1], angle, {"tip": np.array([0.1, 0.2])}, {"tip": "m"}, 3),
        Recording(2, False, "stopped short, 0.1 m from the goal", frames, frames[0], {}, {}, {}),
    ]
    rows = (TaskRow(1, 1, True, 3), TaskRow(2, 2, False, None, reason="stopped short, 0.1 m from the goal"))
    found = Evaluation("Reacher-v5", rows, Planning(2, 10, 0.1, 2), recordings=tuple(records))
    source = render(Inputs(evaluation=found))
    assert "telos in Reacher-v5".removesuffix("-v5") in source
    assert "stopped short" in source
    assert Page(source).open == []


def test_a_perfect_run_says_that_nothing_failed():
    found = Evaluation("w", (TaskRow(1, 1, True, 3),), floors=(Floor("no-op", "nothing", 1, 0, 0),))
    assert "None of the 1 tasks failed" in render(Inputs(evaluation=found))


def test_what_others_wrote_is_escaped():
    found = Evaluation("w<script>", (TaskRow(1, 1, False, None, reason="<b>bold"),), command="<i>")
    source = render(Inputs(evaluation=found, title="<u>"))
    assert not re.search("<script>|<b>bold|<i>|<u>", source)


def test_a_report_that_fails_leaves_the_old_one(run_folder, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr("telos.reports.page.render", lambda inputs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(run_folder, path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "old"


def test_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(TelosError, match="nothing to report"):
        write_report(tmp_path)
    with pytest.raises(TelosError, match="is not a folder"):
        write_report(tmp_path / "absent")


def test_the_newest_evaluation_of_each_kind_is_taken(run_folder):
    found = gather(run_folder)
    assert found.evaluation.guardrail == ""
    assert found.guardrail.guardrail == "across"
    assert len(found.metrics) == 19
