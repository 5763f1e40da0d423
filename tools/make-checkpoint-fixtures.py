"""Writes packages/lab/fixtures/checkpoints: tiny checkpoints by transformers and timm, with what they compute.

    python tools/make-checkpoint-fixtures.py

Needs torch, transformers, timm and safetensors. Every folder holds a checkpoint as its library saves it and
goldens.safetensors: uint8 `pixels` (N, 3, H, W) and the `logits` for them. All weights are random, norms and biases
too, so that every part of a model matters.
"""

import json
import shutil
from pathlib import Path

import timm
import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from transformers import (
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    DeiTModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    ViTModel,
)

ROOT = Path(__file__).parent.parent / "packages/lab/fixtures/checkpoints"
SEED = 20250131
MEAN, STD = [0.4, 0.5, 0.6], [0.3, 0.25, 0.2]
SHAPE = dict(
    image_size=16, patch_size=4, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12
)
LABELS = {0: "red", 1: "green", 2: "blue"}


def randomize(model):
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_scale = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(0.4 * noise + (1 if is_scale else 0))
    return model.eval()


def pictures(side):
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (2, 3, side, side), generator=generator, dtype=torch.uint8)


def normalized(pixels, mean, std):
    shape = (1, 3, 1, 1)
    return (pixels.float() / 255 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)


def folder(name):
    path = ROOT / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def goldens(path, compute, mean, std, side=16, name="goldens"):
    pixels = pictures(side)
    with torch.no_grad():
        logits = compute(normalized(pixels, mean, std)).float().contiguous()
    save_file({"pixels": pixels, "logits": logits}, path / f"{name}.safetensors")


def hugging_face(name, model, reference=None, **save):
    path = folder(name)
    model.save_pretrained(path, **save)
    if isinstance(model, (ViTModel, DeiTModel)):
        return path
    size = {"height": 16, "width": 16}
    ViTImageProcessor(size=size, image_mean=MEAN, image_std=STD).save_pretrained(path)
    goldens(path, lambda x: (reference or model)(x).logits, MEAN, STD)
    return path


def rewrite(path, change):
    file = path / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def vits():
    config = dict(**SHAPE, id2label=LABELS, label2id={name: i for i, name in LABELS.items()}, layer_norm_eps=1e-3)
    make = lambda **changes: randomize(ViTForImageClassification(ViTConfig(**{**config, **changes})))
    vit = make()
    path = hugging_face("vit", vit)
    for side in (12, 24):
        larger = lambda x: vit(x, interpolate_pos_encoding=True).logits
        goldens(path, larger, MEAN, STD, side, f"goldens-{side}")
    hugging_face("vit-sharded", vit, max_shard_size="1KB")
    path = hugging_face("vit-float64", vit)
    rewrite(path, lambda tensors: {name: tensor.double() for name, tensor in tensors.items()})
    for name, dtype in (("vit-float16", torch.float16), ("vit-bfloat16", torch.bfloat16)):
        stored = make().to(dtype)
        # The reference computes in float32 with the rounded weights.
        rounded = make()
        rounded.load_state_dict({key: value.float() for key, value in stored.state_dict().items()})
        hugging_face(name, stored, reference=rounded)
    # Earlier releases of transformers saved a pooler with classifiers, too.
    path = hugging_face("vit-pooler", vit)
    pooler = {"vit.pooler.dense.weight": torch.ones(8, 8), "vit.pooler.dense.bias": torch.ones(8)}
    rewrite(path, lambda tensors: {**tensors, **pooler, "vit.embeddings.mask_token": torch.ones(1, 1, 8)})
    # A configuration of sides as pairs, without class names, and an odd number of classes.
    path = hugging_face("vit-unnamed", randomize(ViTForImageClassification(ViTConfig(**SHAPE, num_labels=5, qkv_bias=False))))
    file = path / "config.json"
    written = json.loads(file.read_text())
    written = {**written, "image_size": [16, 16], "patch_size": [4, 4], "num_labels": 5}
    written.pop("id2label", None), written.pop("label2id", None)
    file.write_text(json.dumps(written, indent=2))
    # The same weights without a classifier: names without prefix, and a pooler.
    base = ViTModel(vit.config)
    base.load_state_dict(vit.vit.state_dict(), strict=False)
    hugging_face("vit-base", base)


def deits():
    config = DeiTConfig(**SHAPE, id2label=LABELS, label2id={name: i for i, name in LABELS.items()})
    hugging_face("deit", randomize(DeiTForImageClassification(config)))
    teacher = randomize(DeiTForImageClassificationWithTeacher(config))
    path = hugging_face("deit-teacher", teacher)
    goldens(path, lambda x: teacher(x, interpolate_pos_encoding=True).logits, MEAN, STD, 20, "goldens-20")
    base = DeiTModel(config)
    base.load_state_dict(teacher.deit.state_dict(), strict=False)
    hugging_face("deit-base", base)


def timms():
    shape = dict(img_size=16, patch_size=4, embed_dim=8, depth=2, num_heads=2, mlp_ratio=1.5, num_classes=3)
    for name, architecture in (("timm-vit", "vit_tiny_patch16_224"), ("timm-deit", "deit_tiny_distilled_patch16_224")):
        model = randomize(timm.create_model(architecture, **shape))
        path = folder(name)
        save_for_hf(model, path, safe_serialization=True, model_config={"label_names": list(LABELS.values())})
        cfg = json.loads((path / "config.json").read_text())["pretrained_cfg"]
        goldens(path, model, cfg["mean"], cfg["std"])


def positions():
    generator = torch.Generator().manual_seed(SEED)
    cases = {}
    for leading, side, to, width in ((1, 4, 6, 3), (2, 5, 3, 2), (0, 3, 12, 2), (1, 7, 4, 1), (1, 1, 3, 2), (2, 14, 13, 1)):
        table = 0.4 * torch.randn(1, leading + side * side, width, generator=generator)
        grid = table[:, leading:].reshape(1, side, side, width).permute(0, 3, 1, 2)
        resized = torch.nn.functional.interpolate(grid, size=(to, to), mode="bicubic", align_corners=False)
        rows = resized.permute(0, 2, 3, 1).reshape(1, -1, width)
        cases[f"{leading} {side} before"] = table
        cases[f"{leading} {side} after {to}"] = torch.cat((table[:, :leading], rows), dim=1).contiguous()
    save_file(cases, ROOT / "positions.safetensors")


if __name__ == "__main__":
    shutil.rmtree(ROOT, ignore_errors=True)
    vits()
    deits()
    timms()
    positions()
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, timm {timm.__version__}"
    (ROOT / "README.md").write_text(
        f"Tiny checkpoints with random weights, and what their libraries compute. Made by\n"
        f"`tools/make-checkpoint-fixtures.py` with {versions}; seed {SEED}.\n"
    )
