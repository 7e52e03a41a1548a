"""Encoders that others have trained: DINOv2, DINOv3 and V-JEPA 2, as Hugging Face transformers has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

import torch
from torch import Tensor, nn

from telos.errors import UnknownName
from telos.nn import normalised_head
from telos.perception.encoder import Encoder
from telos.perception.hub import KINDS, build_network, read_configuration, read_preparation, renamed

Pooled = Literal["class", "mean", "patches"]
"""What is taken of a network's tokens: the class token, the mean of those of patches, or each of these."""

Interpolation = Literal["bilinear", "bicubic"]
"""How frames are resized."""

_SAMPLE, _TOGETHER = 64, 16  # frames whose features are measured; of them so many at once


@dataclass(frozen=True)
class Pixels:
    """How a picture becomes a network's input; as given, the way of DINOv2, without its crop."""

    resolution: int = 224  # pixels a side that frames are resized to
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of values in 0..1
    deviation: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: Interpolation = "bicubic"  # with antialiasing

    def __post_init__(self) -> None:
        if self.interpolation not in get_args(Interpolation):
            raise UnknownName("interpolation", self.interpolation, get_args(Interpolation))
        if len(self.mean) != 3 or len(self.deviation) != 3 or min(self.deviation) <= 0:
            raise ValueError(
                "mean and deviation must be of red, green and blue, and deviations positive; got "
                f"{self.mean} and {self.deviation}."
            )


