"""Whether transformers reads a checkpoint that ageb wrote, and computes the same logits.

    python tools/check-transformers.py FOLDER [--tolerance 1e-4]

Needs torch and transformers, and a built ageb. Ends with code 1 if a key is missing, unexpected or of another shape,
or if the logits of four random images differ by more than the tolerance.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoImageProcessor, AutoModelForImageClassification

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path)
parser.add_argument("--tolerance", type=float, default=1e-4)
options = parser.parse_args()

model, info = AutoModelForImageClassification.from_pretrained(
    options.folder, output_loading_info=True, dtype=torch.float32
)
faults = {kind: list(names) for kind, names in info.items() if names}
print(f"{type(model).__name__}: {'all keys found their places' if not faults else faults}")

size = json.loads((options.folder / "preprocessor_config.json").read_text())["size"]["height"]
images = torch.randint(0, 256, (4, 3, size, size), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
processor = AutoImageProcessor.from_pretrained(options.folder)
with torch.no_grad():
    inputs = processor(images=list(images), return_tensors="pt")
    expected = model.eval()(**inputs).logits

tool = Path(__file__).parent / "logits.mjs"
pixels = (images.float() / 255).numpy().tobytes()
ended = subprocess.run(["node", tool, options.folder], input=pixels, stdout=subprocess.PIPE, check=True)
logits = torch.tensor(json.loads(ended.stdout)).reshape(expected.shape)
difference = (logits - expected).abs().max().item()
print(f"largest difference of {logits.numel()} logits: {difference:.2g} (largest logit {expected.abs().max():.3g})")
sys.exit(1 if faults or not difference <= options.tolerance else 0)
