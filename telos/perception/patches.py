"""A vision transformer on patches of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from telos.nn import TransformerBlock, projector
from telos.perception.encoder import Encoder

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels, in 0..1


@dataclass(frozen=True)
class Patches:
    """Perception by a vision transformer: the settings of a `PatchEncoder`. As given, LeWM's ViT-Tiny."""

    size: int = 192  # of the embedding
    resolution: int = 224  # pixels a side that frames are resized to
    grid: int = 16  # patches a side that there are position embeddings for
    patch: int = 14  # pixels a side
    width: int = 192
    depth: int = 12
    heads: int = 3
    projection: int = 2048  # hidden units of the projector

    keypoints: ClassVar[int] = 0
    scene_channels: ClassVar[int] = 0
    clip: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("size", "grid", "patch", "width", "depth", "heads", "projection"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}.")
        if self.resolution < self.patch or self.width % self.heads:
            raise ValueError(
                "resolution must be at least one patch and width a multiple of heads; got "
                f"resolution {self.resolution}, patch {self.patch}, width {self.width}, heads {self.heads}."
            )

    @property
    def pose_size(self) -> int:
        """P, how many numbers say what one frame shows of what moves."""
        return self.size

    def build(self, *, channels: int, image_size: tuple[int, int], frames: int) -> PatchEncoder:
        """A new encoder of frames of this size."""
        return PatchEncoder(self, channels=channels, frames=frames)


class PatchEncoder(Encoder):
    """Poses of `size` numbers: a vision transformer's class token, through a projector with a BatchNorm.

    The shape of LeWM's encoder (arXiv 2603.19312): ViT (arXiv 2010.11929) with learned position
    embeddings, resized bicubically to the patches that there are; the projector's normalisation is what
    SIGReg needs, since a transformer ends in a layer normalisation. There is no scene.
    """

    def __init__(self, settings: Patches, *, channels: int, frames: int = 1) -> None:
        super().__init__(channels=channels, frames=frames, pose_size=settings.size, scene_shape=(0, 0, 0))
        self.settings, width = settings, settings.width
        colours = len(_MEAN)
        mean, deviation = 255 * torch.tensor(_MEAN), 255 * torch.tensor(_DEVIATION)
        if channels != colours:
            mean, deviation = mean.mean().expand(channels), deviation.mean().expand(channels)
        self.register_buffer("pixel_mean", mean.clone())
        self.register_buffer("pixel_scale", 1 / deviation)
        self.patches = nn.Conv2d(channels, width, settings.patch, stride=settings.patch)
        self.summary = nn.Parameter(0.02 * torch.randn(width))
        self.places = nn.Parameter(0.02 * torch.randn(1 + settings.grid**2, width))  # the summary's first
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads=settings.heads, hidden=4 * width, epsilon=1e-12)
            for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.project = projector(width, settings.projection, settings.size)

    def standardise_by(self, frames: Tensor) -> None:
        """Nothing: pixels are standardised by ImageNet's statistics, as published encoders have them."""

    def features_of(self, pixels: Tensor) -> Tensor:
        """Pictures `[N, C, H, W]` to the class tokens `[N, width]`."""
        pixels = (pixels.to(self.pixel_mean.dtype) - self.pixel_mean[:, None, None]) * self.pixel_scale[
            :, None, None
        ]
        side = self.settings.resolution
        if pixels.shape[-2:] != (side, side):
            pixels = nn.functional.interpolate(pixels, (side, side), mode="bilinear", align_corners=False)
        grid = self.patches(pixels)
        side = self.settings.grid
        places = self.places[1:].T.unflatten(-1, (side, side))[None]
        if places.shape[-2:] != grid.shape[-2:]:
            places = nn.functional.interpolate(places, grid.shape[-2:], mode="bicubic", align_corners=False)
        summary = (self.summary + self.places[0]).expand(len(pixels), 1, -1)
        tokens = torch.cat([summary.to(grid.dtype), (grid + places).flatten(2).transpose(1, 2)], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens[:, 0])

    def pose(self, features: Tensor) -> Tensor:
        """The embeddings `[N, size]` of single pictures."""
        return self.project(features.to(self.pixel_mean.dtype))
