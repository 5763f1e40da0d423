"""Writes packages/lab/fixtures/preprocessing.json: what image processors of transformers, and timm, make of pictures.

Run once, with transformers, timm, torch and torchvision; versions are written into the file:

    python tools/make-preprocessing-fixtures.py > packages/lab/fixtures/preprocessing.json

The pictures are a formula, which the test computes too. Of every result there are height, width, mean, and a few values.
"""

import json

import numpy as np
import timm
import torch
import torchvision
import transformers
from PIL import Image
from transformers import (
    BeitImageProcessor,
    BitImageProcessor,
    BlipImageProcessor,
    ChineseCLIPImageProcessor,
    CLIPImageProcessor,
    ConvNextImageProcessor,
    DeiTImageProcessor,
    DINOv3ViTImageProcessor,
    EfficientNetImageProcessor,
    LevitImageProcessor,
    MobileNetV1ImageProcessor,
    MobileNetV2ImageProcessor,
    MobileViTImageProcessor,
    PoolFormerImageProcessor,
    PvtImageProcessor,
    SegformerImageProcessor,
    SiglipImageProcessor,
    ViTImageProcessor,
)

# height, width: odd ones, squares, very long ones, larger and smaller than what they become.
SIZES = [
    *[(17, 23), (31, 11), (6, 7), (24, 24), (97, 131), (131, 97), (5, 40), (41, 6), (33, 32), (16, 15)],
    *[(14, 14), (1, 1), (3, 2), (75, 64), (64, 75), (29, 50), (51, 30), (10, 12), (19, 90), (101, 40)],
]
SAMPLES = 8


def square(side):
    return {"height": side, "width": side}


def shortest(edge):
    return {"shortest_edge": edge}


PROCESSORS = [
    ViTImageProcessor(size=square(12)),
    ViTImageProcessor(size=square(30), image_mean=[0.1, 0.2, 0.3], image_std=[0.3, 0.4, 0.5]),
    ViTImageProcessor(size=shortest(14), do_center_crop=True, crop_size=square(10)),
    ViTImageProcessor(size=square(9), do_rescale=False, image_mean=[100, 110, 120], image_std=[50, 60, 70]),
    ViTImageProcessor(size=square(9), do_normalize=False, rescale_factor=1 / 127.5),
    ViTImageProcessor(size=square(11), resample=0),
    ViTImageProcessor(size=square(11), resample=1),
    ViTImageProcessor(do_resize=False, do_center_crop=True, crop_size={"height": 8, "width": 13}),
    DeiTImageProcessor(size=square(14), crop_size=square(11)),
    DeiTImageProcessor(size=square(8), crop_size=square(11)),
    BeitImageProcessor(size=square(10), do_center_crop=True, crop_size=square(7)),
    BitImageProcessor(size=shortest(14), crop_size=square(11)),
    BlipImageProcessor(size=square(10)),
    CLIPImageProcessor(size=13, crop_size=12),
    ChineseCLIPImageProcessor(size=shortest(9), crop_size=square(9)),
    SiglipImageProcessor(size=square(13)),
    ConvNextImageProcessor(size=shortest(13)),
    ConvNextImageProcessor(size=shortest(16), crop_pct=0.8, resample=2),
    ConvNextImageProcessor(size=shortest(12), do_center_crop=True, crop_size=square(12)),
    ConvNextImageProcessor(size=shortest(384), do_center_crop=True, crop_size=square(20)),
    PoolFormerImageProcessor(size=shortest(12), crop_size=square(12)),
    PoolFormerImageProcessor(size=square(12), crop_size=square(12), crop_pct=0.7),
    PoolFormerImageProcessor(size={"height": 12, "width": 9}, crop_size=square(9), crop_pct=0.8),
    LevitImageProcessor(size=shortest(13), crop_size=square(12)),
    LevitImageProcessor(size=square(13), crop_size=square(13)),
    PvtImageProcessor(size=square(12)),
    SegformerImageProcessor(size=square(12), do_center_crop=True, crop_size=square(5)),
    DINOv3ViTImageProcessor(size=square(12)),
    DINOv3ViTImageProcessor(size=shortest(14), resample=3, do_center_crop=True, crop_size=square(16)),
    DINOv3ViTImageProcessor(size=square(12), do_rescale=False, do_normalize=False),
    EfficientNetImageProcessor(size=square(12), image_std=[0.47, 0.48, 0.49]),
    EfficientNetImageProcessor(
        size=square(14),
        do_center_crop=True,
        crop_size=square(12),
        rescale_offset=True,
        rescale_factor=1 / 127.5,
        include_top=False,
        resample=0,
    ),
    EfficientNetImageProcessor(size=square(12), rescale_offset=True, image_mean=[0.1, 0.2, 0.3]),
    EfficientNetImageProcessor(size=square(12), do_normalize=False, image_std=[0.3, 0.4, 0.5]),
    MobileNetV1ImageProcessor(size=shortest(14), crop_size=square(12)),
    MobileNetV2ImageProcessor(size=shortest(14), crop_size=square(12)),
    MobileViTImageProcessor(size=shortest(14), crop_size=square(12)),
    MobileViTImageProcessor(size=shortest(14), crop_size=square(12), do_flip_channel_order=False, rescale_factor=0.01),
]
# What config.json of timm says under pretrained_cfg.
TIMM = [
    {"input_size": [3, 16, 16], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "crop_pct": 0.9},
    {"input_size": [3, 15, 15], "interpolation": "bilinear"},
    {"input_size": [3, 14, 14], "interpolation": "lanczos", "crop_pct": 1.0},
    {"input_size": [3, 13, 13], "interpolation": "nearest", "crop_pct": 0.95},
    {"input_size": [3, 12, 12], "crop_mode": "squash", "crop_pct": 0.7},
]


def picture(height, width):
    """A gradient under a pattern in which every rounding shows."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return ((x * 37 + y * 101 + c * 53) * (x + 2 * y + 3 * c + 1) % 256).astype(np.uint8)


def summary(pixels):
    """Height, width, mean, and a few values."""
    flat = np.asarray(pixels, dtype=np.float32).reshape(-1)
    values = [float(f"{flat[(k * 7919 + 13) % flat.size]:.6g}") for k in range(SAMPLES)]
    return [*pixels.shape[1:], round(float(flat.astype(np.float64).mean()), 7), *values]


def timm_transform(config):
    data = timm.data.resolve_data_config({}, pretrained_cfg=config)
    return timm.data.create_transform(**data, is_training=False)


def main():
    pictures = [Image.fromarray(picture(*size)) for size in SIZES]
    transformers_cases = [
        {
            "config": json.loads(processor.to_json_string()),
            "outputs": [
                summary(processor(p, return_tensors="np", input_data_format="channels_last")["pixel_values"][0])
                for p in pictures
            ],
        }
        for processor in PROCESSORS
    ]
    timm_cases = [
        {"config": config, "outputs": [summary(timm_transform(config)(p).numpy()) for p in pictures]} for config in TIMM
    ]
    modules = [transformers, timm, torch, torchvision]
    fixture = {
        "versions": {module.__name__: module.__version__ for module in modules},
        "sizes": SIZES,
        "cases": transformers_cases,
        "timm": timm_cases,
    }
    print(json.dumps(fixture, indent=1))


main()
