"""Pretrained networks as perception: transformers' own tokens, frozen or not, whole in a checkpoint."""

import json
import sys
from dataclasses import replace

import pytest

transformers = pytest.importorskip("transformers")

import torch  # noqa: E402

from telos.errors import CheckpointError, UnknownName  # noqa: E402
from telos.model import Model, ModelConfig  # noqa: E402
from telos.perception import Pixels, Pretrained, from_pretrained  # noqa: E402
from telos.types import ActionSpace, Observation  # noqa: E402
from telos.world_model import Glimpse, History  # noqa: E402
from tests.perception import networks  # noqa: E402

KINDS = list(networks.SIDE)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    return {kind: networks.save(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture
def dinov2(folders):
    return folders["dinov2"]


def encoder(settings, frames=1, channels=3):
    torch.manual_seed(0)
    return settings.build(channels=channels, image_size=(40, 48), frames=frames).eval()


def tokens(kind, picture):
    """What transformers itself gives of the patches of one prepared picture: `[n, 24]`."""
    model = networks.network(kind)
    with torch.no_grad():
        if kind == "vjepa2":
            return model.get_vision_features(picture[None, None])[0]
        return model(picture[None]).last_hidden_state[0, networks.BEFORE[kind] :]


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_patches_are_those_of_transformers(folders, kind):
    side = networks.SIDE[kind]
    picture = networks.photograph(side, side)
    found = encoder(from_pretrained(folders[kind], pooled="patches"))(networks.pixels(picture))[0]
    expected = tokens(kind, networks.prepared(picture, kind))
    torch.testing.assert_close(found.unflatten(1, (-1, 24))[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_photograph_is_resized_as_pillow_resizes_it(folders, kind):
    picture = networks.photograph()
    found = encoder(from_pretrained(folders[kind])).prepared(networks.pixels(picture))[0]
    away = (found - networks.prepared(picture, kind)) * 255 * torch.tensor(networks.DEVIATION)[:, None, None]
    assert away.abs().max() < 1.01  # one level of 255, where Pillow's integers round the other way
    assert away.abs().mean() < 0.01


def test_a_photograph_has_the_class_token_of_transformers_own_processor_and_model(dinov2):
    picture = networks.photograph()
    processor = transformers.AutoImageProcessor.from_pretrained(dinov2)
    model = transformers.AutoModel.from_pretrained(dinov2).eval()
    with torch.no_grad():
        expected = model(**processor(images=picture, return_tensors="pt")).pooler_output
    found = encoder(from_pretrained(dinov2, pooled="class"))(networks.pixels(picture))[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02 * float(expected.std()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_is_that_of_the_tokens_of_patches(folders, kind):
    one, all_ = (encoder(from_pretrained(folders[kind], pooled=pooled)) for pooled in ("mean", "patches"))
    picture = networks.pixels(networks.photograph())
    assert one.settings.pose_size == 24
    torch.testing.assert_close(one(picture)[0], all_(picture)[0].unflatten(1, (-1, 24)).mean(1))


def test_another_resolution_has_its_own_places(folders):
    """Also where positions are counted by what the configuration says."""
    picture = networks.pixels(networks.photograph())
    for kind, side in (("dinov2", 42), ("dinov3_vit", 48), ("vjepa2", 48)):
        settings = from_pretrained(folders[kind], pooled="patches", resolution=side)
        assert encoder(settings)(picture)[0].shape == (1, 36 * 24) == (1, settings.pose_size)
    assert encoder(settings).network.config.crop_size == 48


def test_a_clip_is_perceived_at_once(folders):
    network, settings = networks.network("vjepa2"), from_pretrained(folders["vjepa2"])
    frames = torch.randint(256, (1, 4, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    four = encoder(settings, frames=4)
    with torch.no_grad():
        expected = network.get_vision_features(four.prepared(frames[0])[None]).mean(1)
        last = network.get_vision_features(four.prepared(frames[0])[None])[:, -16:]
    torch.testing.assert_close(four(frames.flatten(1, 2))[0], expected, rtol=1e-4, atol=1e-4)
    patches = encoder(replace(settings, pooled="patches"), frames=4)(frames.flatten(1, 2))[0]
    torch.testing.assert_close(patches, last.flatten(1), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="multiple of the 2 that vjepa2 sees at once; got 3"):
        encoder(settings, frames=3)


def test_grey_frames_are_seen_as_colours(dinov2):
    grey = networks.pixels(networks.photograph())[:, :1]
    settings = from_pretrained(dinov2)
    torch.testing.assert_close(
        encoder(settings, channels=1)(grey)[0], encoder(settings)(grey.expand(-1, 3, -1, -1))[0]
    )


def test_features_vary_by_one_over_the_sample_and_keep_their_distances(dinov2):
    made, frames = (
        encoder(from_pretrained(dinov2)),
        torch.cat([networks.pixels(networks.photograph(60, 60))] * 8),
    )
    frames = (frames.float() * torch.linspace(0.2, 1, 8)[:, None, None, None]).to(torch.uint8)
    before = made(frames)[0]
    made.standardise_by(frames)
    after = made(frames)[0]
    torch.testing.assert_close(after.mean(0), torch.zeros(24), rtol=0, atol=1e-4)
    torch.testing.assert_close(after.square().mean(), torch.tensor(1.0))
    far, now = torch.cdist(before, before), torch.cdist(after, after)
    torch.testing.assert_close(now / now.max(), far / far.max(), rtol=1e-3, atol=1e-4)


def test_frozen_only_the_head_learns_and_the_network_never_trains(dinov2):
    made = encoder(from_pretrained(dinov2, size=5)).train()
    assert not any(part.training for part in made.network.modules())
    assert made.head.training
    made(networks.pixels(networks.photograph()).repeat(3, 1, 1, 1))[0][0].sum().backward()
    assert {name.split(".")[0] for name, value in made.named_parameters() if value.requires_grad} == {"head"}
    assert all(value.grad is None for value in made.network.parameters())


def test_fine_tuned_the_network_learns_and_a_picture_still_has_one_pose(folders):
    for kind in KINDS:
        made = encoder(from_pretrained(folders[kind], frozen=False)).train()
        picture = networks.pixels(networks.photograph())
        pose = made(picture)[0]
        torch.testing.assert_close(pose, made(picture)[0])
        pose.square().sum().backward()
        idle = {name for name, value in made.named_parameters() if value.grad is None}
        assert idle <= {"network.embeddings.mask_token"}  # masks are for pretraining


def new_model(settings, **changes):
    space = ActionSpace((-1.0,), (1.0,), block=2)
    predictor = changes.pop("predictor", Glimpse(hidden=16))
    config = ModelConfig("test", (40, 48, 3), space, perception=settings, predictor=predictor, **changes)
    torch.manual_seed(0)
    return Model(config).eval()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 5])
def test_a_checkpoint_gives_the_same_outputs_when_the_network_is_gone(tmp_path, kind, size):
    source = tmp_path / "network"
    source.mkdir()
    model = new_model(from_pretrained(networks.save(kind, source), size=size), frames=2)
    frames = torch.randint(256, (3, 2, 3, 40, 48), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    model.encoder.standardise_by(frames.flatten(0, 1))
    model.save(tmp_path / "model")
    for path in source.iterdir():
        path.unlink()
    loaded = Model.load(tmp_path / "model")
    states = model.encode(Observation(frames))
    assert states.shape == (3, model.config.state_size)
    assert torch.equal(loaded.encode(Observation(frames)), states)
    assert torch.equal(*(each.rollout(states, torch.ones(3, 2, 4, 1)).states for each in (model, loaded)))
    assert str(source) not in (tmp_path / "model" / "config.json").read_text()


def published(name):
    """What a weight is called in the files that the networks' authors publish, and in older transformers."""
    for new, old in (
        ("q_proj", "attention.query"),
        ("k_proj", "attention.key"),
        ("v_proj", "attention.value"),
    ):
        name = name.replace(f"encoder.layer.0.attention.{new}", f"encoder.layer.0.attention.{old}")
    name = name.replace("encoder.layer.0.attention.o_proj", "encoder.layer.0.attention.output.dense")
    return name.replace("network.model.layer.", "network.layer.")


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_is_read_whichever_transformers_named_its_weights(folders, kind):
    made = encoder(from_pretrained(folders[kind]))
    weights = {published(name): value + 1 for name, value in made.state_dict().items()}
    made.load_state_dict(weights)
    assert all(torch.equal(value, weights[published(name)]) for name, value in made.state_dict().items())


def test_patches_as_the_state_are_imagined_by_a_predictor_with_as_many_tokens(dinov2):
    settings = from_pretrained(dinov2, pooled="patches", size=3)
    predictor = History(depth=1, heads=2, head_size=4, hidden=8, projection=8, tokens=settings.tokens)
    model = new_model(settings, predictor=predictor, recovered="none")
    states = model.encode(Observation(networks.pixels(networks.photograph(40, 48))[None]))
    assert model.rollout(states, torch.ones(1, 2, 4, 1)).states.shape == (1, 2, 1, 5, 16 * 3)
    with pytest.raises(ValueError, match="tokens must divide the size of a state, 48; got 7"):
        new_model(settings, predictor=replace(predictor, tokens=7))


def test_without_a_processor_it_is_prepared_as_transformers_does_by_default(folders, tmp_path):
    for kind, side, mode in (
        ("dinov2", 224, "bicubic"),
        ("dinov3_vit", 224, "bilinear"),
        ("vjepa2", 256, "bilinear"),
    ):
        networks.network(kind).save_pretrained(tmp_path / kind)
        resolution = {} if kind != "dinov2" else {"resolution": 28}
        found = from_pretrained(tmp_path / kind, **resolution).pixels
        assert found == Pixels(resolution=resolution.get("resolution", side), interpolation=mode)
    assert from_pretrained(folders["dinov2"]).pixels == Pixels(
        28, tuple(networks.MEAN), tuple(networks.DEVIATION)
    )


def test_what_is_not_possible_is_said(dinov2, folders, tmp_path):
    with pytest.raises(ValueError, match=r"multiple of the network's patches of 7 .*got 30. Give 28 or 35"):
        from_pretrained(dinov2, resolution=30)
    with pytest.raises(ValueError, match="vjepa2, which has no class token"):
        from_pretrained(folders["vjepa2"], pooled="class")
    with pytest.raises(UnknownName, match=r"no pooling called 'clas'. Did you mean class"):
        from_pretrained(dinov2, pooled="clas")
    with pytest.raises(ValueError, match=r"size must be at least 1, or 0 .*got -1"):
        from_pretrained(dinov2, size=-1)
    with pytest.raises(ValueError, match=r"1 or 3 channels .*got 4"):
        encoder(from_pretrained(dinov2), channels=4)
    with pytest.raises(CheckpointError, match=r"nowhere cannot be read .*save_pretrained"):
        from_pretrained(tmp_path / "nowhere")


def test_a_network_of_another_kind_is_refused(tmp_path):
    transformers.ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1).save_pretrained(
        tmp_path
    )
    with pytest.raises(UnknownName, match="no kind of pretrained network called 'vit'"):
        from_pretrained(tmp_path)


def test_weights_that_are_not_there_are_named(tmp_path):
    networks.save("dinov2", tmp_path)
    settings = from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=f"{tmp_path} cannot be read"):
        encoder(settings)
    config = transformers.Dinov2Config(
        **networks.SHAPE | {"num_hidden_layers": 1}, image_size=42, patch_size=7
    )
    transformers.Dinov2Model(config).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"no weights for 'encoder\.layer"):
        encoder(settings)


@pytest.mark.parametrize("said", [{"resample": 0}, {"rescale_factor": 1 / 127.5}])
def test_a_processor_that_prepares_otherwise_is_refused(tmp_path, said):
    networks.save("dinov2", tmp_path)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    with pytest.raises(CheckpointError, match="must resize by 2"):
        from_pretrained(tmp_path)


def test_without_transformers_the_extra_is_named(dinov2, monkeypatch, tmp_path):
    new_model(from_pretrained(dinov2)).save(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    for read in (lambda: from_pretrained(dinov2), lambda: Model.load(tmp_path)):
        with pytest.raises(CheckpointError, match=r"pip install 'telos\[pretrained\]'"):
            read()


def test_settings_are_plain_data(dinov2):
    from telos.configuration import from_dict, to_dict

    settings = from_pretrained(dinov2, pooled="class", size=3, frozen=False)
    assert from_dict(Pretrained, json.loads(json.dumps(to_dict(settings)))) == settings
