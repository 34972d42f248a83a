"""Defects of light and colour: dark, overexposed, low contrast, colour cast."""

import math

import cv2
import numpy as np

from pixels import (
    add_grain,
    chance,
    choose,
    clip8,
    convolve,
    gaussian_blur,
    log_uniform,
    luma,
    path_kernel,
    radial,
    ramp,
    soft_field,
    tone,
    unit,
    vivid_colour,
)


def dark(rng, picture):
    kind = choose(rng, {"gain": 4, "gamma": 3, "both": 2, "night": 2, "crush": 1})
    if kind == "gain":
        gain = log_uniform(rng, 0.06, 0.34)
        picture = tone(picture, lambda x: gain * x)
    elif kind == "gamma":
        gamma = log_uniform(rng, 2.6, 7)
        picture = tone(picture, lambda x: x**gamma)
    elif kind == "both":
        gamma, gain = rng.uniform(1.3, 3), rng.uniform(0.12, 0.5)
        picture = tone(picture, lambda x: gain * x**gamma)
    elif kind == "crush":
        level, gain = rng.uniform(0.1, 0.5), rng.uniform(0.2, 0.6)
        picture = tone(picture, lambda x: gain * np.maximum(x - level, 0))
    else:
        gain = log_uniform(rng, 0.1, 0.5)
        light = np.exp(-rng.uniform(0.5, 4) * radial(rng, *picture.shape[:2], 0.6) ** 2)
        night = picture * (gain * light)[..., None]
        night *= np.array([rng.uniform(0.7, 1), rng.uniform(0.8, 1), 1], np.float32)
        for _ in range(rng.integers(0, 4)):  # lamps
            spot = np.exp(-((radial(rng, *picture.shape[:2], 0.9) / rng.uniform(0.01, 0.06)) ** 2))
            night += spot[..., None] * rng.uniform(120, 255, 3).astype(np.float32)
        picture = clip8(night)
    mean = picture.mean()
    if mean > 62:  # a bright scene under a weak recipe
        gain = rng.uniform(15, 55) / mean
        picture = tone(picture, lambda x: gain * x)
    elif picture.std() < 4.0 and mean < 8:  # nothing left to see would be a covered lens
        gain = 5 / max(picture.std(), 0.5)
        picture = tone(picture, lambda x: gain * x)
    if chance(rng, 0.5):
        picture = add_grain(rng, picture, rng.uniform(0.3, 2.5), coloured=chance(rng, 0.6))
    return picture


def overexposed(rng, picture):
    kind = choose(rng, {"gain": 4, "offset": 2, "both": 2, "gamma": 4, "bloom": 2, "uneven": 1})
    x = picture.astype(np.float32)
    if kind == "gain":
        x *= log_uniform(rng, 1.8, 6)
    elif kind == "offset":
        x += rng.uniform(85, 190)
    elif kind == "both":
        x = x * rng.uniform(1.3, 3) + rng.uniform(30, 130)
    elif kind == "gamma":
        x = 255 * (x / 255) ** log_uniform(rng, 0.15, 0.42) * rng.uniform(1, 1.15)
    elif kind == "bloom":
        x *= rng.uniform(1.7, 3.5)
        glow = gaussian_blur(np.maximum(x - rng.uniform(140, 230), 0), rng.uniform(3, 14) * unit(picture))
        x += glow * rng.uniform(0.5, 2)
    else:
        field = ramp(rng, *picture.shape[:2]) if chance(rng, 0.5) else 1 - radial(rng, *picture.shape[:2], 0.7)
        x *= (rng.uniform(1.2, 1.8) + rng.uniform(1, 4) * field)[..., None]
    for _ in range(8):  # a dark scene under a weak recipe
        small = np.minimum(x[::4, ::4], 255)
        if small.mean() > 178 or (small.min(axis=2) >= 250).mean() > 0.3:
            break
        x *= 1.2
    return clip8(x)


