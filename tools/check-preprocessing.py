"""Whether `ageb predict` gives the logits of transformers, and of timm, on pictures of odd sizes and many kinds.

    python tools/check-preprocessing.py [--tolerance 1e-4]

Writes tiny checkpoints with random weights and twenty-four pictures into a temporary folder. Needs torch, torchvision,
transformers, timm and Pillow, and a built ageb; without the Python packages it says so and ends with code 0. Ends with
code 1 if a logit differs by more than the tolerance.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import numpy as np
    import timm
    import torch
    import transformers as hf
    from PIL import Image, ImageOps
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)

warnings.filterwarnings("ignore")
hf.utils.logging.disable_progress_bar()
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--tolerance", type=float, default=1e-4)
TOLERANCE = parser.parse_args().tolerance
PROGRAM = Path(__file__).parent.parent / "packages/ageb/bin/ageb.js"
SIDE = 32
SIZES = [
    *[(97, 131), (131, 97), (17, 23), (31, 11), (6, 7), (33, 32), (64, 64), (5, 90), (101, 40), (41, 6)],
    *[(1, 1), (75, 64), (64, 75), (29, 50), (300, 201), (36, 35)],
]


def square(side):
    return {"height": side, "width": side}


def shortest(edge):
    return {"shortest_edge": edge}


SHORT = {"size": shortest(40), "crop_size": square(SIDE)}
PROCESSORS = {
    "vit": hf.ViTImageProcessor(size=square(SIDE)),
    "vit-nearest": hf.ViTImageProcessor(size=square(SIDE), resample=0),
    "vit-lanczos": hf.ViTImageProcessor(size=square(SIDE), resample=1),
    "vit-white": hf.ViTImageProcessor(size=square(SIDE), do_convert_rgb=True),
    "deit": hf.DeiTImageProcessor(size=square(40), crop_size=square(SIDE)),
    "beit": hf.BeitImageProcessor(size=square(SIDE)),
    "bit": hf.BitImageProcessor(**SHORT),
    "clip": hf.CLIPImageProcessor(size=shortest(SIDE), crop_size=square(SIDE)),
    "blip": hf.BlipImageProcessor(size=square(SIDE)),
    "siglip": hf.SiglipImageProcessor(size=square(SIDE)),
    "convnext": hf.ConvNextImageProcessor(size=shortest(SIDE)),
    "convnext-pct": hf.ConvNextImageProcessor(size=shortest(SIDE), crop_pct=0.7),
    "poolformer": hf.PoolFormerImageProcessor(size=shortest(SIDE), crop_size=square(SIDE)),
    "levit": hf.LevitImageProcessor(size=shortest(SIDE), crop_size=square(SIDE)),
    "pvt": hf.PvtImageProcessor(size=square(SIDE)),
    "segformer": hf.SegformerImageProcessor(size=square(SIDE)),
    "dinov3": hf.DINOv3ViTImageProcessor(size=square(SIDE)),
    "dinov3-bicubic": hf.DINOv3ViTImageProcessor(size=square(SIDE), resample=3),
    "efficientnet": hf.EfficientNetImageProcessor(size=square(SIDE), image_std=[0.47, 0.48, 0.49]),
    "efficientnet-offset": hf.EfficientNetImageProcessor(
        size=square(40), do_center_crop=True, crop_size=square(SIDE), rescale_offset=True, rescale_factor=1 / 127.5
    ),
    "mobilenet-v1": hf.MobileNetV1ImageProcessor(**SHORT),
    "mobilenet-v2": hf.MobileNetV2ImageProcessor(**SHORT),
    "mobilevit": hf.MobileViTImageProcessor(**SHORT),
}


def pictures(folder):
    """PNG and JPEG of odd sizes, and files of other kinds."""
    random = np.random.default_rng(3)
    folder.mkdir()
    for i, (height, width) in enumerate(SIZES):
        y, x = np.mgrid[0:height, 0:width]
        pixels = np.stack([x * 255 / max(1, width - 1), y * 255 / max(1, height - 1), (x + y) % 256], -1)
        pixels = (pixels + random.normal(0, 25, pixels.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}-{height}x{width}.{'png' if i % 3 else 'jpg'}", quality=92)
    image = Image.open(folder / "00-97x131.jpg")
    opacity = Image.fromarray(random.integers(0, 256, (97, 131), dtype=np.uint8))
    translucent = image.copy()
    translucent.putalpha(opacity)
    exif = Image.Exif()
    exif[274] = 6
    image.convert("L").save(folder / "grey.png")
    translucent.convert("LA").save(folder / "grey-alpha.png")
    translucent.save(folder / "rgba.png")
    translucent.save(folder / "rgba.webp", lossless=True, exact=True)
    image.quantize(64).save(folder / "palette.png")
    image.quantize(64).save(folder / "palette-transparent.png", transparency=3)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=92)
    image.save(folder / "turned.jpg", quality=92, exif=exif)
    return sorted(folder.iterdir())


def upright(file, converts):
    """As `load_image` of transformers does; a processor that converts to RGB by itself gets the picture as it is."""
    image = ImageOps.exif_transpose(Image.open(file))
    return image if converts else image.convert("RGB")


def randomized(model):
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 1.5 / parameter[0].numel() ** 0.5)
    return model.eval()


def models():
    shape = {"image_size": SIDE, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape = {**shape, "patch_size": 8, "intermediate_size": 64, "num_labels": 5}
    yield "vit", hf.ViTForImageClassification(hf.ViTConfig(**shape)), PROCESSORS
    own = {"deit": PROCESSORS["deit"]}
    yield "deit", hf.DeiTForImageClassification(hf.DeiTConfig(**shape)), own
    swin = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4, "patch_size": 4, "num_labels": 5}
    yield "swin", hf.SwinForImageClassification(hf.SwinConfig(image_size=SIDE, **swin)), {"vit": PROCESSORS["vit"]}
    stages = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_labels": 5}
    of_any_size = {name: PROCESSORS[name] for name in ["convnext", "convnext-pct", "mobilevit", "dinov3"]}
    resnet = hf.ResNetConfig(embedding_size=8, layer_type="basic", **stages)
    yield "resnet", hf.ResNetForImageClassification(resnet), of_any_size
    convnext = hf.ConvNextConfig(num_stages=2, image_size=64, **stages)
    yield "convnext", hf.ConvNextForImageClassification(convnext), of_any_size


def timm_models():
    shape = {"img_size": SIDE, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    pictures_of = {
        "center": {},
        "bilinear": {"interpolation": "bilinear", "crop_pct": 0.875, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)},
        "squash": {"crop_mode": "squash", "crop_pct": 0.8},
        "lanczos": {"interpolation": "lanczos", "crop_pct": 1.0},
    }
    for name, changes in pictures_of.items():
        overlay = {"input_size": (3, SIDE, SIDE), **changes}
        model = timm.create_model("vit_tiny_patch16_224", num_classes=5, pretrained_cfg_overlay=overlay, **shape)
        yield name, randomized(model), shape


def predicted(model, files):
    command = ["node", str(PROGRAM), "predict", str(model), *map(str, files), "--json", "--threads", "1"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr)
    return torch.tensor([prediction["logits"] for prediction in json.loads(ended.stdout)["predictions"]])


def main():
    failed = False

    def compare(name, logits, wanted, files):
        nonlocal failed
        errors = (logits - wanted).abs().amax(1)
        worst = int(errors.argmax())
        bad = not errors.max() <= TOLERANCE
        failed |= bad
        note = f" in {files[worst].name}" if bad else ""
        print(f"{name:28} largest difference {errors.max():.1e} of logits up to {wanted.abs().max():.2f}{note}")

    with tempfile.TemporaryDirectory() as temporary, torch.no_grad():
        folder = Path(temporary)
        files = pictures(folder / "pictures")
        for family, model, processors in models():
            randomized(model)
            for name, processor in processors.items():
                place = folder / f"{family}-{name}"
                model.save_pretrained(place)
                processor.save_pretrained(place)
                read = hf.AutoImageProcessor.from_pretrained(place)
                images = [upright(file, read.do_convert_rgb) for file in files]
                wanted = torch.cat([model(**read(image, return_tensors="pt")).logits for image in images])
                compare(f"{family}, {name}", predicted(place, files), wanted, files)
        for name, model, shape in timm_models():
            place = folder / f"timm-{name}"
            timm.models.save_for_hf(model, place, model_args=shape, safe_serialization=True)
            transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
            wanted = torch.cat([model(transform(upright(file, False))[None]) for file in files])
            compare(f"timm, {name}", predicted(place, files), wanted, files)
    sys.exit(1 if failed else 0)


main()
