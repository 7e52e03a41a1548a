import math

import pytest
import torch

from telos.cost import Box, Disc, parse_goal, parse_region
from telos.errors import UnknownName


def test_a_goal_is_a_reading_and_its_value():
    name, value = parse_goal("agent_xy = 10, 50.5")
    assert name == "agent_xy"
    assert value.tolist() == [10, 50.5]


def test_an_underscore_stands_for_any_value():
    assert torch.equal(parse_goal("agent_xy=_,5")[1].isnan(), torch.tensor([True, False]))


def test_a_box_is_lows_then_highs():
    name, region = parse_region("agent_xy:box:20,30,34,inf")
    assert name == "agent_xy"
    assert isinstance(region, Box)
    assert region.low.tolist() == [20, 30]
    assert region.high.tolist() == [34, math.inf]


def test_a_disc_is_its_center_then_its_radius():
    _, region = parse_region("arm:disc:1,2,3,0.5")
    assert isinstance(region, Disc)
    assert region.center.tolist() == [1, 2, 3]
    assert region.radius == 0.5


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_goal, "agent_xy", "READING=VALUE"),
        (parse_goal, "=1,2", "READING=VALUE"),
        (parse_goal, "agent_xy=1;2", "separated by commas"),
        (parse_goal, "agent_xy=_,_", "at least one value"),
        (parse_goal, "agent_xy=inf,1", "none infinite"),
        (parse_goal, "agent_xy=nan,1", "NaN"),
        (parse_region, "agent_xy:20,30,34,40", "READING:box"),
        (parse_region, "agent_xy:box:1,2,3", "as many lows as highs"),
        (parse_region, "agent_xy:box:5,5,1,1", "low must not exceed"),
        (parse_region, "agent_xy:disc:1", "center and a radius"),
        (parse_region, "agent_xy:disc:1,2,-1", "at least 0"),
        (parse_region, "agent_xy:disc:1,,2", "separated by commas"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(parse, text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_an_unknown_shape_lists_the_near_ones():
    with pytest.raises(UnknownName, match="Did you mean disc"):
        parse_region("agent_xy:disk:1,2,3")
