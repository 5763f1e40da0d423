"""Compares a training of ageb that starts from an ONNX file with PyTorch's training of the model that was exported.

    python tools/check-onnx-training.py [NAME…]
    python tools/check-onnx-training.py --write

Needs torch, transformers, timm, torchvision, onnx and onnxscript; without them it says so and ends. NAME chooses among the
models below. Small models with random weights are exported by both exporters of PyTorch. ageb fine-tunes the file
(tools/training-losses.mjs), and PyTorch the model itself, in evaluation mode, on the same batches with AdamW. Losses
have to agree to 1e-3. Where an exporter has put several parameters into one, the two trainings are not the same:
those files only have to learn.

--write makes packages/lab/fixtures/onnx/dinov2-training.json: what PyTorch's losses are for the fixtures there.
"""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx  # noqa: F401
    import onnxscript  # noqa: F401
    import timm
    import torch
    import torchvision
    from transformers import Dinov2Config, Dinov2ForImageClassification, Dinov2WithRegistersConfig
    from transformers import Dinov2WithRegistersForImageClassification
except ImportError as error:
    print(f"skipped: {error.name} is not installed")
    sys.exit(0)

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "packages/lab/fixtures"
TOLERANCE = 1e-3
CLASSES = ["LABEL_0", "LABEL_1", "LABEL_2"]
COUNT = 12
CONFIG = dict(epochs=4, batchSize=6, learningRate=3e-3, warmupEpochs=0, schedule="constant", weightDecay=0.5, clipNorm=1,
              crop=0, flip=False, labelSmoothing=0.1)
# As the papers have it: no weight decay on biases, norms, tokens, positions and layer scale.
KEPT = ("pos_embed", "position_embeddings", "cls_token", "dist_token", "register_tokens", "mask_token",
        "relative_position_bias_table")


def images(side):
    """uint8 (COUNT, 3, side, side); image i, of class i mod 3, is brighter in that channel."""
    k = np.arange(COUNT * 3 * side * side, dtype=np.int64)
    noise = (k * 7919 % 1000003 % 180).reshape(COUNT, 3, side, side)
    for i in range(COUNT):
        noise[i, i % 3] += 70
    return noise.astype(np.uint8)


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        output = self.model(pixel_values)
        return output.logits if hasattr(output, "logits") else output


def randomized(model):
    """Weights large enough that each of them matters, biases too: what is all zeros, exporters leave out."""
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def export(model, side, path, *, dynamo, free, batch):
    names = {0: "batch", 2: "height", 3: "width"}
    shapes = {}
    if free:
        shapes = (dict(dynamic_shapes=({axis: names[axis] for axis in free},)) if dynamo
                  else dict(dynamic_axes={"pixel_values": {axis: names[axis] for axis in free}, "logits": {0: "batch"}}))
    torch.onnx.export(Logits(model).eval(), (torch.zeros(batch, 3, side, side),), path, dynamo=dynamo, opset_version=18,
                      input_names=["pixel_values"], output_names=["logits"],
                      **({"external_data": False, "verbose": False} if dynamo else {}), **shapes)
    (path.parent / "config.json").write_text(json.dumps({"image_size": side}))
    (path.parent / "preprocessor_config.json").write_text(json.dumps(
        {"image_processor_type": "ViTImageProcessor", "size": side, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.3, 0.25, 0.2]}))


def ageb_training(path, side, config):
    ran = subprocess.run(["node", ROOT / "tools/training-losses.mjs", path, json.dumps(config), ",".join(CLASSES)],
                         input=images(side).tobytes(), capture_output=True, check=False)
    if ran.returncode != 0:
        raise SystemExit(ran.stderr.decode())
    return json.loads(ran.stdout)


def torch_losses(model, side, batches, config=CONFIG):
    torch.set_num_threads(1)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ([0.4, 0.5, 0.6], [0.3, 0.25, 0.2]))
    pixels = (torch.from_numpy(images(side)).float() / 255 - mean) / std
    labels = torch.arange(COUNT) % len(CLASSES)
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[parameter.ndim > 1 and not any(kept in name for kept in KEPT)].append(parameter)
    optimizer = torch.optim.AdamW([{"params": groups[True], "weight_decay": config["weightDecay"]},
                                   {"params": groups[False], "weight_decay": 0}], lr=config["learningRate"])
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=config["labelSmoothing"])
    wrapped = Logits(model)
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss = loss_of(wrapped(pixels[batch]), labels[batch])
        loss.backward()
        used = [p for p in model.parameters() if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(used, config["clipNorm"])
        optimizer.step()
        losses.append(loss.item())
    return losses


DINOV2 = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=42, patch_size=14, num_labels=3,
              layerscale_value=0.5)
