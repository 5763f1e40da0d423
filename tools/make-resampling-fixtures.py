"""Writes packages/lab/fixtures/resampling.json: what Pillow and torchvision make of a small picture.

Run once, with Pillow, numpy, torch and torchvision; versions are written into the file:

    python tools/make-resampling-fixtures.py > packages/lab/fixtures/resampling.json
"""

import base64
import json

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

KERNELS = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
TENSOR_KERNELS = {
    # What transformers 5 takes for Pillow's 0.
    "nearest": InterpolationMode.NEAREST_EXACT,
    "lanczos": InterpolationMode.LANCZOS,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
}
# height, width: from, to. Of the last two, Pillow 13 takes columns before rows; earlier versions never do.
SIZES = [
    *[((13, 17), (8, 8)), ((13, 17), (20, 31)), ((13, 17), (13, 6)), ((13, 17), (29, 17)), ((9, 40), (5, 7))],
    *[((31, 9), (7, 8)), ((23, 5), (12, 11))],
]


def planar(picture):
    return base64.b64encode(np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1)).tobytes()).decode()


def main():
    random = np.random.default_rng(1)
    cases = []
    for source, target in SIZES:
        # Noise and hard edges: kernels overshoot, and every rounding shows.
        pixels = random.integers(0, 256, (*source, 3), dtype=np.uint8)
        pixels[: source[0] // 3] = np.where(pixels[: source[0] // 3] > 127, 255, 0)
        image = Image.fromarray(pixels)
        for number, kernel in enumerate(KERNELS):
            made = {"pillow": planar(image.resize((target[1], target[0]), resample=number))}
            if kernel in TENSOR_KERNELS:
                tensor = F.pil_to_tensor(image)
                out = F.resize(tensor, list(target), interpolation=TENSOR_KERNELS[kernel], antialias=True)
                made["torch"] = planar(out.permute(1, 2, 0).numpy())
            if kernel in TENSOR_KERNELS and (source, target) in SIZES[:2]:
                out = F.resize(tensor.float(), list(target), interpolation=TENSOR_KERNELS[kernel], antialias=True)
                made["torch-float"] = planar(out.permute(1, 2, 0).numpy())
            cases.append({"from": source, "to": target, "kernel": kernel, "pixels": planar(pixels), **made})
    versions = {"Pillow": PIL.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__}
    print(json.dumps({"versions": versions, "seed": 1, "cases": cases}, indent=1))


main()
