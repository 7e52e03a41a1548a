import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.cost import Box, Disc, Union

torch.set_num_threads(1)
points_in_the_plane = st.tuples(st.floats(-3, 3), st.floats(-3, 3))


def border_of_box(low, high, count=400):
    """Points all around the border of a box in the plane."""
    share = torch.linspace(0, 1, count, dtype=torch.float64)
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    xs, ys = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
    sides = [(xs, ys * 0 + y0), (xs, ys * 0 + y1), (xs * 0 + x0, ys), (xs * 0 + x1, ys)]
    return torch.cat([torch.stack(side, -1) for side in sides])


@settings(max_examples=60, deadline=None)
@given(points_in_the_plane, points_in_the_plane, points_in_the_plane)
def test_box_distance_is_that_to_the_nearest_border_point(one, other, point):
    corners = torch.tensor([one, other], dtype=torch.float64)
    low, high, at = corners.amin(0), corners.amax(0), torch.tensor(point, dtype=torch.float64)
    border = border_of_box(low, high)
    distance = Box(low, high).signed_distance(at)
    nearest = torch.linalg.vector_norm(border - at, dim=-1).min()
    inside = bool(((at > low) & (at < high)).all())
    assert distance.abs().item() == pytest.approx(nearest.item(), abs=0.01)
    assert distance <= 0 if inside else distance >= 0


@settings(max_examples=60, deadline=None)
@given(points_in_the_plane, st.floats(0.01, 2), points_in_the_plane)
def test_disc_distance_is_that_to_the_nearest_border_point(center, radius, point):
    angle = torch.linspace(0, 2 * math.pi, 2000, dtype=torch.float64)
    border = torch.tensor(center) + radius * torch.stack([angle.cos(), angle.sin()], -1)
    at = torch.tensor(point, dtype=torch.float64)
    distance = Disc(torch.tensor(center, dtype=torch.float64), radius).signed_distance(at)
    assert distance.abs().item() == pytest.approx(
        torch.linalg.vector_norm(border - at, dim=-1).min().item(), abs=0.01
    )
    assert distance.item() == pytest.approx(math.dist(center, point) - radius, abs=1e-9)


@pytest.mark.parametrize("region", [Box((-1.0, -1), (1, 2)), Disc((0.0, 0), 1.5)])
def test_distance_has_the_gradient_of_finite_differences(region):
    points = torch.tensor([[0.3, 0.4], [2.0, 0.1], [2.0, 3.5], [0.2, -1.4]], dtype=torch.float64)
    assert torch.autograd.gradcheck(region.signed_distance, points.requires_grad_())


@pytest.mark.parametrize("region", [Box((0, 0), (2, 2)), Disc((1, 1), 1)])
def test_gradient_is_finite_where_the_distance_has_a_kink(region):
    points = torch.tensor([[1.0, 1], [0, 0], [2, 1]], requires_grad=True)
    region.signed_distance(points).sum().backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()


def test_a_box_with_infinite_bounds_is_a_strip():
    strip = Box((0, -math.inf), (10, math.inf))
    points = torch.tensor([[4.0, 100.0], [13.0, -7.0]], requires_grad=True)
    distance = strip.signed_distance(points)
    distance.sum().backward()
    assert distance.tolist() == [-4, 3]
    assert points.grad is not None
    assert points.grad.tolist() == [[-1, 0], [1, 0]]


def test_regions_of_each_problem_are_those_one_by_one():
    points = torch.randn(3, 5, 4, 2, generator=torch.Generator().manual_seed(0))
    lows = torch.tensor([[0.0, 0], [1, 1], [-1, 0]])
    for many in (Box(lows, lows + 1), Disc(lows, (1.0, 2.0, 0.5)), Disc((0.0, 1.0), (1.0, 2.0, 0.5))):
        index = torch.tensor([2, 0])
        whole = many.signed_distance(points)
        assert torch.equal(many.select(index).signed_distance(points[index]), whole[index])
        for problem in range(3):
            alone = many.select(torch.tensor([problem])).signed_distance(points[[problem]])
            assert torch.equal(alone[0], whole[problem])


def test_a_region_does_not_follow_the_tensor_it_was_made_of():
    low = torch.zeros(2)
    box = Box(low, torch.ones(2))
    low += 100
    assert box.low.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box((2, 0), (1, 1)), "low must not exceed high"),
        (lambda: Box((0, 0), (1, 1, 1)), "same shape"),
        (lambda: Box((0, math.nan), (1, 1)), "NaN"),
        (lambda: Box((-math.inf,), (math.inf,)), "every point"),
        (lambda: Disc((0, 0), -1), "at least 0"),
        (lambda: Disc((0, math.inf), 1), "finite"),
        (lambda: Disc(torch.zeros(3, 2), (1.0, 2.0)), "agree on B"),
        (lambda: Box(torch.zeros(3, 2), torch.ones(3, 2)).signed_distance(torch.zeros(2, 2)), "per problem"),
    ],
)
def test_a_wrong_region_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_union_is_as_near_as_its_nearest_region_and_selects_each():
    boxes = Box(torch.zeros(2, 2), torch.ones(2, 2))
    both = Union(boxes, Disc(torch.tensor([[5.0, 0.0], [0.0, 5.0]]), torch.ones(2)))
    points = torch.tensor([[[3.5, 0.0]], [[3.5, 0.0]]])
    assert both.signed_distance(points)[:, 0].tolist() == [0.5, 2.5]
    assert both.select(torch.tensor([1])).signed_distance(points[1:])[0, 0] == 2.5
    with pytest.raises(ValueError, match="all of the same size"):
        Union(Box((0,), (1,)), Disc((0, 0), 1))