# Model, the side of its images, and whether each parameter of it is one of the file.
MODELS = {
    "dinov2": lambda: (Dinov2ForImageClassification(Dinov2Config(**DINOV2)), 42, True),
    "dinov2-registers": lambda: (
        Dinov2WithRegistersForImageClassification(Dinov2WithRegistersConfig(**DINOV2, num_register_tokens=2)), 42, True),
    "timm-vit": lambda: (timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=3), 32, True),
    # Of relative positions, an exporter may leave one number for every pair of tokens.
    "timm-swin": lambda: (timm.models.SwinTransformer(
        img_size=32, window_size=4, embed_dim=16, depths=(2, 2), num_heads=(2, 4), num_classes=3), 32, False),
    "convnext": lambda: (timm.models.ConvNeXt(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32), num_classes=3,
                                              ls_init_value=0.5), 32, True),
    # Batch normalization is put into the convolution before it.
    "resnet18": lambda: (torchvision.models.resnet18(num_classes=3), 32, False),
    "mobilevit": lambda: (timm.create_model("mobilevit_xxs", num_classes=3), 64, False),
}


def compare(name, model, *, side, dynamo, free, batch, same):
    config = {**CONFIG, **({} if same else {"learningRate": 3e-4})}
    label = f"{name}, {'dynamo' if dynamo else 'script'}, {'free ' + str(list(free)) if free else 'fixed'}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                export(model, side, path, dynamo=dynamo, free=free, batch=batch)
        except Exception as error:  # noqa: BLE001
            print(f"{label}: PyTorch cannot export it ({type(error).__name__})", flush=True)
            return True
        got = ageb_training(path, side, {**config, **({} if free else {"microBatches": config["batchSize"]})})
    losses = got["losses"]
    if not same:
        print(f"{label}: losses {losses[0]:.3f} to {losses[-1]:.3f}, parameters joined by the exporter", flush=True)
        return losses[-1] < losses[0]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    expected = torch_losses(model, side, got["batches"])
    model.load_state_dict(state)
    worst = max(abs(a - b) for a, b in zip(losses, expected, strict=True))
    print(f"{label}: losses {losses[0]:.3f} to {losses[-1]:.3f}, largest difference {worst:.1e}", flush=True)
    return worst < TOLERANCE


def write():
    """PyTorch's losses for the fixtures, on batches in the order that ageb has with seed 1."""
    cases = []
    for file, side in [("dinov2-dynamo", 16), ("dinov2-dynamo-size", 24)]:
        model = Dinov2ForImageClassification.from_pretrained(FIXTURES / "dinov2/plain").eval()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            export(model, side, path, dynamo=True, free=(0, 2, 3), batch=2)
            batches = ageb_training(path, side, CONFIG)["batches"]
        cases.append({"file": file, "side": side, "losses": torch_losses(model, side, batches)})
    golden = {"torch": torch.__version__, "config": CONFIG, "cases": cases}
    (FIXTURES / "onnx/dinov2-training.json").write_text(json.dumps(golden, indent=2) + "\n")


if sys.argv[1:] == ["--write"]:
    write()
    sys.exit(0)
agree = True
for name, make in MODELS.items():
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    torch.manual_seed(1)
    model, side, same = make()
    if same:
        randomized(model)
    model.eval()
    ways = [dict(side=side, dynamo=dynamo, free=(0,), batch=2) for dynamo in (True, False)]
    if name == "dinov2":
        # At another size than its own: otherwise the exporter takes the size for fixed.
        ways += [dict(side=28, dynamo=dynamo, free=(0, 2, 3), batch=2) for dynamo in (True, False)]
        ways += [dict(side=side, dynamo=True, free=(), batch=1)]
    for way in ways:
        agree &= compare(name, model, same=same, **way)
sys.exit(0 if agree else 1)
