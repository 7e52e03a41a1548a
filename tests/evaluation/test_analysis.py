import math

import numpy as np
import pytest
import torch

from telos.data import collect
from telos.errors import TelosError, UnknownName, WorldError
from telos.evaluation import Across, Analysis, analyse, landscapes, open_loop, probe
from telos.evaluation.analysis import describe
from telos.evaluation.oracle import Oracle
from telos.evaluation.probes import ridge, small_mlp
from telos.reports import gather
from telos.reports.page import render
from telos.types import Reading
from telos.worlds import Rooms
from telos.worlds.checked import Checked


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return collect(Rooms(num=10), tmp_path_factory.mktemp("data") / "s", episodes=40, seed=5, length=24)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_ridge_finds_an_affine_map():
    states = torch.randn(200, 6, generator=seeded())
    weight = torch.randn(6, 2, generator=seeded(1))
    found = ridge(states, states @ weight + 3.0, penalty=1e-9)
    torch.testing.assert_close(found(states), states @ weight + 3.0, atol=1e-4, rtol=1e-4)


def test_the_small_network_finds_what_a_linear_probe_cannot():
    states = torch.randn(600, 3, generator=seeded())
    values = states.prod(1, keepdim=True).tanh()
    linear = (ridge(states, values)(states) - values).square().mean()
    bent = (small_mlp(states, values, generator=seeded())(states) - values).square().mean()
    assert bent < 0.2 * linear


def test_probes_find_a_position_that_the_state_holds(store):
    found = {each.method: each for each in probe(Oracle(), store, generator=seeded(), labels=300, frames=50)}
    assert found["linear"].error < 0.1
    assert found["constant"].error > 10
    assert found["readout"].labels == 7
    assert (found["linear"].labels, found["linear"].frames, found["linear"].unit) == (300, 50, "px")


def test_probes_do_not_find_what_the_state_lacks(store):
    found = {each.method: each for each in probe(Oracle(sees=False), store, generator=seeded(), labels=300)}
    assert found["linear"].error > 0.8 * found["constant"].error
    assert found["mlp"].error > 0.8 * found["constant"].error


def test_probes_do_not_look_at_the_scene(store):
    class Swapped(Oracle):
        def encode(self, observation):
            return super().encode(observation).roll(2, -1)

    found = {each.method: each for each in probe(Swapped(), store, generator=seeded(), labels=300)}
    assert found["linear"].error > 0.8 * found["constant"].error


def test_open_loop_error_of_the_true_dynamics_is_small(store):
    found = open_loop(Oracle(), store, generator=seeded(), horizon=5, windows=64)
    assert found.horizon == 5
    assert max(found.state.predicted) < 0.01
    assert max(found.readings["agent_xy"].predicted) < 1.0
    assert found.readings["agent_xy"].unchanged[-1] > 5 * found.readings["agent_xy"].predicted[-1]


def test_a_few_paths_are_kept_from_the_present_on(store):
    found = open_loop(Oracle(), store, generator=seeded(), horizon=5, windows=64).paths["agent_xy"]
    came, foreseen = (np.array([getattr(path, name) for path in found]) for name in ("came", "foreseen"))
    assert came.shape == foreseen.shape == (3, 6, 2)
    np.testing.assert_allclose(foreseen, came, atol=1.5)
    assert np.abs(came[:, -1] - came[:, 0]).max() > 5  # px: something went somewhere


def test_the_spectrum_is_the_share_of_variance_in_each_principal_direction(store):
    class Thrice(Oracle):  # one number of three times the other's deviation, and their sum
        def moving(self, states):
            turned = super().moving(states) * torch.tensor([3.0, 1.0])
            return torch.stack([turned[..., 0] + turned[..., 1], turned[..., 0] - turned[..., 1]], -1)

        def imagine(self, state, blocks):
            shape = (len(state), blocks.shape[1], 1, blocks.shape[2] + 1, 2)
            return self.moving(state)[:, None, None, None].expand(shape)

    plain = open_loop(Oracle(), store, generator=seeded(), horizon=3, windows=256).spectrum
    found = open_loop(Thrice(), store, generator=seeded(), horizon=3, windows=256).spectrum
    assert sum(found) == pytest.approx(1)
    assert len(found) == 2
    assert found[0] > plain[0]
    assert found[0] == pytest.approx(0.9, abs=0.05)


def test_a_model_that_never_moves_is_as_good_as_no_change(store):
    class Still(Oracle):
        def imagine(self, state, blocks):
            shape = (len(state), blocks.shape[1], 1, blocks.shape[2] + 1, 2)
            return self.moving(state)[:, None, None, None].expand(shape)

    found = open_loop(Still(), store, generator=seeded(), horizon=4, windows=32)
    assert found.state.predicted == pytest.approx(found.state.unchanged)


