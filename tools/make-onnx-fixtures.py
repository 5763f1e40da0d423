"""Exports small models with PyTorch's exporters into packages/onnxgrad/fixtures (see the README there).

Every fixture is an ONNX file and a JSON file with an input, PyTorch's output, and PyTorch's gradients of the objective
sum(w * y), w[i] = 0.5 + (7 * i mod 11) / 10: in full at the input, and as norm at every parameter. Tensors are
little-endian float32 in base64. Weights are random, from a fixed seed. Not part of any build or test; run it from the
repository's root after a change here, with the names of fixtures or for all that the installed PyTorch can export:

    python3 tools/make-onnx-fixtures.py [name ...] && npm run format
"""

import base64
import json
import pathlib
import sys

import numpy as np
import torch
from torch import nn

SEED = 20
FOLDER = pathlib.Path(__file__).parent.parent / "packages" / "onnxgrad" / "fixtures"


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """ResNet-18 as He et al. describe it (arXiv 1512.03385), with few channels."""

    def __init__(self, width=2):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(BasicBlock(a, b, 1 if a == b else 2), BasicBlock(b, b, 1))
                for a, b in zip(widths, widths[1:])
            )
        )
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, 10)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(self.layers(x)), 1))


class SwinBlock(nn.Module):
    """A Swin block (Liu et al., arXiv 2103.14030) on (batch, side, side, channels), its windows shifted or not."""

    def __init__(self, channels, side, heads, window, shift):
        super().__init__()
        self.heads, self.window, self.shift, self.side = heads, window, shift, side
        self.norm1 = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        apart = (at[:, :, None] - at[:, None, :]) + window - 1
        self.register_buffer("bias_index", apart[0] * (2 * window - 1) + apart[1])
        region = torch.zeros(1, side, side, 1)
        if shift:
            bounds = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
            for i, rows in enumerate(bounds):
                for j, columns in enumerate(bounds):
                    region[:, rows, columns, :] = 3 * i + j
        region = self.split(region).squeeze(-1)
        apart = region[:, None, :] != region[:, :, None]
        self.register_buffer("mask", torch.where(apart, -100.0, 0.0) if shift else None)

    def split(self, x):
        """(batch, side, side, channels) to (batch · windows, window², channels)."""
        batch, side, _, channels = x.shape
        n, w = side // self.window, self.window
        return x.view(batch, n, w, n, w, channels).permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, channels)

    def attend(self, x):
        windows, tokens, channels = x.shape
        size = channels // self.heads
        q, k, v = self.qkv(x).reshape(windows, tokens, 3, self.heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * size**-0.5) @ k.transpose(-2, -1)
        bias = self.bias_table[self.bias_index.view(-1)].view(tokens, tokens, self.heads)
        scores = scores + bias.permute(2, 0, 1).unsqueeze(0)
        if self.mask is not None:
            scores = scores + self.mask.unsqueeze(1)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(windows, tokens, channels))

    def forward(self, x):
        batch, side, _, channels = x.shape
        n, w = side // self.window, self.window
        y = self.norm1(x)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = self.attend(self.split(y)).view(batch, n, n, w, w, channels)
        y = y.permute(0, 1, 3, 2, 4, 5).reshape(batch, side, side, channels)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class ConvNeXtBlock(nn.Module):
    """A ConvNeXt block (Liu et al., arXiv 2201.03545)."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.wide = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.layer_scale = nn.Parameter(0.5 * torch.ones(channels))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.layer_scale * self.narrow(nn.functional.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


class ViTBlock(nn.Module):
    def __init__(self, channels, heads, approximate):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(approximate=approximate), nn.Linear(2 * channels, channels)
        )

    def forward(self, x):
        batch, tokens, channels = x.shape
        size = channels // self.heads
        q, k, v = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        attention = (q @ k.transpose(-2, -1) / size**0.5).softmax(-1)
        x = x + self.proj((attention @ v).transpose(1, 2).reshape(batch, tokens, channels))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """A small ViT (Dosovitskiy et al., arXiv 2010.11929): 16×16 images, 16 patches, two blocks."""

    def __init__(self, approximate="none"):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 8))
        self.position = nn.Parameter(torch.zeros(1, 17, 8))
        self.blocks = nn.Sequential(*(ViTBlock(8, 2, approximate) for _ in range(2)))
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


def spread(model):
    """Random values in place of the zeros and ones with which norms, biases and tokens begin."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith(("class_token", "position", "bias_table")):
                tensor.copy_(0.5 * torch.randn_like(tensor))
            elif tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(0.2 * torch.randn_like(tensor))


