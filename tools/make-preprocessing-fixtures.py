"""Writes packages/lab/fixtures/preprocessing.json: what image processors of transformers make of small pictures.

Run once, with transformers, torch and torchvision; versions are written into the file:

    python tools/make-preprocessing-fixtures.py > packages/lab/fixtures/preprocessing.json
"""

import base64
import json

import numpy as np
import torchvision
import transformers
from PIL import Image
from transformers import ConvNextImageProcessor, DeiTImageProcessor, ViTImageProcessor

PROCESSORS = [
    ViTImageProcessor(size={"height": 12, "width": 12}),
    ViTImageProcessor(size={"height": 30, "width": 30}, image_mean=[0.1, 0.2, 0.3], image_std=[0.3, 0.4, 0.5]),
    ViTImageProcessor(size={"shortest_edge": 14}, do_center_crop=True, crop_size={"height": 10, "width": 10}),
    ViTImageProcessor(size={"height": 9, "width": 9}, do_rescale=False, image_mean=[100, 110, 120], image_std=[50, 60, 70]),
    ViTImageProcessor(size={"height": 9, "width": 9}, do_normalize=False, rescale_factor=1 / 127.5),
    DeiTImageProcessor(size={"height": 14, "width": 14}, crop_size={"height": 11, "width": 11}),
    DeiTImageProcessor(size={"height": 8, "width": 8}, crop_size={"height": 11, "width": 11}),
    ConvNextImageProcessor(size={"shortest_edge": 13}),
    ConvNextImageProcessor(size={"shortest_edge": 16}, crop_pct=0.8, resample=2),
]


def encoded(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def main():
    random = np.random.default_rng(2)
    pictures = [random.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in [(17, 23), (31, 11), (6, 7)]]
    cases = []
    for processor in PROCESSORS:
        config = json.loads(processor.to_json_string())
        outputs = [processor(Image.fromarray(p), return_tensors="np")["pixel_values"][0] for p in pictures]
        cases.append(
            {
                "config": config,
                "outputs": [{"shape": o.shape, "float32": encoded(o.astype(np.float32))} for o in outputs],
            }
        )
    print(
        json.dumps(
            {
                "versions": {"transformers": transformers.__version__, "torchvision": torchvision.__version__},
                "seed": 2,
                "pictures": [
                    {"height": p.shape[0], "width": p.shape[1], "pixels": encoded(p.transpose(2, 0, 1))} for p in pictures
                ],
                "cases": cases,
            },
            indent=1,
        )
    )


main()
