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

# (name, optimizer, its options, weight decay of the matrix, largest gradient norm, what else: rho and adaptive of
# SAM, factors on the learning rates of weight and bias, decay of the moving average)
CASES = [
    ('adamW', 'AdamW', {}, 0.0, None, {}),
    ('adamW, decay', 'AdamW', {}, 0.3, None, {}),
    ('adamW, betas, epsilon, clipped', 'AdamW', {'betas': (0.8, 0.95), 'eps': 1e-3}, 0.1, 0.5, {}),
    ('sgd', 'SGD', {}, 0.0, None, {}),
    ('sgd, momentum', 'SGD', {'momentum': 0.9}, 0.0, None, {}),
    ('sgd, momentum, clipped', 'SGD', {'momentum': 0.9}, 0.0, 0.25, {}),
    ('sgd, nesterov', 'SGD', {'momentum': 0.8, 'nesterov': True}, 0.0, None, {}),
    ('sam, sgd, momentum', 'SGD', {'momentum': 0.9}, 0.0, None, {'rho': 0.25}),
    ('sam, adamW, decay, clipped', 'AdamW', {}, 0.3, 0.25, {'rho': 0.25}),
    ('asam, sgd', 'SGD', {}, 0.0, None, {'rho': 0.5, 'adaptive': True}),
    ('adamW, decay, layer-wise 0.65', 'AdamW', {}, 0.3, None, {'rates': (0.65, 1.0)}),
    ('sgd, momentum, averaged', 'SGD', {'momentum': 0.9}, 0.0, None, {'ema': 0.3}),
]

METRICS = [5, 4, 4, 4.5, 4.2, 3.9999, 4, 3.5, 3.6, 3.7, 3.8, 3.9, 4, 4.1]
PATIENCE, FACTOR = 2, 0.5


def tensor(shape, formula):
    values = [formula(i) / 16 for i in range(shape[0] * shape[-1] if len(shape) > 1 else shape[0])]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def climb(parameters, rho, adaptive):
    """Moves the parameters to where SAM takes the gradient, from where they have one; returns the way back."""
    start = [p.detach().clone() for p in parameters]
    sizes = [p.abs() if adaptive else torch.ones_like(p) for p in start]
    norm = torch.cat([(p.grad * size).flatten() for p, size in zip(parameters, sizes)]).norm()
    with torch.no_grad():
        for p, size in zip(parameters, sizes):
            p.add_(size * size * p.grad, alpha=rho / norm.item())
    return start


def run(kind, options, decay, clip, more):
    x = tensor((ROWS, INPUTS), lambda i: (i * 7 + 3) % 32 - 16)
    y = tensor((ROWS, OUTPUTS), lambda i: (i * 11 + 5) % 32 - 8)
    weight = tensor((INPUTS, OUTPUTS), lambda i: (i * 5 + 1) % 16 - 8).requires_grad_()
    bias = tensor((OUTPUTS,), lambda i: (i * 3 + 2) % 16 - 4).requires_grad_()
    parameters = [weight, bias]
    groups = [
        {'params': [weight], 'weight_decay': decay},
        {'params': [bias], 'weight_decay': 0.0},
    ]
    optimizer = getattr(torch.optim, kind)(groups, lr=0.1, **options)
    averages = [p.detach().clone() for p in parameters]
    losses, norms = [], []

    def backward():
        optimizer.zero_grad()
        loss = ((x @ weight + bias - y) ** 2).mean()
        loss.backward()
        return loss.item()

    for step in range(STEPS):
        for group, rate in zip(optimizer.param_groups, more.get('rates', (1.0, 1.0))):
            group['lr'] = 0.25 / (step + 1) * rate
        losses.append(backward())
        if 'rho' in more:
            start = climb(parameters, more['rho'], more.get('adaptive', False))
            backward()
            with torch.no_grad():
                for p, before in zip(parameters, start):
                    p.copy_(before)
        norm = torch.nn.utils.clip_grad_norm_(parameters, float('inf') if clip is None else clip)
        norms.append(norm.item())
        optimizer.step()
        if 'ema' in more:
            kept = min(more['ema'], (2 + step) / (11 + step))
            for average, p in zip(averages, parameters):
                average.lerp_(p.detach(), 1 - kept)
    results = {'losses': losses, 'norms': norms, 'weight': weight.flatten().tolist(), 'bias': bias.tolist()}
    if 'ema' in more:
        results['averageWeight'], results['averageBias'] = averages[0].flatten().tolist(), averages[1].tolist()
    return results


def plateau():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=FACTOR, patience=PATIENCE)
    rates = []
    for metric in METRICS:
        scheduler.step(metric)
        rates.append(optimizer.param_groups[0]['lr'])
    return rates


def numbers(values):
    return '[' + ', '.join(f'{value:.12g}' for value in values) + ']'


def golden(name, kind, options, decay, clip, more):
    fields = run(kind, options, decay, clip, more)
    lines = ''.join(f'    {key}: {numbers(values)},\n' for key, values in fields.items())
    return f"  '{name}': {{\n{lines}  }},\n"


def main():
    text = '// Written by tools/make-optimizer-goldens.py, not by hand.\n'
    text += f'// PyTorch {torch.__version__}, double precision. Loss and gradient norm before each step, then the\n'
    text += '// parameters after the last one.\n'
    text += 'export const optimizerGoldens = {\n'
    text += ''.join(golden(*case) for case in CASES)
    text += '} as const\n\n'
    text += f'/** ReduceLROnPlateau from a rate of 1, patience {PATIENCE}, factor {FACTOR}: the rate after each metric. */\n'
    text += 'export const plateauGolden = {\n'
    text += f'  metrics: {numbers(METRICS)},\n  rates: {numbers(plateau())},\n}} as const\n'
    root = pathlib.Path(__file__).resolve().parent.parent
    (root / 'packages/onnxgrad/src/train/optimizer-goldens.ts').write_text(text)


main()
