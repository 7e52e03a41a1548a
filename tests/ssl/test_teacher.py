"""BYOL, I-JEPA and DINO against their formulas; a teacher that follows its student."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from telos import ssl


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_byol_is_the_squared_distance_on_the_sphere():
    predicted, taught = noise(3, 2, 4), noise(3, 2, 4, seed=1)
    pairs = zip(predicted.reshape(-1, 4).numpy(), taught.reshape(-1, 4).numpy(), strict=True)
    expected = [np.sum((p / np.linalg.norm(p) - t / np.linalg.norm(t)) ** 2) for p, t in pairs]
    assert float(ssl.byol_loss(predicted, taught)) == pytest.approx(np.mean(expected), rel=1e-9)


def test_byol_does_not_count_scale():
    predicted, taught = noise(3, 4), noise(3, 4, seed=1)
    found, same = ssl.byol_loss(predicted, taught), ssl.byol_loss(9 * predicted, 0.1 * taught)
    assert float(same) == pytest.approx(float(found), rel=1e-9)


def test_ijepa_is_a_huber_error_from_standardised_embeddings():
    predicted, taught = 2 * noise(3, 4), noise(3, 4, seed=1)
    expected = []
    for p, t in zip(predicted.numpy(), taught.numpy(), strict=True):
        errors = np.abs(p - (t - t.mean()) / np.sqrt(t.var() + 1e-5))
        expected += [error**2 / 2 / 0.5 if error < 0.5 else error - 0.25 for error in errors]
    assert float(ssl.ijepa_loss(predicted, taught, beta=0.5)) == pytest.approx(np.mean(expected), rel=1e-9)


def test_dino_is_the_cross_entropy_of_two_softmaxes():
    student, taught, centre = noise(3, 4), noise(3, 4, seed=1), noise(4, seed=2)
    expected = []
    for s, t in zip(student.numpy(), taught.numpy(), strict=True):
        target = np.exp((t - centre.numpy()) / 0.04) / np.exp((t - centre.numpy()) / 0.04).sum()
        expected.append(-np.sum(target * np.log(np.exp(s / 0.1) / np.exp(s / 0.1).sum())))
    assert float(ssl.dino_loss(student, taught, centre)) == pytest.approx(np.mean(expected), rel=1e-9)


def test_dino_counts_neither_offset_of_scores():
    student, taught, centre = noise(3, 4), noise(3, 4, seed=1), noise(4, seed=2)
    moved = ssl.dino_loss(student + 5, taught - 3, centre)
    assert float(moved) == pytest.approx(float(ssl.dino_loss(student, taught, centre)), rel=1e-9)


def test_without_centring_the_same_answer_to_all_is_the_best_and_with_it_tells_nothing():
    always = 2 * torch.eye(4)[0].expand(8, 4)
    assert float(ssl.dino_loss(always, always, torch.zeros(4))) < 0.01
    assert float(ssl.dino_loss(always, always, always[0])) > math.log(4)


@pytest.mark.parametrize(
    "loss",
    [ssl.byol_loss, ssl.ijepa_loss, lambda one, other: ssl.dino_loss(one, other, torch.zeros(4).double())],
)
def test_only_the_student_learns(loss):
    one, other = noise(3, 4).requires_grad_(), noise(3, 4, seed=1).requires_grad_()
    loss(one, other).backward()
    assert one.grad.abs().sum() > 0
    assert other.grad is None
    assert torch.autograd.gradcheck(lambda each: loss(each, other.detach()), (one,))


def test_the_centre_is_a_moving_average_of_the_batchs_mean():
    centre, taught = noise(4), noise(2, 3, 4, seed=1)
    expected = 0.8 * centre.numpy() + 0.2 * taught.numpy().reshape(6, 4).mean(0)
    before = centre.clone()
    assert np.allclose(ssl.next_centre(centre, taught, momentum=0.8).numpy(), expected)
    assert torch.equal(centre, before)


def test_momentum_rises_from_first_to_1_along_a_cosine():
    values = [ssl.teacher_momentum(step, 8, first=0.9) for step in range(9)]
    assert values[0] == pytest.approx(0.9)
    assert values[4] == pytest.approx(0.95)
    assert values[8] == 1
    assert values == sorted(values)
    with pytest.raises(ValueError, match="step must be"):
        ssl.teacher_momentum(9, 8)


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_a_teacher_moves_towards_its_student_and_takes_its_buffers():
    student, teacher = network(0), network(1)
    student(torch.ones(4, 3))
    before, goal = copy.deepcopy(teacher.state_dict()), copy.deepcopy(student.state_dict())
    ssl.update_teacher(teacher, student, momentum=0.75)
    for name, value in teacher.named_parameters():
        assert torch.allclose(value, 0.75 * before[name] + 0.25 * goal[name])
    assert torch.equal(teacher[1].running_mean, goal["1.running_mean"])
    assert all(torch.equal(value, goal[name]) for name, value in student.state_dict().items())


def test_a_teacher_of_another_shape_is_refused_and_left_as_it_was():
    teacher = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    before = copy.deepcopy(teacher.state_dict())
    with pytest.raises(ValueError, match="weights of student"):
        ssl.update_teacher(teacher, network(0), momentum=0.5)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
