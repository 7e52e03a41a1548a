import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from telos.evaluation import Foretold, ImaginedPlan, Zone
from telos.reports import gather, save_filmstrip, save_landscape
from telos.reports.charts import Line, line_chart
from telos.reports.episodes import imagined_frames
from telos.reports.maps import Plane, foretold_map, zone_outline
from telos.reports.markup import Bar, bars, number, percent
from telos.reports.pictures import animation, beside, png


def opened(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1])))


def test_pixels_survive_in_pictures_and_animations():
    frames = np.random.default_rng(0).integers(0, 255, (4, 8, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(opened(png(frames[0]))), frames[0])
    moving = opened(animation([*frames]))
    assert moving.n_frames == 4
    moving.seek(2)
    np.testing.assert_array_equal(np.asarray(moving.convert("RGB")), frames[2])


def test_animations_do_without_webp(monkeypatch):
    monkeypatch.setattr("telos.reports.pictures.features.check", lambda name: False)
    address = animation([np.full((4, 4, 3), level, np.uint8) for level in (0, 90, 200)])
    assert address.startswith("data:image/png")
    assert opened(address).n_frames == 3


def test_a_path_in_space_is_drawn_in_its_own_plane():
    turn = np.linspace(0, np.pi, 9)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    way = np.stack([np.cos(turn), np.sin(turn), 0 * turn], -1) @ basis + 5.0
    svg = foretold_map(Foretold(tuple(map(tuple, way + 0.01)), tuple(map(tuple, way))))
    came, foreseen = (
        np.array([point.split(",") for point in points.split()], float)
        for points in re.findall(r'points="([^"]*)"', svg)
    )
    assert np.ptp(came, axis=0).max() == pytest.approx(2 * np.ptp(came, axis=0).min(), rel=0.02)
    assert np.abs(came - foreseen).max() < 1
    assert came.min() > 0
    assert came.max() < 64


def test_grey_frames_are_pictures_too():
    assert opened(png(np.zeros((4, 5, 1), np.uint8))).size == (5, 4)


def test_panels_lie_beside_each_other_above_their_progress():
    picture = beside([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)], progress=0.5)
    assert picture.shape == (6, 12, 3)
    assert (picture[:4, 8:] == 255).all()
    assert (picture[5, 8:10] == picture[5, 8]).all()
    assert (picture[5, 10:] != picture[5, 8]).any()


def test_a_chart_goes_through_its_points():
    svg = line_chart([Line("a", np.array([0.0, 1, 2]), np.array([0.0, 5, 10]))], x_name="x", from_zero=True)
    points = np.array(re.search(r'points="([^"]+)"', svg)[1].replace(",", " ").split(), float).reshape(3, 2)
    steps = np.diff(points, axis=0)
    np.testing.assert_allclose(steps[0], steps[1], atol=0.11)
    assert steps[0, 0] > 0 > steps[0, 1]


@pytest.mark.parametrize("values", [[np.nan, np.nan], [], [np.inf]])
def test_a_chart_of_nothing_is_a_sentence(values):
    assert "No finite values" in line_chart([Line("a", np.arange(len(values)), np.array(values))], x_name="x")


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0], [0.0, 0.0], [-1e-9, 1e9], [1e-8, 1.0]])
def test_a_chart_of_odd_values_has_finite_places(values):
    lines = [Line("a", np.arange(len(values)), np.array(values))]
    for log in (False, True):
        assert not re.search("nan|inf", line_chart(lines, x_name="x", log=log).replace("infinite", ""))


def test_bars_stay_inside_their_track():
    widths = re.findall(r"width:([\d.]+)%", bars([Bar("a", 1.7, (0.5, 3.0)), Bar("b", -0.2)]))
    assert all(0 <= float(width) <= 100 for width in widths)


def test_numbers_are_short():
    assert percent(1.0) == "100\u202f%"
    assert percent(0.975) == "97.5\u202f%"
    assert number(12288) == "12\u202f288"
    assert number(0.01642, "s") == "0.0164\u202fs"
    assert number(None) == number(float("nan")) == "–"


def test_the_outline_of_a_disc_is_its_circle():
    xs = np.linspace(0, 10, 64)
    distance = np.hypot(*np.meshgrid(xs - 4, xs - 6))
    (border,) = zone_outline(Zone("xy", (0, 10, 0, 10), 2 - distance))
    np.testing.assert_allclose(np.hypot(*(border - [4, 6]).T), 2, atol=0.02)


def test_a_zone_at_the_edge_is_closed():
    xs = np.linspace(0, 10, 32)
    half = np.broadcast_to(xs - 5, (32, 32))
    (border,) = zone_outline(Zone("xy", (0, 10, 0, 10), half))
    np.testing.assert_allclose(border[0], border[-1])
    assert border[:, 0].min() == pytest.approx(5, abs=0.1)


def test_maps_turn_upwards_unless_readings_are_pixels():
    frame = np.zeros((64, 64, 3), np.uint8)
    np.testing.assert_allclose(Plane.of_frame(frame).place(np.array([0.0, 10.0])), [0.5, 10.5])
    metres = Plane.around(np.array([[-1.0, -1.0], [1.0, 1.0]]))
    assert metres.place(np.array([0.0, 1.0]))[1] < metres.place(np.array([0.0, -1.0]))[1]


def test_each_imagined_future_is_followed_to_its_end():
    def plan(step, level):
        frames = np.full((3, 2, 2, 3), level, np.uint8)
        return ImaginedPlan(step, 4, "solved", False, 0.0, None, np.zeros(1), {}, frames)

    dreams = imagined_frames([plan(0, 10), plan(8, 20)], 14)
    assert {step: (int(frame[0, 0, 0]), part) for step, (frame, part) in dreams.items()} == {
        0: (10, 0.0),
        4: (10, 0.5),
        8: (10, 1.0),
        12: (20, 0.5),
    }


def test_figures_for_documents_are_pictures(run_folder, tmp_path):
    found = gather(run_folder)
    save_filmstrip(found.evaluation.recordings[0], tmp_path / "film.png")
    save_landscape(found.analysis.landscapes[0], tmp_path / "energy.png")
    for name in ("film", "energy"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 300
