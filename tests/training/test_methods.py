"""Methods: every one learns, says what its terms are, and can be stored, stopped and gone on with."""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import pytest
import torch

from telos import recipes, ssl
from telos.configuration import from_dict, to_dict
from telos.model import Model, ModelConfig
from telos.perception import Features, Keypoints
from telos.training import Optimisation, Representation, Sketched, Weights, train
from telos.training.methods import (
    BYOL,
    DINO,
    MMCR,
    VJEPA,
    WMSE,
    BarlowTwins,
    Head,
    InfoNCE,
    MaskedAutoencoding,
    Method,
    NextFrame,
    Reconstruction,
    Seen,
    SIGReg,
    VICReg,
)
from telos.training.representation import RepresentationLoss
from telos.training.run import METRICS
from telos.types import ActionSpace
from telos.world_model import Glimpse

SMALL = Head(hidden=16, size=4)
KINDS = get_args(Method)


@dataclass
class _Stage:
    stage: Representation | Sketched


PLAIN = Representation(horizon=3, weights=Weights(inverse=0.0, temporal=0.0))


def method(kind):
    """Its settings, small enough for a batch of 12 states."""
    return kind(head=SMALL) if "head" in kind.__dataclass_fields__ else kind()


def new_model(perception=None):
    torch.manual_seed(0)
    model = Model(
        ModelConfig(
            world="test",
            frame_shape=(16, 16, 3),
            action_space=ActionSpace((-2.0, -2.0), (2.0, 2.0), block=2),
            perception=perception or Keypoints(),
            predictor=Glimpse(hidden=16),
        )
    )
    for value in model.predictors.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return model


def batch():
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (4, 4, 3, 16, 16), dtype=torch.uint8, generator=generator)
    return pixels, torch.randn(4, 3, 4, generator=generator)


pytestmark = pytest.mark.usefixtures("single_precision")
SCENE_AT = torch.tensor([0, 3, 1, 2])


def learner_of(settings, perception=None, **changes):
    torch.manual_seed(0)
    return RepresentationLoss(new_model(perception), replace(PLAIN, method=settings, **changes))


def seen_of(observed, imagined, *, around=True):
    windows, frames, size = observed.shape
    return Seen(
        pixels=torch.zeros(windows, frames, 3, 16, 16, dtype=torch.uint8),
        observed=observed,
        imagined=imagined,
        scene=None,
        scene_at=torch.zeros(windows, dtype=torch.long),
        pose_size=size,
        around_window_mean=around,
    )


def seen_by(learner, seed=0):
    """Terms, and what the method was shown."""
    pixels, actions = batch()
    seen = learner.see(pixels, actions, SCENE_AT)
    return learner.criterion(learner.model, seen, torch.Generator().manual_seed(seed)), seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("perception", [Keypoints(), Features(4)], ids=["keypoints", "features"])
