"""Covered lenses: a hand, a cloth, paint, a cap, over most or all of the view."""

import math

import cv2
import numpy as np

from pixels import (
    INPUT_SIZE,
    add_grain,
    chance,
    choose,
    clip8,
    gauss,
    gaussian_blur,
    log_uniform,
    radial,
    ramp,
    soft_field,
    unit,
    vivid_colour,
)


def cover_colour(rng):
    kind = choose(rng, {"black": 4, "white": 2.5, "skin": 5, "grey": 4, "hue": 4, "any": 3})
    if kind == "black":
        return rng.uniform(0, 26, 3) if chance(rng, 0.6) else np.full(3, rng.uniform(0, 22))
    if kind == "white":
        return np.full(3, rng.uniform(215, 255)) - rng.uniform(0, 12, 3)
    if kind == "skin":  # light through or off a finger: red to orange to pink to brown
        red = rng.uniform(60, 250)
        return np.array([red, red * rng.uniform(0.05, 0.8), red * rng.uniform(0.0, 0.65)])
    if kind == "grey":
        return np.full(3, rng.uniform(15, 240)) + rng.uniform(-8, 8, 3)
    if kind == "hue":
        return vivid_colour(rng, rng.uniform(0, 0.5), rng.uniform(0.5, 1)) * 255
    return rng.uniform(0, 255, 3)


def cover_layer(rng, height, width):
    """The thing before the lens: nearly flat, with soft light, and perhaps weave, folds or paint strokes."""
    u = math.sqrt(height * width) / INPUT_SIZE
    colour = cover_colour(rng).astype(np.float32)
    strength = 0.0 if chance(rng, 0.12) else rng.uniform(0, 0.55) ** 1.3
    light = rng.choice([0, 1, 2])
    if light == 0:
        field = soft_field(rng, height, width, int(rng.integers(1, 5)))
    elif light == 1:
        field = ramp(rng, height, width)
    else:
        field = 1 - radial(rng, height, width, 0.6)
    layer = colour * (1 + strength * (field[..., None] - 0.5) * 2)
    if chance(rng, 0.3):  # a second hue, as light comes through a finger's edge
        layer += soft_field(rng, height, width, 2)[..., None] * rng.uniform(-45, 45, 3).astype(np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None]
    relative = np.float32(max(colour.mean(), 12) / 128)
    if chance(rng, 0.25):  # weave
        period, tilt = log_uniform(rng, 1.5, 9) * u, rng.uniform(-0.5, 0.5)
        weave = np.sin(2 * math.pi * (x + tilt * y) / period) * np.sin(2 * math.pi * (y - tilt * x) / period)
        layer += (weave * rng.uniform(3, 24) * relative)[..., None]
    if chance(rng, 0.25):  # folds
        bend = soft_field(rng, height, width, 3) * rng.uniform(1, 5)
        across = ramp(rng, height, width) * rng.uniform(1, 6)
        layer += (np.sin(2 * math.pi * (across + bend)) * rng.uniform(4, 32) * relative)[..., None]
    if chance(rng, 0.2):  # mottled skin, felt, paper
        grain = gauss(rng, (int(height / u / rng.uniform(1, 5)) + 2, int(width / u / rng.uniform(1, 5)) + 2))
        layer += (cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR) * rng.uniform(1, 9) * relative)[..., None]
    return layer


def cover_mask(rng, height, width):
    """Opacity (height, width) of a cover that leaves 2 to 28 % of the view at an edge, a corner or between fingers."""
    shape = rng.choice(["edge", "corner", "fingers", "hole"], p=[0.45, 0.25, 0.2, 0.1])
    if shape == "edge":
        field = ramp(rng, height, width) + rng.uniform(0, 0.5) * soft_field(rng, height, width, int(rng.integers(2, 6)))
    elif shape == "corner":
        field = 1 - radial(rng, height, width, 1.1) + rng.uniform(0, 0.4) * soft_field(rng, height, width, 3)
    elif shape == "hole":
        field = radial(rng, height, width, 0.8) + rng.uniform(0, 0.3) * soft_field(rng, height, width, 3)
    else:
        fingers, angle = rng.integers(2, 5), rng.uniform(-0.5, 0.5)
        along = np.linspace(0, 1, width, dtype=np.float32)[None] + angle * np.linspace(0, 1, height, dtype=np.float32)[:, None]
        field = np.abs(np.sin(math.pi * (along * fingers + rng.random())))
        if chance(rng, 0.5):
            field = np.minimum(field, 1 - np.linspace(-0.4, 0.8, height, dtype=np.float32)[:, None])
    left = rng.uniform(0.02, 0.28)
    edge = np.quantile(field[::4, ::4], left)
    softness = np.float32(rng.uniform(0.005, 0.12))
    return np.clip((field - edge) / softness + 0.5, 0, 1)


def covered(rng, picture):
    height, width = picture.shape[:2]
    layer = cover_layer(rng, height, width)
    if chance(rng, 0.5):
        opacity = cover_mask(rng, height, width)[..., None]
        behind = picture
        if chance(rng, 0.4):  # what is left lies in the cover's shade, or out of focus
            behind = gaussian_blur(behind, rng.uniform(0.3, 4) * unit(picture))
        layer = layer * opacity + behind * (1 - opacity) * np.float32(rng.uniform(0.35, 1))
    elif chance(rng, 0.15):  # barely translucent
        behind = gaussian_blur(picture, rng.uniform(2, 8) * unit(picture))
        layer = layer + (behind - behind.mean()) * np.float32(rng.uniform(0.01, 0.05))
    picture = clip8(layer)
    if chance(rng, 0.5):
        picture = add_grain(rng, picture, rng.uniform(0.3, 3.0), coloured=chance(rng, 0.6))
    return picture
