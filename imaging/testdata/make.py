"""Makes the golden files of the imaging tests with Pillow and numpy, both of which the tests themselves don't need.

    python3 make.py        # in this folder; made with Pillow 13.0.0, numpy 2.4.6

scene.png is a drawn scene; resize-*.png are what Pillow's resize makes of it. format-NAME.EXT are the
same small picture in many formats, format-NAME.want.png what Pillow decodes each to.
"""

import numpy as np
from PIL import Image, ImageDraw

rng = np.random.default_rng(1)


def scene(w, h):
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([
        120 + 90 * np.sin(x / 17.0) * np.cos(y / 23.0),
        255.0 * x / w,
        128 + 100 * np.sin((x + y) / 9.0),
    ], axis=-1)
    a += rng.normal(0, 6, a.shape)
    img = Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))
    d = ImageDraw.Draw(img)
    for _ in range(40):
        cx, cy, r = rng.integers(0, w), rng.integers(0, h), rng.integers(2, w // 8)
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        if rng.integers(0, 2):
            d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=colour)
        else:
            d.line([cx, cy, cx + 3 * r, cy + r], fill=colour, width=int(rng.integers(1, 4)))
    return img


def resizes():
    img = scene(203, 151)
    img.save("scene.png")
    for name, filter in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
        # Shorter side to 64, then the centre crop 56: torchvision's Resize and CenterCrop.
        size = (round(64 * 203 / 151), 64)
        left, top = (size[0] - 56) // 2, (size[1] - 56) // 2
        img.resize(size, filter).crop((left, top, left + 56, top + 56)).save(f"resize-center-{name}.png")
        img.resize((61, 33), filter).save(f"resize-stretch-{name}.png")
        img.resize((20, 15), filter).save(f"resize-small-{name}.png")
        img.resize((260, 170), filter).save(f"resize-large-{name}.png")
        side = 151
        left = (203 - side) / 2
        img.resize((48, 48), filter, box=(left, 0, left + side, side)).save(f"resize-square-{name}.png")


def formats():
    rgb = scene(43, 31)
    grey = rgb.convert("L")
    alpha = rgb.copy()
    ramp = Image.fromarray(np.tile(np.arange(43, dtype=np.uint8) * 5, (31, 1)))
    alpha.putalpha(ramp)
    la = grey.copy()
    la.putalpha(ramp)
    palette = rgb.quantize(32)
    deep = Image.fromarray((np.asarray(grey).astype(np.uint16) * 257))
    made = {
        "rgb.png": (rgb, {}), "grey.png": (grey, {}), "alpha.png": (alpha, {}), "greyalpha.png": (la, {}),
        "palette.png": (palette, {}), "bits1.png": (grey.convert("1"), {}),
        "deep.png": (deep, {}), "rgb.jpg": (rgb, {"quality": 95, "subsampling": 0}),
        "chroma420.jpg": (rgb.resize((43, 31)), {"quality": 95, "subsampling": 2}),
        "chroma422.jpg": (rgb, {"quality": 95, "subsampling": 1}),
        "progressive.jpg": (rgb, {"quality": 95, "subsampling": 0, "progressive": True}),
        "grey.jpg": (grey, {"quality": 95}), "cmyk.jpg": (rgb.convert("CMYK"), {"quality": 95}),
        "rgb.gif": (rgb.quantize(64), {}), "rgb.bmp": (rgb, {}), "grey.bmp": (grey, {}), "alpha.bmp": (alpha, {}),
        "lossy.webp": (rgb, {"quality": 95}), "lossless.webp": (rgb, {"lossless": True}),
        "alpha.webp": (alpha, {"quality": 95, "exact": True}),
        "rgb.tiff": (rgb, {}), "lzw.tiff": (rgb, {"compression": "tiff_lzw"}), "grey.tiff": (grey, {}),
    }
    for name, (img, options) in made.items():
        img.save(f"format-{name}", **options)
        if name == "deep.png":
            want = grey.convert("RGB")
        else:
            want = Image.open(f"format-{name}").convert("RGB")
        want.save(f"format-{name}.want.png")
    # An animation: the first picture is what counts.
    frames = [rgb.quantize(32), grey.quantize(32)]
    frames[0].save("format-animated.gif", save_all=True, append_images=frames[1:], duration=100)
    Image.open("format-animated.gif").convert("RGB").save("format-animated.gif.want.png")


resizes()
formats()