def test_every_method_trains_encoder_and_predictor_and_nothing_of_its_own_is_idle(kind, around, perception):
    learner = learner_of(method(kind), perception, around_window_mean=around)
    loss, terms, states = learner(*batch(), scene_at=SCENE_AT, generator=torch.Generator())
    assert set(terms) == set(learner.criterion.weights)
    assert not states.requires_grad
    loss.backward()
    parts = {"encoder": learner.model.encoder, "predictor": learner.model.predictor}
    for part in parts.values():
        assert any(value.grad is not None and value.grad.abs().sum() > 0 for value in part.parameters())
    own = [(name, value) for name, value in learner.criterion.named_parameters() if value.requires_grad]
    assert [name for name, value in own if value.grad is None or not value.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_is_a_setting_that_can_be_stored(kind):
    recipe = replace(recipes.get("smoke"), representation=replace(PLAIN, method=kind()))
    stored = json.loads(json.dumps(to_dict(recipe)))["representation"]
    assert from_dict(_Stage, {"stage": stored}).stage == recipe.representation


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_goes_on_after_a_stop_to_the_same_numbers(kind, store, recipe, tmp_path):
    few = Optimisation(steps=4, batch=4, warmup=2)
    stage = replace(PLAIN, method=method(kind), optimisation=few)
    short = replace(recipe, representation=stage, prediction=replace(recipe.prediction, optimisation=few))

    def stop(stage, done, total, **values):
        if stage == "representation" and done == 2:
            raise KeyboardInterrupt

    run = partial(train, store, short, allow_collapse=True, save_seconds=0)
    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", progress=stop)
    run(tmp_path / "stopped")
    rows = [
        [
            {**json.loads(line), "cpu_seconds": 0}
            for line in (tmp_path / name / METRICS).read_text().splitlines()
        ]
        for name in ("whole", "stopped")
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("kind", [VICReg, BarlowTwins, MMCR, WMSE, InfoNCE])
def test_views_are_what_was_imagined_and_what_was_observed_each_around_its_own_mean(kind):
    learner = learner_of(method(kind))
    terms, seen = seen_by(learner)
    head = learner.criterion.expander if kind is VICReg else learner.criterion.projector
    views = [states[:, 1:] - states[:, 1:].mean(1, keepdim=True) for states in (seen.imagined, seen.observed)]
    one, other = (head(view).flatten(0, 1) for view in views)
    expected = {
        VICReg: lambda: ssl.vicreg_loss(one, other, invariance=1.0, variance=1.0, covariance=0.04),
        BarlowTwins: lambda: ssl.barlow_twins_loss(one, other),
        MMCR: lambda: ssl.mmcr_loss(torch.stack([one, other], 1)) / (12 * 4) ** 0.5,
        WMSE: lambda: ssl.wmse_loss(one, other, torch.Generator().manual_seed(0), together=8, repeats=4),
        InfoNCE: lambda: ssl.info_nce_loss(one, other),
    }[kind]()
    weights = dict.fromkeys(terms, 1.0) if kind is not VICReg else learner.criterion.weights
    assert torch.allclose(sum(weights[name] * term for name, term in terms.items()), expected, rtol=1e-4)


def test_a_normal_pose_of_the_right_deviation_costs_lejepa_little():
    learner = learner_of(SIGReg(deviation=0.3, slices=256))
    pixels, actions = torch.zeros(512, 4, 3, 16, 16, dtype=torch.uint8), torch.zeros(512, 3, 4)
    seen = learner.see(pixels, actions, torch.zeros(512, dtype=torch.long))
    found = {}
    for deviation in (0.1, 0.3, 0.9):
        states = deviation * torch.randn(seen.observed.shape, generator=torch.Generator().manual_seed(1))
        shown = replace(seen, observed=states, imagined=states)
        found[deviation] = learner.criterion(learner.model, shown, torch.Generator().manual_seed(0))["sigreg"]
    assert 20 * found[0.3] < min(found[0.1], found[0.9])


@pytest.mark.parametrize("kind", [BYOL, VJEPA, DINO])
def test_the_teacher_follows_and_is_not_trained(kind):
    learner = learner_of(replace(method(kind), momentum=0.5))
    teacher, student = learner.criterion.teacher, learner.model.encoder
    before = [value.clone() for value in teacher.parameters()]
    loss, _, _ = learner(*batch(), scene_at=SCENE_AT, generator=torch.Generator())
    loss.backward()
    assert all(value.grad is None for value in teacher.parameters())
    with torch.no_grad():
        for value in student.parameters():
            value.add_(1)
    learner.after_step(step=1, steps=1000)
    for old, new, theirs in zip(before, teacher.parameters(), student.parameters(), strict=True):
        assert torch.allclose(new, (old + theirs) / 2, atol=1e-5)


def test_the_student_is_asked_what_the_teacher_sees():
    learner = learner_of(method(VJEPA))
    with torch.no_grad():
        for value in learner.criterion.teacher.parameters():
            value.mul_(1.5)
    terms, seen = seen_by(learner)
    theirs = torch.stack([learner.criterion.teacher(seen.pixels[:, t])[0] for t in range(4)], 1)
    taught, told = theirs[:, 1:], seen.imagined[:, 1:]
    taught = learner.criterion.teacher_head(taught - taught.mean(1, keepdim=True))
    told = learner.criterion.head(told - told.mean(1, keepdim=True))
    target = torch.nn.functional.layer_norm(taught, taught.shape[-1:])
    assert torch.allclose(terms["distance"], (told - target).abs().mean(), rtol=1e-4)


@pytest.mark.parametrize("kind", [VICReg, BarlowTwins, MMCR, WMSE, SIGReg, BYOL, VJEPA, DINO, InfoNCE])
def test_what_was_imagined_is_shown_without_the_future_that_it_is_to_foretell(kind):
    learner = learner_of(method(kind))
    _, seen = seen_by(learner)
    imagined, _ = seen.views()
    (found,) = torch.autograd.grad(imagined.square().sum(), seen.observed)
    assert found[:, 0].abs().sum() > 0
    assert not found[:, 1:].any()


def test_noise_that_cannot_be_foretold_is_no_agreement():
    generator = torch.Generator().manual_seed(0)
    observed = torch.randn(4096, 6, 2, generator=generator)
    mean = torch.zeros(4096, 5, 2)  # the best guess of noise
    imagined = torch.cat([observed[:, :1], mean], dim=1)
    imagined = imagined + 0.1 * torch.randn(imagined.shape, generator=generator)
    one, other = (view.flatten() for view in seen_of(observed, imagined).views())
    assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1]) < 0.03


