"""Writes packages/lab/fixtures/swin and .../convnext: tiny models with random weights, and what PyTorch makes of them.

Every folder is a checkpoint as `save_pretrained` writes it, with a preprocessor_config.json and `goldens.json`, all
computed in double precision from the float32 weights:

- logits of two images;
- gradients of the mean cross-entropy at some elements of every parameter, by central differences of the logits'
  forward pass (and checked here against PyTorch's own gradients);
- Swin: for every block, the attention that each cell of the grid gets: the mean over heads and query tokens, brought
  back to the grid by transformers' own functions.

Images are spelled out in integers, which packages/lab/src/testing/goldens.ts repeats: whoever changes one changes the
other. Not part of any build or test; run it from the repository's root after a change here, with PyTorch,
transformers and safetensors:

    python tools/make-swin-convnext-fixtures.py && npm run format

The versions and the seed of the last run are in the goldens.
"""

import json
import pathlib
import re
import shutil

import torch
import transformers
from safetensors.torch import load_file
from transformers import ConvNextConfig, ConvNextForImageClassification, SwinConfig, SwinForImageClassification
from transformers.models.swin.modeling_swin import SwinLayer, SwinRelativePositionBias, window_reverse

SEED = 11
ROOT = pathlib.Path(__file__).resolve().parent.parent / 'packages/lab/fixtures'
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
LABELS = [2, 0]
STEP = 1e-6

SWIN = {
    'image_size': 16,
    'patch_size': 2,
    'embed_dim': 4,
    'depths': [2, 1],
    'num_heads': [2, 4],
    'window_size': 4,
    'mlp_ratio': 1.5,
    'num_labels': 3,
}
SWINS = {
    # 8×8 tokens in 2×2 windows, shifted in the second block; one window in the second stage.
    'shifted': SWIN,
    # 27 pixels: 7×7 patches, the last cut; 9×9 tokens padded for windows, 7 padded for merging, shifted by 1 of 3.
    'odd': {**SWIN, 'image_size': 27, 'patch_size': 4, 'window_size': 3, 'depths': [2, 2], 'hidden_act': 'gelu_new'},
    # Every stage is smaller than the window.
    'large-window': {**SWIN, 'image_size': 12, 'window_size': 7},
    'absolute': {**SWIN, 'use_absolute_embeddings': True, 'qkv_bias': False, 'hidden_act': 'quick_gelu'},
    # Three stages, the second padded and shifted, the third one window.
    'three-stages': {
        **SWIN,
        'image_size': 10,
        'window_size': 2,
        'depths': [1, 2, 1],
        'num_heads': [1, 2, 4],
        'layer_norm_eps': 1e-3,
    },
}
CONVNEXT = {
    'image_size': 32,
    'patch_size': 4,
    'hidden_sizes': [4, 6],
    'depths': [2, 1],
    'num_stages': 2,
    'layer_scale_init_value': 0.5,
    'num_labels': 3,
}
CONVNEXTS = {
    'even': CONVNEXT,
    # 29 pixels: 9×9 cells and two rows of pixels left over, then 4×4, then 2×2.
    'odd': {
        **CONVNEXT,
        'image_size': 29,
        'patch_size': 3,
        'hidden_sizes': [4, 4, 6],
        'depths': [1, 1, 1],
        'num_stages': 3,
        'hidden_act': 'silu',
        'layer_norm_eps': 1e-3,
    },
    'no-layer-scale': {**CONVNEXT, 'image_size': 20, 'layer_scale_init_value': 0.0, 'hidden_act': 'relu'},
}


