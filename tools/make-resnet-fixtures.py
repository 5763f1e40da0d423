"""Writes packages/lab/fixtures/resnet: tiny ResNets with random weights, and what PyTorch computes with them.

Every folder is a checkpoint in the Hugging Face layout (config.json, model.safetensors) with `goldens.json`: the
logits in inference mode, and for some, three steps of SGD in training mode. Images and labels are spelled out in
integers, which packages/lab/src/models/resnet.test.ts repeats: whoever changes one changes the other. Not part of any
build or test; run it from the repository's root after a change here, with PyTorch, transformers and safetensors:

    python tools/make-resnet-fixtures.py && npm run format

The versions and the seed of the last run are in the goldens.
"""

import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification
from transformers.models.resnet.modeling_resnet import ResNetConvLayer

SEED = 7
ROOT = pathlib.Path(__file__).resolve().parent.parent / 'packages/lab/fixtures/resnet'
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CLASSES = 3
RATE, MOMENTUM, STEPS, BATCH = 0.05, 0.9, 3, 4

TINY = {'embedding_size': 4, 'hidden_sizes': [6, 8], 'depths': [2, 1], 'layer_type': 'basic'}
BOTTLENECK = {**TINY, 'layer_type': 'bottleneck', 'hidden_sizes': [8, 18], 'depths': [1, 2]}

# name: (changes to the configuration, side of the images, whether it is trained)
CASES = {
    'basic': (TINY, 32, True),
    'basic-odd': ({**TINY, 'downsample_in_first_stage': True}, 45, False),
    'basic-one-width': ({**TINY, 'hidden_sizes': [4, 4], 'depths': [1, 1]}, 33, False),
    'bottleneck': (BOTTLENECK, 32, True),
    'bottleneck-early': ({**BOTTLENECK, 'downsample_in_bottleneck': True}, 37, False),
    'bottleneck-both': (
        {**BOTTLENECK, 'downsample_in_bottleneck': True, 'downsample_in_first_stage': True, 'hidden_act': 'gelu'},
        41,
        False,
    ),
    'cifar': ({**TINY, 'stem': 'cifar', 'hidden_act': 'gelu'}, 9, True),
    'preact': ({'embedding_size': 4, 'hidden_sizes': [4, 8], 'depths': [1, 2]}, 11, True),
}


