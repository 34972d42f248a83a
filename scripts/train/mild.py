"""Mild defects, which every class may carry: a picture that has only these is clear."""

import cv2
import numpy as np

from pixels import add_grain, chance, clip8, gaussian_blur, jpeg, log_uniform, radial, tone, unit
from text import write_text


def mild_optics(rng, picture):
    """Slight exposure, contrast, colour and sharpness changes, before the defect."""
    if chance(rng, 0.3):
        gamma, gain = log_uniform(rng, 0.8, 1.3), rng.uniform(0.8, 1.1)
        picture = tone(picture, lambda x: gain * x**gamma)
    if chance(rng, 0.15):
        contrast, level = rng.uniform(0.75, 1.15), rng.uniform(0.3, 0.65)
        picture = tone(picture, lambda x: level + contrast * (x - level))
    if chance(rng, 0.2):
        picture = clip8(picture * rng.uniform(0.94, 1.06, (1, 1, 3)).astype(np.float32))
    if chance(rng, 0.15):
        picture = gaussian_blur(picture, rng.uniform(0.15, 0.5) * unit(picture))
    if chance(rng, 0.1):
        soft = gaussian_blur(picture, 1.0)
        picture = cv2.addWeighted(picture, 1.6, soft, -0.6, 0)
    if chance(rng, 0.1):
        shade = 1 - rng.uniform(0.1, 0.4) * radial(rng, *picture.shape[:2]) ** 2
        picture = clip8(picture * shade[..., None])
    return picture


def mild_sensor(rng, picture, noise=2.0):
    """Slight noise, a display overlay, bars and compression, after the defect."""
    if chance(rng, 0.3):
        picture = add_grain(rng, picture, rng.uniform(0.3, noise), coloured=chance(rng, 0.5))
    if chance(rng, 0.15):
        picture = overlay(rng, picture.copy())
    if chance(rng, 0.03):
        picture = bars(rng, picture.copy())
    if chance(rng, 0.5):
        picture = jpeg(picture, rng.uniform(35, 97))
    return picture


def overlay(rng, picture):
    """A camera's on-screen display: time stamp, name, perhaps on a plate."""
    height, width = picture.shape[:2]
    size = height / 480 * rng.uniform(0.5, 1.2)
    for _ in range(rng.integers(1, 3)):
        at = (int(rng.uniform(0, width * 0.6)), int(height * rng.choice([0.06, 0.97])))
        if chance(rng, 0.3):
            cv2.rectangle(picture, (at[0], int(at[1] - 28 * size)), (int(at[0] + 300 * size), at[1] + 6), (0, 0, 0), -1)
        colour = (255, 255, 255) if chance(rng, 0.7) else tuple(int(c) for c in rng.integers(0, 256, 3))
        write_text(rng, picture, at, size, colour)
    return picture


def bars(rng, picture):
    """Letterbox or pillarbox bars."""
    height, width = picture.shape[:2]
    if chance(rng, 0.6):
        edge = int(height * rng.uniform(0.03, 0.1))
        picture[:edge] = picture[height - edge :] = 0
    else:
        edge = int(width * rng.uniform(0.03, 0.1))
        picture[:, :edge] = picture[:, width - edge :] = 0
    return picture
