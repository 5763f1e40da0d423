"""Writes packages/lab/src/metrics/stealth-goldens.ts: what scikit-image says of a few image pairs.

The images come from integer formulas, which packages/lab/src/metrics/stealth.test.ts repeats: whoever changes
one changes the other. Not part of any build or test; run it from the repository's root after a change here:

    apt-get install python3-skimage
    /usr/bin/python3 tools/make-stealth-goldens.py

Last run with Debian 12's scikit-image 0.19.3, numpy 1.24.2 and scipy 1.10.1.
"""

import pathlib

import numpy
import scipy
import skimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def busy(height, width):
    c, y, x = numpy.indices((3, height, width))
    return (x * x * 3 + y * 7 + x * y * 5 + c * 37) % 256


def smooth(height, width):
    c, y, x = numpy.indices((3, height, width))
    return 40 + c * 25 + (x * (width - x) + 2 * y * (height - y)) % 160


def flat(height, width):
    return numpy.full((3, height, width), 100)


def noise(image):
    i = numpy.arange(image.size).reshape(image.shape)
    return numpy.clip(image + (i * 7919 + 13) % 17 - 8, 0, 255)


def erode(image):
    _, height, width = image.shape
    padded = numpy.pad(image, ((0, 0), (1, 1), (1, 1)), constant_values=255)
    shifts = [padded[:, dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)]
    return numpy.min(shifts, axis=0)


def invert(image):
    return 255 - image


def brighten(image):
    return numpy.minimum(image + 1, 255)


def one_value(image):
    changed = image.copy()
    changed[1, 7, 9] += 1
    return changed


PAIRS = [
    ('busy', 'noise', busy, noise, 32, 32),
    ('smooth', 'noise', smooth, noise, 32, 32),
    ('smooth', 'erode', smooth, erode, 40, 28),
    ('busy', 'erode', busy, erode, 28, 40),
    ('busy', 'invert', busy, invert, 32, 32),
    ('flat', 'brighten', flat, brighten, 32, 32),
    ('smooth', 'oneValue', smooth, one_value, 32, 32),
    ('smooth', 'noise', smooth, noise, 11, 11),
]


def number(value):
    # Every digit, in the way the formatter of the TypeScript sources leaves alone.
    return repr(float(value)).removesuffix('.0')


def golden(image_name, change_name, image, change, height, width):
    clean = image(height, width).astype(numpy.uint8)
    triggered = change(image(height, width)).astype(numpy.uint8)
    delta = numpy.abs(clean.astype(int) - triggered.astype(int))
    ssim = structural_similarity(
        clean.transpose(1, 2, 0),
        triggered.transpose(1, 2, 0),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
    )
    fields = {
        'image': f"'{image_name}'",
        'change': f"'{change_name}'",
        'height': height,
        'width': width,
        'psnr': number(peak_signal_noise_ratio(clean, triggered, data_range=255)),
        'ssim': number(ssim),
        'linf': int(delta.max()),
        'meanAbs': number(delta.mean()),
    }
    return '  {\n' + ''.join(f'    {key}: {value},\n' for key, value in fields.items()) + '  },\n'


def main():
    versions = f'scikit-image {skimage.__version__}, numpy {numpy.__version__}, scipy {scipy.__version__}'
    text = '// Written by tools/make-stealth-goldens.py, not by hand.\n'
    text += f'// {versions}.\n'
    text += 'export const stealthGoldens = [\n'
    text += ''.join(golden(*pair) for pair in PAIRS)
    text += '] as const\n'
    root = pathlib.Path(__file__).resolve().parent.parent
    (root / 'packages/lab/src/metrics/stealth-goldens.ts').write_text(text)


main()
