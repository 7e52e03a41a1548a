"""The actor: search for the actions whose imagined consequences cost least, inside the guardrails.

Every planner is called with a `Problem` and returns a `Plan`, batched over problems. `PLANNERS` names
them; the conformance tests run every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from telos.actor.aggregate import Cvar, cvar, mean, worst_case
from telos.actor.gradient import Gradient, refine
from telos.actor.lifted import Lifted
from telos.actor.noise import Coloured, Knots
from telos.actor.proposals import Gaussian, Segments, Variations, Wander
from telos.actor.relay import Relay
from telos.actor.sampling import CEM, MPPI, Evolution, PredictiveSampling, RandomShooting, icem
from telos.actor.search import search
from telos.actor.slopes import Slopes, slopes
from telos.actor.steppers import LBFGS, Adam
from telos.actor.tree import Tree
from telos.actor.warm_start import alternatives, shift
from telos.types import Planner

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
}
"""Every planner by name, with its default settings."""

__all__ = [
    "CEM",
    "LBFGS",
    "MPPI",
    "PLANNERS",
    "Adam",
    "Coloured",
    "Cvar",
    "Evolution",
    "Gaussian",
    "Gradient",
    "Knots",
    "Lifted",
    "PredictiveSampling",
    "RandomShooting",
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
    "refine",
    "search",
    "shift",
    "slopes",
    "worst_case",
]
