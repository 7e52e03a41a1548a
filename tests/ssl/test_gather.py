"""Two processes with half a batch each: the same loss and gradient as one with all of it."""

import pytest
import torch
from torch import distributed, multiprocessing

from telos import ssl
from telos.nn import rand_rows
from telos.nn.blocks import BatchNorm

LOSSES = {
    "variance": lambda one, other: ssl.variance_loss(one),
    "covariance": lambda one, other: ssl.covariance_loss(one),
    "vicreg": ssl.vicreg_loss,
    "barlow": ssl.barlow_twins_loss,
    "sigreg": lambda one, other: ssl.sigreg(one, torch.Generator().manual_seed(3), slices=16),
    "sigreg, at each time": lambda one, other: ssl.sigreg(
        one.transpose(0, 1), torch.Generator().manual_seed(3), slices=16
    ),
    "info_nce": ssl.info_nce_loss,
    "mmcr": lambda one, other: ssl.mmcr_loss(torch.stack([one, other], 2).flatten(0, 1)),
    "wmse": lambda one, other: ssl.wmse_loss(
        one.flatten(0, 1), other.flatten(0, 1), torch.Generator().manual_seed(3), together=10
    ),
}


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 8, 3, 4, dtype=torch.float64, generator=generator)  # views, B, T, D


def found(loss, weight, one, other):
    """A loss of states made by one weight, and that weight's gradient."""
    value = loss(ssl.gather(torch.tanh(one @ weight)), ssl.gather(torch.tanh(other @ weight)))
    (gradient,) = torch.autograd.grad(value, weight)
    return value.detach(), gradient


def learner(rank, folder):
    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous"
    distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    one, other = batch()[:, 4 * rank : 4 * rank + 4]
    results = {}
    for name, loss in LOSSES.items():
        weight = torch.eye(4, dtype=torch.float64).requires_grad_()
        value, gradient = found(loss, weight, one, other)
        distributed.all_reduce(gradient)  # as DistributedDataParallel does: the mean over processes
        results[name] = (value, gradient / 2)
    results["shared"] = shared_directions(rank, one)
    results["normalised"] = normalised(one.flatten(0, 1))
    results["drawn"] = rand_rows(4, 3, generator=torch.Generator().manual_seed(5))
    torch.save(results, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def shared_directions(rank, one):
    """Each process looks along directions of its own: value and gradient, averaged over processes."""
    weight = torch.eye(4, dtype=torch.float64).requires_grad_()
    states = ssl.gather(one @ weight)
    value = ssl.sigreg(states, torch.Generator().manual_seed(rank), slices=8)
    both = torch.cat([value.detach()[None], torch.autograd.grad(value, weight)[0].flatten()])
    distributed.all_reduce(both)
    return both / 2


def normalised(rows):
    """A batch normalisation's output, the gradient of its square's mean, and its running variance."""
    layer, rows = BatchNorm(4, dtype=torch.float64), rows.clone().requires_grad_()
    out = layer(rows)
    (gradient,) = torch.autograd.grad((out * rows.detach().cos()).square().mean(), rows)
    return out.detach(), gradient, layer.running_var


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(learner, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_have_the_loss_and_gradient_of_one(name, processes):
    weight = torch.eye(4, dtype=torch.float64).requires_grad_()
    value, gradient = found(LOSSES[name], weight, *batch())
    assert gradient.abs().sum() > 1e-6
    for process in processes:
        assert float(process[name][0]) == pytest.approx(float(value), rel=1e-12)
        assert torch.allclose(process[name][1], gradient, rtol=1e-9, atol=1e-12)


def test_halves_of_a_batch_do_not_average_to_its_variance():
    one = batch()[0]
    halves = [float(ssl.variance_loss(half)) for half in one.split(4)]
    assert sum(halves) / 2 != pytest.approx(float(ssl.variance_loss(one)), rel=1e-3)


def test_processes_may_share_the_directions_of_sigreg(processes):
    weight = torch.eye(4, dtype=torch.float64).requires_grad_()
    states = batch()[0] @ weight
    value = torch.stack(
        [ssl.sigreg(states, torch.Generator().manual_seed(r), slices=8) for r in range(2)]
    ).mean()
    gradient = torch.autograd.grad(value, weight)[0].flatten()
    for process in processes:
        assert torch.allclose(process["shared"], torch.cat([value.detach()[None], gradient]), rtol=1e-9)


def test_a_batch_is_normalised_by_all_of_it(processes):
    out, gradient, variance = normalised(batch()[0].flatten(0, 1))
    for rank, process in enumerate(processes):
        mine = slice(12 * rank, 12 * rank + 12)
        torch.testing.assert_close(process["normalised"][0], out[mine])
        torch.testing.assert_close(process["normalised"][1] / 2, gradient[mine])  # of the mean over processes
        torch.testing.assert_close(process["normalised"][2], variance)


def test_what_processes_draw_for_their_rows_is_what_one_draws_for_all(processes):
    drawn = torch.rand(8, 3, generator=torch.Generator().manual_seed(5))
    assert torch.equal(torch.cat([process["drawn"] for process in processes]), drawn)


def test_without_processes_nothing_is_gathered():
    states = batch()
    assert ssl.gather(states) is states
