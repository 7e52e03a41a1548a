"""Experience: episodes on disk, random windows of them as tensors, collecting and importing them."""

from telos.data.collect import collect
from telos.data.policies import ExplorationPolicy, Persistent, Uniform
from telos.data.schema import Episode, Schema
from telos.data.store import EpisodeStore, UncommittedTail
from telos.data.table import VideoImportError
from telos.data.video import Imported, import_videos
from telos.data.windows import Batch, LabelledFrames, Windows, labelled_frames

__all__ = [
    "Batch",
    "Episode",
    "EpisodeStore",
    "ExplorationPolicy",
    "Imported",
    "LabelledFrames",
    "Persistent",
    "Schema",
    "UncommittedTail",
    "Uniform",
    "VideoImportError",
    "Windows",
    "collect",
    "import_videos",
    "labelled_frames",
]
