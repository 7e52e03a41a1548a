"""Everything that was learned: perception, world model, readouts and decoder; and its checkpoint."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from telos.configuration import from_dict, to_dict
from telos.cost import Readout
from telos.errors import CheckpointError, TelosError, UnknownName
from telos.files import atomic_path, sync
from telos.perception import BroadcastDecoder, ConvEncoder
from telos.types import ActionSpace, Observation, Reading, Trajectory
from telos.world_model import InverseDynamics, ResidualPredictor, unroll

FORMAT = "telos-model"
VERSION = 1


@dataclass(frozen=True)
class ModelConfig:
    """The shapes of a model, and the world it is of."""

    world: str
    frame_shape: tuple[int, int, int]  # H, W, C
    action_space: ActionSpace  # with the block that one predictor step spans
    frames: int = 1  # consecutive environment frames that perception sees at once
    state_size: int = 40  # D
    slow_size: int = 24  # how many of the D hold what stays fixed during an episode
    encoder_width: int = 32
    encoder_blocks: int = 0
    predictor_hidden: int = 512
    predictor_layers: int = 3
    ensemble: int = 1  # predictors, whose disagreement keeps a planner from exploiting one's mistakes
    readings: dict[str, Reading] = field(default_factory=dict)  # what the world can name, for readouts

    def __post_init__(self) -> None:
        if not 0 <= self.slow_size < self.state_size:
            raise ValueError(
                f"slow_size must be between 0 and state_size - 1; got {self.slow_size} of {self.state_size}."
            )
        if self.frames < 1 or self.ensemble < 1:
            raise ValueError(
                f"frames and ensemble must be at least 1; got {self.frames} and {self.ensemble}."
            )


class Model(nn.Module):
    """Encoder and predictor, with what was trained on their frozen states: readouts and a decoder."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        height, width, colours = config.frame_shape
        space = config.action_space
        limit = torch.maximum(torch.tensor(space.low).abs(), torch.tensor(space.high).abs())
        block_size = space.block * space.dimension
        self.encoder = ConvEncoder(
            channels=colours * config.frames,
            image_size=(height, width),
            state_size=config.state_size,
            slow_size=config.slow_size,
            width=config.encoder_width,
            blocks=config.encoder_blocks,
        )
        self.predictors = nn.ModuleList(
            ResidualPredictor(
                state_size=config.state_size,
                action_scale=(1 / limit.clamp_min(1e-6)).repeat(space.block),
                hidden=config.predictor_hidden,
                layers=config.predictor_layers,
            )
            for _ in range(config.ensemble)
        )
        self.inverse = InverseDynamics(
            state_size=config.state_size - config.slow_size, action_size=block_size
        )
        self.decoder: BroadcastDecoder | None = None
        self.readouts = nn.ModuleDict()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, observation: Observation) -> Tensor:
        """The states `[B, D]` of observations whose pixels are `[B, frames, C, H, W]`."""
        if observation.pixels is None:
            raise ValueError("observation has no pixels, which this model's encoder needs.")
        expected = (self.config.frames, self.config.frame_shape[2], *self.config.frame_shape[:2])
        if tuple(observation.pixels.shape[1:]) != expected:
            raise ValueError(
                "pixels must have shape [B, T, C, H, W] with T, C, H, W = "
                f"{list(expected)}; got {list(observation.pixels.shape)}. Resize or stack the frames."
            )
        with self.precision():
            return self.encoder(observation.pixels.flatten(1, 2))

    def rollout(self, state: Tensor, actions: Tensor) -> Trajectory:
        """Imagine: states `[B, D]` and actions `[B, S, T, size]` to a trajectory.

        Each predictor of the ensemble imagines a future of its own, so K is `config.ensemble`.
        """
        problems, candidates = actions.shape[:2]
        blocks = self.config.action_space.flatten(actions).flatten(0, 1)
        start = state[:, None].expand(-1, candidates, -1).flatten(0, 1)
        with self.precision():
            futures = [unroll(predictor, start, blocks) for predictor in self.predictors]
        return Trajectory(torch.stack(futures, 1).unflatten(0, (problems, candidates)), actions)

    @property
    def predictor(self) -> ResidualPredictor:
        """The first predictor, which the encoder was trained with."""
        first = self.predictors[0]
        assert isinstance(first, ResidualPredictor)
        return first

    def read(self, name: str, states: Tensor) -> Tensor:
        """The reading `name` of states `[..., D]`: `[..., size]` in its units."""
        if name not in self.readouts:
            raise UnknownName("readout", name, self.readouts)
        return self.readouts[name](states)

    @torch.no_grad()
    def decode(self, states: Tensor) -> Tensor:
        """Pictures of states `[..., D]`: uint8 `[..., H, W, C]`. `ValueError` without a decoder."""
        if self.decoder is None:
            raise ValueError("this model has no decoder; train one with telos.fit_decoder.")
        with self.precision():
            pictures = self.decoder(states.reshape(-1, states.shape[-1])).float()
        levels = (pictures.clamp(0, 1) * 255).round().to(torch.uint8)
        return levels.permute(0, 2, 3, 1).reshape(*states.shape[:-1], *self.config.frame_shape)

    def precision(self) -> torch.autocast:
        """bf16 matrix products where the CPU multiplies in bf16 natively, and on GPUs; fp32 elsewhere."""
        device = next(self.parameters()).device
        return torch.autocast(device.type, torch.bfloat16, enabled=bf16_is_fast(device))

    def add_decoder(self) -> BroadcastDecoder:
        """A new, untrained decoder."""
        height, width, colours = self.config.frame_shape
        self.decoder = BroadcastDecoder(
            state_size=self.config.state_size, channels=colours, image_size=(height, width)
        ).to(next(self.parameters()).device)
        return self.decoder

    def add_readout(self, name: str) -> Readout:
        """A new, untrained readout of one of the world's readings."""
        if name not in self.config.readings:
            raise UnknownName("reading", name, self.config.readings)
        reading = self.config.readings[name]
        readout = Readout(self.config.state_size, reading.size, name=name, unit=reading.unit)
        self.readouts[name] = readout.to(next(self.parameters()).device)
        return readout

    def save(self, folder: str | Path, *, provenance: Mapping[str, Any] | None = None) -> None:
        """Write `model.safetensors` and `config.json` into `folder`.

        Both are written beside the old ones before either is replaced, the configuration last: a folder
        without one is unfinished. `CheckpointError` if there is no space; the old checkpoint stays.
        """
        config = {
            "format": FORMAT,
            "version": VERSION,
            "model": to_dict(self.config),
            "readouts": sorted(self.readouts),
            "decoder": self.decoder is not None,
            "provenance": to_dict(provenance or {}),
        }
        weights = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        try:
            path = Path(folder) / "config.json"
            with atomic_path(path) as described, atomic_path(path.with_name("model.safetensors")) as aside:
                described.write_text(json.dumps(config, indent=2, allow_nan=False) + "\n")
                safetensors.torch.save_file(weights, aside)
                sync(described)
                sync(aside)
                if not _same_shapes(path, config):
                    path.unlink(missing_ok=True)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"The checkpoint {folder} could not be written ({error}); the one before it, if "
                "any, is unchanged. Free some space or choose another folder."
            ) from error

    @staticmethod
    def load(folder: str | Path) -> Model:
        """Read what `save` wrote. `CheckpointError` if it is missing, damaged, or of another version."""
        folder = Path(folder)
        config = read_checkpoint_config(folder)
        try:
            model = Model(from_dict(ModelConfig, config["model"]))
            for name in config["readouts"]:
                model.add_readout(name)
            if config["decoder"]:
                model.add_decoder()
            weights = safetensors.torch.load_file(folder / "model.safetensors")
            model.load_state_dict(weights)
        except TelosError as error:
            raise CheckpointError(f"The checkpoint {folder} cannot be read: {error}") from error
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(
                f"The checkpoint {folder} cannot be read: {error}. Copy it again or train it again."
            ) from error
        return model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def read_checkpoint_config(folder: str | Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint, checked for format and version."""
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder} is not a telos checkpoint: it has no config.json. "
            "Give the folder that telos train wrote."
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}. Copy the checkpoint again.") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not of a telos checkpoint. Give the folder that telos train wrote.")
    if config.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has version {config.get('version')}; this telos reads version {VERSION}. "
            "Train again, or install the telos that wrote it."
        )
    return config


def _same_shapes(path: Path, config: Mapping[str, Any]) -> bool:
    """Whether the configuration at `path` would read weights that go with `config`."""
    try:
        old = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(old, dict) and all(
        old.get(key) == json.loads(json.dumps(config[key])) for key in ("model", "readouts", "decoder")
    )


def bf16_is_fast(device: torch.device) -> bool:
    """Whether matrix products in bf16 run on hardware made for them."""
    if device.type == "cpu":
        return torch.ops.mkldnn._is_mkldnn_bf16_supported() and _has_bf16_instructions()
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


@functools.cache
def _has_bf16_instructions() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
