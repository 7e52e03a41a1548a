import pytest
import torch

from telos.actor import CEM, MPPI, Evolution, PredictiveSampling, icem
from telos.actor.archive import Clock
from telos.actor.proposals import Belief
from telos.actor.ranking import Scored, rank
from telos.actor.sampling import Fit, Follow, Softmax, Top
from telos.types import ActionSpace, Budget, PlanStatus
from tests.actor.point import WIDE, Setting, Zone, move, problem


def scored(energy, violation):
    energy, violation = torch.tensor([energy]), torch.tensor([violation])
    actions = torch.arange(energy.shape[1], dtype=torch.float32)[None, :, None, None].expand(-1, -1, 2, 2)
    return Scored(actions, energy, violation, violation, rank(energy, violation))


def belief():
    return Belief(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), WIDE)


def test_softmax_weighs_feasible_candidates_only_and_the_better_ones_more():
    weight = Softmax(1.0)(scored([3.0, 1.0, 0.0, torch.nan], [0.0, 0.0, 2.0, 0.0]), belief()).weight[0]
    assert weight[2] == weight[3] == 0
    assert weight[1] > weight[0] > 0
    assert weight.sum() == pytest.approx(1)


def test_softmax_weighs_by_violation_where_nothing_is_feasible():
    weight = Softmax(1.0)(scored([0.0, 9.0, 5.0], [3.0, 1.0, torch.inf]), belief()).weight[0]
    assert weight[1] > weight[0] > weight[2] == 0


def test_softmax_does_not_depend_on_the_scale_of_the_energy():
    one = Softmax(0.5)(scored([1.0, 2.0, 4.0], [0.0] * 3), belief()).weight
    other = Softmax(0.5)(scored([1001.0, 1002.0, 1004.0], [0.0] * 3), belief()).weight
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_a_gaussian_is_fitted_to_the_elites():
    elites = Top(2)(scored([5.0, 1.0, 2.0, 7.0], [0.0, 0.0, 0.0, 0.0]), belief())
    fitted = Fit()(belief(), elites)
    torch.testing.assert_close(fitted.mean, torch.full((1, 1, 2, 2), 1.5))
    torch.testing.assert_close(fitted.std, torch.full((1, 1, 2, 2), 0.5))


@pytest.mark.parametrize("refit", [Fit(), Follow()])
def test_without_a_finite_candidate_the_belief_stays(refit):
    nothing = scored([torch.nan, torch.inf], [0.0, 0.0])
    for weigh in (Top(2), Softmax(1.0)):
        assert torch.equal(refit(belief(), weigh(nothing, belief())).mean[:, :1], belief().mean)


def test_kept_elites_are_not_lost():
    # Two iterations of two candidates that all miss: only what is kept can be looked around.
    found = PredictiveSampling(candidates=8)(
        problem([[0.0, 0.0]], [[3.0, 0.0]], setting=Setting(budget=Budget(20)))
    )
    assert found.energy < 9  # 4 + 1 + 0 is the optimum, standing still costs 54


def test_several_basins_stay_alive():
    # Two ways round a disc, the same length: the alternatives hold the other one.
    case = problem(
        [[0.0, 0.0]], [[4.0, 0.0]], guardrails=(Zone((2.0, 0.0), 1.0),), setting=Setting(budget=Budget(15))
    )
    found = Evolution(128)(case)
    sides = [
        plan.trajectory.states[0, 0, 0, :, 1].sum().sign().item() for plan in (found, *found.alternatives)
    ]
    assert {-1.0, 1.0} <= set(sides)


@pytest.mark.parametrize("planner", [CEM(1, elites=1), MPPI(1), Evolution(1), Evolution(2, parents=4)])
def test_a_handful_of_candidates_is_enough(planner):
    assert planner(problem([[0.0, 0.0]], [[3.0, 0.0]])).status == (PlanStatus.SOLVED,)


def test_candidates_shrink_to_twice_the_elites():
    rows = []

    def counted(state, actions):
        rows.append(actions.shape[1])
        return move(state, actions)

    setting = Setting(rollout=counted, budget=Budget(7))
    found = icem(100, elites=20)(problem([[0.0, 0.0]], [[3.0, 0.0]], setting=setting))
    assert rows == [100, 80, 64, 51, 40, 40, 40]  # 100 / 1.25^i
    assert found.evaluations == sum(rows) * 6


