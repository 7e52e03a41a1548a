import pytest
import torch

from telos.actor import LBFGS, Adam, Evolution, Gradient, refine
from telos.types import Budget, PlanStatus
from tests.actor.point import Formula, Setting, Zone, problem

BUDGET = Setting(budget=Budget(100))
every_stepper = pytest.mark.parametrize("stepper", [Adam(), LBFGS()])


@every_stepper
def test_a_plan_of_another_planner_is_refined(stepper):
    case = problem([[0.0, 0.0]], [[4.0, 0.0]], guardrails=(Zone((2.0, 0.0), 1.0),), setting=BUDGET)
    rough = Evolution(64)(problem([[0.0, 0.0]], [[4.0, 0.0]], guardrails=case.guardrails))
    starts = torch.stack([plan.actions for plan in (rough, *rough.alternatives)], 1)
    fine = refine(case, starts, stepper=stepper)
    assert fine.status == (PlanStatus.SOLVED,)
    assert fine.energy < rough.energy - 0.05


@every_stepper
def test_the_plan_keeps_to_the_border_of_a_guardrail(stepper):
    wall = Formula(lambda trajectory: trajectory.states[..., 0] - 2)
    case = problem([[0.0, 0.0]], [[4.0, 0.0]], guardrails=(wall,), setting=BUDGET)
    found = Gradient(stepper=stepper)(case)
    assert found.status == (PlanStatus.SOLVED,)
    assert found.energy < 25  # 24 at the border, always


@every_stepper
def test_candidates_without_a_gradient_do_not_spoil_the_others(stepper):
    def cost(trajectory):
        away = (trajectory.states[..., 1:, :] - 4).square().sum((3, 4))
        return away + torch.where(trajectory.actions[:, :, 0, :1] > 1, torch.nan, 0.0)

    case = problem([[0.0, 0.0]], [[4.0, 0.0]], cost=Formula(cost), setting=BUDGET)
    found = Gradient(stepper=stepper)(case)
    assert found.status == (PlanStatus.SOLVED,)
    # The optimum under the bound of 1 on the first action: places (1, 2), (3, 4), then the target: 14. A step
    # back along the way does not tell how to go along the edge.
    assert found.energy < 23


def test_the_weights_of_a_model_get_no_gradient():
    weight = torch.ones((), requires_grad=True)
    cost = Formula(lambda trajectory: weight * trajectory.states.square().sum((3, 4)))
    Gradient()(problem([[0.0, 0.0]], [[4.0, 0.0]], cost=cost, setting=BUDGET))
    assert weight.grad is None


@every_stepper
def test_guardrails_hold_whatever_their_units(stepper):
    def found(unit):
        wall = Formula(lambda t: unit * (t.states[..., 0] - 2), scale=unit)
        return Gradient(stepper=stepper)(
            problem([[0.0, 0.0]], [[4.0, 0.0]], guardrails=(wall,), setting=Setting(budget=Budget(40)))
        )

    torch.testing.assert_close(found(1.0).energy, found(1024.0).energy, rtol=1e-3, atol=0)


@pytest.mark.parametrize("stepper", [Adam(), LBFGS(first=2.0)])
def test_a_candidate_that_stops_being_finite_goes_back_to_where_it_was(stepper):
    lost = []

    def cost(trajectory):  # the optimum, an action of 1.2, is just before a cliff
        energy = (trajectory.states[..., 1:, :] - 1.2).square().sum((3, 4))
        beyond = trajectory.actions.amax((2, 3))[..., None] > 1.25
        lost.append(beyond.any().item())
        return torch.where(beyond, torch.nan, energy)

    case = problem([[0.0, 0.0]], [[4.0, 4.0]], horizon=2, cost=Formula(cost), setting=BUDGET)
    found = refine(case, torch.full((1, 1, 2, 2), -0.5), stepper=stepper)
    assert any(lost)
    assert found.status == (PlanStatus.SOLVED,)
    assert found.energy < 0.5  # from 15


def test_multipliers_wait_for_the_line_search_and_the_border_is_met_in_few_steps():
    wall = Formula(lambda trajectory: trajectory.states[..., 0] - 2)
    case = problem([[0.0, 0.0]], [[4.0, 0.0]], guardrails=(wall,), setting=Setting(budget=Budget(40)))
    found = Gradient(stepper=LBFGS())(case)
    assert found.status == (PlanStatus.SOLVED,)
    assert found.energy < 24 * 1.1
