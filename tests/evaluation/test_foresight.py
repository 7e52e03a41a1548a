"""What is read of states, and of imagined ones, beside a slow and independent account."""

import numpy as np
import pytest
import torch

from telos.data import Episode, EpisodeStore, Schema
from telos.evaluation.foresight import foresee, linear_reading, moments, r_squared
from telos.model import Model, ModelConfig
from telos.perception import Tracks
from telos.types import ActionSpace, Reading
from telos.world_model import Glimpse

BLOCK = 3
SCHEMA = Schema((8, 8, 3), ActionSpace((-1.0,), (1.0,)), {"place": Reading(2, "px")})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    random = np.random.default_rng(0)
    with EpisodeStore.create(tmp_path_factory.mktemp("foresight") / "store", SCHEMA) as made:
        for steps in (20, 20, 20, 9):
            made.append(
                [
                    Episode(
                        random.integers(0, 256, (steps + 1, 8, 8, 3), np.uint8),
                        random.uniform(-1, 1, (steps, 1)).astype(np.float32),
                        {"place": random.random((steps + 1, 2), np.float32)},
                    )
                ]
            )
    return made


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = Model(
        ModelConfig(
            world="test",
            frame_shape=(8, 8, 3),
            action_space=ActionSpace((-1.0,), (1.0,), block=BLOCK),
            frames=2,
            spacing=2,
            perception=Tracks(4, places=2),
            predictor=Glimpse(hidden=8),
            recovered="none",
        )
    )
    for value in made.predictors.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return made.eval()


def test_moments_are_the_frames_that_perception_can_look_back_from(store, model):
    known = moments(model, store, [2, 0])
    assert known.first == 2
    assert known.states.shape == (2, 19, 4)
    assert np.array_equal(known.readings["place"][0], store[2].readings["place"][2:])


def test_episodes_of_different_lengths_are_refused(store, model):
    with pytest.raises(ValueError, match=r"of one length.*\[10, 21\]"):
        moments(model, store, [0, 3])


def test_a_linear_reading_of_what_is_linear_is_exact():
    generator = torch.Generator().manual_seed(0)
    states = 5 + torch.randn(300, 4, generator=generator) * torch.tensor([1.0, 10.0, 0.1, 1.0])
    values = states @ torch.randn(4, 2, generator=generator) - 3
    guess = linear_reading(states[:200], values[:200], penalty=1e-9)(states[200:])
    assert torch.allclose(guess, values[200:], atol=1e-3)


def test_r_squared_is_one_when_exact_zero_for_the_mean_and_nan_where_nothing_varies():
    truth = torch.tensor([[[1.0, 0.0, 5.0], [2.0, 1.0, 5.0]], [[4.0, 5.0, 5.0], [5.0, 2.0, 5.0]]])
    mean = truth.mean((0, 1)).expand_as(truth)
    mixed = torch.stack([truth[..., 0], mean[..., 1], truth[..., 2]], -1)
    found = r_squared(mixed, truth)
    assert found[:2].tolist() == [1.0, 0.0]
    assert found[2].isnan()
    expected = np.corrcoef(truth[..., 0].flatten(), truth[..., 1].flatten())[0, 1] ** 2
    fitted = linear_reading(truth[..., :1].flatten(0, 1), truth[..., 1:2].flatten(0, 1), penalty=0.0)
    assert r_squared(fitted(truth[..., :1].flatten(0, 1)), truth[..., 1:2].flatten(0, 1)).item() == (
        pytest.approx(expected, abs=1e-6)
    )


def test_what_is_foreseen_is_a_slow_loop_from_each_start(store, model):
    known = moments(model, store, [0, 1])

    def read(states):
        return states[:, :2] * 2

    found = foresee(model, store, known, read, "place", horizon=4, starts=3)
    assert found.starts == (0, 3, 6)
    assert found.foreseen.shape == found.came.shape == (2, 3, 5, 2)
    for episode, (number, start) in enumerate([(0, 3), (1, 6)]):
        record, row = store[number], found.starts.index(start)
        state = known.states[episode, None, None, start]
        for block in range(5):
            assert torch.allclose(found.foreseen[episode, row, block], read(state[0])[0], atol=0.05)
            step = known.first + start + BLOCK * block
            assert np.array_equal(found.came[episode, row, block], record.readings["place"][step])
            if block < 4:
                taken = torch.from_numpy(record.actions[step : step + BLOCK].flatten())
                with torch.no_grad():
                    state = model.predictor(state, taken[None, None], None)
    expected = (found.foreseen - found.came).square().sum(-1).sqrt()
    assert torch.allclose(found.errors, expected)


@pytest.mark.parametrize("given", [{"horizon": 7}, {"horizon": 0}, {"horizon": 2, "starts": 0}])
def test_a_horizon_that_does_not_fit_is_refused(store, model, given):
    known = moments(model, store, [0])
    with pytest.raises(ValueError, match="horizon must be 1 to 6 blocks of 3 steps"):
        foresee(model, store, known, linear_reading(torch.randn(9, 4), torch.randn(9, 2)), "place", **given)
