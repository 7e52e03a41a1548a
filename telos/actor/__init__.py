"""The actor: search for the actions whose imagined consequences cost least, inside the guardrails.

Every planner is called with a `Problem` and returns a `Plan`, batched over problems. `PLANNERS` names
them, `planners` those for an action space; the conformance tests run every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from telos.actor.aggregate import Cvar, cvar, mean, worst_case
from telos.actor.beam import Beam
from telos.actor.discrete import Categorical, CategoricalCEM
from telos.actor.gradient import Gradient, refine
from telos.actor.lifted import Lifted
from telos.actor.mcts import MCTS
from telos.actor.noise import Coloured, Knots
from telos.actor.policy import ReactivePolicy
from telos.actor.proposals import Gaussian, Segments, Variations, Wander
from telos.actor.reflex import Guided, Reflex
from telos.actor.relay import Relay
from telos.actor.sampling import CEM, MPPI, Evolution, PredictiveSampling, RandomShooting, icem
from telos.actor.search import search
from telos.actor.slopes import Slopes, slopes
from telos.actor.steppers import LBFGS, Adam
from telos.actor.tree import Tree
from telos.actor.warm_start import alternatives, shift
from telos.types import ActionSpace, Planner

PLANNERS: Mapping[str, Callable[[], Planner]] = {
    "evolution": Evolution,
    "cem": CEM,
    "icem": icem,
    "mppi": MPPI,
    "predictive_sampling": PredictiveSampling,
    "random_shooting": RandomShooting,
    "gradient": Gradient,
    "lbfgs": lambda: Gradient(stepper=LBFGS()),
    "lifted": Lifted,
    "hybrid": lambda: Relay(((1, CEM()), (1, Gradient(starts=4, stepper=LBFGS())))),
    "tree": Tree,
    "relay": lambda: Relay(((3, Tree()), (1, Evolution()))),
    "beam": Beam,
    "categorical_cem": CategoricalCEM,
    "mcts": MCTS,
}
"""Every planner by name, with its default settings; `Reflex` and `Guided` need a policy besides."""

_DISCRETE = frozenset({"beam", "categorical_cem", "mcts"})
_CONTINUOUS = frozenset({"gradient", "lbfgs", "lifted", "hybrid"})


def planners(space: ActionSpace) -> Mapping[str, Callable[[], Planner]]:
    """Those of `PLANNERS` that plan in an action space; the others refuse it."""
    others = _CONTINUOUS if space.one_hot else _DISCRETE
    return {name: build for name, build in PLANNERS.items() if name not in others}


__all__ = [
    "CEM",
    "LBFGS",
    "MCTS",
    "MPPI",
    "PLANNERS",
    "Adam",
    "Beam",
    "Categorical",
    "CategoricalCEM",
    "Coloured",
    "Cvar",
    "Evolution",
    "Gaussian",
    "Gradient",
    "Guided",
    "Knots",
    "Lifted",
    "PredictiveSampling",
    "RandomShooting",
    "ReactivePolicy",
    "Reflex",
    "Relay",
    "Segments",
    "Slopes",
    "Tree",
    "Variations",
    "Wander",
    "alternatives",
    "cvar",
    "icem",
    "mean",
    "planners",
    "refine",
    "search",
    "shift",
    "slopes",
    "worst_case",
]
