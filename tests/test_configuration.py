"""Typed configuration to JSON and back."""

import json
from dataclasses import dataclass, field, replace

import pytest

from telos.configuration import from_dict, to_dict
from telos.errors import UnknownName
from telos.model import ModelConfig
from telos.training import Heads, Representation
from telos.types import ActionSpace, Reading


@dataclass(frozen=True)
class Inner:
    size: int = 3


@dataclass(frozen=True)
class Other:
    size: int = 4


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None
    pair: tuple[int, str] = (1, "a")
    many: tuple[Inner, ...] = ()
    table: dict[str, Inner] = field(default_factory=dict)
    either: Inner | Other = field(default_factory=Inner)


def through_json(value):
    return from_dict(type(value), json.loads(json.dumps(to_dict(value))))


@pytest.mark.parametrize(
    "value",
    [
        Outer(),
        Outer(either=Other(5)),
        Outer(Inner(5), Inner(6), (2, "b"), (Inner(7), Inner(8)), {"x": Inner(9)}),
        replace(Representation(), horizon=7),
        Heads(labels=3),
        ModelConfig(
            world="w",
            frame_shape=(8, 8, 3),
            action_space=ActionSpace((-1.0,), (1.0,), block=4),
            readings={"xy": Reading(2, "px", (0.0, 0.0), (9.0, 9.0))},
        ),
    ],
)
def test_what_goes_through_json_comes_back_equal(value):
    assert through_json(value) == value


def test_an_unknown_setting_names_the_near_ones_and_where_it_is():
    with pytest.raises(UnknownName, match=r"setting of Outer.inner called 'sise'. Did you mean size"):
        from_dict(Outer, {"inner": {"sise": 4}})


@pytest.mark.parametrize("wrong", [{"size": 3}, {"kind": "Others", "size": 3}, 5])
def test_which_of_several_it_is_must_be_said(wrong):
    with pytest.raises((ValueError, UnknownName), match=r"'kind' \(Inner, Other\)|Did you mean Other"):
        from_dict(Outer, {"either": wrong})


def test_a_setting_that_is_left_out_keeps_its_default():
    assert from_dict(Outer, {"pair": [4, "z"]}) == Outer(pair=(4, "z"))


@pytest.mark.parametrize("wrong", [{"inner": 3}, {"table": [1]}, {"pair": "ab"}, {"pair": [1, "a", 2]}])
def test_a_value_of_the_wrong_form_is_a_value_error(wrong):
    with pytest.raises(ValueError, match=r"must be a|argument"):
        from_dict(Outer, wrong)


def test_to_dict_holds_nothing_of_python():
    assert to_dict(Outer(many=(Inner(1),))) == {
        "inner": {"size": 3},
        "maybe": None,
        "pair": [1, "a"],
        "many": [{"size": 1}],
        "table": {},
        "either": {"kind": "Inner", "size": 3},
    }
