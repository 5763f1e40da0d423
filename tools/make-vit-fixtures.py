"""Writes packages/lab/fixtures/dinov2 and .../timm-vit: tiny ViTs with random weights, and what transformers' DINOv2 and
timm compute.

    python tools/make-vit-fixtures.py

Needs torch, transformers, timm and safetensors. Every folder is a checkpoint as its library writes it, and
`goldens.json`, all computed in double precision from the float32 weights:

- logits of two images, and as `at` those of images of other sizes, positions interpolated;
- gradients of the mean cross-entropy at some elements of every parameter, by central differences (and checked here
  against PyTorch's own gradients);
- of DINOv2, for every block, the attention that each patch gets: the mean over heads and query tokens.

Images are spelled out in integers, which packages/lab/src/testing/goldens.ts repeats. Not part of any build or test.
"""

import json
import pathlib
import re
import shutil

import timm
import torch
import transformers
from timm.models import save_for_hf
from transformers import (
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersForImageClassification,
)

SEED = 11
ROOT = pathlib.Path(__file__).resolve().parent.parent / "packages/lab/fixtures"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
LABELS = [2, 0]
STEP = 1e-6
SIZES = dict(patch_size=4, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, num_labels=3)
PLAIN = (Dinov2Config, Dinov2ForImageClassification)
REGISTERS = (Dinov2WithRegistersConfig, Dinov2WithRegistersForImageClassification)
# The image size of the configuration, other keys, and the sizes at which images come.
CASES = {
    "plain": (PLAIN, dict(image_size=16, layer_norm_eps=1e-3), [16, 24, 8]),
    "swiglu": (PLAIN, dict(image_size=12, use_swiglu_ffn=True, qkv_bias=False), [12]),
    "patch-14": (PLAIN, dict(image_size=28, patch_size=14, hidden_act="gelu_new"), [28, 42]),
    "registers": (REGISTERS, dict(image_size=16, num_register_tokens=4), [16, 24, 8]),
    "registers-swiglu": (REGISTERS, dict(image_size=12, num_register_tokens=2, use_swiglu_ffn=True), [12]),
    # As those that are published: trained at one size, used at the smaller one of the preprocessor.
    "smaller": (PLAIN, dict(image_size=28), [12]),
    "registers-smaller": (REGISTERS, dict(image_size=28, num_register_tokens=1), [12]),
}
# Architectures of timm, what is changed in them, and the file's folder.
TIMM_SIZES = dict(img_size=16, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=3)
TIMM_CASES = {
    "reg4": ("vit_small_patch14_reg4_dinov2", dict(img_size=28, patch_size=14)),
    "dinov2": ("vit_small_patch14_dinov2", {}),
    "swiglu": ("vit_giant_patch14_reg4_dinov2", {}),
    "reg4-gap": ("vit_medium_patch16_reg4_gap_256", {}),
    "gap": ("vit_base_patch16_gap_224", {}),
    "avg": ("vit_tiny_patch16_224", dict(global_pool="avg")),
    # Registers with positions of their own.
    "reg-positions": ("vit_tiny_patch16_224", dict(reg_tokens=3)),
    "deit3": ("deit3_small_patch16_224", {}),
}