def images(count, side):
    """uint8 (count, 3, side, side), scattered by squares."""
    n = torch.arange(count * 3 * side * side, dtype=torch.int64)
    return ((((n * n + n + 12345) * 2654435761) % 2**32) // 2**24).reshape(count, 3, side, side)


def randomize(model, generator):
    """Values under which every part matters: fresh ones leave attention almost even and branches small."""
    for name, value in model.named_parameters():
        centre = 1.0 if re.search(r'norm\w*\.weight$|downsampling_layer\.0\.weight$', name) else 0.0
        matrix = value.dim() > 1 and 'table' not in name and 'position_embeddings' not in name
        scale = 0.9 * (value[0].numel() ** -0.5) if matrix else 0.4
        value.data = centre + scale * torch.randn(value.shape, generator=generator)


def checkpoint_name(name):
    """Modules of transformers 5 have names that its checkpoints do not have."""
    for new, old in {
        'attention.q_proj': 'attention.self.query',
        'attention.k_proj': 'attention.self.key',
        'attention.v_proj': 'attention.self.value',
        'attention.o_proj': 'attention.output.dense',
        'attention.relative_position_bias.': 'attention.self.',
        'mlp.fc1': 'intermediate.dense',
        'mlp.fc2': 'output.dense',
    }.items():
        name = name.replace(new, old)
    return name


def shrink_windows(model, config):
    """transformers 5 fails where a window is larger than the grid: its tables stay too large. As in Liu et al.'s own
    code, such a block has a table for the window that it really has: the middle of the large one."""
    window = config.window_size
    grid = -(-config.image_size // config.patch_size)
    for stage in model.swin.encoder.layers:
        for block in stage.blocks:
            bias = block.attention.relative_position_bias
            if grid >= window:
                continue
            small = SwinRelativePositionBias(config.num_heads[0], (grid, grid))
            span, first = 2 * window - 1, window - grid
            rows = torch.arange(span * span).reshape(span, span)
            middle = rows[first : first + 2 * grid - 1, first : first + 2 * grid - 1].reshape(-1)
            bias.relative_position_index = middle[small.relative_position_index]
            bias.window_area = grid * grid
        grid = -(-grid // 2)


def attention_maps(model, config, pixels):
    """Of every block: the mean attention that each cell gets, (N, grid, grid)."""
    maps = []

    def seen(block, _, inputs, output):
        tokens, (height, width) = inputs['hidden_states'], inputs['input_dimensions']
        assert tokens.shape[1] == height * width
        side = int(block.window_size)
        received = output[1].mean((1, 2))
        across = -(-height // side) * side
        grid = window_reverse(received.view(-1, side, side, 1), side, across, across)
        maps.append(block.cyclic_shift(grid, reverse=True)[:, :height, :width, 0])

    hooks = []
    for block in model.modules():
        if isinstance(block, SwinLayer):
            forward = lambda module, args, kwargs, output: seen(
                module, None, {'hidden_states': args[0], 'input_dimensions': args[1]}, output
            )
            hooks.append(block.register_forward_hook(forward, with_kwargs=True))
    model.set_attn_implementation('eager')
    with torch.no_grad():
        model(pixels)
    model.set_attn_implementation('sdpa')
    for hook in hooks:
        hook.remove()
    return [m.tolist() for m in maps]


def probes(model, pixels):
    """Central differences of the loss at the largest and some other elements of every parameter."""
    labels = torch.tensor(LABELS)
    loss = lambda: torch.nn.functional.cross_entropy(model(pixels).logits, labels)
    model.zero_grad()
    loss().backward()
    found, worst = {}, 0.0
    with torch.no_grad():
        for name, value in model.named_parameters():
            gradient = value.grad.reshape(-1)
            flat = value.view(-1)
            spread = [int(f * flat.numel()) for f in (0.1, 0.5, 0.9)]
            entries = []
            for at in sorted({int(gradient.abs().argmax()), *spread}):
                old = flat[at].item()
                sides = []
                for by in (STEP, -STEP):
                    flat[at] = old + by
                    sides.append(loss().item())
                flat[at] = old
                slope = (sides[0] - sides[1]) / (2 * STEP)
                worst = max(worst, abs(slope - gradient[at].item()))
                entries.append([at, float(f'{slope:.9g}')])
            found[checkpoint_name(name)] = entries
    assert worst < 1e-7, worst
    return found


def write(folder, model, config, shrink=False):
    shutil.rmtree(folder, ignore_errors=True)
    randomize(model, torch.Generator().manual_seed(SEED))
    model.eval()
    model.save_pretrained(folder)
    saved = load_file(folder / 'model.safetensors')
    named = {checkpoint_name(name): value for name, value in model.named_parameters()}
    assert saved.keys() == named.keys()
    assert all(torch.equal(saved[name], named[name].data) for name in saved)
    (folder / 'preprocessor_config.json').write_text(json.dumps({'image_mean': MEAN, 'image_std': STD}))
    model.double()
    if shrink:
        shrink_windows(model, config)
    shape = (1, 3, 1, 1)
    pixels = images(2, config.image_size).double() / 255
    pixels = (pixels - torch.tensor(MEAN).double().view(shape)) / torch.tensor(STD).double().view(shape)
    swin = isinstance(model, SwinForImageClassification)
    goldens = {
        'from': f'transformers {transformers.__version__}, PyTorch {torch.__version__}, seed {SEED}',
        'labels': LABELS,
        'logits': model(pixels).logits.tolist(),
        'gradients': probes(model, pixels),
        **({'attention': attention_maps(model, config, pixels)} if swin else {}),
    }
    if not swin:
        goldens['activations'] = model.convnext(pixels).last_hidden_state.tolist()
    rounded = json.loads(json.dumps(goldens), parse_float=lambda text: float(f'{float(text):.9g}'))
    (folder / 'goldens.json').write_text(json.dumps(rounded))
    print(folder.name, goldens['logits'])


for name, changes in SWINS.items():
    config = SwinConfig(**changes)
    write(ROOT / 'swin' / name, SwinForImageClassification(config), config, shrink=name == 'large-window')
for name, changes in CONVNEXTS.items():
    config = ConvNextConfig(**changes)
    write(ROOT / 'convnext' / name, ConvNextForImageClassification(config), config)
