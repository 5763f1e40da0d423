"""Writes packages/lab/fixtures/torch: files of torch.save, and what torchvision computes with the weights in them.

    python tools/make-torch-fixtures.py

Needs torch, torchvision, numpy and safetensors. Weights are random; `goldens.json` has the logits of the two images
that packages/lab/src/testing/goldens.ts spells out, normalized with ImageNet's mean and deviation, in double precision,
and the values of the tensors in dtypes.pth. Not part of any build or test.
"""

import json
import os
import pathlib
from collections import OrderedDict

import numpy
import torch
import torchvision
from safetensors.torch import load_file
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

SEED = 11
FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "packages/lab/fixtures"
ROOT = FIXTURES / "torch"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def normalized(side):
    n = torch.arange(2 * 3 * side * side, dtype=torch.int64)
    pixels = ((((n * n + n + 12345) * 2654435761) % 2**32) // 2**24).reshape(2, 3, side, side)
    mean, std = (torch.tensor(v).double().view(1, 3, 1, 1) for v in (MEAN, STD))
    return (pixels.double() / 255 - mean) / std


def randomize(model):
    generator = torch.Generator().manual_seed(SEED)
    for name, value in model.named_parameters():
        norm = value.dim() == 1 and name.endswith("weight")
        matrix = value.dim() > 1 and "token" not in name and "pos" not in name
        scale = 0.9 * (value[0].numel() ** -0.5) if matrix else 0.4
        value.data = (1.0 if norm else 0.0) + scale * torch.randn(value.shape, generator=generator)
    return model.eval()


def logits(model, side):
    with torch.no_grad():
        return model.double()(normalized(side)).tolist()


class Hostile:
    def __reduce__(self):
        return os.system, ("echo run > /tmp/was-run",)


if __name__ == "__main__":
    ROOT.mkdir(exist_ok=True)
    save = lambda value, name, **options: torch.save(value, ROOT / name, **options)
    goldens = {"from": f"torchvision {torchvision.__version__}, PyTorch {torch.__version__}, seed {SEED}"}

    vit = randomize(
        VisionTransformer(
            image_size=16, patch_size=4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=12, num_classes=3
        )
    )
    weights = OrderedDict((name, value.clone()) for name, value in vit.state_dict().items())
    save(vit.state_dict(), "vit.pth")
    save(vit.state_dict(), "vit-protocol-5.pth", pickle_protocol=5)
    save(vit.state_dict(), "legacy.pth", _use_new_zipfile_serialization=False)
    # As BackdoorBench saves an attack: the model behind a resizing layer, trained on several devices, beside its data.
    indices = numpy.arange(3)
    save(
        {
            "model_name": "vit_b_16",
            "num_classes": 3,
            "model": OrderedDict((f"module.1.{name}", value) for name, value in weights.items()),
            "img_size": [16, 16, 3],
            "clean_data": "cifar10",
            "bd_train": {
                "bd_data_container": {"data_dict": {indices[1]: {"path": "1.png", "other_info": [0, 2]}}},
                "original_index_array": indices,
                "poison_indicator": numpy.zeros(3),
                "getitem_all": True,
            },
            "bd_test": {"x": torch.zeros(2), "y": torch.zeros(2)},
        },
        "backdoorbench.pt",
    )
    goldens["vit"] = logits(vit, 16)

    swin = randomize(
        SwinTransformer([2, 2], embed_dim=8, depths=[2, 1], num_heads=[2, 4], window_size=[4, 4], mlp_ratio=2, num_classes=3)
    )
    save({"epoch": 4, "lr": 0.1, "best": None, "state_dict": swin.state_dict()}, "swin.pth")
    goldens["swin"] = logits(swin, 16)

    # Weights that are fixtures in safetensors, too.
    save(load_file(FIXTURES / "checkpoints/vit/model.safetensors"), "transformers.bin")
    save(load_file(FIXTURES / "timm-vit/reg4/model.safetensors"), "timm.pth")

    numbers = torch.arange(-6, 6).reshape(3, 4) / 4
    tensors = {
        "float64": numbers.double(),
        "float32": numbers,
        "float16": numbers.half(),
        "bfloat16": numbers.bfloat16(),
        "int64": torch.arange(3) - 1,
        "uint8": torch.arange(3, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "transposed": numbers.t(),
        "sliced": numbers[1:, 1:3],
        "stepped": numbers[:, ::2],
        "parameter": torch.nn.Parameter(numbers[0].clone()),
    }
    save(tensors, "dtypes.pth")
    goldens["dtypes"] = {name: [list(value.shape), value.double().reshape(-1).tolist()] for name, value in tensors.items()}

    save({"weights": weights, "extra": Hostile()}, "os-system.pth")
    save(torch.nn.Linear(2, 2), "whole-model.pth")
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(ROOT / "torchscript.pt")
    save({"optimizer": {"step": 3}, "epoch": 1}, "no-weights.pth")
    (ROOT / "goldens.json").write_text(json.dumps(goldens))
