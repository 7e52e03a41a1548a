"""Regions of a reading's space, with exact signed distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Values = Tensor | Sequence[float] | Sequence[Sequence[float]]


class Region(Protocol):
    """A set of readings `[k]`: one that all problems share, or one per problem."""

    @property
    def size(self) -> int:
        """k, the number of values of a reading."""
        ...

    def signed_distance(self, points: Tensor) -> Tensor:
        """Euclidean distance to the border, negative inside: `[..., k]` to `[...]`, differentiable.

        With one region per problem the first axis of `points` is B.
        """
        ...

    def select(self, index: Tensor) -> Region:
        """The region of some problems: `index` is an integer or boolean tensor over B."""
        ...


@dataclass(frozen=True, eq=False, init=False)
class Box:
    """All points between `low` and `high`, each `[k]` or, one box per problem, `[B, k]`.

    A bound may be infinite: `Box((0, -inf), (10, inf))` is a strip. What it was made of is copied, and
    what it tells is a copy: nobody who holds a region can move it.
    """

    _low: Tensor
    _high: Tensor

    def __init__(self, low: Values, high: Values) -> None:
        lower, upper = _floats("low", low, (1, 2)), _floats("high", high, (1, 2))
        if lower.shape != upper.shape:
            raise ValueError(
                "low and high must have the same shape, [k] or [B, k]; got "
                f"{list(lower.shape)} and {list(upper.shape)}."
            )
        if not (lower <= upper).all():
            raise ValueError(f"low must not exceed high; got low={lower.tolist()}, high={upper.tolist()}.")
        if not (lower.isfinite() | upper.isfinite()).any(dim=-1).all():
            raise ValueError("low and high must have a finite bound; got a box that holds every point.")
        object.__setattr__(self, "_low", lower)
        object.__setattr__(self, "_high", upper)

    @property
    def size(self) -> int:
        """k, the number of values of a reading."""
        return self._low.shape[-1]

    @property
    def low(self) -> Tensor:
        """The lower bounds, a copy."""
        return self._low.clone()

    @property
    def high(self) -> Tensor:
        """The upper bounds, a copy."""
        return self._high.clone()

    def signed_distance(self, points: Tensor) -> Tensor:
        """Euclidean distance to the border, negative inside: `[..., k]` to `[...]`."""
        low, high = (_beside(bound, points, trailing=1) for bound in (self._low, self._high))
        excess = torch.maximum(low - points, points - high)
        outside = torch.linalg.vector_norm(excess.clamp_min(0), dim=-1)
        return outside + excess.amax(dim=-1).clamp_max(0)

    def select(self, index: Tensor) -> Box:
        """The box of some problems; a shared one is the same for all."""
        return self if self._low.ndim == 1 else Box(self._low[index], self._high[index])

    def __str__(self) -> str:
        return f"box {self._low.tolist()} to {self._high.tolist()}"


@dataclass(frozen=True, eq=False, init=False)
class Disc:
    """All points within `radius` of `center`: `[k]` and one number or, per problem, `[B, k]` and `[B]`."""

    _center: Tensor
    _radius: Tensor

    def __init__(self, center: Values, radius: float | Tensor | Sequence[float]) -> None:
        middle = _floats("center", center, (1, 2))
        reach = _floats("radius", radius, (0, 1))
        if not middle.isfinite().all():
            raise ValueError(f"center must be finite; got {middle.tolist()}.")
        if not (reach.isfinite() & (reach >= 0)).all():
            raise ValueError(f"radius must be finite and at least 0; got {reach.tolist()}.")
        if middle.ndim == 2 or reach.ndim == 1:
            middle, reach = _per_problem(middle, reach)
        object.__setattr__(self, "_center", middle)
        object.__setattr__(self, "_radius", reach)

    @property
    def size(self) -> int:
        """k, the number of values of a reading."""
        return self._center.shape[-1]

    @property
    def center(self) -> Tensor:
        """The centre, a copy."""
        return self._center.clone()

    @property
    def radius(self) -> Tensor:
        """The radius, a copy."""
        return self._radius.clone()

    def signed_distance(self, points: Tensor) -> Tensor:
        """Euclidean distance to the border, negative inside: `[..., k]` to `[...]`."""
        center = _beside(self._center, points, trailing=1)
        distance = torch.linalg.vector_norm(points - center, dim=-1)
        return distance - _beside(self._radius, points, trailing=0)

    def select(self, index: Tensor) -> Disc:
        """The disc of some problems; a shared one is the same for all."""
        return self if self._center.ndim == 1 else Disc(self._center[index], self._radius[index])

    def __str__(self) -> str:
        return f"disc around {self._center.tolist()} with radius {self._radius.tolist()}"


@dataclass(frozen=True, eq=False, init=False)
class Union:
    """All points of any of several regions of the same size."""

    regions: tuple[Region, ...]

    def __init__(self, *regions: Region) -> None:
        sizes = {region.size for region in regions}
        if len(sizes) != 1:
            raise ValueError(
                f"regions must be at least one, all of the same size; got sizes {sorted(sizes)}."
            )
        object.__setattr__(self, "regions", regions)

    @property
    def size(self) -> int:
        """k, the number of values of a reading."""
        return self.regions[0].size

    def signed_distance(self, points: Tensor) -> Tensor:
        """To the nearest border, negative inside: `[..., k]` to `[...]`.

        Exact outside; inside where regions overlap it is the depth in the one that holds the point deepest.
        """
        return torch.stack([region.signed_distance(points) for region in self.regions]).amin(dim=0)

    def select(self, index: Tensor) -> Union:
        """The regions of some problems."""
        return Union(*(region.select(index) for region in self.regions))

    def __str__(self) -> str:
        return " and ".join(str(region) for region in self.regions)


def _floats(name: str, values: float | Values, ranks: tuple[int, int]) -> Tensor:
    """A copy of `values` that nobody else holds, as floating point numbers without NaN."""
    tensor = torch.as_tensor(values, dtype=None if isinstance(values, Tensor) else torch.float64)
    tensor = tensor.detach().clone() if tensor.is_floating_point() else tensor.double()
    if tensor.ndim not in ranks or 0 in tensor.shape:
        raise ValueError(f"{name} must have {ranks[0]} or {ranks[1]} axes; got shape {list(tensor.shape)}.")
    if tensor.isnan().any():
        raise ValueError(f"{name} must not hold NaN; got {tensor.tolist()}.")
    return tensor


def _per_problem(center: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    batch = radius.shape[0] if radius.ndim else center.shape[0]
    center = center.expand(batch, -1) if center.ndim == 1 else center
    radius = radius.expand(batch) if radius.ndim == 0 else radius
    if center.shape[0] != radius.shape[0]:
        raise ValueError(f"center and radius must agree on B; got {center.shape[0]} and {radius.shape[0]}.")
    return center, radius


def _beside(value: Tensor, points: Tensor, *, trailing: int) -> Tensor:
    """Bring `value`, `[k]` or `[B, k]` (`trailing` 0: `[]` or `[B]`), beside `points` `[..., k]`."""
    value = value.to(points)
    if value.ndim == trailing:
        return value
    if points.ndim < 2 or points.shape[0] != value.shape[0]:
        raise ValueError(
            f"points must have one row per problem in front, [{value.shape[0]}, ..., k], because the region "
            f"is given per problem; got {list(points.shape)}. Use select(index) for some of the problems."
        )
    ones = (1,) * (points.ndim - 2)
    return value.reshape(value.shape[0], *ones, *value.shape[1:])
