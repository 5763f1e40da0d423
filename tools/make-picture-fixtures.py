"""Writes packages/lab/fixtures/encoded-pictures.json: small files of many kinds, and the RGB values that Pillow reads.

Run once, with Pillow, numpy and transformers; versions are written into the file:

    python tools/make-picture-fixtures.py > packages/lab/fixtures/encoded-pictures.json
"""

import base64
import io
import json

import numpy as np
import PIL
import transformers
from PIL import Image, ImageOps
from transformers.image_transforms import convert_to_rgb

HEIGHT, WIDTH = 9, 14


def pictures():
    random = np.random.default_rng(4)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.stack([x * 255 / (WIDTH - 1), y * 255 / (HEIGHT - 1), (x + y) * 11.5], -1)
    rgb = (rgb + random.normal(0, 12, rgb.shape)).clip(0, 255).astype(np.uint8)
    opacity = random.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    opacity[0, :4] = [0, 1, 254, 255]
    image = Image.fromarray(rgb)
    grey = image.convert("L")
    palette = image.quantize(32)
    translucent = Image.fromarray(np.dstack([rgb, opacity]), "RGBA")
    yield "rgb.png", image, {}
    yield "grey.png", grey, {}
    yield "one-bit.png", image.convert("1"), {}
    yield "grey-alpha.png", Image.fromarray(np.dstack([np.asarray(grey), opacity]), "LA"), {}
    yield "rgba.png", translucent, {}
    yield "rgba.webp", translucent, {"lossless": True, "exact": True}
    yield "rgba.tif", translucent, {}
    yield "palette.png", palette, {}
    yield "palette-transparent.png", palette, {"transparency": 3}
    yield "palette-translucent.png", palette, {"transparency": bytes(range(0, 256, 8))}
    yield "grey-key.png", grey, {"transparency": int(np.asarray(grey)[4, 4])}
    yield "rgb-key.png", image, {"transparency": tuple(int(v) for v in rgb[2, 2])}
    yield "palette.gif", palette, {}
    yield "palette-transparent.gif", palette, {"transparency": 3}
    yield "cmyk.jpg", image.convert("CMYK"), {"quality": 95}
    yield "grey.jpg", grey, {"quality": 95}
    yield "rgb.jpg", image, {"quality": 90}
    yield "progressive.jpg", image, {"quality": 80, "progressive": True}
    yield "lossy.webp", image, {"quality": 80}
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[274] = orientation
        yield f"turned-{orientation}.jpg", image, {"quality": 95, "exif": exif}
    exif = Image.Exif()
    exif[274] = 6
    yield "turned.png", translucent, {"exif": exif}
    yield "turned.webp", image, {"exif": exif, "lossless": True}


def encoded(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def planar(rgb):
    return encoded(np.asarray(rgb).transpose(2, 0, 1))


def main():
    files = []
    for name, picture, options in pictures():
        buffer = io.BytesIO()
        picture.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], name.split(".")[-1].upper()), **options)
        upright = ImageOps.exif_transpose(Image.open(buffer))
        dropped = planar(upright.convert("RGB"))
        white = planar(convert_to_rgb(upright, return_numpy=True))
        files.append(
            {
                "name": name,
                "file": base64.b64encode(buffer.getvalue()).decode(),
                "height": upright.height,
                "width": upright.width,
                "rgb": dropped,
                **({} if white == dropped else {"onWhite": white}),
            }
        )
    versions = {"Pillow": PIL.__version__, "transformers": transformers.__version__}
    print(json.dumps({"versions": versions, "seed": 4, "files": files}, indent=1))


main()
