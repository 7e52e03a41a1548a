"""Perception: encoders from observations to states, and the decoder for looking at states."""

from telos.perception.decoder import BroadcastDecoder
from telos.perception.encoder import KeypointEncoder

__all__ = ["BroadcastDecoder", "KeypointEncoder"]
