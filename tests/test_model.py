"""The model: encode, imagine, and a checkpoint that says what is wrong with it."""

import errno
import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from telos.errors import CheckpointError, UnknownName
from telos.model import Model, ModelConfig
from telos.perception import Features, Keypoints, Residual, Tracks
from telos.types import ActionSpace, Observation, Reading
from telos.world_model import Glimpse, Recurrent

CONFIG = ModelConfig(
    world="test/World",
    frame_shape=(16, 16, 3),
    action_space=ActionSpace((-2.0, -4.0), (2.0, 4.0), block=3),
    frames=2,
    perception=Keypoints(scene_channels=1),
    predictor=Glimpse(hidden=16),
    readings={"agent_xy": Reading(2, "px")},
)
MOVING, PERCEIVED = 8, 8 + 1 * 8 * 8  # two keypoints and their steps; with the scene


def new_model(seed=0, *, heads=True, **changes):
    """A model whose predictors do something, as if it were trained."""
    torch.manual_seed(seed)
    model = Model(replace(CONFIG, **changes))
    for value in model.predictors.parameters():
        torch.nn.init.normal_(value, std=0.2)
    if heads:
        model.add_readout("agent_xy")
        model.add_decoder()
    return model.eval()


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


def observation(batch=3):
    generator = torch.Generator().manual_seed(2)
    return Observation(torch.randint(256, (batch, 2, 3, 16, 16), dtype=torch.uint8, generator=generator))


@pytest.mark.usefixtures("single_precision")
def test_a_perceived_state_is_what_moves_and_then_the_scene():
    model = new_model()
    states = model.encode(observation())
    moving, scene = model.encoder(observation().pixels.flatten(1, 2))
    assert states.shape == (3, PERCEIVED)
    assert model.config.state_size == MOVING
    assert torch.equal(model.moving(states), moving)
    assert torch.equal(model.scene(states), scene)
    assert torch.equal(model.moving(moving), moving)


VIDEO_MODELS = {
    "keypoints": {"frames": 3},
    "features": {"frames": 2, "perception": Features(3)},
    "apart": {"frames": 3, "spacing": 4, "perception": Tracks(5)},
}


