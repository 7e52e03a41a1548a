"""The study of representations: what its rows are made by, and one row."""

from dataclasses import replace

from benchmarks import sections
from benchmarks.representation import METHODS, QUICK, WORLDS, measure, recipe_of, variants
from telos import recipes


def test_methods_differ_by_nothing_but_the_method():
    beside = [each for each in variants().values() if each.group == "beside" and each.trained]
    assert len(beside) == len(METHODS)
    found = [recipe_of(each, WORLDS["clean"], QUICK) for each in beside]
    same = {
        repr(replace(r, representation=replace(r.representation, method=beside[0].method))) for r in found
    }
    assert len(same) == 1
    rooms = recipes.get("rooms")
    assert found[0].representation.method == rooms.representation.method
    assert found[0].representation.weights == rooms.representation.weights
    assert found[0].configurator == rooms.configurator


def test_an_ablation_changes_one_thing_of_the_recipe():
    known = variants()
    main = vars(known["variance-covariance"])
    for name, variant in known.items():
        if variant.group == "ablation":
            changed = [key for key, value in vars(variant).items() if value != main[key] and key != "group"]
            if "from the start" in name:
                assert changed[-1] == "joins", name
                assert set(changed) <= {"kind", "method", "joins"}, name
            elif "a new predictor" in name:
                assert changed[-1] == "anew", name
                assert set(changed) <= {"kind", "method", "anew"}, name
            elif name == "no inverse dynamics":  # which cannot go first either
                assert changed == ["weights", "joins"]
            else:
                assert len(changed) == 1, name


def test_a_row_has_what_the_table_tells(tmp_path):
    setting = replace(QUICK, tasks=1, horizon=5)
    row = measure(variants()["VICReg"], WORLDS["clean"], 0, setting, tmp_path)
    row |= {"method": "VICReg", "world": "clean", "seed": 0}
    assert row["n"] == 1
    assert row["probe_floor_px"] > 10
    assert len(row["open_loop_px"]) == setting.horizon
    text = sections.representation({"rows": [row], "command": "made"})
    assert "| VICReg |" in text.replace(" (collapsed: 1 of 1)", "")
