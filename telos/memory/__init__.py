"""Memory: what the agent keeps. Working memory lasts as long as an episode."""

from telos.memory.records import PlanRecord, Usage, usage
from telos.memory.senses import sensed
from telos.memory.working import Moment, Pursuit, WorkingMemory

__all__ = ["Moment", "PlanRecord", "Pursuit", "Usage", "WorkingMemory", "sensed", "usage"]
