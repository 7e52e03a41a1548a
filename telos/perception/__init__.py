"""Perception: encoders from observations to states, and the decoder for looking at states."""

from telos.perception.decoder import BroadcastDecoder
from telos.perception.encoder import ConvEncoder

__all__ = ["BroadcastDecoder", "ConvEncoder"]