def test_views_of_one_frame_cannot_be_compared_by_how_they_vary():
    states = torch.randn(4, 2, 2)
    assert torch.equal(seen_of(states, states, around=False).views()[0], states[:, 1:])
    with pytest.raises(ValueError, match="horizon must be at least 2"):
        seen_of(states, states).views()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_a_head_sees_a_batch_at_deviation_one_whatever_scale_states_have(scale):
    torch.manual_seed(0)
    head, states = Head(hidden=16, size=4).build(3), torch.randn(64, 5, 3)
    assert torch.allclose(head(scale * states + 7 * scale), head(states), atol=1e-3)
    assert head(scale * states).flatten(0, 1).std(0).min() > 0.05


def test_without_momentum_the_teacher_is_the_student_at_every_step():
    learner = learner_of(BYOL(head=SMALL, momentum=0.0))
    with torch.no_grad():
        for value in learner.model.encoder.parameters():
            value.add_(1)
    learner.after_step(step=500, steps=1000)
    teacher = learner.criterion.teacher
    for mine, theirs in zip(teacher.parameters(), learner.model.encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_without_a_teacher_byol_is_drawn_to_its_own_embedding_and_draws_it():
    learner = learner_of(BYOL(head=SMALL, teacher=False, predictor=False))
    terms, seen = seen_by(learner)
    one, other = (learner.criterion.head(view) for view in seen.views())
    cosine = torch.nn.functional.cosine_similarity(one, other, dim=-1).mean()
    assert torch.allclose(terms["distance"], 2 - 2 * cosine, rtol=1e-4)
    (found,) = torch.autograd.grad(terms["distance"], seen.observed)
    assert found[:, 1:].abs().sum() > 0
    taught, seen = seen_by(learner_of(BYOL(head=SMALL, predictor=False)))
    assert torch.allclose(
        taught["distance"], terms["distance"], rtol=1e-4
    )  # the teacher begins as the student
    (found,) = torch.autograd.grad(taught["distance"], seen.imagined)
    assert found.abs().sum() > 0


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_dino_is_asked_for_the_classes_that_the_centred_and_sharpened_teacher_sees(temperature):
    learner = learner_of(replace(method(DINO), temperature=temperature, teacher_temperature=0.03))
    criterion = learner.criterion
    with torch.no_grad():
        criterion.centre.copy_(torch.linspace(-0.2, 0.2, len(criterion.centre)))
        for value in criterion.teacher_head.parameters():
            value.mul_(1.5)
    centre = criterion.centre.clone()
    terms, seen = seen_by(learner)
    wanted = ((criterion.taught(learner.model, seen) - centre) / 0.03).softmax(-1)
    said = (criterion.head(seen.views()[0]) / temperature).log_softmax(-1)
    assert torch.allclose(terms["cross_entropy"], -(wanted * said).sum(-1).mean(), rtol=1e-4)


def test_lejepas_prediction_is_in_units_of_the_deviation_that_is_asked_for():
    learner = learner_of(SIGReg(deviation=0.25))
    terms, seen = seen_by(learner)
    missed = (seen.imagined - seen.observed)[:, 1:]
    assert torch.allclose(terms["prediction"], 16 * missed.square().mean(), rtol=1e-4)


def test_lejepas_normal_is_that_of_whole_samples_though_windows_lose_a_part_of_it():
    found = {}
    criterion = SIGReg(deviation=0.3, slices=64).build(None)
    for deviation in (0.3 * (3 / 4) ** 0.5, 0.3):
        states = deviation * torch.randn(2048, 4, 2, generator=torch.Generator().manual_seed(1))
        terms = criterion(None, seen_of(states, states), torch.Generator().manual_seed(0))
        found[deviation] = terms["sigreg"]
    assert 3 * found[0.3] < found[0.3 * (3 / 4) ** 0.5]


def test_dinos_centre_follows_the_teachers_scores():
    learner = learner_of(method(DINO))
    seen_by(learner)
    _, seen = seen_by(learner_of(method(DINO)))
    scores = learner.criterion.taught(learner.model, seen).flatten(0, 1).mean(0)
    assert torch.allclose(learner.criterion.centre, 0.1 * scores, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "states", "term"),
    [(Reconstruction, "observed", "reconstruction"), (NextFrame, "imagined", "next_frame")],
)
def test_a_state_is_drawn_as_the_frame_of_its_moment_but_for_the_one_with_the_scene(kind, states, term):
    learner = learner_of(kind(drawn=3))
    terms, seen = seen_by(learner)
    moments, errors = getattr(seen, states), []
    for window in range(4):
        for time in {0, 1, 2, 3} - {int(SCENE_AT[window])}:
            drawn = learner.criterion.decoder(moments[window, time][None], seen.scene[window][None])
            errors.append((drawn - seen.pixels[window, time] / 255).square().mean())
    assert torch.allclose(terms[term], torch.stack(errors).mean(), rtol=1e-4)


