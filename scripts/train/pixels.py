"""Small tools on pictures: RGB uint8 arrays (H, W, 3), soft fields, noise and blur kernels."""

import math

import cv2
import numpy as np
from PIL import Image

INPUT_SIZE = 224

cv2.setNumThreads(1)  # parallelism is by worker process


def to_input(picture):
    """The network's input: the whole picture stretched to 224 x 224, antialiased bilinear."""
    return np.asarray(Image.fromarray(picture).resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BILINEAR))


def unit(picture):
    """Picture pixels per pixel of the network input (geometric mean of both axes)."""
    return math.sqrt(picture.shape[0] * picture.shape[1]) / INPUT_SIZE


def log_uniform(rng, low, high):
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def chance(rng, p):
    return rng.random() < p


def choose(rng, weighted):
    """One key of {value: weight}."""
    values = list(weighted)
    weights = np.array([weighted[v] for v in values], float)
    return values[rng.choice(len(values), p=weights / weights.sum())]


def clip8(x):
    return np.clip(x + 0.5, 0, 255).astype(np.uint8)


_NOISE = np.random.default_rng(0).standard_normal(6_000_000, dtype=np.float32)


def gauss(rng, shape):
    """White Gaussian noise: a random stretch of a long fixed one, five times cheaper than new numbers."""
    count = math.prod(shape)
    if 2 * count > len(_NOISE):
        return rng.standard_normal(shape, dtype=np.float32)
    start = rng.integers(len(_NOISE) - count)
    return _NOISE[start : start + count].reshape(shape)


def gaussian_blur(picture, sigma):
    """Gaussian blur; a wide one on a smaller copy, where it looks the same and costs little."""
    shrink = int(sigma / 2.5)
    if shrink < 2:
        return cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.05))
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(width // shrink, 4), max(height // shrink, 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def luma(picture):
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def soft_field(rng, height, width, cells):
    """A smooth random field in 0..1 with about `cells` bumps along each axis, shape (height, width)."""
    grid = rng.random((cells + 2, cells + 2), dtype=np.float32)
    field = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = field.min(), field.max()
    return (field - low) / max(high - low, 1e-6)


def ramp(rng, height, width):
    """A linear ramp 0..1 in a random direction, shape (height, width)."""
    angle = rng.uniform(0, 2 * math.pi)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] * math.cos(angle)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * math.sin(angle)
    field = x + y
    return (field - field.min()) / (np.ptp(field) + 1e-6)


def radial(rng, height, width, off_centre=0.3):
    """Distance from a random point near the middle, 0 there and 1 at the farthest corner, shape (height, width)."""
    cx, cy = rng.uniform(-off_centre, off_centre, 2)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] - np.float32(cx)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] - np.float32(cy)
    distance = np.sqrt(x * x + y * y)
    return distance / distance.max()


def tone(picture, curve):
    """Applies `curve` (0..1 float array of 256 entries to 0..1) to all channels."""
    table = clip8(curve(np.arange(256, dtype=np.float32) / 255) * 255)
    return cv2.LUT(picture, table)


def vivid_colour(rng, low=0.0, high=1.0):
    """A saturated random RGB colour, components spanning low..high."""
    hue = rng.uniform(0, 6)
    rgb = np.clip(np.array([abs(hue - 3) - 1, 2 - abs(hue - 2), 2 - abs(hue - 4)], np.float32), 0, 1)
    return low + (high - low) * rgb


def jpeg(picture, quality):
    _, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])


def white_noise_loss(u):
    """By how much the downsizing from u picture pixels per input pixel divides the deviation of white noise."""
    return max(1.0, 1.5 * u)  # triangle filter of half-width u: variance 2/(3u) along each axis


def add_grain(rng, picture, strength, coloured):
    """White Gaussian noise whose deviation is `strength` at the network input."""
    shape = picture.shape if coloured else (*picture.shape[:2], 1)
    sigma = np.float32(strength * white_noise_loss(unit(picture)))
    return clip8(picture + gauss(rng, shape) * sigma)


def disc_kernel(radius):
    n = int(math.ceil(radius))
    y, x = np.mgrid[-n : n + 1, -n : n + 1].astype(np.float32)
    kernel = np.clip(radius + 0.5 - np.sqrt(x * x + y * y), 0, 1)
    return kernel / kernel.sum()


def path_kernel(points):
    """Kernel of a camera that moves along `points` (N, 2), in pixels."""
    points = points - (points.max(0) + points.min(0)) / 2
    n = int(np.abs(points).max()) + 2
    kernel = np.zeros((2 * n + 1, 2 * n + 1), np.float32)
    sub = 16  # sub-pixel positions of cv2.polylines
    pixels = np.round((points + n) * sub).astype(np.int32)
    cv2.polylines(kernel, [pixels], False, 1.0, 1, cv2.LINE_AA, 4)
    if kernel.sum() == 0:
        kernel[n, n] = 1
    return kernel / kernel.sum()


def convolve(picture, kernel):
    return cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
