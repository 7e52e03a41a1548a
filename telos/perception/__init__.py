"""Perception: encoders from observations to states, and the decoder for looking at states."""

from telos.perception.decoder import BroadcastDecoder
from telos.perception.encoder import Encoder
from telos.perception.features import FeatureEncoder, Features
from telos.perception.keypoints import POSITION_SCALE, KeypointEncoder, Keypoints
from telos.perception.patches import PatchEncoder, Patches
from telos.perception.pretrained import Pixels, Pooled, Pretrained, PretrainedEncoder, from_pretrained
from telos.perception.residual import Residual, ResidualEncoder
from telos.perception.tracks import Tracks, TracksEncoder

PerceptionSettings = Keypoints | Features | Tracks | Patches | Residual | Pretrained
"""The settings of every encoder."""

__all__ = [
    "POSITION_SCALE",
    "BroadcastDecoder",
    "Encoder",
    "FeatureEncoder",
    "Features",
    "KeypointEncoder",
    "Keypoints",
    "PatchEncoder",
    "Patches",
    "PerceptionSettings",
    "Pixels",
    "Pooled",
    "Pretrained",
    "PretrainedEncoder",
    "Residual",
    "ResidualEncoder",
    "Tracks",
    "TracksEncoder",
    "from_pretrained",
]
