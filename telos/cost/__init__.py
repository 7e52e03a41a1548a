"""Costs that are summed, guardrails that are held, and the readouts both can speak of."""

from telos.cost.guardrails import ReadingGuardrail, keep_in, keep_out
from telos.cost.parsing import parse_goal, parse_region
from telos.cost.readout import Readout
from telos.cost.regions import Box, Disc, Region
from telos.cost.terms import Effort, Goal, ReadingGoal, Scaled, Sum, Term, checked_energy, energy, goal_state

__all__ = [
    "Box",
    "Disc",
    "Effort",
    "Goal",
    "ReadingGoal",
    "ReadingGuardrail",
    "Readout",
    "Region",
    "Scaled",
    "Sum",
    "Term",
    "checked_energy",
    "energy",
    "goal_state",
    "keep_in",
    "keep_out",
    "parse_goal",
    "parse_region",
]