@pytest.mark.parametrize("kind", VIDEO_MODELS)
def test_a_video_is_encoded_as_its_stacks_are(kind, single_precision, monkeypatch):
    model = new_model(heads=False, **VIDEO_MODELS[kind])
    monkeypatch.setattr("telos.model._TOGETHER", 7)
    video = torch.randint(256, (30, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    look, spacing = model.config.look, model.config.spacing
    stacks = torch.stack([video[last - look + 1 : last + 1 : spacing] for last in range(look - 1, 30)])
    assert torch.allclose(model.encode_video(video), model.encode(Observation(stacks)), atol=1e-5)
    with pytest.raises(ValueError, match=f"at least {look}"):
        model.encode_video(video[: look - 1])


def test_frames_are_apart_only_where_they_are_perceived_together():
    assert replace(CONFIG, spacing=4, perception=Tracks()).look == 5
    with pytest.raises(ValueError, match=r"spacing must be 1.*got 4 with Keypoints"):
        replace(CONFIG, spacing=4)


def test_without_scene_channels_a_perceived_state_is_what_moves():
    model = new_model(perception=Keypoints(scene_channels=0))
    states = model.encode(observation())
    assert states.shape == (3, MOVING)
    assert model.scene(states) is None
    assert model.rollout(states, noise(3, 2, 4, 2)).states.shape == (3, 2, 1, 5, MOVING)
    assert model.decode(states).shape == (3, 16, 16, 3)


def test_rollout_is_a_slow_loop_over_held_actions(single_precision):
    model = new_model()
    state, actions = noise(2, PERCEIVED), noise(2, 4, 3, 2)
    imagined = model.rollout(state, actions)
    assert imagined.states.shape == (2, 4, 1, 4, MOVING)
    expected, scene = state[1:2, None, :MOVING], state[1:2, MOVING:].reshape(1, 1, 8, 8)
    assert torch.equal(imagined.states[1, 2, 0, 0], expected[0, 0])
    for step in range(3):
        for _ in range(3):
            expected = model.predictor.step(expected, actions[1:2, 2:3, step], scene)
    assert torch.allclose(imagined.states[1, 2, 0, -1], expected[0, 0], atol=1e-6)


def test_free_actions_are_imagined_as_they_are(single_precision):
    model = new_model()
    state, blocks = noise(2, PERCEIVED), noise(2, 4, 5, 6)
    expected, scene = state[:, None, :MOVING].expand(2, 4, -1), state[:, MOVING:].reshape(2, 1, 8, 8)
    for action in blocks.reshape(2, 4, 15, 2).unbind(2):
        expected = model.predictor.step(expected, action, scene)
    assert torch.allclose(model.imagine(state, blocks)[:, :, 0, -1], expected, atol=1e-5)


def test_each_predictor_of_an_ensemble_imagines_a_future_of_its_own(single_precision):
    model = new_model(ensemble=2)
    state, blocks = noise(2, PERCEIVED), noise(2, 3, 4, 6)
    both = model.imagine(state, blocks)
    assert both.shape == (2, 3, 2, 5, MOVING)
    model.predictors = model.predictors[1:]
    assert torch.allclose(both[:, :, 1:], model.imagine(state, blocks), atol=1e-6)
    assert not torch.allclose(both[:, :, 0], both[:, :, 1], atol=1e-3)


def test_to_resume_is_to_continue_a_rollout_each_future_by_its_own_predictor(single_precision):
    model = new_model(ensemble=2)
    state, actions = noise(3, PERCEIVED), noise(3, 2, 4, 2)
    whole = model.rollout(state, actions).states
    rest = model.resume(state, whole[:, :, :, 2], actions[:, :, 2:])
    assert torch.equal(rest.actions, actions[:, :, 2:])
    assert torch.allclose(rest.states, whole[:, :, :, 2:], atol=1e-6)
    assert not torch.allclose(rest.states[:, :, 0], rest.states[:, :, 1], atol=1e-3)


def test_rollout_of_a_problem_does_not_depend_on_the_others(single_precision):
    model = new_model()
    state, actions = noise(3, PERCEIVED), noise(3, 2, 4, 2)
    alone = model.rollout(state[1:2], actions[1:2]).states
    assert torch.allclose(model.rollout(state, actions).states[1:2], alone, atol=1e-6)


def test_the_energy_of_a_rollout_has_the_gradient_of_finite_differences(single_precision):
    model = new_model().double().requires_grad_(False)
    state, goal = noise(1, PERCEIVED, dtype=torch.float64), noise(MOVING, dtype=torch.float64)

    def energy(actions):
        return (model.rollout(state, actions).states[..., 1:, :] - goal).square().sum()

    assert torch.autograd.gradcheck(energy, (noise(1, 2, 2, 2, dtype=torch.float64).requires_grad_(),))


def test_actions_at_their_bounds_reach_the_network_as_one():
    assert new_model().predictor.action_scale.tolist() == [0.5, 0.25]


def test_a_reading_is_of_what_moves():
    model, states = new_model(), noise(3, PERCEIVED)
    assert torch.equal(model.read("agent_xy", states), model.read("agent_xy", model.moving(states)))
    assert torch.equal(model.read("agent_xy", states), model.readouts["agent_xy"](states[:, :MOVING]))


def test_pixels_of_the_wrong_shape_are_an_error_that_says_which_is_right():
    with pytest.raises(ValueError, match=r"\[2, 3, 16, 16\]; got \[1, 1, 3, 16, 16\]"):
        new_model().encode(Observation(torch.zeros(1, 1, 3, 16, 16, dtype=torch.uint8)))


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_pictures_have_the_leading_shape_of_their_states(shape):
    pictures = new_model().decode(noise(*shape, PERCEIVED))
    assert pictures.shape == (*shape, 16, 16, 3)
    assert pictures.dtype == torch.uint8


@pytest.mark.usefixtures("single_precision")
def test_imagined_states_are_drawn_in_the_scene_that_was_perceived():
    model, imagined = new_model(), noise(2, 3, MOVING)
    perceived, other = 3 * noise(2, PERCEIVED)
    whole = torch.cat([imagined, perceived[MOVING:].expand(2, 3, -1)], dim=-1)
    pictures = model.decode(imagined, perceived=perceived)
    assert pictures.shape == (2, 3, 16, 16, 3)
    assert torch.equal(pictures, model.decode(whole))
    drawn = model.decoder(imagined[1, 2:], perceived[MOVING:].reshape(1, 1, 8, 8))[0].float().clamp(0, 1)
    assert (pictures[1, 2].permute(2, 0, 1) - 255 * drawn).abs().max() <= 1
    assert not torch.equal(pictures, model.decode(imagined, perceived=other))


def test_what_is_not_there_is_named():
    model = new_model(heads=False)
    with pytest.raises(UnknownName, match="no readout called 'agent_xy'"):
        model.read("agent_xy", noise(1, MOVING))
    with pytest.raises(UnknownName, match="Did you mean agent_xy"):
        model.add_readout("agent_x")
    with pytest.raises(ValueError, match="no decoder"):
        model.decode(noise(1, PERCEIVED))


@pytest.mark.parametrize(
    "change",
    [
        lambda: Keypoints(0),
        lambda: Keypoints(scene_channels=-1),
        lambda: Features(0),
        lambda: Residual(0),
        lambda: Glimpse(span=0.0),
        lambda: replace(CONFIG, frames=0),
    ],
)
def test_impossible_sizes_are_refused(change):
    with pytest.raises(ValueError, match=r"must be .*; got"):
        change()


def test_impossible_kinds_are_refused():
    with pytest.raises(UnknownName, match="Did you mean mean"):
        replace(CONFIG, recovered="means")


@pytest.mark.parametrize("parts", [(Features(5), Glimpse()), (Residual(5, (4, 8), 1), Recurrent())])
def test_a_model_without_a_scene_imagines_and_is_loaded_as_it_was_saved(tmp_path, parts):
    model = new_model(perception=parts[0], predictor=parts[1])
    states = model.encode(observation())
    assert states.shape == (3, 10) == (3, model.config.state_size)
    assert model.rollout(states, noise(3, 4, 2, model.config.action_space.size)).states.shape == (
        3,
        4,
        1,
        3,
        10,
    )
    model.save(tmp_path)
    assert torch.equal(Model.load(tmp_path).encode(observation()), states)


@pytest.fixture
def saved(tmp_path):
    new_model().save(tmp_path / "model", provenance={"seed": 3})
    return tmp_path / "model"


def outputs(model):
    with torch.no_grad():
        states = model.encode(observation())
        imagined = model.rollout(states, noise(3, 2, 2, 2)).states
        return [states, imagined, model.read("agent_xy", states), model.decode(states)]


def test_a_loaded_model_gives_the_same_outputs(saved):
    loaded = Model.load(saved)
    assert loaded.config == CONFIG
    pairs = zip(outputs(new_model()), outputs(loaded), strict=True)
    assert all(torch.equal(before, after) for before, after in pairs)


def test_a_checkpoint_without_heads_loads_without_heads(tmp_path):
    new_model(heads=False).save(tmp_path)
    loaded = Model.load(tmp_path)
    assert loaded.decoder is None
    assert len(loaded.readouts) == 0


def edit(saved, **changes):
    path = saved / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder):
    """What loading the checkpoint says; it must not load."""
    with pytest.raises(CheckpointError) as caught:
        Model.load(folder)
    return str(caught.value)


@pytest.mark.parametrize("version", [1, 99])
def test_a_checkpoint_of_another_version_says_so(saved, version):
    edit(saved, version=version)
    said = refusal(saved)
    assert f"version {version}" in said
    assert "Train again" in said


def test_an_unknown_setting_names_the_near_ones(saved):
    edit(saved, model=json.loads((saved / "config.json").read_text())["model"] | {"esnemble": 4})
    said = refusal(saved)
    assert str(saved) in said
    assert "called 'esnemble'. Did you mean ensemble" in said


@pytest.mark.parametrize("changes", [{"format": "other"}, {"model": []}, {"model": {"readings": []}}])
def test_a_folder_that_holds_something_else_is_not_a_checkpoint(saved, changes):
    edit(saved, **changes)
    assert str(saved) in refusal(saved)


def test_a_missing_folder_says_which_one_to_give(tmp_path):
    said = refusal(tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'} is not a telos checkpoint: it has no config.json" in said
    assert "telos train" in said


def test_missing_weights_are_named(saved):
    (saved / "model.safetensors").unlink()
    said = refusal(saved)
    assert str(saved / "model.safetensors") in said
    assert "Copy it again" in said


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_truncated_file_is_an_error_that_says_what_to_do(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) // 2])
    said = refusal(saved)
    assert str(saved) in said
    assert "again" in said


def test_weights_of_another_architecture_do_not_load(saved):
    torch.manual_seed(0)
    other = Model(replace(CONFIG, perception=Keypoints(3, scene_channels=1))).state_dict()
    safetensors.torch.save_file({k: v.contiguous() for k, v in other.items()}, saved / "model.safetensors")
    said = refusal(saved)
    assert str(saved) in said
    assert "size mismatch" in said


def no_space(*arguments, **settings):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["safetensors.torch.save_file", "telos.checkpoint.sync"])
@pytest.mark.parametrize("heads", [True, False])
def test_a_full_disk_leaves_the_old_checkpoint(saved, monkeypatch, where, heads):
    monkeypatch.setattr(where, no_space)
    with pytest.raises(CheckpointError, match=r"model could not be written .*No space left.*Free some space"):
        new_model(seed=1, heads=heads).save(saved)
    assert torch.equal(outputs(Model.load(saved))[0], outputs(new_model())[0])
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]


def test_saving_over_a_damaged_checkpoint_repairs_it(saved):
    (saved / "config.json").write_text("{")
    new_model(seed=1).save(saved)
    assert torch.equal(outputs(Model.load(saved))[0], outputs(new_model(seed=1))[0])
