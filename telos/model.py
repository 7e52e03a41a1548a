"""Everything that was learned, from perception to a reflex, and how it is planned with."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from telos.actor import ReactivePolicy
from telos.checkpoint import WEIGHTS, read_checkpoint_config, write_checkpoint
from telos.configuration import from_dict, to_dict
from telos.configurator import Configurator
from telos.cost import Readout
from telos.errors import CheckpointError, TelosError, UnknownName
from telos.perception import (
    POSITION_SCALE,
    BroadcastDecoder,
    Encoder,
    Keypoints,
    PerceptionSettings,
    Pretrained,
)
from telos.types import ActionSpace, Observation, Policy, Reading, Trajectory
from telos.world_model import Glimpse, InverseDynamics, Predictor, PredictorSettings

_TOGETHER = 256  # moments of a video that are encoded at once

Recovered = Literal["each", "mean", "none"]
"""What inverse dynamics tells of a block: each of its actions, their mean, or it is not asked."""


@dataclass(frozen=True)
class ModelConfig:
    """The shapes of a model, and the world it is of."""

    world: str
    frame_shape: tuple[int, int, int]  # H, W, C
    action_space: ActionSpace  # with the block that one predictor step spans
    frames: int = 1  # environment frames that perception sees at once
    perception: PerceptionSettings = field(default_factory=Keypoints)
    predictor: PredictorSettings = field(default_factory=Glimpse)
    recovered: Recovered = "each"  # from two states, by inverse dynamics
    ensemble: int = 1  # predictors, whose disagreement keeps a planner from exploiting one's mistakes
    readings: dict[str, Reading] = field(default_factory=dict)  # what the world can name, for readouts
    spacing: int = 1  # environment steps between two of the frames that perception sees at once

    def __post_init__(self) -> None:
        if self.frames < 1 or self.ensemble < 1:
            raise ValueError(
                f"frames and ensemble must be at least 1; got {self.frames} and {self.ensemble}."
            )
        if self.spacing < 1 or (self.spacing > 1 and not self.perception.clip):
            raise ValueError(
                "spacing must be 1, or more where perception sees its frames as one clip (Tracks); got "
                f"{self.spacing} with {type(self.perception).__name__}."
            )
        if self.recovered not in get_args(Recovered):
            raise UnknownName("recovered", self.recovered, get_args(Recovered))

    @property
    def state_size(self) -> int:
        """D, the size of what moves: the part of a state that is imagined."""
        return self.pose_size * self.poses

    @property
    def poses(self) -> int:
        """How many frames' poses what moves tells: all, or one where perception sees them as one clip."""
        return 1 if self.perception.clip else self.frames

    @property
    def look(self) -> int:
        """How many environment frames it is from the first to the last that perception sees at once."""
        return (self.frames - 1) * self.spacing + 1

    @property
    def pose_size(self) -> int:
        """How much of what moves, from its start, is of the last frame alone; the rest is how it changes.

        All of it where perception sees its frames as one clip.
        """
        return self.perception.pose_size

    @property
    def scene_shape(self) -> tuple[int, int, int]:
        """C, h, w of the part of a state that stays."""
        return (self.perception.scene_channels, self.frame_shape[0] // 2, self.frame_shape[1] // 2)


class Model(nn.Module):
    """Encoder and predictors, with what was trained on their frozen states: readouts, decoder, reflex.

    A state as perception gives it is `[B, D + scene]`: what moves, then the scene, flat. Imagined states
    are what moves, `[..., D]`: the scene stays that of the state they begin with, and is held once. Readings
    are taken of either; what needs the scene says so.

    `configurator` is how its agent plans where nothing else is said: as the recipe that trained it has it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.configurator = Configurator()
        space, perception = config.action_space, config.perception
        self.encoder: Encoder = perception.build(
            channels=config.frame_shape[2], image_size=config.frame_shape[:2], frames=config.frames
        )
        self.predictors = nn.ModuleList(
            config.predictor.build(
                size=config.state_size,
                frames=config.poses,
                space=space,
                keypoints=perception.keypoints,
                scene_channels=perception.scene_channels,
            )
            for _ in range(config.ensemble)
        )
        self.inverse: InverseDynamics | None = None
        if config.recovered != "none":
            told = space.dimension * (space.block if config.recovered == "each" else 1)
            self.inverse = InverseDynamics(state_size=config.state_size, action_size=told)
        self.decoder: BroadcastDecoder | None = None
        self.reflex: ReactivePolicy | None = None
        self.readouts = nn.ModuleDict()
        _channels_last(self)

    def encode(self, observation: Observation) -> Tensor:
        """The states `[B, D + scene]` of observations whose pixels are `[B, frames, C, H, W]`."""
        if observation.pixels is None:
            raise ValueError("observation has no pixels, which this model's encoder needs.")
        expected = (self.config.frames, self.config.frame_shape[2], *self.config.frame_shape[:2])
        if tuple(observation.pixels.shape[1:]) != expected:
            raise ValueError(
                "pixels must have shape [B, T, C, H, W] with T, C, H, W = "
                f"{list(expected)}; got {list(observation.pixels.shape)}. Resize or stack the frames."
            )
        with self.precision():
            moving, scene = self.encoder(observation.pixels.flatten(1, 2))
        return moving if scene is None else torch.cat([moving, scene.flatten(1)], dim=-1)

    @torch.no_grad()
    def encode_video(self, frames: Tensor) -> Tensor:
        """The states `[T - look + 1, D + scene]` of all moments of a video, uint8 `[T, C, H, W]`.

        As `encode` of the frames that perception looks at, but each frame is seen once, not in every stack,
        and without a gradient.
        `ValueError` if the video is shorter than perception looks back.
        """
        look, spacing = self.config.look, self.config.spacing
        count = len(frames) - look + 1
        if count < 1:
            raise ValueError(f"frames must be at least {look}, which perception looks at; got {len(frames)}.")
        parts = []
        for first in range(0, count, _TOGETHER):
            some = frames[first : first + _TOGETHER + look - 1]
            if self.encoder.frames != self.config.frames:  # a clip is perceived as a whole
                stacks = some.unfold(0, look, 1)[..., ::spacing].movedim(-1, 1)
                parts.append(self.encode(Observation(stacks)))
                continue
            with self.precision():
                each = self.encoder.features_of(some)
                stacks = each.unfold(0, look, 1)[..., ::spacing].movedim(-1, 1)
                moving, scene = self.encoder.moving(stacks), self.encoder.scene_of(stacks)
            parts.append(moving if scene is None else torch.cat([moving, scene.flatten(1)], dim=-1))
        return torch.cat(parts)

    def moving(self, states: Tensor) -> Tensor:
        """What moves, `[..., D]`, of perceived states `[..., D + scene]` or imagined ones `[..., D]`."""
        return states[..., : self.config.state_size]

    def scene(self, states: Tensor) -> Tensor | None:
        """The scene `[..., C, h, w]` of perceived states `[..., D + scene]`; None where there is none."""
        if not self.config.perception.scene_channels:
            return None
        whole = self.config.state_size + math.prod(self.config.scene_shape)
        if states.shape[-1] != whole:
            raise ValueError(
                f"states must be perceived ones, [..., {whole}], as encode gives them; got "
                f"{list(states.shape)}. Imagined ones need the perceived one they began with (perceived=)."
            )
        return states[..., self.config.state_size :].unflatten(-1, self.config.scene_shape)

    def rollout(self, state: Tensor, actions: Tensor) -> Trajectory:
        """Imagine: perceived states `[B, D + scene]` and actions `[B, S, T, size]` to a trajectory of `[D]`.

        Each predictor of the ensemble imagines a future of its own, so K is `config.ensemble`.
        """
        return Trajectory(self.imagine(state, self.config.action_space.flatten(actions)), actions)

    def resume(self, state: Tensor, imagined: Tensor, actions: Tensor) -> Trajectory:
        """Imagine on from imagined states `[B, S, K, D]`, in the scenes of perceived ones `[B, D + scene]`.

        Actions are `[B, S, T, size]`; future k is imagined on by predictor k. A predictor with a history
        begins a new one.
        """
        blocks = self.config.action_space.flatten(actions)
        return Trajectory(self.imagine(state, blocks, begin=imagined), actions)

    def imagine(self, state: Tensor, blocks: Tensor, *, begin: Tensor | None = None) -> Tensor:
        """What moves `[B, S, K, T+1, D]` after blocks of free actions `[B, S, T, block * A]`.

        It begins at perceived states `[B, D + scene]`, or at `begin` `[B, S, K, D]` in their scenes.
        """
        if begin is None:
            begin = self.moving(state)[:, None, None]
            begin = begin.expand(-1, blocks.shape[1], len(self.predictors), -1)
        scene = self.scene(state)
        with self.precision():
            futures = [
                self._predictor(k).imagine(begin[:, :, k], blocks, scene) for k in range(len(self.predictors))
            ]
        return torch.stack(futures, 2)

    @property
    def predictor(self) -> Predictor:
        """The first predictor, which the encoder was trained with."""
        return self._predictor(0)

    def _predictor(self, number: int) -> Predictor:
        predictor = self.predictors[number]
        assert isinstance(predictor, Predictor)
        return predictor

    def read(self, name: str, states: Tensor) -> Tensor:
        """The reading `name` of states: `[..., size]` in its units."""
        if name not in self.readouts:
            raise UnknownName("readout", name, self.readouts)
        return self.readouts[name](self.moving(states))

    def policy(self, state: Tensor, goal: Tensor) -> Policy | None:
        """How to react in perceived states `[B, D + scene]` on the way to what moves at goals, `[B, D]`.

        None without a reflex. One goal `[1, D]` is that of all. Imagined futures are reacted to on average.
        """
        reflex = self.reflex
        if reflex is None:
            return None
        goal = goal.expand(len(state), -1)

        @functools.cache
        def view() -> Tensor | None:
            with self.precision():
                return reflex.view(self.scene(state), goal)

        def react(imagined: Tensor) -> Tensor:
            with self.precision():
                return reflex(imagined.mean(2), goal, view()).to(imagined.dtype)

        return react

    @torch.no_grad()
    def decode(self, states: Tensor, *, perceived: Tensor | None = None) -> Tensor:
        """Pictures of states: uint8 `[..., H, W, C]`. `ValueError` without a decoder.

        Imagined states `[..., D]` need the `perceived` one `[D + scene]` that they begin with, if there is
        a scene.
        """
        if self.decoder is None:
            raise ValueError("this model has no decoder; train one with telos.fit_decoder.")
        moving, lead = self.moving(states), states.shape[:-1]
        scene = self.scene(states if perceived is None else perceived)
        if scene is not None:
            scene = scene.expand(*lead, -1, -1, -1).reshape(-1, *self.config.scene_shape)
        with self.precision():
            pictures = self.decoder(moving.reshape(-1, moving.shape[-1]), scene).float()
        levels = (pictures.clamp(0, 1) * 255).round().to(torch.uint8)
        return levels.permute(0, 2, 3, 1).reshape(*lead, *self.config.frame_shape)

    def precision(self) -> torch.autocast:
        """bf16 matrix products where the CPU multiplies in bf16 natively, and on GPUs; fp32 elsewhere."""
        device = next(self.parameters()).device
        return torch.autocast(device.type, torch.bfloat16, enabled=bf16_is_fast(device))

    def add_decoder(self) -> BroadcastDecoder:
        """A new, untrained decoder."""
        height, width, colours = self.config.frame_shape
        self.decoder = BroadcastDecoder(
            state_size=self.config.state_size,
            scene_channels=self.config.perception.scene_channels,
            channels=colours,
            image_size=(height, width),
        ).to(next(self.parameters()).device)
        return self.decoder

    def add_reflex(self) -> ReactivePolicy:
        """A new, untrained reactive policy."""
        self.reflex = ReactivePolicy(
            self.config.action_space,
            size=self.config.state_size,
            keypoints=self.config.perception.keypoints,
            position_scale=POSITION_SCALE,
            scene_channels=self.config.perception.scene_channels,
        ).to(next(self.parameters()).device)
        return self.reflex

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

        Both are written beside the old ones before either is replaced. A configurator with a planner of
        one's own cannot be told in JSON, and is left out. `CheckpointError` if there is no space; the old
        checkpoint stays.
        """
        built = {
            "model": to_dict(_self_contained(self.config)),
            "readouts": sorted(self.readouts),
            "decoder": self.decoder is not None,
            "reflex": self.reflex is not None,
            "configurator": self.configurator.to_json(),
        }
        write_checkpoint(Path(folder), self.state_dict(), built=built, provenance=to_dict(provenance or {}))

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
            if config.get("reflex"):
                model.add_reflex()
            if config.get("configurator"):
                model.configurator = Configurator.from_json(config["configurator"])
            weights = safetensors.torch.load_file(folder / WEIGHTS)
            model.load_state_dict(weights)
        except TelosError as error:
            raise CheckpointError(f"The checkpoint {folder} cannot be read: {error}") from error
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(
                f"The checkpoint {folder} cannot be read: {error}. Copy it again or train it again."
            ) from error
        _channels_last(model)
        return model.eval()


def _channels_last(model: nn.Module) -> None:
    """Lay weights out as convolutions over pictures are fastest; those over clips have another rank."""
    for value in (*model.parameters(), *model.buffers()):
        if value.ndim == 4:
            value.data = value.data.contiguous(memory_format=torch.channels_last)


def _self_contained(config: ModelConfig) -> ModelConfig:
    """The configuration of a model whose weights are in its checkpoint, wherever they came from."""
    if not isinstance(config.perception, Pretrained):
        return config
    return replace(config, perception=replace(config.perception, source=""))


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
