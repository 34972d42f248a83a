"""A second, independent set of camera defects, for evaluation only: train.py never sees it.

Written as a tester would with Pillow, OpenCV and numpy, at a photo's own resolution and middling strengths. It shares
no code with degrade.py, and its recipes stay as they are whatever the training does: a recipe that the model gets
wrong is no reason to change either.
"""

import io
import random

import cv2
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps


def clear(image, rnd):
    pick = rnd.randrange(6)
    if pick == 0:
        return recompress(image, rnd.randint(55, 95))
    if pick == 1:
        return ImageOps.grayscale(image).convert("RGB")
    if pick == 2:
        return ImageEnhance.Brightness(image).enhance(rnd.uniform(0.85, 1.12))
    if pick == 3:
        return image.resize((640, 480), Image.Resampling.BICUBIC)
    if pick == 4:
        draw = ImageDraw.Draw(image)
        draw.text((8, 8), f"2026-0{rnd.randint(1, 9)}-1{rnd.randint(0, 9)} 12:{rnd.randint(10, 59)}:07 CAM {rnd.randint(1, 16)}", fill="white")
        return recompress(image, 85)
    return image


def recompress(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def dark(image, rnd):
    pick = rnd.randrange(4)
    if pick == 0:
        return ImageEnhance.Brightness(image).enhance(rnd.uniform(0.08, 0.28))
    if pick == 1:
        exponent = rnd.uniform(3, 5)
        return image.point([round(255 * (v / 255) ** exponent) for v in range(256)] * 3)
    if pick == 2:  # night: dim, blueish, grain of a high-gain sensor
        a = np.asarray(image, np.float64) * rnd.uniform(0.1, 0.22) * [0.85, 0.9, 1.1]
        a += np.random.RandomState(rnd.randrange(2**31)).normal(0, 3, a.shape)
        return Image.fromarray(a.clip(0, 255).astype(np.uint8))
    black = Image.new("RGB", image.size)
    return Image.blend(image, black, rnd.uniform(0.74, 0.92))


def overexposed(image, rnd):
    pick = rnd.randrange(4)
    if pick == 0:
        return ImageEnhance.Brightness(image).enhance(rnd.uniform(2.4, 4.5))
    if pick == 1:
        return image.point([min(255, v + shift) for shift in [rnd.randint(110, 170)] for v in range(256)] * 3)
    if pick == 2:
        exponent = rnd.uniform(0.2, 0.35)
        return image.point([round(255 * (v / 255) ** exponent) for v in range(256)] * 3)
    # exposure in linear light, two to three stops too much
    linear = (np.asarray(image, np.float64) / 255) ** 2.2 * 2 ** rnd.uniform(2.3, 3.5)
    return Image.fromarray((linear.clip(0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


def blurred(image, rnd):
    pick = rnd.randrange(5)
    if pick == 0:
        return image.filter(ImageFilter.GaussianBlur(rnd.uniform(4, 10)))
    if pick == 1:
        return image.filter(ImageFilter.BoxBlur(rnd.randint(5, 12)))
    a = np.asarray(image)
    if pick == 2:
        size = rnd.choice([15, 21, 31])
        kernel = np.zeros((size, size), np.float32)
        kernel[size // 2] = 1
        turn = cv2.getRotationMatrix2D((size // 2, size // 2), rnd.uniform(0, 180), 1)
        kernel = cv2.warpAffine(kernel, turn, (size, size))
        return Image.fromarray(cv2.filter2D(a, -1, kernel / kernel.sum()))
    if pick == 3:
        size = rnd.choice([11, 15, 21])
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)).astype(np.float32)
        return Image.fromarray(cv2.filter2D(a, -1, kernel / kernel.sum()))
    factor = rnd.randint(7, 12)
    small = image.resize((image.width // factor, image.height // factor), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def covered(image, rnd):
    width, height = image.size
    state = np.random.RandomState(rnd.randrange(2**31))
    pick = rnd.randrange(6)
    if pick == 0:  # a lens cap
        a = np.abs(state.normal(rnd.uniform(0, 8), 2, (height, width, 3)))
        return Image.fromarray(a.clip(0, 255).astype(np.uint8))
    if pick == 1:  # spray paint, any colour
        flat = Image.new("RGB", image.size, tuple(rnd.randint(20, 235) for _ in range(3)))
        a = np.asarray(flat, np.float64) + state.normal(0, 2, (height, width, 1))
        return Image.fromarray(a.clip(0, 255).astype(np.uint8))
    if pick == 2:  # a finger pressed on the lens, light shining through from one side
        glow = np.linspace(rnd.uniform(0.25, 0.6), 1, width)[None, :, None]
        skin = np.array([rnd.randint(150, 235), rnd.randint(40, 120), rnd.randint(20, 90)])
        a = np.repeat(glow * skin, height, axis=0) + state.normal(0, 1.5, (height, width, 3))
        return Image.fromarray(a.clip(0, 255).astype(np.uint8))
    if pick == 3:  # a hand from one side, out of focus
        mask = Image.new("L", image.size)
        draw = ImageDraw.Draw(mask)
        draw.ellipse((-0.6 * width, -0.4 * height, rnd.uniform(0.85, 0.95) * width, 1.4 * height), fill=255)
        draw.rectangle((0, 0, width * 0.5, height), fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(9))
        hand = Image.new("RGB", image.size, (rnd.randint(120, 210), rnd.randint(80, 140), rnd.randint(60, 110)))
        return Image.composite(hand, image, ImageOps.mirror(mask) if rnd.random() < 0.5 else mask)
    if pick == 4:  # a cloth: coarse wrinkles, fine threads
        wrinkles = cv2.GaussianBlur(state.normal(0, 1, (height, width)), (0, 0), 35)
        wrinkles = wrinkles / np.abs(wrinkles).max() * 22
        threads = ((np.arange(width)[None] % 4 < 2) ^ (np.arange(height)[:, None] % 4 < 2)) * 6
        base = np.array([rnd.randint(40, 215) for _ in range(3)])
        a = base + (wrinkles + threads)[..., None]
        return Image.fromarray(a.clip(0, 255).astype(np.uint8))
    # a sheet of paper or a white bag, a strip of the scene under it
    white = Image.new("RGB", image.size, (rnd.randint(225, 255),) * 3)
    white.paste(image.crop((0, int(height * 0.9), width, height)), (0, int(height * 0.9)))
    return white


def noisy(image, rnd):
    state = np.random.RandomState(rnd.randrange(2**31))
    a = np.asarray(image, np.float64)
    pick = rnd.randrange(5)
    if pick == 0:
        a = a + state.normal(0, rnd.uniform(28, 60), a.shape)
    elif pick == 1:
        a = a + state.normal(0, rnd.uniform(28, 60), a.shape[:2])[..., None]
    elif pick == 2:
        a = a.copy()
        spots = state.uniform(size=a.shape[:2])
        share = rnd.uniform(0.05, 0.15)
        a[spots < share / 2] = 0
        a[spots > 1 - share / 2] = 255
    elif pick == 3:
        peak = rnd.uniform(8, 25)
        a = state.poisson(a / 255 * peak) / peak * 255
    else:
        a = a * (1 + state.normal(0, rnd.uniform(0.3, 0.6), a.shape))
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


def low_contrast(image, rnd):
    pick = rnd.randrange(4)
    if pick == 0:
        return ImageEnhance.Contrast(image).enhance(rnd.uniform(0.12, 0.3))
    if pick == 1:  # uniform fog
        return Image.blend(image, Image.new("RGB", image.size, (rnd.randint(170, 215),) * 3), rnd.uniform(0.68, 0.85))
    if pick == 2:  # fog that thickens upwards
        top, bottom = rnd.randint(225, 240), rnd.randint(140, 175)
        mask = Image.linear_gradient("L").resize(image.size).point([round(top + (bottom - top) * v / 255) for v in range(256)])
        return Image.composite(Image.new("RGB", image.size, (200, 203, 208)), image, mask)
    # a dirty dome: brownish film with soft spots
    mask = Image.new("L", image.size, rnd.randint(140, 180))
    draw = ImageDraw.Draw(mask)
    for _ in range(25):
        x, y, r = rnd.uniform(0, image.width), rnd.uniform(0, image.height), rnd.uniform(10, 45)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=rnd.randint(185, 225))
    film = Image.new("RGB", image.size, (150, 142, 128))
    return Image.composite(film, image, mask.filter(ImageFilter.GaussianBlur(12)))


def color_cast(image, rnd):
    pick = rnd.randrange(4)
    if pick == 0:
        strong, weak = rnd.uniform(1.3, 1.7), rnd.uniform(0.4, 0.65)
        gains = [strong, 1.0, weak]
        rnd.shuffle(gains)
        bands = [band.point(lambda v, g=g: int(v * g)) for band, g in zip(image.split(), gains)]
        return Image.merge("RGB", bands)
    if pick == 1:
        colour = rnd.choice([(255, 0, 255), (0, 255, 0), (255, 120, 0), (0, 90, 255), (0, 255, 255)])
        return Image.blend(image, Image.new("RGB", image.size, colour), rnd.uniform(0.25, 0.4))
    if pick == 2:
        return ImageOps.colorize(ImageOps.grayscale(image), black=(30, 15, 0), white=(255, 225, 170))
    offset = Image.new("RGB", image.size, rnd.choice([(70, 0, 0), (0, 60, 0), (0, 0, 75), (60, 0, 60), (60, 50, 0)]))
    return ImageChops.add(image, offset)


def scrambled(image, rnd):
    width, height = image.size
    pick = rnd.randrange(6)
    if pick == 0:  # lost macroblocks
        draw = ImageDraw.Draw(image)
        for _ in range(rnd.randint(30, 90)):
            x, y = rnd.randrange(0, width, 16), rnd.randrange(0, height, 16)
            draw.rectangle((x, y, x + 16 * rnd.randint(1, 4) - 1, y + 15), fill=(128, 128, 128))
        return image
    if pick == 1:  # blocks from the wrong place
        original = image.copy()
        for _ in range(rnd.randint(25, 60)):
            x, y = rnd.randrange(0, width - 32), rnd.randrange(0, height - 32)
            image.paste(original.crop((x, y, x + 32, y + 32)), (rnd.randrange(0, width, 32), rnd.randrange(0, height, 32)))
        return image
    a = np.array(image)
    if pick == 2:  # torn
        top = 0
        while top < height:
            rows = rnd.randint(15, 60)
            a[top : top + rows] = np.roll(a[top : top + rows], rnd.randint(-90, 90), axis=1)
            top += rows
        return Image.fromarray(a)
    if pick == 3:  # the rest of the frame repeats one line
        row = int(height * rnd.uniform(0.25, 0.65))
        a[row:] = a[row]
        return Image.fromarray(a)
    if pick == 4:  # the rest of the frame is missing
        row = int(height * rnd.uniform(0.35, 0.7))
        a[row:] = rnd.choice([(0, 0, 0), (0, 128, 0), (128, 128, 128)])
        return Image.fromarray(a)
    # bytes of the file overwritten, as on a bad link; again until the decoder notices
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    for _ in range(50):
        data = bytearray(buffer.getvalue())
        for _ in range(12):
            data[rnd.randrange(len(data) // 6, len(data) // 2)] = rnd.randrange(255)
        broken = cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_COLOR)
        if broken is None or broken.shape != a.shape:
            continue
        broken = broken[:, :, ::-1].copy()
        if np.abs(broken.astype(int) - a).mean() > 12:
            return Image.fromarray(broken)
    a[height // 2 :] = 128
    return Image.fromarray(a)


RECIPES = {
    "clear": clear,
    "dark": dark,
    "overexposed": overexposed,
    "blurred": blurred,
    "covered": covered,
    "noisy": noisy,
    "low_contrast": low_contrast,
    "color_cast": color_cast,
    "scrambled": scrambled,
}


def sample(picture, label, seed):
    """The picture (H, W, 3) uint8 with a defect of class `label`, always the same for a seed."""
    rnd = random.Random(f"{seed} {label}")
    return np.asarray(RECIPES[label](Image.fromarray(picture).copy(), rnd).convert("RGB"))
