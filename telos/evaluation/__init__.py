"""Evaluation: numbers about an agent with their floors, and about what its model knows. Draws nothing."""

from telos.evaluation.analysis import Analysis, Coverage, DataStatistics, analyse
from telos.evaluation.episodes import Decision, Policy, Record, Run, run_episodes
from telos.evaluation.hazards import Hazards
from telos.evaluation.intervals import clopper_pearson, wilson
from telos.evaluation.landscape import Landscape, landscapes
from telos.evaluation.measure import DEV_SEED, TEST_SEED, evaluate
from telos.evaluation.open_loop import Foretold, OpenLoop, open_loop
from telos.evaluation.policies import AgentPolicy, Blind, NoOp, aim_at_picture
from telos.evaluation.probes import ProbeResult, probe
from telos.evaluation.recording import ImaginedPlan, Recording, Zone
from telos.evaluation.result import Evaluation, Floor, Planning, TaskRow, pool
from telos.evaluation.safety import Protocol, Safety, Target
from telos.evaluation.witness import Witness, true_violations
from telos.evaluation.zones import Across, GuardrailProtocol, Regions

__all__ = [
    "DEV_SEED",
    "TEST_SEED",
    "Across",
    "AgentPolicy",
    "Analysis",
    "Blind",
    "Coverage",
    "DataStatistics",
    "Decision",
    "Evaluation",
    "Floor",
    "Foretold",
    "GuardrailProtocol",
    "Hazards",
    "ImaginedPlan",
    "Landscape",
    "NoOp",
    "OpenLoop",
    "Planning",
    "Policy",
    "ProbeResult",
    "Protocol",
    "Record",
    "Recording",
    "Regions",
    "Run",
    "Safety",
    "Target",
    "TaskRow",
    "Witness",
    "Zone",
    "aim_at_picture",
    "analyse",
    "clopper_pearson",
    "evaluate",
    "landscapes",
    "open_loop",
    "pool",
    "probe",
    "run_episodes",
    "true_violations",
    "wilson",
]
