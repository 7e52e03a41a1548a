import torch

from telos.actor import Evolution, Gradient, refine
from telos.types import Budget, PlanStatus
from tests.actor.point import Formula, Setting, Zone, problem

BUDGET = Setting(budget=Budget(100))


def test_a_plan_of_another_planner_is_refined():
    case = problem([[0.0, 0.0]], [[4.0, 0.0]], guardrails=(Zone((2.0, 0.0), 1.0),), setting=BUDGET)
    rough = Evolution(64)(problem([[0.0, 0.0]], [[4.0, 0.0]], guardrails=case.guardrails))
    starts = torch.stack([plan.actions for plan in (rough, *rough.alternatives)], 1)
    fine = refine(case, starts)
    assert fine.status == (PlanStatus.SOLVED,)
    assert fine.energy < rough.energy - 0.05


def test_the_plan_keeps_to_the_border_of_a_guardrail():
    wall = Formula(lambda trajectory: trajectory.states[..., 0] - 2)
    found = Gradient()(problem([[0.0, 0.0]], [[4.0, 0.0]], guardrails=(wall,), setting=BUDGET))
    assert found.status == (PlanStatus.SOLVED,)
    assert found.energy < 25  # 24 at the border, always


def test_candidates_without_a_gradient_do_not_spoil_the_others():
    def cost(trajectory):
        away = (trajectory.states[..., 1:, :] - 4).square().sum((3, 4))
        return away + torch.where(trajectory.actions[:, :, 0, :1] > 1, torch.nan, 0.0)

    found = Gradient()(problem([[0.0, 0.0]], [[4.0, 0.0]], cost=Formula(cost), setting=BUDGET))
    assert found.status == (PlanStatus.SOLVED,)
    # The optimum under the bound of 1 on the first action: places (1, 2), (3, 4), then the target: 14.
    assert found.energy < 20


def test_the_weights_of_a_model_get_no_gradient():
    weight = torch.ones((), requires_grad=True)
    cost = Formula(lambda trajectory: weight * trajectory.states.square().sum((3, 4)))
    Gradient()(problem([[0.0, 0.0]], [[4.0, 0.0]], cost=cost, setting=BUDGET))
    assert weight.grad is None