def test_the_first_candidates_of_a_search_are_warm_start_and_alternatives_and_look_around_them():
    drawn = []

    def watched(state, actions):
        drawn.append(actions)
        return move(state, actions)

    warm, others = torch.full((1, 6, 2), 0.25), torch.full((1, 2, 6, 2), -1.0)
    setting = Setting(rollout=watched, budget=Budget(2))
    case = problem([[0.0, 0.0]], [[3.0, 0.0]], setting=setting, warm_start=warm, alternatives=others)
    CEM(90, elites=9, spread=0.05)(case)
    assert torch.equal(drawn[0][:, :3], torch.cat([warm[:, None], others], 1))
    near = (drawn[0].mean((2, 3)) - torch.tensor([[0.25, -1.0, -1.0]]).repeat(1, 30)).abs()
    assert near.max() < 0.2  # the rest lies around each in turn
    assert drawn[1].mean((2, 3)).min() > -0.5  # and is then refitted to one Gaussian


@pytest.mark.parametrize("shrink", [0.5, 0.0, float("nan")])
def test_candidates_that_would_grow_are_an_error(shrink):
    with pytest.raises(ValueError, match="shrink must be at least 1"):
        CEM(shrink=shrink)


def test_a_warm_start_of_the_wrong_shape_is_named():
    with pytest.raises(
        ValueError, match=r"warm_start must have shape \[B, T, size\] = \[1, 6, 2\]; got \[1, 5, 2\]"
    ):
        CEM()(problem([[0.0, 0.0]], [[3.0, 0.0]], warm_start=torch.zeros(1, 5, 2)))


def test_a_warm_start_outside_the_action_space_is_projected():
    space = ActionSpace((-1.0, -1.0), (1.0, 1.0))
    warm = torch.full((1, 6, 2), 7.0)
    found = CEM()(
        problem([[0.0, 0.0]], [[9.0, 9.0]], setting=Setting(space, budget=Budget(1)), warm_start=warm)
    )
    assert torch.equal(found.actions, torch.ones(1, 6, 2))


def test_a_clock_without_a_deadline_is_never_late():
    assert not Clock(None).late()
    assert Clock(0.0).late()
    assert not Clock(1000.0).late()


def test_a_clock_knows_the_last_iteration_that_fits(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    clock, seen = Clock(3.5), []
    while not clock.late():
        seen.append(clock.final())
        now[0] += 1.0
    assert seen == [False, False, True]
    assert not Clock(None).final()


def test_an_infeasible_plan_is_not_excused_by_the_deadline():
    case = problem(
        [[0.0, 0.0]],
        [[3.0, 0.0]],
        guardrails=(Zone((0.0, 0.0), 99.0),),
        setting=Setting(budget=Budget(1, 0.0)),
    )
    assert CEM()(case).status == (PlanStatus.INFEASIBLE,)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_softmax_weighs_alike_where_squared_energies_are_no_floats(scale):
    energy = [0.0, 1.0, 3.0]
    few = [
        Softmax(0.5)(scored([each * unit for each in energy], [0.0] * 3), belief()).weight
        for unit in (1.0, scale)
    ]
    torch.testing.assert_close(*few)


@pytest.mark.parametrize("planner", [CEM(candidates=0), MPPI(0), Evolution(0), PredictiveSampling(0)])
def test_no_candidates_are_an_error(planner):
    with pytest.raises(ValueError, match="candidates must be at least 1 in every iteration; got 0"):
        planner(problem([[0.0, 0.0]], [[4.0, 0.0]]))


def test_a_deadline_that_is_not_a_number_and_a_horizon_of_nothing_are_errors():
    with pytest.raises(ValueError, match="seconds must be a number"):
        Budget(seconds=float("nan"))
    with pytest.raises(ValueError, match="horizon must be at least 1 block"):
        problem([[0.0, 0.0]], [[4.0, 0.0]], horizon=0)
