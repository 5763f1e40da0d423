"""Writes packages/lab/src/attacks/attack-goldens.ts: what PyTorch makes of the definitions of SIG and WaNet.

Images, grids and noise come from integer formulas, which the tests beside the attacks repeat: whoever changes one changes
the other. Not part of any build or test; run it from the repository's root after a change here:

    apt-get install python3-torch
    /usr/bin/python3 tools/make-attack-goldens.py

SIG (Barni, Kallas and Tondi 2019): v(i, j) = Δ·sin(2πjf/m), columns j from 1 to m, added to the image.
WaNet (Nguyen and Tran 2021): directions in [−1, 1] on a k × k grid over their mean magnitude, upsampled
bicubically; the identity grid plus s/h times that field, clipped to [−1, 1]; images read there bilinearly; in noise mode, uniform
noise in [−1, 1] over h is added to the places and they are clipped again.

Last run with Debian 12's PyTorch 1.13.1 and numpy 1.24.2.
"""

import pathlib
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    sys.exit("PyTorch is not installed: the goldens stay as they are")

SIDE = 12


def image(side):
    c, y, x = torch.meshgrid(*(torch.arange(n) for n in (3, side, side)), indexing="ij")
    return (x * x * 3 + y * 7 + x * y * 5 + c * 37) % 256


def numbers(count):
    """Numbers in [−1, 1] that look drawn."""
    i = torch.arange(count)
    return ((i * i * 7919 + i * 104729 + 13) % 2001 - 1000).double() / 1000


def sig(side, amplitude, frequency):
    columns = torch.arange(1, side + 1).double()
    wave = amplitude * torch.sin(2 * torch.pi * columns * frequency / side)
    return (image(side) + wave).round().clip(0, 255).int()


def field(grid, side):
    directions = numbers(2 * grid * grid).reshape(1, 2, grid, grid)
    directions = directions / directions.abs().mean()
    return F.interpolate(directions, size=(side, side), mode="bicubic", align_corners=True)


def warped(grid, strength, rescale, noise):
    axis = torch.linspace(-1, 1, SIDE, dtype=torch.float64)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    identity = torch.stack([columns, rows], dim=-1)[None]
    places = (identity + strength / SIDE * field(grid, SIDE).permute(0, 2, 3, 1)) * rescale
    places = places.clip(-1, 1)
    if noise:
        jitter = numbers(2 * SIDE * SIDE).reshape(1, 2, SIDE, SIDE).permute(0, 2, 3, 1)
        places = (places + jitter / SIDE).clip(-1, 1)
    read = F.grid_sample(image(SIDE)[None].double(), places, align_corners=True)
    return read[0]


def rows(values, digits=None):
    flat = values.flatten().tolist()
    return ", ".join(str(v if digits is None else round(v, digits)) for v in flat)


goldens = f"""// What PyTorch {torch.__version__} says; made by tools/make-attack-goldens.py, which tells of what.

/** By amplitude and frequency: the image of 3 × {SIDE} × {SIDE} with SIG's wave. */
export const sigGoldens = [
  {{ amplitude: 40, frequency: 6.5, pixels: [{rows(sig(SIDE, 40, 6.5))}] }},
  {{ amplitude: 30, frequency: 2, pixels: [{rows(sig(SIDE, 30, 2))}] }},
]

/** WaNet's field of a 4 × 4 grid: 2 × 5 × 5, along the width, then along the height. */
export const fieldGolden = [{rows(field(4, 5), 6)}]

/** By parameters: the image of 3 × {SIDE} × {SIDE} that WaNet warped, before it is rounded; with noise where it says so. */
export const wanetGoldens = [
  {{ grid: 4, strength: 0.5, rescale: 1, noise: false, pixels: [{rows(warped(4, 0.5, 1, False), 3)}] }},
  {{ grid: 5, strength: 3, rescale: 0.9, noise: false, pixels: [{rows(warped(5, 3, 0.9, False), 3)}] }},
  {{ grid: 4, strength: 0.5, rescale: 1, noise: true, pixels: [{rows(warped(4, 0.5, 1, True), 3)}] }},
]
"""
pathlib.Path("packages/lab/src/attacks/attack-goldens.ts").write_text(goldens)
