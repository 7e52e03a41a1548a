"""Small random networks of each kind that transformers has, saved as their publishers save them."""

import json

import numpy as np
import pytest
from PIL import Image

transformers = pytest.importorskip("transformers")

import matplotlib.cbook  # noqa: E402
import torch  # noqa: E402

SHAPE = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
MEAN, DEVIATION = [0.4, 0.5, 0.3], [0.2, 0.25, 0.3]
SIDE = {"dinov2": 28, "dinov2_with_registers": 28, "dinov3_vit": 32, "vjepa2": 32}
BEFORE = {"dinov2": 1, "dinov2_with_registers": 4, "dinov3_vit": 5, "vjepa2": 0}  # class token and registers
RESAMPLE = {"dinov2": 3, "dinov2_with_registers": 3, "dinov3_vit": 2, "vjepa2": 2}


def network(kind):
    config = {
        "dinov2": lambda: transformers.Dinov2Config(**SHAPE, image_size=42, patch_size=7),
        "dinov2_with_registers": lambda: transformers.Dinov2WithRegistersConfig(
            **SHAPE, image_size=28, patch_size=7, num_register_tokens=3
        ),
        "dinov3_vit": lambda: transformers.DINOv3ViTConfig(
            **SHAPE, intermediate_size=48, patch_size=8, num_register_tokens=4
        ),
        "vjepa2": lambda: transformers.VJEPA2Config(
            **SHAPE, crop_size=32, patch_size=8, frames_per_clip=4, pred_hidden_size=24,
            pred_num_attention_heads=2, pred_num_hidden_layers=1,
        ),
    }[kind]()  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = transformers.AutoModel.from_config(config)
        for value in made.parameters():  # large enough that tokens differ much between pictures
            torch.nn.init.normal_(value, std=0.3)
    return made.eval()


def save(kind, folder):
    """A network of `kind` and what its image processor would be saved as, in `folder`."""
    network(kind).save_pretrained(folder)
    side = SIDE[kind]
    processor = {
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "rescale_factor": 1 / 255,
        "image_mean": MEAN,
        "image_std": DEVIATION,
        "resample": RESAMPLE[kind],
        "size": {"height": side, "width": side},
    }
    name = "preprocessor_config.json"
    if kind == "vjepa2":
        name = "video_preprocessor_config.json"
        processor |= {"size": {"shortest_edge": side * 8 // 7}, "do_center_crop": True, "crop_size": side}
    elif kind != "dinov3_vit":
        processor |= {"image_processor_type": "BitImageProcessor", "do_center_crop": False}
    (folder / name).write_text(json.dumps(processor))
    return folder


def photograph(height=None, width=None):
    """A photograph, `[H, W, 3]` uint8: a part of it as it is, or all 600 by 512 pixels."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        picture = np.asarray(Image.open(file).convert("RGB"))
    return picture if height is None else picture[100 : 100 + height, 200 : 200 + width]


def prepared(picture, kind):
    """`[3, side, side]` by Pillow and numpy alone."""
    side = SIDE[kind]
    resized = Image.fromarray(picture).resize((side, side), Image.Resampling(RESAMPLE[kind]))
    values = (np.asarray(resized) / 255 - np.array(MEAN)) / np.array(DEVIATION)
    return torch.from_numpy(values).permute(2, 0, 1).float()


def pixels(picture):
    """A picture `[H, W, 3]` as an encoder takes it, `[1, 3, H, W]`."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
