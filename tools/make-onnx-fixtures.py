"""Exports small models with PyTorch's exporters into packages/onnxgrad/fixtures (see the README there).

Every fixture is an ONNX file and a JSON file with an input, PyTorch's outputs, and PyTorch's gradients of the objective
sum(w * y), w[i] = 0.5 + (7 * i mod 11) / 10: in full at the input, and as norm at every parameter. Tensors are
little-endian float32 in base64. Weights are random, from a fixed seed.
"""

import base64
import json
import pathlib
import sys

import numpy as np
import timm
import torch
import torchvision
import transformers
from timm.models.swin_transformer import SwinTransformerBlock
from torch import nn
from torchvision.models.convnext import CNBlock
from torchvision.models.resnet import BasicBlock, ResNet

SEED = 20
FOLDER = pathlib.Path(__file__).parent.parent / "packages" / "onnxgrad" / "fixtures"


class SmallResNet(ResNet):
    """ResNet-18 with a 32nd of the channels."""

    def __init__(self):
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=10)
        self.fc = nn.Linear(512 // 32, 10)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:
            self.inplanes = 2
            self.conv1 = nn.Conv2d(3, 2, kernel_size=7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(2)
        return super()._make_layer(block, planes // 32, blocks, stride, dilate)


class SwinPair(nn.Module):
    """A block with plain windows and one with shifted windows, as they follow each other in a Swin stage."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                SwinTransformerBlock(8, (8, 8), num_heads=2, window_size=4, shift_size=shift, always_partition=True)
                for shift in (0, 2)
            )
        )

    def forward(self, x):
        return self.blocks(x)


class ViT(nn.Module):
    def __init__(self, attention):
        super().__init__()
        config = transformers.ViTConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=16,
            patch_size=4,
            num_labels=10,
            attn_implementation=attention,
        )
        self.vit = transformers.ViTForImageClassification(config)

    def forward(self, pixel_values):
        return self.vit(pixel_values).logits


def spread(model):
    """Random values in place of the zeros and ones with which norms, biases and layer scales begin."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point() or "mask" in name:
                continue
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.ndim <= 1 or "layer_scale" in name:
                tensor.add_(0.2 * torch.randn_like(tensor))
            elif "token" in name or "position" in name:
                tensor.copy_(0.5 * torch.randn_like(tensor))


def encode(tensor):
    array = np.ascontiguousarray(tensor.detach().numpy(), dtype="<f4")
    return {"shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


def export(name, model, x, training=False, **options):
    spread(model)
    model.train(training)
    path = FOLDER / f"{name}.onnx"
    mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
    if not options["dynamo"]:
        options["training"] = mode
    else:
        options["external_data"] = False
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.onnx.export(model, (x,), str(path), input_names=["x"], output_names=["y"], **options)
    model.load_state_dict(before)

    x = x.clone().requires_grad_()
    y = model(x)
    weights = 0.5 + (torch.arange(y.numel()) * 7 % 11) / 10
    (y.flatten() * weights).sum().backward()
    norms = {key: p.grad.norm().item() for key, p in model.named_parameters() if p.grad is not None}
    case = {
        "made": {"torch": torch.__version__, "opset": options["opset_version"], "dynamo": options["dynamo"]},
        "batch": "dynamic_axes" in options,
        "input": encode(x),
        "output": encode(y),
        "inputGradient": encode(x.grad),
        "gradientNorms": norms,
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(case, indent=1) + "\n")
    print(name, path.stat().st_size, "bytes")


def main(wanted):
    script = {"dynamo": False}
    batch = {"dynamic_axes": {"x": {0: "batch"}, "y": {0: "batch"}}}
    fixtures = {
        "resnet-eval": lambda: (SmallResNet(), (2, 3, 16, 16), {**script, "opset_version": 13}),
        "resnet-train": lambda: (
            SmallResNet(),
            (4, 3, 32, 32),
            {**script, "opset_version": 17, "training": True, "do_constant_folding": False},
        ),
        "swin": lambda: (SwinPair(), (1, 8, 8, 8), {"dynamo": True, "opset_version": 18}),
        "swin-script": lambda: (SwinPair(), (1, 8, 8, 8), {**script, "opset_version": 16}),
        "convnext": lambda: (CNBlock(8, 0.5, 0.0), (1, 8, 9, 9), {"dynamo": True, "opset_version": 20}),
        "vit-script": lambda: (ViT("eager"), (2, 3, 16, 16), {**script, **batch, "opset_version": 14}),
        "vit-dynamo": lambda: (ViT("sdpa"), (2, 3, 16, 16), {"dynamo": True, "opset_version": 21}),
    }
    for name in wanted or fixtures:
        torch.manual_seed(SEED)
        model, shape, options = fixtures[name]()
        export(name, model, torch.randn(shape), **options)
    for library in (torch, torchvision, timm, transformers):
        print(library.__name__, library.__version__)


main(sys.argv[1:])