def encode(tensor):
    array = np.ascontiguousarray(tensor.detach().numpy(), dtype="<f4")
    return {"shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


def strip(path):
    """Takes out where in this script every node comes from: it is most of the file."""
    import onnx

    file = onnx.load(path)
    for item in (file.graph, *file.graph.node, *file.graph.value_info, *file.graph.input, *file.graph.output):
        del item.metadata_props[:]
    del file.graph.value_info[:]
    onnx.save(file, path)


def export(name, model, x, options):
    spread(model)
    model.eval()
    training = options.get("training") == torch.onnx.TrainingMode.TRAINING
    before = {key: value.clone() for key, value in model.state_dict().items()}
    path = FOLDER / f"{name}.onnx"
    torch.onnx.export(model, (x,), str(path), input_names=["x"], output_names=["y"], **options)
    if options.get("dynamo"):
        strip(path)
    model.load_state_dict(before)
    model.train(training)
    x = x.clone().requires_grad_()
    y = model(x)
    weights = 0.5 + (torch.arange(y.numel()) * 7 % 11) / 10
    (y.flatten() * weights).sum().backward()
    case = {
        "torch": torch.__version__,
        "opset": options["opset_version"],
        "batch": "dynamic_axes" in options,
        "input": encode(x),
        "output": encode(y),
        "inputGradient": encode(x.grad),
        "gradientNorms": {key: parameter.grad.norm().item() for key, parameter in model.named_parameters()},
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(case, indent=1) + "\n")
    print(name, path.stat().st_size, "bytes")


def main(wanted):
    has_dynamo = int(torch.__version__.split(".")[0]) >= 2
    script = {"dynamo": False} if has_dynamo else {}
    dynamo = {"dynamo": True, "external_data": False}
    batch = {"dynamic_axes": {"x": {0: "batch"}, "y": {0: "batch"}}}
    training = {"training": torch.onnx.TrainingMode.TRAINING, "do_constant_folding": False}
    swin = lambda: nn.Sequential(*(SwinBlock(8, 8, 2, 4, shift) for shift in (0, 2)))
    fixtures = {
        "resnet-eval": (ResNet18, (1, 3, 24, 24), {**script, "opset_version": 13}),
        "resnet-train": (ResNet18, (4, 3, 16, 16), {**script, **training, "opset_version": 15}),
        "swin-script": (swin, (1, 8, 8, 8), {**script, "opset_version": 16}),
        "vit-script": (ViT, (2, 3, 16, 16), {**script, **batch, "opset_version": 14}),
        "swin-dynamo": (swin, (1, 8, 8, 8), {**dynamo, "opset_version": 18}),
        "convnext-dynamo": (lambda: ConvNeXtBlock(8), (1, 8, 9, 9), {**dynamo, "opset_version": 20}),
        "vit-dynamo": (ViT, (2, 3, 16, 16), {**dynamo, "opset_version": 21}),
        "vit-dynamo-tanh": (lambda: ViT("tanh"), (2, 3, 16, 16), {**dynamo, "opset_version": 21}),
    }
    for name in wanted or fixtures:
        make, shape, options = fixtures[name]
        if options.get("dynamo") and not has_dynamo:
            print(name, "left out: PyTorch", torch.__version__, "has no such exporter")
            continue
        torch.manual_seed(SEED)
        model = make()
        export(name, model, torch.randn(shape), options)


main(sys.argv[1:])
