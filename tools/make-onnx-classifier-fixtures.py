"""Writes packages/lab/fixtures/onnx: the tiny checkpoints of transformers beside it as PyTorch's exporters write them.

    python tools/make-onnx-classifier-fixtures.py [NAME…]

Needs torch, transformers, onnx and onnxscript. NAME makes only some of the files. The weights are those of the safetensors files, so that the two ways of
reading a model can be compared.
"""

import sys
from pathlib import Path

import onnx
import torch
from transformers import (
    ConvNextForImageClassification,
    DeiTForImageClassificationWithTeacher,
    Dinov2ForImageClassification,
    ResNetForImageClassification,
    SwinForImageClassification,
    ViTForImageClassification,
)

FIXTURES = Path(__file__).parent.parent / "packages/lab/fixtures"
OUT = FIXTURES / "onnx"


class Logits(torch.nn.Module):
    """Of what a model returns, the logits alone."""

    def __init__(self, model, probabilities=False):
        super().__init__()
        self.model, self.probabilities = model, probabilities

    def forward(self, pixel_values):
        logits = self.model(pixel_values=pixel_values).logits
        return logits.softmax(-1) if self.probabilities else logits


def export(name, model, side, *, dynamo, opset, free=(), batch=2, external=False, probabilities=False):
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.onnx"
    names = {0: "batch", 2: "height", 3: "width"}
    dims = {axis: names[axis] for axis in free}
    shapes = (
        dict(dynamic_shapes=({axis: torch.export.Dim(names[axis]) for axis in free},) if free else None)
        if dynamo
        else dict(dynamic_axes={"pixel_values": dims, "logits": {0: "batch"}} if free else None)
    )
    torch.onnx.export(
        Logits(model.eval(), probabilities),
        (torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(1)),),
        path,
        dynamo=dynamo,
        opset_version=opset,
        input_names=["pixel_values"],
        output_names=["logits"],
        **({"external_data": external} if dynamo else {}),
        **shapes,
    )
    file = onnx.load(path, load_external_data=False)
    # The exporter notes source lines, which make most of a small file.
    for item in [file.graph, *file.graph.node, *file.graph.input, *file.graph.output, *file.graph.value_info]:
        del item.metadata_props[:]
        item.doc_string = ""
    del file.metadata_props[:]
    del file.graph.value_info[:]
    onnx.save(file, path)


def load(kind, folder, **options):
    return kind.from_pretrained(FIXTURES / folder, **options)


vit = load(ViTForImageClassification, "checkpoints/vit")
export("vit-dynamo", vit, 16, dynamo=True, opset=20, free=[0])
export("vit-dynamo-external", vit, 16, dynamo=True, opset=21, free=[0], external=True)
export("vit-dynamo-fixed", vit, 16, dynamo=True, opset=18)
plain = load(ViTForImageClassification, "checkpoints/vit", attn_implementation="eager")
export("vit-script-decomposed", plain, 16, dynamo=False, opset=13, free=[0, 2, 3], probabilities=True)
teacher = load(DeiTForImageClassificationWithTeacher, "checkpoints/deit-teacher")
export("deit-teacher-script", teacher, 16, dynamo=False, opset=14, free=[0])
swin = load(SwinForImageClassification, "swin/shifted", attn_implementation="eager")
export("swin-dynamo", swin, 16, dynamo=True, opset=19, free=[0])
export("resnet-dynamo", load(ResNetForImageClassification, "resnet/basic"), 16, dynamo=True, opset=18, free=[0])
export("convnext-script", load(ConvNextForImageClassification, "convnext/even"), 32, dynamo=False, opset=16, free=[0])
dinov2 = load(Dinov2ForImageClassification, "dinov2/plain")
export("dinov2-dynamo", dinov2, 16, dynamo=True, opset=18, free=[0])
# At its own size the exporter would take the size for fixed.
export("dinov2-dynamo-size", dinov2, 24, dynamo=True, opset=18, free=[0, 2, 3])
export("dinov2-dynamo-single", dinov2, 16, dynamo=True, opset=18, batch=1)
