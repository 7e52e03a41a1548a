"""Experience: episodes on disk, random windows of them as tensors, collecting and importing them."""

from telos.data.collect import collect
from telos.data.policies import ExplorationPolicy, Persistent, Uniform
from telos.data.schema import Episode, Schema
from telos.data.store import EpisodeStore, UncommittedTail
from telos.data.windows import Batch, LabelledFrames, Windows, labelled_frames

__all__ = [
    "Batch",
    "Episode",
    "EpisodeStore",
    "ExplorationPolicy",
    "LabelledFrames",
    "Persistent",
    "Schema",
    "UncommittedTail",
    "Uniform",
    "Windows",
    "collect",
    "labelled_frames",
]