def test_the_horizon_ends_with_the_episodes(store):
    assert open_loop(Oracle(), store, generator=seeded(), horizon=99, windows=4).horizon == 6


def test_the_landscape_is_lowest_at_the_goal_and_violated_in_the_zone():
    world = Rooms(num=2)
    seeds = Across().seeds(world, 1, 2)
    world.reset(seeds, split="heldout", task=True)
    held = Across().guardrails(Oracle(), world, seeds)
    for found in landscapes(Oracle(), world, seeds, guardrails=held, generator=seeded(), spacing=2.0):
        lowest = found.places[found.energy.argmin()]
        assert np.linalg.norm(lowest - found.goal) < 2
        deepest = found.places[found.violation.argmax()]
        zone = found.zones[0]
        xs = np.linspace(*zone.extent[:2], zone.violation.shape[1])
        ys = np.linspace(*zone.extent[2:], zone.violation.shape[0])
        row, column = np.unravel_index(zone.violation.argmax(), zone.violation.shape)
        assert np.linalg.norm(deepest - [xs[column], ys[row]]) < 3


def test_a_world_without_tasks_has_no_landscapes(store):
    found = analyse(Oracle(), store, world="telos/Orbits-v0", horizon=3)
    assert found.landscapes == ()
    assert found.open_loop.horizon == 3


def test_nothing_held_out_leaves_out_probes_and_prediction_with_the_reason(tmp_path):
    store = collect(Rooms(num=1), tmp_path / "s", episodes=1, seed=5, length=24)
    found = analyse(Oracle(), store, goals=1)
    assert (found.probes, found.open_loop) == ((), None)
    assert set(found.missing) == {"probes", "open_loop"}
    assert "no held-out episodes to probe on" in found.missing["probes"]
    assert "no held-out episodes to predict" in found.missing["open_loop"]
    assert found.landscapes
    found.save(tmp_path)
    assert Analysis.load(tmp_path).missing == found.missing


def test_episodes_too_short_to_predict_leave_prediction_out(tmp_path):
    store = collect(Rooms(num=10), tmp_path / "s", episodes=40, seed=5, length=3)
    found = analyse(Oracle(), store, goals=1)
    assert "must have at least 5 frames" in found.missing.pop("open_loop")
    assert found.missing == {}
    assert found.probes


def test_a_store_whose_world_is_not_here_has_no_landscapes_unless_one_is_given(tmp_path):
    world = Checked(Rooms(num=10), id="gone_from_here:World")
    store = collect(world, tmp_path / "s", episodes=40, seed=5, length=12)
    found = analyse(Oracle(), store, goals=1)
    assert found.landscapes == ()
    assert "There is no module gone_from_here" in found.missing["landscapes"]
    assert analyse(Oracle(), store, goals=1, world="telos/TwoRooms-v0").landscapes
    with pytest.raises(WorldError, match="gone_from_here"):
        analyse(Oracle(), store, world="gone_from_here:World")
    with pytest.raises(UnknownName, match="Did you mean across"):
        analyse(Oracle(), store, guardrail="acros")


def test_readings_without_end_are_covered_as_far_as_they_went(store, tmp_path):
    class Endless(Rooms):
        def __init__(self, num):
            super().__init__(num=num)
            self.readings = {"agent_xy": Reading(2, "px", (-math.inf, 0.0), (math.inf, math.inf))}

    endless = collect(Endless(10), tmp_path / "s", episodes=40, seed=5, length=24)
    found, (xs, ys) = describe(endless).coverage[0], store.table("reading.agent_xy").T  # of the same episodes
    assert found.extent == pytest.approx((xs.min(), xs.max(), 0, ys.max()))
    assert found.counts.sum() == endless.num_frames
    analyse(Oracle(), endless, goals=1).save(tmp_path)
    assert "Where agent_xy has been" in render(gather(tmp_path))


def test_an_analysis_is_kept_in_a_folder(store, tmp_path):
    told = []
    found = analyse(
        Oracle(), store, goals=1, horizon=3, guardrail=Across(), progress=lambda *news: told.append(news[1])
    )
    found.save(tmp_path / "a")
    loaded = Analysis.load(tmp_path / "a")
    assert told == [0, 1, 2, 3, 4]
    assert loaded.probes == found.probes
    assert loaded.open_loop == found.open_loop
    assert loaded.data.frames == 40 * 25 == loaded.data.coverage[0].counts.sum()
    np.testing.assert_array_equal(loaded.landscapes[0].energy, found.landscapes[0].energy)
    assert loaded.landscapes[0].zones


def test_a_missing_analysis_says_what_to_do(tmp_path):
    with pytest.raises(TelosError, match="Evaluate again"):
        Analysis.load(tmp_path)