def images(count, side):
    """uint8 (count, 3, side, side), scattered by squares."""
    n = torch.arange(count * 3 * side * side, dtype=torch.int64)
    return ((((n * n + n + 12345) * 2654435761) % 2**32) // 2**24).reshape(count, 3, side, side)


def normalized(side, mean=MEAN, std=STD):
    shape = (1, 3, 1, 1)
    mean, std = (torch.tensor(v).double().view(shape) for v in (mean, std))
    return (images(2, side).double() / 255 - mean) / std


def randomize(model):
    generator = torch.Generator().manual_seed(SEED)
    for name, value in model.named_parameters():
        is_scale = "lambda" in name or "gamma" in name
        centre = 1.0 if "norm" in name and name.endswith("weight") else 0.5 if is_scale else 0.0
        matrix = value.dim() > 1 and "token" not in name and "pos" not in name
        scale = 0.9 * (value[0].numel() ** -0.5) if matrix else 0.4
        value.data = centre + scale * torch.randn(value.shape, generator=generator)


def stored_place(name, at, shape):
    """Modules of transformers 5 have names, and SwiGLU two matrices, that its checkpoints do not have."""
    for new, old in {
        "attention.q_proj": "attention.attention.query",
        "attention.k_proj": "attention.attention.key",
        "attention.v_proj": "attention.attention.value",
        "attention.o_proj": "attention.output.dense",
        "mlp.gate_proj": "mlp.weights_in",
        "mlp.down_proj": "mlp.weights_out",
    }.items():
        name = name.replace(new, old)
    if "mlp.up_proj" in name:
        return name.replace("mlp.up_proj", "mlp.weights_in"), at + shape.numel()
    return name, at


def place_of_timm(gated):
    """Where an element of a tensor of timm is under Hugging Face's names."""
    mlp = ("mlp.weights_in", "mlp.weights_out") if gated else ("mlp.fc1", "mlp.fc2")
    names = {
        r"^(cls_token)$": r"timm_vit.embeddings.\1",
        r"^reg_token$": "timm_vit.embeddings.register_tokens",
        r"^pos_embed$": "timm_vit.embeddings.position_embeddings",
        r"^patch_embed\.proj": "timm_vit.embeddings.patch_embeddings.projection",
        r"^(fc_)?norm": "timm_vit.layernorm",
        r"^head": "classifier",
        r"^blocks": "timm_vit.encoder.layer",
        r"attn\.proj": "attention.output.dense",
        r"ls(\d)\.gamma": r"layer_scale\1.lambda1",
        r"mlp\.fc1": mlp[0],
        r"mlp\.fc2": mlp[1],
    }

    def place(name, at, shape):
        if "attn.qkv" in name:
            size = shape.numel() // 3
            part = ("query", "key", "value")[at // size]
            name, at = name.replace("attn.qkv", f"attention.attention.{part}"), at % size
        for old, new in names.items():
            name = re.sub(old, new, name)
        return name, at

    return place


def probes(model, pixels, logits=lambda out: out.logits, stored_place=stored_place):
    labels = torch.tensor(LABELS)
    loss = lambda: torch.nn.functional.cross_entropy(logits(model(pixels)), labels)
    model.zero_grad()
    loss().backward()
    found, worst = {}, 0.0
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "mask_token" in name:
                continue
            gradient, flat = value.grad.reshape(-1), value.view(-1)
            spread = [int(f * flat.numel()) for f in (0.1, 0.4, 0.5, 0.9)]
            for at in sorted({int(gradient.abs().argmax()), *spread}):
                old = flat[at].item()
                sides = []
                for by in (STEP, -STEP):
                    flat[at] = old + by
                    sides.append(loss().item())
                flat[at] = old
                slope = (sides[0] - sides[1]) / (2 * STEP)
                worst = max(worst, abs(slope - gradient[at].item()))
                key, place = stored_place(name, at, value.shape)
                found.setdefault(key, []).append([place, slope])
    assert worst < 1e-7, worst
    return found


def attention_maps(model, pixels, leading):
    model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = model(pixels, output_attentions=True).attentions
    received = [m.mean((1, 2))[:, leading:] for m in maps]
    side = int(received[0].shape[1] ** 0.5)
    return [r.view(2, side, side).tolist() for r in received]


def save(goldens, folder):
    rounded = json.loads(json.dumps(goldens), parse_float=lambda text: float(f"{float(text):.9g}"))
    (folder / "goldens.json").write_text(json.dumps(rounded))
    print(folder.name, goldens["logits"])


def write_timm(name, architecture, changes):
    folder = ROOT / "timm-vit" / name
    folder.mkdir(parents=True)
    model = timm.create_model(architecture, **{**TIMM_SIZES, **changes}).eval()
    randomize(model)
    save_for_hf(model, folder, safe_serialization=True)
    cfg = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    model.double()
    pixels = normalized(cfg["input_size"][1], cfg["mean"], cfg["std"])
    goldens = {
        "from": f"timm {timm.__version__}, PyTorch {torch.__version__}, seed {SEED}",
        "labels": LABELS,
        "logits": model(pixels).tolist(),
        "gradients": probes(model, pixels, lambda out: out, place_of_timm("giant" in architecture)),
    }
    save(goldens, folder)


def write(name, classes, changes, sides):
    folder = ROOT / "dinov2" / name
    config = classes[0](**{**SIZES, **changes})
    model = classes[1](config).eval()
    randomize(model)
    model.save_pretrained(folder)
    size = {"height": sides[0], "width": sides[0]}
    preprocessor = {"image_processor_type": "BitImageProcessor", "size": size, "crop_size": size, "resample": 3}
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**preprocessor, "image_mean": MEAN, "image_std": STD})
    )
    model.double()
    pixels = normalized(sides[0])
    goldens = {
        "from": f"transformers {transformers.__version__}, PyTorch {torch.__version__}, seed {SEED}",
        "labels": LABELS,
        "logits": model(pixels).logits.tolist(),
        "at": {str(side): model(normalized(side)).logits.tolist() for side in sides[1:]},
        # Where positions are interpolated, their gradient is that of the table in the file, which no model here has.
        "gradients": probes(model, pixels) if sides[0] == config.image_size else {},
        "attention": attention_maps(model, pixels, 1 + getattr(config, "num_register_tokens", 0)),
    }
    save(goldens, folder)
    return model


if __name__ == "__main__":
    for old in [*ROOT.glob("dinov2/*/"), *ROOT.glob("timm-vit/*/")]:
        shutil.rmtree(old)
    for name, case in TIMM_CASES.items():
        write_timm(name, *case)
    for name, (classes, changes, sides) in CASES.items():
        model = write(name, classes, changes, sides)
        if name == "plain":
            # The same weights without a classifier: names without prefix.
            model.float()
            base = Dinov2Model(model.config)
            base.load_state_dict(model.dinov2.state_dict())
            base.save_pretrained(ROOT / "dinov2/base")
