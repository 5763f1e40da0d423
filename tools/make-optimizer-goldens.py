"""Writes packages/onnxgrad/src/train/optimizer-goldens.ts: short training runs as PyTorch carries them out.

The problem is spelled out in integers, which packages/onnxgrad/src/train/optimizers.test.ts repeats: whoever
changes one changes the other. Not part of any build or test; run it from the repository's root after a change
here:

    apt-get install --no-install-recommends python3-torch
    /usr/bin/python3 tools/make-optimizer-goldens.py

Last run with Debian 12's PyTorch 1.13.0a0 (package 1.13.1+dfsg-4), in double precision.
"""

import pathlib

import torch

ROWS, INPUTS, OUTPUTS, STEPS = 4, 3, 2, 6

# (name, optimizer, its options, weight decay of the matrix, largest gradient norm)
CASES = [
    ('adamW', 'AdamW', {}, 0.0, None),
    ('adamW, decay', 'AdamW', {}, 0.3, None),
    ('adamW, betas, epsilon, clipped', 'AdamW', {'betas': (0.8, 0.95), 'eps': 1e-3}, 0.1, 0.5),
    ('sgd', 'SGD', {}, 0.0, None),
    ('sgd, momentum', 'SGD', {'momentum': 0.9}, 0.0, None),
    ('sgd, momentum, clipped', 'SGD', {'momentum': 0.9}, 0.0, 0.25),
    ('sgd, nesterov', 'SGD', {'momentum': 0.8, 'nesterov': True}, 0.0, None),
]


def tensor(shape, formula):
    values = [formula(i) / 16 for i in range(shape[0] * shape[-1] if len(shape) > 1 else shape[0])]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def run(kind, options, decay, clip):
    x = tensor((ROWS, INPUTS), lambda i: (i * 7 + 3) % 32 - 16)
    y = tensor((ROWS, OUTPUTS), lambda i: (i * 11 + 5) % 32 - 8)
    weight = tensor((INPUTS, OUTPUTS), lambda i: (i * 5 + 1) % 16 - 8).requires_grad_()
    bias = tensor((OUTPUTS,), lambda i: (i * 3 + 2) % 16 - 4).requires_grad_()
    groups = [
        {'params': [weight], 'weight_decay': decay},
        {'params': [bias], 'weight_decay': 0.0},
    ]
    optimizer = getattr(torch.optim, kind)(groups, lr=0.1, **options)
    losses, norms = [], []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group['lr'] = 0.25 / (step + 1)
        optimizer.zero_grad()
        loss = ((x @ weight + bias - y) ** 2).mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([weight, bias], float('inf') if clip is None else clip)
        optimizer.step()
        losses.append(loss.item())
        norms.append(norm.item())
    return losses, norms, weight.flatten().tolist(), bias.tolist()


def numbers(values):
    return '[' + ', '.join(f'{value:.12g}' for value in values) + ']'


def golden(name, kind, options, decay, clip):
    fields = dict(zip(('losses', 'norms', 'weight', 'bias'), run(kind, options, decay, clip)))
    lines = ''.join(f'    {key}: {numbers(values)},\n' for key, values in fields.items())
    return f"  '{name}': {{\n{lines}  }},\n"


def main():
    text = '// Written by tools/make-optimizer-goldens.py, not by hand.\n'
    text += f'// PyTorch {torch.__version__}, double precision. Loss and gradient norm before each step, then the\n'
    text += '// parameters after the last one.\n'
    text += 'export const optimizerGoldens = {\n'
    text += ''.join(golden(*case) for case in CASES)
    text += '} as const\n'
    root = pathlib.Path(__file__).resolve().parent.parent
    (root / 'packages/onnxgrad/src/train/optimizer-goldens.ts').write_text(text)


main()
