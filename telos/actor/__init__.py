"""The actor: search for the actions whose imagined consequences cost least, inside the guardrails.

Every planner is called with a `Problem` and returns a `Plan`, batched over problems. `PLANNERS` names
them; the conformance tests run every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from telos.actor.aggregate import Cvar, cvar, mean, worst_case
from telos.actor.gradient import Gradient, refine
from telos.actor.noise import Coloured, Knots
from telos.actor.policy import ReactivePolicy
from telos.actor.proposals import Gaussian, Segments, Variations, Wander
from telos.actor.reflex import Guided, Reflex
from telos.actor.sampling import CEM, MPPI, Evolution, PredictiveSampling, RandomShooting
from telos.actor.search import search
from telos.actor.tree import Relay, Tree
from telos.actor.warm_start import shift
from telos.types import Planner

PLANNERS: Mapping[str, Callable[[], Planner]] = {
    "evolution": Evolution,
    "cem": CEM,
    "icem": lambda: CEM(correlation=Coloured(2.0), keep=8),
    "mppi": MPPI,
    "predictive_sampling": PredictiveSampling,
    "random_shooting": RandomShooting,
    "gradient": Gradient,
    "tree": Tree,
    "relay": lambda: Relay(((3, Tree()), (1, Evolution()))),
}
"""Every planner by name, with its default settings; `Reflex` and `Guided` need a policy besides."""

__all__ = [
    "CEM",
    "MPPI",
    "PLANNERS",
    "Coloured",
    "Cvar",
    "Evolution",
    "Gaussian",
    "Gradient",
    "Guided",
    "Knots",
    "PredictiveSampling",
    "RandomShooting",
    "ReactivePolicy",
    "Reflex",
    "Relay",
    "Segments",
    "Tree",
    "Variations",
    "Wander",
    "cvar",
    "mean",
    "refine",
    "search",
    "shift",
    "worst_case",
]
