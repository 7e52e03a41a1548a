import pytest
import torch

from benchmarks.peers.planners import Contest, entries, run
from telos.cost import Goal
from telos.types import ActionSpace, Trajectory


def walk(state, actions):
    states = torch.cat([torch.zeros_like(actions[:, :, :1]), actions.cumsum(2)], 2) + state[:, None, None]
    return Trajectory(states[:, :, None], actions)


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_telos_planners_keep_to_their_share_of_the_peers_rows(share):
    goal = torch.tensor([[3.0, -2.0]])
    contest = Contest(
        state=torch.zeros(1, 2),
        rollout=walk,
        cost=Goal(goal, "last"),
        energy=lambda plans: (plans.sum(1) - goal).square().mean(1),
        space=ActionSpace((-1.0, -1.0), (1.0, 1.0)),
        horizon=5,
        steps=2,
    )
    for entry in entries(candidates=128, iterations=10, share=share):
        found = run(contest, entry, seed=0)
        passes = 3 if entry.name == "gradient" else 1
        assert passes * found["rows"] <= 1.2 * share * 128 * 10 * 5 * 2, entry
        assert found["energy"][0] < 0.5, entry