def low_contrast(rng, picture):
    kind = choose(rng, {"squeeze": 4, "fog": 4, "haze": 2, "dirt": 3, "grease": 2})
    height, width = picture.shape[:2]
    x = picture.astype(np.float32)
    if kind == "squeeze":
        contrast, level = log_uniform(rng, 0.09, 0.38), rng.uniform(60, 215)
        around = x.mean() if chance(rng, 0.6) else 128
        keep_level = chance(rng, 0.35) and 55 < x.mean() < 215
        x = (x.mean() if keep_level else level) + contrast * (x - around)
    elif kind in ("fog", "haze"):
        air = rng.uniform(130, 235) + rng.uniform(-9, 9, 3).astype(np.float32)
        if kind == "fog":
            through = log_uniform(rng, 0.1, 0.4) * np.ones((height, width), np.float32)
            through *= 1 + rng.uniform(0, 0.6) * (soft_field(rng, height, width, 3) - 0.5)
        else:  # thicker with distance, that is towards the top
            near, far = rng.uniform(0.3, 0.6), rng.uniform(0.04, 0.2)
            depth = np.linspace(0, 1, height, dtype=np.float32)[:, None] ** rng.uniform(0.7, 1.6) + 0.15 * soft_field(rng, height, width, 3)
            through = far + (near - far) * np.clip(depth, 0, 1)
        through = through[..., None]
        x = x * through + air * (1 - through)
        if chance(rng, 0.4):  # scattered light softens
            x = gaussian_blur(x, rng.uniform(0.2, 0.8) * unit(picture))
    elif kind == "dirt":
        veil = rng.uniform(0.5, 0.75)
        spots = soft_field(rng, height, width, int(rng.integers(3, 8))) * soft_field(rng, height, width, int(rng.integers(6, 22)))
        spots = np.clip((spots - np.quantile(spots[::4, ::4], rng.uniform(0.3, 0.75))) * rng.uniform(2, 6), 0, 1)
        opacity = np.clip(veil + spots * rng.uniform(0.2, 0.6), 0, 0.92)[..., None]
        shade = rng.uniform(60, 210) * np.array([1, rng.uniform(0.9, 1.02), rng.uniform(0.78, 1.02)], np.float32)
        x = gaussian_blur(x, rng.uniform(0.2, 0.9) * unit(picture)) * (1 - opacity) + shade * opacity
    else:
        angle = rng.uniform(0, math.pi)
        end = np.array([math.cos(angle), math.sin(angle)]) * rng.uniform(1, 4) * unit(picture)
        smeared = convolve(x, path_kernel(np.stack([-end, end])))
        glow = gaussian_blur(x, rng.uniform(10, 30) * unit(picture))
        mix, contrast, level = rng.uniform(0.2, 0.7), log_uniform(rng, 0.14, 0.4), rng.uniform(80, 200)
        x = level + contrast * (x * (1 - mix) + smeared * mix - 128) + rng.uniform(0.0, 0.25) * (glow - 128)
    return clip8(x)


def colour_cast(rng, picture):
    before = picture[::4, ::4].reshape(-1, 3).mean(0)
    kinds = {"gain": 4, "white_balance": 3, "add": 3, "tint": 3, "sepia": 2, "duotone": 1, "lost": 1, "hue": 0.7, "swap": 0.7, "gamma": 1.5}
    for _ in range(6):
        x = picture.astype(np.float32)
        kind = choose(rng, kinds)
        if kind == "gain":
            direction = vivid_colour(rng, -1, 1)
            x *= np.exp(direction * log_uniform(rng, 0.22, 0.8))
            x *= np.float32(rng.uniform(0.8, 1.1))
        elif kind == "white_balance":
            warmth, tint = rng.choice([-1, 1]) * rng.uniform(0.22, 0.75), rng.uniform(-0.2, 0.2)
            x *= np.exp(np.array([warmth, tint, -warmth], np.float32))
        elif kind == "gamma":
            x = 255 * (x / 255) ** np.exp(vivid_colour(rng, -1, 1) * rng.uniform(0.3, 0.9))
        elif kind == "add":
            x += vivid_colour(rng, -1, 1) * log_uniform(rng, 22, 85)
        elif kind == "tint":
            opacity = np.float32(rng.uniform(0.2, 0.5))
            x = x * (1 - opacity) + vivid_colour(rng, 0, 255) * opacity
        elif kind == "sepia":
            grey, depth = luma(picture)[..., None].astype(np.float32), np.float32(rng.uniform(0.6, 1))
            toned = grey * np.array([rng.uniform(1.1, 1.35), rng.uniform(0.9, 1.1), rng.uniform(0.55, 0.8)], np.float32)
            x = x * (1 - depth) + toned * depth
        elif kind == "duotone":
            grey = luma(picture)[..., None].astype(np.float32) / 255
            x = grey * vivid_colour(rng, rng.uniform(0.3, 0.8), 1.1) * 255 + (1 - grey) * vivid_colour(rng, 0, rng.uniform(0, 90))
        elif kind == "lost":
            channel = rng.integers(3)
            x[..., channel] = x[..., channel] * rng.uniform(0, 0.3) if chance(rng, 0.7) else rng.uniform(190, 255)
        elif kind == "hue":
            hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
            hsv[..., 0] = (hsv[..., 0].astype(np.int32) + rng.integers(25, 155)) % 180
            x = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)
        else:
            x = x[..., [2, 1, 0]] if chance(rng, 0.6) else x[..., rng.permutation(3)]
        result = clip8(x)
        after = result[::4, ::4].reshape(-1, 3).mean(0)
        shift = (after - after.mean()) - (before - before.mean())
        if np.ptp(shift) > (18 if kind in ("hue", "swap") else 0.2 * after.mean()):
            break
    return result
