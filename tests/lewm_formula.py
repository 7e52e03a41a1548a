"""LeWM (arXiv 2603.19312) written out from its state dict, one window at a time, as a reference."""

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, silu


def random_weights(*, width=12, depth=2, size=8, grid=2, patch=4, told=6, projection=10, inner=16, hidden=20):
    """A small state dict under stable-worldmodel's names, nothing of it zero."""
    shapes = {
        "encoder.embeddings.cls_token": (1, 1, width),
        "encoder.embeddings.position_embeddings": (1, 1 + grid**2, width),
        "encoder.embeddings.patch_embeddings.projection.weight": (width, 3, patch, patch),
        "encoder.embeddings.patch_embeddings.projection.bias": (width,),
        "action_encoder.patch_embed.weight": (10, told, 1),
        "action_encoder.patch_embed.bias": (10,),
        "predictor.pos_embedding": (1, 3, size),
        **_linear("action_encoder.embed.0", 10, 4 * size),
        **_linear("action_encoder.embed.2", 4 * size, size),
        **_norm("encoder.layernorm", width),
        **_norm("predictor.transformer.norm", size),
    }
    for name, inputs in (("projector", width), ("pred_proj", size)):
        shapes |= _linear(f"{name}.net.0", inputs, projection) | _linear(f"{name}.net.3", projection, size)
        shapes |= _norm(f"{name}.net.1", projection)
        shapes |= {f"{name}.net.1.running_{kind}": (projection,) for kind in ("mean", "var")}
    for layer in range(depth):
        ours = f"encoder.layers.{layer}"
        for part in ("q", "k", "v", "o"):
            shapes |= _linear(f"{ours}.attention.{part}_proj", width, width)
        shapes |= _norm(f"{ours}.layernorm_before", width) | _norm(f"{ours}.layernorm_after", width)
        shapes |= _linear(f"{ours}.mlp.fc1", width, 4 * width) | _linear(f"{ours}.mlp.fc2", 4 * width, width)
        ours = f"predictor.transformer.layers.{layer}"
        shapes |= _norm(f"{ours}.attn.norm", size) | _norm(f"{ours}.mlp.net.0", size)
        shapes |= {f"{ours}.attn.to_qkv.weight": (3 * inner, size)}
        shapes |= _linear(f"{ours}.attn.to_out.0", inner, size) | _linear(f"{ours}.mlp.net.1", size, hidden)
        shapes |= _linear(f"{ours}.mlp.net.4", hidden, size)
        shapes |= _linear(f"{ours}.adaLN_modulation.1", size, 6 * size)
    generator = torch.Generator().manual_seed(0)
    weights = {name: 0.5 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for name in ("projector", "pred_proj"):
        weights[f"{name}.net.1.running_var"].square_().add_(0.5)
        weights[f"{name}.net.1.num_batches_tracked"] = torch.tensor(3)
    return weights


def embed(weights: dict[str, Tensor], pixels: Tensor, *, heads: int) -> Tensor:
    """Pictures uint8 `[N, 3, H, W]` to embeddings `[N, size]`."""
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pictures = (pixels / 255 - mean[:, None, None]) / deviation[:, None, None]
    kernel = weights["encoder.embeddings.patch_embeddings.projection.weight"]
    side = kernel.shape[-1]
    patches = pictures.unfold(2, side, side).unfold(3, side, side)  # [N, 3, h, w, side, side]
    tokens = torch.einsum("nchwij,dcij->nhwd", patches, kernel).flatten(1, 2)
    tokens = tokens + weights["encoder.embeddings.patch_embeddings.projection.bias"]
    tokens = torch.cat([weights["encoder.embeddings.cls_token"].expand(len(pixels), 1, -1), tokens], 1)
    tokens = tokens + weights["encoder.embeddings.position_embeddings"]
    for name in _layers(weights, "encoder.layers."):
        inside = _normed(weights, f"{name}.layernorm_before", tokens, 1e-12)
        query, key, value = (_at(weights, f"{name}.attention.{part}_proj", inside) for part in "qkv")
        told = _attend(query, key, value, heads=heads, causal=False)
        tokens = tokens + _at(weights, f"{name}.attention.o_proj", told)
        inside = _normed(weights, f"{name}.layernorm_after", tokens, 1e-12)
        tokens = tokens + _at(weights, f"{name}.mlp.fc2", gelu(_at(weights, f"{name}.mlp.fc1", inside)))
    return _project(weights, "projector", _normed(weights, "encoder.layernorm", tokens, 1e-12)[:, 0])


def predict(weights: dict[str, Tensor], states: Tensor, actions: Tensor, *, heads: int) -> Tensor:
    """The state `[N, size]` after a window of states `[N, T, size]` and actions `[N, T, told]`."""
    told = linear(actions, weights["action_encoder.patch_embed.weight"][..., 0])
    told = told + weights["action_encoder.patch_embed.bias"]
    told = _at(weights, "action_encoder.embed.2", silu(_at(weights, "action_encoder.embed.0", told)))
    tokens, size = states + weights["predictor.pos_embedding"][:, : states.shape[1]], states.shape[-1]
    for name in _layers(weights, "predictor.transformer.layers."):
        parts = _at(weights, f"{name}.adaLN_modulation.1", silu(told)).chunk(6, -1)
        inside = layer_norm(tokens, (size,), eps=1e-6) * (1 + parts[1]) + parts[0]
        joined = linear(
            _normed(weights, f"{name}.attn.norm", inside, 1e-5), weights[f"{name}.attn.to_qkv.weight"]
        )
        found = _attend(*joined.chunk(3, -1), heads=heads, causal=True)
        tokens = tokens + parts[2] * _at(weights, f"{name}.attn.to_out.0", found)
        inside = layer_norm(tokens, (size,), eps=1e-6) * (1 + parts[4]) + parts[3]
        inside = gelu(_at(weights, f"{name}.mlp.net.1", _normed(weights, f"{name}.mlp.net.0", inside, 1e-5)))
        tokens = tokens + parts[5] * _at(weights, f"{name}.mlp.net.4", inside)
    return _project(weights, "pred_proj", _normed(weights, "predictor.transformer.norm", tokens, 1e-5)[:, -1])


def _attend(query: Tensor, key: Tensor, value: Tensor, *, heads: int, causal: bool) -> Tensor:
    found = []
    for q, k, v in zip(*(each.chunk(heads, -1) for each in (query, key, value)), strict=True):
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        if causal:
            scores = scores + torch.full_like(scores[0], -torch.inf).triu(1)
        found.append(scores.softmax(-1) @ v)
    return torch.cat(found, -1)


def _project(weights: dict[str, Tensor], name: str, values: Tensor) -> Tensor:
    hidden = _at(weights, f"{name}.net.0", values) - weights[f"{name}.net.1.running_mean"]
    hidden = hidden / (weights[f"{name}.net.1.running_var"] + 1e-5).sqrt()
    hidden = hidden * weights[f"{name}.net.1.weight"] + weights[f"{name}.net.1.bias"]
    return _at(weights, f"{name}.net.3", gelu(hidden))


def _at(weights: dict[str, Tensor], name: str, values: Tensor) -> Tensor:
    return linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _normed(weights: dict[str, Tensor], name: str, values: Tensor, epsilon: float) -> Tensor:
    return layer_norm(
        values, (values.shape[-1],), weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon
    )


def _layers(weights: dict[str, Tensor], prefix: str) -> list[str]:
    numbers = {int(name.removeprefix(prefix).split(".")[0]) for name in weights if name.startswith(prefix)}
    return [f"{prefix}{number}" for number in sorted(numbers)]


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}
