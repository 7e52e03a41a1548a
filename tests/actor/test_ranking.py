from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from telos.actor import worst_case
from telos.actor.ranking import LOST, Scored, distinct, imagine, rank, score, unranked
from telos.types import Trajectory
from tests.actor.point import Formula, Quadratic, Zone, problem

float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def scored(energy, actions=None, violation=None):
    energy = torch.as_tensor(energy)[None]
    actions = torch.zeros(*energy.shape, 3, 2) if actions is None else actions
    violation = torch.zeros_like(energy) if violation is None else torch.as_tensor(violation)[None]
    return Scored(actions, energy, violation, violation, rank(energy, violation))


@given(st.lists(st.tuples(st.floats(0, 1e6, width=32), float32), min_size=2, max_size=12))
def test_the_rank_is_violation_and_then_energy(pairs):
    violation, energy = torch.tensor(pairs, dtype=torch.float32).T
    found = rank(energy[None], violation[None])[0].argsort(stable=True)
    expected = sorted(range(len(pairs)), key=lambda i: (violation[i].item(), energy[i].item()))
    key = torch.stack([violation, energy], 1)
    assert torch.equal(key[found], key[expected])


def test_nan_and_infinity_lose_to_anything():
    bad = torch.tensor([[torch.nan, torch.inf, -torch.inf, 0.0, 0.0, 1e38]])
    violation = torch.tensor([[0.0, 0.0, 0.0, torch.nan, torch.inf, 1e38]])
    assert (rank(bad, violation) == LOST).tolist() == [[True] * 5 + [False]]


def test_zero_is_zero_with_either_sign():
    assert torch.equal(*rank(torch.tensor([[0.0, -0.0]]), torch.tensor([[-0.0, 0.0]]))[0].split(1))


def test_the_violation_is_summed_over_steps_and_guardrails_without_the_present():
    case = problem(
        [[0.0, 0.0]], [[4.0, 0.0]], guardrails=(Zone((0.0, 0.0), 1.5, 0.5), Zone((0.0, 9.0), 1.0, 1.0, 10.0))
    )
    trajectory = imagine(case, torch.tensor([[[[1.0, 0.0], [0.0, 0.0], [3.0, 0.0]]]]))
    found, excesses = score(case, trajectory)
    # The first is 1.5 at present, then 0.5, 0.5, -2.5, in halves; the second 1 - distance + 10.
    second = [11 - (place**2 + 81) ** 0.5 for place in (1, 1, 4)]
    torch.testing.assert_close(found.violation, torch.tensor([[2 * (0.5 + 0.5) + sum(second)]]))
    torch.testing.assert_close(found.worst, torch.tensor([[0.5]]))
    assert [excess.shape for excess in excesses] == [(1, 1, 1, 3)] * 2


def test_the_worst_future_counts_for_the_violation_and_the_aggregate_for_the_energy():
    def futures(state, actions):
        still = torch.zeros(1, actions.shape[1], 2, actions.shape[2] + 1, 2)
        still[:, :, 1] = 1.0
        return Trajectory(still, actions)

    case = problem([[0.0, 0.0]], [[0.0, 0.0]], guardrails=(Zone((1.0, 1.0), 0.5),), aggregate=worst_case)
    case = replace(case, levels=(replace(case.level, rollout=futures),))
    found, _ = score(case, imagine(case, torch.zeros(1, 1, 6, 2)))
    assert found.violation.item() == 3.0
    assert found.energy.item() == 12.0


def test_an_aggregate_of_the_wrong_shape_is_named():
    case = problem([[0.0, 0.0]], [[0.0, 0.0]], aggregate=lambda energy: energy)
    with pytest.raises(ValueError, match=r"aggregate must reduce \[B, S, K\] to \[B, S\] = \[1, 2\]"):
        score(case, imagine(case, torch.zeros(1, 2, 6, 2)))


def test_a_rollout_of_the_wrong_shape_is_named():
    case = problem([[0.0, 0.0]], [[0.0, 0.0]])
    level = replace(case.level, rollout=lambda state, actions: Trajectory(actions, actions))
    with pytest.raises(ValueError, match=r"rollout must return states of shape .* = \[1, 2, K, 7, ...\]"):
        imagine(replace(case, levels=(level,)), torch.zeros(1, 2, 6, 2))


def test_distinct_takes_the_best_of_each_group():
    left, right = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0])
    actions = torch.stack([left, left, right, right, left]).expand(3, 5, 2).transpose(0, 1)[None]
    actions = actions + 0.01 * torch.arange(5)[None, :, None, None]
    found = scored([5.0, 1.0, 4.0, 3.0, 2.0], actions)
    assert distinct(found, 3, gap=0.1, reach=torch.ones(2)).tolist() == [[1, 3, 4]]


def test_distinct_prefers_a_near_candidate_to_one_that_is_not_finite():
    actions = torch.zeros(1, 3, 3, 2)
    actions[:, 2] = 1.0
    found = scored([1.0, 2.0, torch.nan], actions)
    assert distinct(found, 2, gap=0.1, reach=torch.ones(2)).tolist() == [[0, 1]]


def test_distinct_returns_no_more_than_there_are():
    assert distinct(scored([2.0, 1.0]), 5, gap=0.1, reach=torch.ones(2)).tolist() == [[1, 0]]


def test_energy_and_violation_are_differentiable_in_the_actions():
    case = problem(
        torch.zeros(2, 2, dtype=torch.float64),
        [[4.0, 0.0], [1.0, 2.0]],
        horizon=3,
        guardrails=(Zone((1.0, 0.2), 3.0), Formula(lambda t: t.states[..., 0].sin())),
    )
    actions = torch.randn(2, 2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for name in ("energy", "violation", "worst"):

        def total(actions, name=name):
            return getattr(score(case, imagine(case, actions))[0], name)

        assert torch.autograd.gradcheck(total, actions.requires_grad_())


def test_the_cost_of_the_toy_is_what_it_says():
    case = problem([[0.0, 0.0]], [[1.0, 0.0]], horizon=2)
    found, _ = score(case, imagine(case, torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])))
    assert isinstance(case.cost, Quadratic)
    assert found.energy.item() == 1.0


def test_a_rank_gives_back_energy_and_violation():
    energy = torch.tensor([[1.5, -2.25, 0.0, torch.nan, 3e8]])
    violation = torch.tensor([[0.0, 0.125, 7.0, 0.0, 0.0]])
    again, broken = unranked(rank(energy, violation))
    assert again.tolist() == [[1.5, -2.25, 0.0, torch.inf, 3e8]]
    assert broken.tolist() == [[0.0, 0.125, 7.0, torch.inf, 0.0]]
