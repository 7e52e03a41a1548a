"""A vector of any size, of where learned features are in each view and how they moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from telos.nn import SpatialSoftmax, normalised_head
from telos.perception.encoder import RATE_SCALE, Encoder
from telos.perception.keypoints import POSITION_SCALE


@dataclass(frozen=True)
class Tracks:
    """Perception by the tracks of learned features: the settings of a `TracksEncoder`."""

    features: int = 16  # P = D, the size of the state
    places: int = 8  # learned features whose place is found, in each view
    views: int = 1  # of as many cameras, side by side in a frame
    width: int = 16
    patch: int = 4  # pixels a side
    hidden: int = 128

    keypoints: ClassVar[int] = 0
    scene_channels: ClassVar[int] = 0
    clip: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}.")

    @property
    def pose_size(self) -> int:
        """P, how many numbers say what a clip shows of what moves."""
        return self.features

    def build(self, *, channels: int, image_size: tuple[int, int], frames: int) -> TracksEncoder:
        """A new encoder of frames of this size."""
        return TracksEncoder(self, channels=channels, image_size=image_size, frames=frames)


class TracksEncoder(Encoder):
    """States of `features` numbers, each with mean 0 and deviation 1, of a clip: any number of frames.

    In each view of each frame, where `places` learned features are, by a spatial softmax; then a network of
    these places in the last frame and of how they changed from frame to frame. So a state can have any
    size, need not tell place from velocity by position in the vector, and is no longer where its numbers are
    from. Pictures are divided into patches, of which each is a linear map before the one convolution: on
    a CPU that is several times cheaper than strided convolutions on few colours. There is no scene.

    Frames are what differs from the mean picture; H must be a multiple of `patch`, and so must W / `views`.
    """

    def __init__(
        self, settings: Tracks, *, channels: int, image_size: tuple[int, int], frames: int = 1
    ) -> None:
        height, wide = image_size
        patch, views, width = settings.patch, settings.views, settings.width
        if height % patch or wide % (patch * views):
            raise ValueError(
                f"patch must divide a view's height and width, of {views} side by side in {height} x {wide} "
                f"pixels; got {patch}. Choose another patch or number of views."
            )
        super().__init__(
            channels=channels,
            frames=frames,
            pose_size=settings.features,
            scene_shape=(0, height // 2, wide // 2),
        )
        self.size, self.settings = settings.features, settings
        self.register_buffer("pixel_mean", torch.full((channels, *image_size), 127.5))
        self.register_buffer("pixel_scale", torch.full((channels, 1, 1), 1 / 64.0))
        self.stem = nn.Linear(channels * patch**2, width)
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.heat = nn.Conv2d(width, settings.places, 1, bias=False)
        self.where = SpatialSoftmax(settings.places)
        found = 2 * settings.places * views
        self.head = normalised_head(found * frames, settings.hidden, settings.features)

    def features_of(self, pixels: Tensor) -> Tensor:
        """Pictures `[N, C, H, W]` to the places `[N, 2 * places * views]` in them; in single precision."""
        settings = self.settings
        rows, columns = (size // settings.patch for size in pixels.shape[-2:])
        cells = torch.relu(self._patches(pixels)).unflatten(1, (rows, columns)).permute(0, 3, 1, 2)
        found = torch.relu(self.body(cells)).to(self.heat.weight.dtype)
        views = found.unflatten(3, (settings.views, -1)).permute(0, 3, 1, 2, 4).flatten(0, 1)
        # Single precision from here on: a place is a small difference of activities, a speed one of places.
        with torch.autocast(pixels.device.type, enabled=False):
            places = self.where(self.heat(views))
        return POSITION_SCALE * places.unflatten(0, (-1, settings.views)).flatten(1)

    def pose(self, features: Tensor) -> Tensor:
        """The states `[N, features]` of clips in which the places `[N, 2 * places * views]` stay."""
        return self.moving(features[:, None].expand(-1, self.frames, -1))

    def moving(self, features: Tensor) -> Tensor:
        """The states `[N, features]` of the places in clips, `[N, frames, 2 * places * views]`."""
        changes = RATE_SCALE * features.diff(dim=1).flip(1)
        with torch.autocast(features.device.type, enabled=False):
            return self.head(torch.cat([features[:, -1:], changes], dim=1).flatten(1))

    def _patches(self, pixels: Tensor) -> Tensor:
        """The stem on patches of standardised pixels, `[N, cells, width]`: done to weights, not to pixels."""
        patch = self.settings.patch
        scale = self.pixel_scale.flatten().repeat_interleave(patch**2)
        weight = self.stem.weight * scale
        shift = nn.functional.linear(_cut(self.pixel_mean[None], patch), weight)
        half = torch.is_autocast_enabled(pixels.device.type)
        dtype = torch.get_autocast_dtype(pixels.device.type) if half else weight.dtype
        seen = nn.functional.linear(_cut(pixels, patch).to(dtype), weight.to(dtype))
        return seen + (self.stem.bias - shift).to(dtype)


def _cut(pictures: Tensor, patch: int) -> Tensor:
    """Pictures `[N, C, H, W]` to their patches, row by row: `[N, cells, C * patch^2]`."""
    rows, columns = (size // patch for size in pictures.shape[-2:])
    cut = pictures.unflatten(3, (columns, patch)).unflatten(2, (rows, patch))
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(1, 2).flatten(2)
