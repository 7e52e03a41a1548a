"""Costs that are summed, guardrails that are held, and the readouts both can speak of."""

from telos.cost.calibration import Calibrated, Calibration, Measured, Trial, calibrate, score_of, settle
from telos.cost.conformal import binomial_cdf, conformal_rank, episodes_needed
from telos.cost.drift import DriftTest
from telos.cost.guardrails import ReadingGuardrail, keep_in, keep_out
from telos.cost.learned import LearnedGuardrail
from telos.cost.parsing import parse_goal, parse_region
from telos.cost.readout import Readout
from telos.cost.regions import Box, Disc, Region, Union
from telos.cost.terms import Effort, Goal, ReadingGoal, Scaled, Sum, Term, checked_energy, energy, goal_state
from telos.cost.watch import Drift, Watch

__all__ = [
    "Box",
    "Calibrated",
    "Calibration",
    "Disc",
    "Drift",
    "DriftTest",
    "Effort",
    "Goal",
    "LearnedGuardrail",
    "Measured",
    "ReadingGoal",
    "ReadingGuardrail",
    "Readout",
    "Region",
    "Scaled",
    "Sum",
    "Term",
    "Trial",
    "Union",
    "Watch",
    "binomial_cdf",
    "calibrate",
    "checked_energy",
    "conformal_rank",
    "energy",
    "episodes_needed",
    "goal_state",
    "keep_in",
    "keep_out",
    "parse_goal",
    "parse_region",
    "score_of",
    "settle",
]