@dataclass(frozen=True)
class Pretrained:
    """Perception by a pretrained network: the settings of a `PretrainedEncoder`; see `from_pretrained`."""

    network: Mapping[str, Any]  # its transformers configuration, as plain data
    pixels: Pixels = field(default_factory=Pixels)
    pooled: Pooled = "mean"
    size: int = 0  # features that a trained head makes of each token; 0: there is no head
    frozen: bool = True  # whether the network stays as it is
    source: str = (
        ""  # folder or hub name that a new encoder reads its weights from; "": a checkpoint has them
    )

    keypoints: ClassVar[int] = 0
    scene_channels: ClassVar[int] = 0

    def __post_init__(self) -> None:
        kind, patch = self.network.get("model_type"), self.network.get("patch_size")
        if kind not in KINDS:
            raise UnknownName("kind of pretrained network", str(kind), KINDS)
        if self.pooled not in get_args(Pooled):
            raise UnknownName("pooling", self.pooled, get_args(Pooled))
        if self.clip and self.pooled == "class":
            raise ValueError(f"pooled must be 'mean' or 'patches' for {kind}, which has no class token.")
        if not isinstance(patch, int):
            raise ValueError(
                f"patches must be square, patch_size one number; got {patch} in {self.source!r}."
            )
        if self.pixels.resolution < patch or self.pixels.resolution % patch:
            below = max(self.pixels.resolution // patch, 1) * patch
            raise ValueError(
                f"resolution must be a multiple of the network's patches of {patch} pixels; got "
                f"{self.pixels.resolution}. Give {below} or {below + patch}."
            )
        if self.size < 0:
            raise ValueError(f"size must be at least 1, or 0 for no head; got {self.size}.")

    @property
    def clip(self) -> bool:
        """Whether the model's frames are perceived together, as a clip, and not one by one."""
        return KINDS[self.network["model_type"]].clip

    @property
    def grid(self) -> int:
        """How many patches a side a picture has."""
        return self.pixels.resolution // self.network["patch_size"]

    @property
    def tokens(self) -> int:
        """N, how many tokens a pose is made of."""
        return self.grid**2 if self.pooled == "patches" else 1

    @property
    def pose_size(self) -> int:
        """P, how many numbers say what one frame, or a clip, shows of what moves."""
        return self.tokens * (self.size or self.network["hidden_size"])

    def build(self, *, channels: int, image_size: tuple[int, int], frames: int) -> PretrainedEncoder:
        """A new encoder of frames of any size, with the weights at `source` if there is one.

        `CheckpointError` if transformers is missing, or the weights cannot be read.
        """
        return PretrainedEncoder(self, channels=channels, frames=frames)


def from_pretrained(
    source: str | Path,
    *,
    pooled: Pooled = "mean",
    size: int = 0,
    frozen: bool = True,
    resolution: int | None = None,
) -> Pretrained:
    """Settings of perception by the pretrained network at `source`: DINOv2, DINOv3 or V-JEPA 2.

    A model made with them reads the weights there; a checkpoint of that model holds them itself. Frames are
    standardised as the network's image processor says. Needs transformers, the extra `pretrained`.

    Args:
        source: a folder that transformers' `save_pretrained` wrote, or a name on the Hugging Face hub.
        pooled: "class" for the class token, "mean" for the mean of the patches' tokens, "patches" for
            each of these.
        size: features that a small trained head makes of each token; 0 takes a token as it is.
        frozen: whether the network stays as it is, or is trained too.
        resolution: pixels a side that frames are resized to, a multiple of the patches'; by default as the
            image processor says.

    Raises:
        CheckpointError: transformers is missing, or nothing at `source` can be read as such a network.
        UnknownName: the network is of another kind.
        ValueError: `resolution` does not divide into patches, or there is no class token.
    """
    network = read_configuration(str(source))
    said = read_preparation(str(source), KINDS[network["model_type"]])
    if resolution is not None:
        said["resolution"] = resolution
    return Pretrained(network, Pixels(**said), pooled=pooled, size=size, frozen=frozen, source=str(source))


class PretrainedEncoder(Encoder):
    """Poses of what a pretrained network says of a picture: its class token, or tokens of its patches.

    Patch tokens as the state is the way of DINO-WM (arXiv 2411.04983) and V-JEPA 2-AC (arXiv 2506.09985).
    Frames are resized as a whole, not cropped: what is at the edge may matter. A clip (V-JEPA 2) is one
    picture to the rest of telos: its pose is of all its frames, and there are no changes between frames.
    Of a clip's patches, "patches" are those of its last frames.

    The network is in evaluation mode always, so that a picture has one pose; frozen, no gradient
    reaches its weights. Features are centred, and scaled by one number, so that they vary by about one
    over the sample given to `standardise_by`; distances are the network's but for that factor. A head
    makes `size` of each token's, each with mean 0 and deviation 1.
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, settings: Pretrained, *, channels: int, frames: int = 1) -> None:
        if channels not in (1, 3):
            raise ValueError(f"frames must have 1 or 3 channels for a pretrained network; got {channels}.")
        self._check_frames(settings, frames)
        together = frames if settings.clip else 1
        super().__init__(
            channels=together * channels,
            frames=frames // together,
            pose_size=settings.pose_size,
            scene_shape=(0, 0, 0),
        )
        self.settings, self.together = settings, together
        pixels, width = settings.pixels, settings.network["hidden_size"]
        self.register_buffer("pixel_mean", 255 * torch.tensor(pixels.mean))
        self.register_buffer("pixel_scale", 1 / (255 * torch.tensor(pixels.deviation)))
        self.register_buffer("feature_mean", torch.zeros(width))
        self.register_buffer("feature_scale", torch.ones(()))
        self.network = build_network(settings.network, pixels.resolution, settings.source)
        self.network.requires_grad_(not settings.frozen).eval()
        self.head = normalised_head(width, 4 * settings.size, settings.size) if settings.size else None
        self.register_load_state_dict_pre_hook(_rename)

    @staticmethod
    def _check_frames(settings: Pretrained, frames: int) -> None:
        tube = settings.network["tubelet_size"] if settings.clip else 1
        if settings.clip and frames != 1 and frames % tube:
            raise ValueError(
                f"frames must be 1, which is then repeated, or a multiple of the {tube} that "
                f"{settings.network['model_type']} sees at once; got {frames}."
            )

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the head; the network stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self

    @torch.no_grad()
    def standardise_by(self, frames: Tensor) -> None:
        """Take the mean and the deviation of features from a sample `[N, C, H, W]`, from up to 64 of it."""
        shown = frames[:: -(-len(frames) // _SAMPLE)].repeat(1, self.together, 1, 1)
        features = torch.cat([self.features_of(part) for part in shown.split(_TOGETHER)])
        features = features.to(self.feature_mean.dtype).flatten(0, 1)
        self.feature_mean.copy_(features.mean(0))
        deviation = (features - self.feature_mean).square().mean().sqrt()
        self.feature_scale.copy_(1 / deviation.clamp_min(1e-6))

    def features_of(self, pixels: Tensor) -> Tensor:
        """Pictures `[N, C, H, W]`, or clips `[N, frames * C, H, W]`, to tokens `[N, tokens, width]`."""
        frames = self.prepared(pixels.unflatten(1, (self.together, -1)).flatten(0, 1))
        if self.settings.clip:
            frames = frames.unflatten(0, (-1, self.together))
        tokens = self.network(frames).last_hidden_state
        if self.settings.pooled == "class":
            return tokens[:, :1]
        cells = self.settings.grid**2
        if self.settings.pooled == "patches":
            return tokens[:, -cells:]
        # Before the tokens of a picture's patches are the class token and registers; a clip has neither.
        before = 0 if self.settings.clip else tokens.shape[1] - cells
        return tokens[:, before:].mean(1, keepdim=True)

    def blocks(self) -> list[nn.Module]:
        """The network's transformer blocks, the parts that it is sharded by."""
        lists = (part for part in self.network.modules() if isinstance(part, nn.ModuleList))
        return [block for each in lists for block in each]

    def prepared(self, frames: Tensor) -> Tensor:
        """Frames `[N, C, H, W]` of 0..255 as the network takes them: `[N, 3, resolution, resolution]`."""
        side, frames = self.settings.pixels.resolution, frames.to(self.pixel_mean.dtype)
        # First across, then down, each to pixels of whole levels: as Pillow does it, on any device.
        for size in ((frames.shape[-2], side), (side, side)):
            if frames.shape[-2:] != size:
                mode = self.settings.pixels.interpolation
                frames = nn.functional.interpolate(frames, size, mode=mode, antialias=True)
                frames = frames.round().clamp(0, 255)
        return (frames - self.pixel_mean[:, None, None]) * self.pixel_scale[:, None, None]

    def pose(self, features: Tensor) -> Tensor:
        """The tokens `[N, tokens, width]`, standardised, or what the head makes of them: `[N, P]`."""
        tokens = (features.to(self.feature_mean.dtype) - self.feature_mean) * self.feature_scale
        if self.head is not None:
            tokens = self.head(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])
        return tokens.flatten(1)


def _rename(encoder: nn.Module, weights: dict[str, Any], prefix: str, *_: Any) -> None:
    """A checkpoint outlives the version of transformers that it was made with: versions differ in names."""
    assert isinstance(encoder, PretrainedEncoder)
    start = f"{prefix}network."
    theirs = {name.removeprefix(start): weights.pop(name) for name in list(weights) if name.startswith(start)}
    weights.update({start + name: value for name, value in renamed(theirs, encoder.network).items()})
