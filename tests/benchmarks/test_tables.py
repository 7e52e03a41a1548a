"""The tables of README and docs say what results/*.json say."""

from benchmarks import tables

RESULT = {
    "command": "python -m benchmarks.rooms",
    "config": {},
    "n": 600,
    "success": 0.95,
    "interval": [0.93, 0.965],
    "noop": 0.02,
    "random": None,
    "evaluations_per_plan": 12345.0,
    "cpu_seconds_per_plan": 0.1,
    "training": {"seeds": [0, 1, 2]},
}


def test_every_page_is_up_to_date():
    for path, wanted in tables.pages(tables.ROOT).items():
        assert path.read_text() == wanted, path.name


def test_a_row_has_its_interval_and_its_floors():
    row = tables.table({"two_rooms": RESULT}).splitlines()[2]
    assert "**95.0 %** | 93.0 % to 96.5 % | 600 | 3 | 2.0 % | not measured | 12,345 | 0.100" in row


def test_the_guardrail_is_told_beside_what_happens_without_it():
    guarded = {**RESULT, "violations": 0.01, "violations_without": 0.8, "success_without": 0.96}
    assert "1.0 % of the episodes" in tables.table({"guardrail": guarded})
    assert "enter it in 80.0 %" in tables.table({"guardrail": guarded})


def test_only_what_stands_between_the_markers_changes():
    readme = f"a\n{tables.BEGIN}\nold\n{tables.END}\nb\n"
    assert tables.filled(readme, "new") == readme.replace("old", "new")


def test_pictures_are_shown_where_they_exist(tmp_path):
    assert tables.pictures(tmp_path) == ""
    (tmp_path / "landscape.png").touch()
    assert "](docs/images/landscape.png)" in tables.pictures(tmp_path)
