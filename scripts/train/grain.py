"""Noisy pictures."""

import math

import cv2
import numpy as np

from pixels import chance, choose, clip8, gauss, log_uniform, luma, unit, white_noise_loss


def noisy(rng, picture):
    u = unit(picture)
    loss = np.float32(white_noise_loss(u))
    height, width = picture.shape[:2]
    kind = choose(
        rng,
        {"rgb": 4, "luma": 3, "chroma": 2, "poisson": 2, "impulse": 3, "speckle": 2, "grain": 2, "bands": 2, "uniform": 1, "night": 2},
    )
    x = picture.astype(np.float32)
    if kind == "night":  # high gain in poor light: dim, but the noise is what spoils it
        x *= np.float32(rng.uniform(0.35, 0.75))
        kind = choose(rng, {"rgb": 3, "poisson": 2, "luma": 1})
    if kind in ("rgb", "luma"):
        shape = (height, width, 3 if kind == "rgb" else 1)
        x += gauss(rng, shape) * (loss * np.float32(log_uniform(rng, 7.5, 45)))
    elif kind == "uniform":
        reach = np.float32(log_uniform(rng, 7.5, 35) * math.sqrt(3)) * loss
        x += (rng.random((height, width, 3), dtype=np.float32) * 2 - 1) * reach
    elif kind == "chroma":
        size = rng.uniform(0.8, 3) * u  # blotches, as after a camera's noise reduction
        chroma = gauss(rng, (int(height / size) + 1, int(width / size) + 1, 3))
        chroma -= chroma.mean(axis=2, keepdims=True)
        chroma = cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(log_uniform(rng, 14, 60))
        x += chroma + gauss(rng, (height, width, 1)) * (loss * np.float32(rng.uniform(0, 6)))
    elif kind == "poisson":
        deviation = log_uniform(rng, 7.5, 45) * float(loss)  # at mid grey
        photons = 128 / deviation**2
        if photons * 255 < 60:
            x = rng.poisson(x * photons).astype(np.float32) / np.float32(photons)
        else:
            x += np.sqrt(x / np.float32(photons)) * gauss(rng, x.shape)
    elif kind == "impulse":
        density = float(np.clip((log_uniform(rng, 7, 40) * float(loss) / 127) ** 2, 0.012, 0.45))
        planes = 3 if chance(rng, 0.4) else 1
        hit = rng.random((height, width, planes), dtype=np.float32)
        extremes = choose(rng, {"both": 6, "white": 1, "black": 1, "any": 1})
        if extremes == "any":
            value = rng.uniform(0, 255, hit.shape).astype(np.float32)
        else:
            value = {"both": hit < density / 2, "white": np.ones_like(hit), "black": np.zeros_like(hit)}[extremes] * np.float32(255)
        x = np.where(hit < density, value, x)
    elif kind == "speckle":
        sigma = np.float32(log_uniform(rng, 7.5, 45) / 110) * loss
        planes = 3 if chance(rng, 0.5) else 1
        x *= 1 + gauss(rng, (height, width, planes)) * sigma
        x += gauss(rng, (height, width, planes)) * (loss * np.float32(3))
    elif kind == "grain":
        size = rng.uniform(0.8, 2.6) * u
        planes = 3 if chance(rng, 0.3) else 1
        grain = gauss(rng, (int(height / size) + 1, int(width / size) + 1, planes))
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, planes)
        x += grain * np.float32(log_uniform(rng, 9, 45))
    else:
        x += sensor_bands(rng, height, width, u)[..., None]
        x += gauss(rng, (height, width, 1)) * (loss * np.float32(rng.uniform(0, 5)))
    return clip8(x)


def sensor_bands(rng, height, width, u):
    """Line noise: every row (or column) its own offset, or a wave from mains or radio interference."""
    strength = np.float32(log_uniform(rng, 11, 45))
    if chance(rng, 0.55):
        across = chance(rng, 0.65)
        size = height if across else width
        lines = rng.standard_normal(int(size / (rng.uniform(0.6, 3) * u)) + 2, dtype=np.float32)
        lines = cv2.resize(lines[:, None], (1, size), interpolation=cv2.INTER_LINEAR)
        return (lines if across else lines.T) * strength * np.ones((height, width), np.float32)
    period, angle = log_uniform(rng, 2.6, 16) * u, rng.uniform(0, math.pi) if chance(rng, 0.6) else math.pi / 2
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.sin((x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / period) + rng.uniform(0, 6)) * strength
