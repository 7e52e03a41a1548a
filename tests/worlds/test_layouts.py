import numpy as np
import pytest

from telos.worlds.layouts import BORDER, DOOR_HALF, FourRooms, TwoRooms, heldout, px
from telos.worlds.painting import DOT_COLOUR, WALL_COLOUR, background, paint_dots


def test_one_layout_in_five_is_held_out_for_good():
    sides = [heldout(layout) for layout in range(1125)]
    assert 0.16 < np.mean(sides) < 0.24
    assert [layout for layout in range(30) if sides[layout]] == [0, 1, 2, 13, 16, 18, 29]


def test_two_rooms_layouts_are_numbered_by_wall_and_door():
    floor = TwoRooms.floor(3 * 45 + 7)
    np.testing.assert_allclose(floor.doors, [[px(23), px(17)]])
    with pytest.raises(ValueError, match="layout must be in"):
        TwoRooms.floor(1125)


def test_the_scaled_geometry_is_that_of_the_65_px_original():
    np.testing.assert_allclose((BORDER + 0.5) * 65 / 64 - 0.5, [4, 4, 60, 60])
    floor = TwoRooms.floor(0)
    np.testing.assert_allclose((floor.walls[:, [0, 2]] + 0.5) * 65 / 64 - 0.5, [[19, 21]] * 2)
    assert floor.walls[1, 1] - floor.walls[0, 3] == pytest.approx(2 * DOOR_HALF)


def test_the_doors_of_four_rooms_keep_clear_of_the_crossing_and_the_border():
    rng = np.random.default_rng(0)
    for _ in range(200):
        floor = FourRooms.floor(FourRooms().draw(rng))
        crossing = np.array([floor.doors[0, 0], floor.doors[2, 1]])
        assert np.abs(floor.doors - crossing).max(axis=-1).min() > DOOR_HALF + 2.0
        assert (floor.doors > BORDER[:2] + DOOR_HALF).all()
        assert (floor.doors < BORDER[2:] - DOOR_HALF).all()


def test_a_number_that_four_rooms_does_not_draw_is_refused():
    with pytest.raises(ValueError, match="layout must be a number that FourRooms draws"):
        FourRooms.floor(12)


def test_walls_are_painted_where_they_stop_the_dot():
    floor = TwoRooms.floor(12 * 45 + 20)
    image = background(floor)
    x, y = np.rint(floor.doors[0]).astype(int)
    np.testing.assert_array_equal(image[y + 15, x], WALL_COLOUR)
    assert (image[y - 2 : y + 3, x] == image[20, 10]).all()


@pytest.mark.parametrize("place", [(4.0, 4.0), (30.3, 41.8), (59.0, 59.0)])
def test_the_dot_is_a_gaussian_at_its_place(place):
    empty = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    frame = paint_dots(empty, np.array([place]))[0]
    y, x = np.mgrid[:64, :64]
    std = 1.3 * 64 / 65
    blob = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * std**2))
    np.testing.assert_allclose(frame, blob[..., None] * DOT_COLOUR, atol=0.51)