def test_only_hidden_pixels_count_and_they_are_drawn_from_what_is_left():
    learner = learner_of(MaskedAutoencoding(patch=4, drawn=1))
    terms, seen = seen_by(learner)
    criterion, model = learner.criterion, learner.model
    generator = torch.Generator().manual_seed(0)
    times = criterion.times(seen, generator)[:, 0]
    frames = seen.pixels[range(4), times]
    hidden = criterion.hidden(frames, generator)
    colour = frames.float().mean((0, 2, 3)).round().to(torch.uint8)[:, None, None]
    left = torch.where(hidden, colour, frames)
    drawn = criterion.decoder(model.encoder.moving(model.encoder.features(left)), seen.scene)
    errors = (drawn - frames / 255).square()[hidden.expand_as(frames)]
    assert torch.allclose(terms["masked"], errors.mean(), rtol=1e-4)


def test_masked_pictures_do_not_enter_the_statistics_that_whole_ones_are_normalised_by():
    learner = learner_of(MaskedAutoencoding(), Features(4))
    norm = next(part for part in learner.model.encoder.modules() if isinstance(part, torch.nn.BatchNorm1d))
    pixels, actions = batch()
    seen = learner.see(pixels, actions, SCENE_AT)
    before = norm.running_mean.clone()
    learner.criterion(learner.model, seen, torch.Generator().manual_seed(0))
    assert torch.equal(norm.running_mean, before)
    assert norm.momentum == 0.1
    learner.see(pixels, actions, SCENE_AT)
    assert not torch.equal(norm.running_mean, before)


def test_next_frames_are_drawn_of_what_was_imagined_and_what_moves_can_weigh_more():
    plain, heavy = (seen_by(learner_of(NextFrame(drawn=3, motion=m)))[0]["next_frame"] for m in (0.0, 5.0))
    learner = learner_of(NextFrame(drawn=3))
    (found,) = torch.autograd.grad(seen_by(learner)[0]["next_frame"], learner.model.predictor.linear.weight)
    assert found.abs().sum() > 0
    assert heavy > 1.5 * plain


@pytest.mark.parametrize("kind", [Reconstruction, MaskedAutoencoding])
def test_what_an_autoencoder_predicts_does_not_change_its_states(kind):
    learner = learner_of(kind())
    terms, _ = seen_by(learner)
    weights = [*learner.model.encoder.parameters(), *learner.model.predictor.parameters()]
    found = torch.autograd.grad(terms["prediction"], weights, allow_unused=True)
    encoder = len([*learner.model.encoder.parameters()])
    assert all(each is None for each in found[:encoder])
    assert any(each is not None and each.abs().sum() > 0 for each in found[encoder:])


def test_hidden_patches_are_whole_many_and_all_that_counts():
    learner = learner_of(MaskedAutoencoding(hidden=0.75, patch=4))
    pixels = batch()[0].flatten(0, 1)
    hidden = learner.criterion.hidden(pixels, torch.Generator().manual_seed(0))
    assert hidden.shape == (16, 1, 16, 16)
    patches = hidden.unfold(2, 4, 4).unfold(3, 4, 4).flatten(-2)
    assert (patches.all(-1) == patches.any(-1)).all()
    assert (patches.all(-1).flatten(1).sum(1) == 12).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Head(size=1), "size at least 2"),
        (lambda: learner_of(BYOL(head=SMALL, momentum=1.5)), r"momentum must be in 0\.\.1"),
        (lambda: MaskedAutoencoding(hidden=1.0), "hidden must be between 0 and 1"),
        (lambda: learner_of(MaskedAutoencoding(patch=5)), "patch must divide"),
        (lambda: learner_of(NextFrame(drawn=0)), "drawn must be at least 1"),
        (lambda: seen_by(learner_of(WMSE(head=Head(size=32)))), "together must be more than"),
    ],
)
def test_settings_that_cannot_work_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [VICReg, BarlowTwins, MMCR, WMSE, BYOL, VJEPA, DINO, InfoNCE])
@pytest.mark.parametrize("collapsed", [False, True])
def test_where_a_head_says_the_same_of_everything_its_embeddings_show_it(kind, collapsed):
    learner = learner_of(method(kind))
    if collapsed:
        with torch.no_grad():
            for name, value in learner.criterion.named_parameters():
                if name.endswith("7.weight"):  # the last layer's
                    value.zero_()
    seen_by(learner)
    embedding = learner.criterion.embedding
    assert embedding.flatten(0, -2).shape[0] == 12
    assert not embedding.requires_grad
    assert (ssl.spread(embedding) < 0.02) == collapsed
