"""The measurements of the study of six numbers, of a model that knows Kepler's laws and of one that rests."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import telos
from benchmarks.orbit_measures import NUMBERS, floors, measure, pixel_probes
from telos.worlds import Orbits, propagate
from telos.worlds.orbits import QUIET, TIME_STEP

BLOCK = 4


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("orbits")
    return [
        telos.collect(
            Orbits(num=4, nuisances=QUIET),
            folder / split,
            episodes=8,
            seed=seed,
            length=110,
            split=split,
        )
        for seed, split in enumerate(("train", "heldout"))
    ]


class Knows(nn.Module):
    """States are the six numbers of the frames' moments, turned and stretched; imagined by Kepler's laws."""

    def __init__(self, stores, *, moves=True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.moves = moves
        self.turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))[0]
        self.config = SimpleNamespace(look=1, action_space=SimpleNamespace(block=BLOCK))
        episodes = [store[number] for store in stores for number in range(len(store))]
        self.known = {
            record.frames[5].tobytes(): np.concatenate(
                [record.readings[name] for name in ("position", "velocity")], axis=1
            )
            for record in episodes
        }

    def encode_video(self, frames):
        now = self.known[frames[5].permute(1, 2, 0).contiguous().numpy().tobytes()]
        return 3 * torch.from_numpy(now).float() @ self.turn + 1

    def moving(self, states):
        return states

    def imagine(self, states, blocks):
        steps = blocks.shape[2] if self.moves else 0
        now = ((states - 1) @ self.turn.T / 3).double().numpy()[:, None]
        times = np.arange(blocks.shape[2] + 1) * (TIME_STEP * BLOCK if steps else 0.0)
        later = np.concatenate(propagate(now[..., :3], now[..., 3:], times[None]), axis=-1)
        return (3 * torch.from_numpy(later).float() @ self.turn + 1)[:, None, None]


def test_a_model_that_knows_keplers_laws_reads_all_six_numbers_and_is_never_off(stores):
    found = measure(Knows(stores), *stores, labelled=6)
    assert list(found["r2"]) == list(NUMBERS)
    assert found["mean_r2"] > 0.999
    assert found["horizon"] == list(range(0, 101, 4))
    assert max(found["error"]) < 0.02
    assert found["error_100"] == found["error"][-1]
    assert np.median(found["orbits_100"]) == pytest.approx(found["error_100"], rel=1e-5)
    assert max(found["kepler"]) < 0.02
    assert sum(found["spectrum"]) == pytest.approx(1)
    np.testing.assert_allclose(found["foreseen"], found["came"], atol=0.02)


def test_a_model_that_imagines_no_change_is_as_far_off_as_the_planet_goes(stores):
    found = measure(Knows(stores, moves=False), *stores, labelled=6)
    stays = floors(*stores, look=1, block=BLOCK)["stays"]
    assert found["error"][0] < 0.02
    np.testing.assert_allclose(found["error"], stays, atol=0.03)
    assert found["error"][10] > 0.5


def test_the_star_is_about_a_radius_away(stores):
    assert floors(*stores, look=1, block=BLOCK)["mean place"] == pytest.approx([1.0] * 26, abs=0.3)


def test_pixels_say_something_of_the_six_numbers_and_fewer_components_less(stores):
    found = pixel_probes(*stores, labelled=7, frames=2, spacing=8, sizes=(2, 64))
    pixels, few, many = (found[name]["mean_r2"] for name in found)
    assert pixels > many > few
    assert 0 < pixels <= 1
