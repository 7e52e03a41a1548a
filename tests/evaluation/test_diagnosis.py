import numpy as np
import pytest

from telos.evaluation.diagnosis import Ending, diagnose
from telos.worlds import Rooms


def ending(path, goal, *, actions=None, touch=None, safe=0.0, layout=0):
    path = np.asarray(path, float)
    actions = np.zeros((len(path) - 1, 2)) if actions is None else actions
    return Ending({"agent_xy": path}, {"agent_xy": np.asarray(goal, float)}, actions, layout, touch, safe)


def there(start, stop, steps=20):
    return start + np.linspace(0, 1, steps + 1)[:, None] * (np.array(stop, float) - start)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (ending(there((10, 10), (50, 50)), (50, 50), touch=17), "goal and left it (was there at step 17)"),
        (ending(there((10, 10), (11, 10)), (15, 40), safe=0.9), "found no plan inside the guardrails (90%"),
        (ending(there((8, 10), (8, 20)), (8, 40)), "stopped short, 20 px from the goal"),
        (ending(there((8, 30), (8, 10)), (8, 40)), "ended farther away than it began"),
        (ending(there((8, 10), (18, 50)), (30, 50)), "on the wrong side of a wall, 12 px from the goal"),
    ],
)
def test_the_first_cause_that_applies_is_named(what, says):
    assert says in diagnose(what, Rooms())


def test_pushing_against_a_wall_is_told_from_resting():
    path = np.concatenate([there((8, 10), (18, 50)), np.repeat([[18.0, 50.0]], 20, axis=0)])
    pushing = ending(path, (30, 50), actions=np.full((40, 2), 2.0))
    assert "wall, pressed against it" in diagnose(pushing, Rooms())
    assert "pressed" not in diagnose(ending(path, (30, 50)), Rooms())


def test_pushing_with_discrete_actions_is_told_from_staying():
    world = Rooms("telos/TwoRoomsDiscrete-v0")
    path = np.concatenate([there((8, 10), (18, 50)), np.repeat([[18.0, 50.0]], 20, axis=0)])
    pushing, staying = (np.eye(9)[np.full(40, number)] for number in (1, 0))
    assert "wall, pressed against it" in diagnose(ending(path, (30, 50), actions=pushing), world)
    assert "pressed" not in diagnose(ending(path, (30, 50), actions=staying), world)
