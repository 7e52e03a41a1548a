"""Perception: encoders from observations to states, and the decoder for looking at states."""

from telos.perception.decoder import BroadcastDecoder
from telos.perception.encoder import Encoder
from telos.perception.features import FeatureEncoder
from telos.perception.keypoints import KeypointEncoder

__all__ = ["BroadcastDecoder", "Encoder", "FeatureEncoder", "KeypointEncoder"]
