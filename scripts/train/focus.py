"""Blurred pictures: defocus, motion, and resolution that isn't there."""

import math

import cv2
import numpy as np

from pixels import chance, choose, clip8, convolve, disc_kernel, gauss, gaussian_blur, log_uniform, path_kernel, unit


def straight_motion(rng, u):
    length, angle = log_uniform(rng, 4.5, 40) * u, rng.uniform(0, math.pi)
    end = np.array([math.cos(angle), math.sin(angle)]) * length / 2
    return path_kernel(np.stack([-end, end]))


def shaken_motion(rng, u):
    turns = rng.normal(0, 0.35, 24).cumsum() + rng.uniform(0, 2 * math.pi)
    steps = np.stack([np.cos(turns), np.sin(turns)], 1) * rng.uniform(0.3, 1, (24, 1))
    points = steps.cumsum(0)
    reach = np.ptp(points, axis=0).max()
    return path_kernel(points * (log_uniform(rng, 5, 26) * u / reach))


def warp_blur(rng, picture, zoom):
    """Mean of a picture zoomed, or turned, by growing amounts."""
    height, width = picture.shape[:2]
    centre = (width * rng.uniform(0.35, 0.65), height * rng.uniform(0.35, 0.65))
    amount = log_uniform(rng, 0.08, 0.35) if zoom else log_uniform(rng, 5, 20)
    total = np.zeros(picture.shape, np.float32)
    steps = 12
    for t in np.linspace(0, 1, steps):
        turn, scale = (0, 1 + amount * t) if zoom else (amount * (t - 0.5), 1)
        matrix = cv2.getRotationMatrix2D(centre, turn, scale)
        total += cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return clip8(total / steps)


def blurred(rng, picture):
    u = unit(picture)
    kind = choose(
        rng,
        {"gauss": 4, "disc": 4, "box": 2, "motion": 5, "shake": 2, "zoom": 1, "turn": 1, "median": 1, "resample": 2, "two": 1},
    )
    if kind == "gauss":
        picture = gaussian_blur(picture, log_uniform(rng, 1.1, 9) * u)
    elif kind == "disc":
        picture = convolve(picture, disc_kernel(log_uniform(rng, 2.1, 12) * u))
    elif kind == "box":
        width = max(3, int(log_uniform(rng, 4, 22) * u))
        height = width if chance(rng, 0.7) else max(3, int(log_uniform(rng, 4, 22) * u))
        picture = cv2.blur(picture, (width, height))
    elif kind == "motion":
        picture = convolve(picture, straight_motion(rng, u))
    elif kind == "shake":
        picture = convolve(picture, shaken_motion(rng, u))
    elif kind in ("zoom", "turn"):
        picture = warp_blur(rng, picture, zoom=kind == "zoom")
        picture = gaussian_blur(picture, rng.uniform(0.4, 1.2) * u)
    elif kind == "median":
        picture = cv2.medianBlur(picture, 2 * int(log_uniform(rng, 2.6, 8) * u) + 1)
        picture = gaussian_blur(picture, rng.uniform(0.3, 1.0) * u)
    elif kind == "resample":
        height, width = picture.shape[:2]
        factor = log_uniform(rng, 3.2, 14) * u
        small = cv2.resize(picture, (max(int(width / factor), 8), max(int(height / factor), 8)), interpolation=cv2.INTER_AREA)
        how = cv2.INTER_LINEAR if chance(rng, 0.6) else cv2.INTER_CUBIC
        picture = cv2.resize(small, (width, height), interpolation=how)
    else:
        picture = convolve(picture, disc_kernel(log_uniform(rng, 1.5, 6) * u))
        picture = convolve(picture, straight_motion(rng, u))
    return picture
