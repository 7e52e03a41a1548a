import math

import pytest
import torch

from telos.cost import Readout

torch.set_num_threads(1)


@pytest.mark.parametrize("hidden", [0, 16])
def test_readings_come_in_the_units_of_the_labels(hidden):
    generator = torch.Generator().manual_seed(0)
    states = 7 + 3 * torch.randn(64, 5, generator=generator)
    values = 100 + 20 * states[:, :2]
    readout = Readout(5, 2, hidden=hidden)
    readout.standardise(states, values)
    optimiser = torch.optim.Adam(readout.parameters(), lr=0.03)
    for _ in range(200):
        optimiser.zero_grad()
        (readout(states) - values).square().mean().backward()
        optimiser.step()
    assert (readout(states) - values).abs().mean() < 0.1 * values.std()


def test_any_number_of_leading_axes_reads_the_same():
    readout, states = Readout(5, 2), torch.randn(2, 3, 4, 5)
    assert torch.allclose(readout(states), readout(states.flatten(0, 2)).unflatten(0, (2, 3, 4)), atol=1e-6)


def test_what_is_known_of_a_readout_is_stored_with_its_weights():
    trained, other = Readout(5, 2), Readout(5, 2)
    assert trained.labels == 0
    assert math.isnan(trained.error)
    trained.standardise(torch.randn(10, 5), torch.randn(10, 2))
    trained.record(labels=500, error=1.25)
    other.load_state_dict(trained.state_dict())
    assert (other.labels, other.error) == (500, 1.25)
    assert torch.equal(other.value_std, trained.value_std)


def test_a_value_that_never_changes_does_not_divide_by_zero():
    readout = Readout(3, 1)
    readout.standardise(torch.ones(8, 3), torch.full((8, 1), 4.0))
    assert readout(torch.ones(2, 3)).isfinite().all()


def test_labels_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"values \[n, 2\]"):
        Readout(3, 2).standardise(torch.zeros(8, 3), torch.zeros(8, 3))