class PreActBlock(nn.Module):
    """He et al. 2016, Identity mappings in deep residual networks, figure 4 (e); the shortcut projects what is active."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.layer = nn.ModuleList(
            nn.ModuleDict(
                {
                    'normalization': nn.BatchNorm2d(width),
                    'convolution': nn.Conv2d(width, outputs, 3, step, padding=1, bias=False),
                }
            )
            for width, step in ((inputs, stride), (outputs, 1))
        )
        self.shortcut = None
        if inputs != outputs or stride != 1:
            self.shortcut = nn.ModuleDict({'convolution': nn.Conv2d(inputs, outputs, 1, stride, bias=False)})

    def forward(self, x):
        active = self.layer[0]['normalization'](x).relu()
        skipped = x if self.shortcut is None else self.shortcut['convolution'](active)
        middle = self.layer[0]['convolution'](active)
        return skipped + self.layer[1]['convolution'](self.layer[1]['normalization'](middle).relu())


class PreActResNet(nn.Module):
    def __init__(self, embedding_size, hidden_sizes, depths, classes):
        super().__init__()
        widths = [embedding_size, *hidden_sizes]
        stages = []
        for stage, depth in enumerate(depths):
            blocks = []
            for i in range(depth):
                inputs = widths[stage] if i == 0 else widths[stage + 1]
                blocks.append(PreActBlock(inputs, widths[stage + 1], 2 if i == 0 and stage > 0 else 1))
            stages.append(nn.ModuleDict({'layers': nn.Sequential(*blocks)}))
        self.preact_resnet = nn.ModuleDict(
            {
                'embedder': nn.ModuleDict({'convolution': nn.Conv2d(3, embedding_size, 3, padding=1, bias=False)}),
                'encoder': nn.ModuleDict({'stages': nn.ModuleList(stages)}),
            }
        )
        self.classifier = nn.Linear(hidden_sizes[-1], classes)

    def forward(self, x):
        x = self.preact_resnet['embedder']['convolution'](x)
        for stage in self.preact_resnet['encoder']['stages']:
            x = stage['layers'](x)
        return self.classifier(x.mean((2, 3)))


def randomise(model):
    """Values with which every part of the model matters."""
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            noise = torch.randn(tensor.shape)
            if name.endswith('num_batches_tracked'):
                tensor.fill_(7)
            elif name.endswith('running_var'):
                tensor.copy_((1 + 0.4 * noise).abs() + 0.1)
            elif name.endswith('normalization.weight'):
                tensor.copy_(1 + 0.3 * noise)
            elif tensor.dim() > 1:
                tensor.copy_(noise * (2 / tensor[0].numel()) ** 0.5)
            else:
                tensor.copy_(0.4 * noise)


def build(name, changes, side):
    """The model as a function of normalized images, and its configuration."""
    labels = {'id2label': {i: n for i, n in enumerate(['red', 'green', 'blue'])}, 'image_size': side}
    if name == 'preact':
        return PreActResNet(**changes, classes=CLASSES), {'model_type': 'preact_resnet', **changes, **labels}
    own = {key: value for key, value in changes.items() if key != 'stem'}
    config = ResNetConfig(**own, **labels)
    model = ResNetForImageClassification(config)
    if changes.get('stem') == 'cifar':
        embedder = model.resnet.embedder
        embedder.embedder = ResNetConvLayer(3, config.embedding_size, 3, 1, activation=config.hidden_act)
        embedder.pooler = nn.Identity()
    return model, {**config.to_dict(), **({'stem': 'cifar'} if 'stem' in changes else {})}


def images(count, side, salt):
    """Pixels in [0, 1]."""
    n = torch.arange(count * 3 * side * side, dtype=torch.int64)
    values = (n * 7919 + (n // 97) * 31 + salt * 101) % 256
    return values.reshape(count, 3, side, side).to(torch.float32) / 255


def logits_of(model, pixels):
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    out = model((pixels - mean) / std)
    return out if isinstance(out, torch.Tensor) else out.logits


def train(model, side):
    """Three steps: every loss, the first gradients, and parameters and running statistics at the end."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    losses, gradients = [], {}
    for step in range(STEPS):
        labels = torch.tensor([(step + i * i) % CLASSES for i in range(BATCH)])
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(logits_of(model, images(BATCH, side, step + 1)), labels)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
        optimizer.step()
    after = {name: value for name, value in model.state_dict().items() if not name.endswith('tracked')}
    tensors = {f'gradient.{name}': value for name, value in gradients.items()}
    tensors |= {f'after.{name}': value for name, value in after.items()}
    return losses, {name: value.contiguous() for name, value in tensors.items()}


def main():
    for name, (changes, side, trained) in CASES.items():
        torch.manual_seed(SEED)
        model, config = build(name, changes, side)
        randomise(model)
        folder = ROOT / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / 'model.safetensors')
        model.eval()
        with torch.no_grad():
            logits = logits_of(model, images(2, side, 0)).tolist()
        goldens = {
            'madeWith': f'PyTorch {torch.__version__}, transformers {transformers.__version__}, seed {SEED}',
            'logits': logits,
        }
        if trained:
            goldens['losses'], tensors = train(model, side)
            save_file(tensors, folder / 'training.safetensors')
        (folder / 'goldens.json').write_text(json.dumps(goldens, indent=2) + '\n')
    counts = {
        'ResNet-18': ResNetConfig(hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type='basic'),
        'ResNet-50': ResNetConfig(),
    }
    for name, config in counts.items():
        config.num_labels = 1000
        print(name, sum(p.numel() for p in ResNetForImageClassification(config).parameters()))
    whole = PreActResNet(64, [64, 128, 256, 512], [2, 2, 2, 2], 10)
    print('PreAct-ResNet-18', sum(p.numel() for p in whole.parameters()))


main()
