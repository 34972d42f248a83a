"""Pictures as a faulty camera would give them, made on the fly from good ones.

Everything works on RGB uint8 arrays of shape (H, W, 3) at the picture's own resolution. Strengths are given in
pixels of the 224 x 224 network input and scaled by `unit(picture)`, so that a defect survives the downsizing
whatever the resolution. Between the mild defects that every class may carry (`mild`) and the weakest defect of a
class lies a gap that is not trained: there, people disagree as well.
"""

import io
import math
import string

import cv2
import numpy as np
from PIL import Image, ImageFile

ImageFile.LOAD_TRUNCATED_IMAGES = True  # the corrupted-JPEG recipe wants the decoder's own mess
cv2.setNumThreads(1)  # parallelism is by worker process

LABELS = (
    "clear",
    "dark",
    "overexposed",
    "blurred",
    "covered",
    "noisy",
    "low_contrast",
    "color_cast",
    "scrambled",
)
INPUT_SIZE = 224


def to_input(picture):
    """The network's input: the whole picture stretched to 224 x 224, antialiased bilinear."""
    return np.asarray(Image.fromarray(picture).resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BILINEAR))


# ---- small tools -------------------------------------------------------------------------------------------------


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


# ---- scenes: what the camera looks at ----------------------------------------------------------------------------


def photo_scene(rng, photos):
    """A crop of a photo, mirrored or not, at a camera's resolution."""
    picture = photos[rng.integers(len(photos))]
    height, width = picture.shape[:2]
    if min(height, width) > 240 and chance(rng, 0.6):
        # the crop keeps at least 224 pixels a side, so that it is not soft before any blur
        h = int(rng.uniform(max(224, height * 0.6), height))
        w = int(rng.uniform(max(224, width * 0.6), width))
        y, x = rng.integers(height - h + 1), rng.integers(width - w + 1)
        picture = picture[y : y + h, x : x + w]
    if chance(rng, 0.5):
        picture = picture[:, ::-1]
    picture = np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    if chance(rng, 0.5):
        long_side = log_uniform(rng, 240, 560) if chance(rng, 0.8) else log_uniform(rng, 560, 1280)
        aspect = choose(rng, {width / height: 4, 4 / 3: 3, 16 / 9: 2, 1.0: 1, 5 / 4: 1})
        w, h = (long_side, long_side / aspect) if aspect >= 1 else (long_side * aspect, long_side)
        size = (max(int(w), 160), max(int(h), 160))
        shrinks = size[0] * size[1] < width * height
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return picture


def drawn_scene(rng, photos):
    """Gradients, shapes, lines, text and patches of photos: a room, a machine, a chart that no photo shows."""
    height, width = int(rng.uniform(224, 480)), int(rng.uniform(224, 640))
    first, second = rng.uniform(20, 235, (2, 1, 1, 3)).astype(np.float32)
    blend = ramp(rng, height, width)[..., None]
    picture = clip8(first * blend + second * (1 - blend))
    for _ in range(rng.integers(4, 28)):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        x0, x1 = sorted(rng.integers(-20, width + 20, 2).tolist())
        y0, y1 = sorted(rng.integers(-20, height + 20, 2).tolist())
        line = int(rng.choice([-1, 1, 2, 4, 8]))
        shape = rng.integers(6)
        if shape == 0:
            cv2.rectangle(picture, (x0, y0), (x1, y1), colour, line, cv2.LINE_AA)
        elif shape == 1:
            axes = (max((x1 - x0) // 2, 1), max((y1 - y0) // 2, 1))
            cv2.ellipse(picture, ((x0 + x1) // 2, (y0 + y1) // 2), axes, rng.uniform(0, 180), 0, 360, colour, line, cv2.LINE_AA)
        elif shape == 2:
            cv2.line(picture, (x0, y0), (x1, int(rng.integers(height))), colour, abs(line), cv2.LINE_AA)
        elif shape == 3:
            corners = np.stack([rng.integers(0, width, 4), rng.integers(0, height, 4)], 1).astype(np.int32)
            cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)
        elif shape == 4:
            write_text(rng, picture, (x0, y1), rng.uniform(0.4, 2.5), colour)
        else:
            patch = photos[rng.integers(len(photos))]
            x0, y0 = max(x0, 0), max(y0, 0)
            view = picture[y0:y1, x0:x1]
            if view.shape[0] > 16 and view.shape[1] > 16:
                view[:] = cv2.resize(patch, view.shape[1::-1], interpolation=cv2.INTER_AREA)
    if chance(rng, 0.5):
        grain = gauss(rng, (height, width, 1)) * np.float32(rng.uniform(1, 4))
        picture = clip8(picture + grain)
    return picture


def write_text(rng, picture, at, size, colour):
    letters = list(string.ascii_uppercase + string.digits + " :-/.")
    text = "".join(rng.choice(letters, rng.integers(3, 20)))
    cv2.putText(picture, text, at, int(rng.integers(0, 4)), size, colour, int(rng.integers(1, 3)), cv2.LINE_AA)


def scene(rng, photos):
    picture = drawn_scene(rng, photos) if chance(rng, 0.12) else photo_scene(rng, photos)
    if chance(rng, 0.08):
        picture = np.repeat(luma(picture)[..., None], 3, axis=2)
    elif chance(rng, 0.25):
        grey = luma(picture)[..., None].astype(np.float32)
        picture = clip8(grey + (picture - grey) * np.float32(rng.uniform(0.5, 1.3)))
    return picture


# ---- mild defects: a picture that has only these is clear ----------------------------------------------------------


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
    if chance(rng, 0.05):
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
        edge = int(height * rng.uniform(0.03, 0.13))
        picture[:edge] = picture[height - edge :] = 0
    else:
        edge = int(width * rng.uniform(0.03, 0.13))
        picture[:, :edge] = picture[:, width - edge :] = 0
    return picture


def white_noise_loss(u):
    """By how much the downsizing from u picture pixels per input pixel divides the deviation of white noise."""
    return max(1.0, 1.5 * u)  # triangle filter of half-width u: variance 2/(3u) along each axis


def add_grain(rng, picture, strength, coloured):
    """White Gaussian noise whose deviation is `strength` at the network input."""
    shape = picture.shape if coloured else (*picture.shape[:2], 1)
    sigma = np.float32(strength * white_noise_loss(unit(picture)))
    return clip8(picture + gauss(rng, shape) * sigma)


# ---- dark, overexposed --------------------------------------------------------------------------------------------


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
    kind = choose(rng, {"gain": 4, "offset": 2, "both": 2, "gamma": 3, "bloom": 2, "uneven": 1})
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


# ---- blurred --------------------------------------------------------------------------------------------------------


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


# ---- covered --------------------------------------------------------------------------------------------------------


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


# ---- noisy ----------------------------------------------------------------------------------------------------------


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
        x += gauss(rng, shape) * (loss * np.float32(log_uniform(rng, 5, 45)))
    elif kind == "uniform":
        reach = np.float32(log_uniform(rng, 5, 35) * math.sqrt(3)) * loss
        x += (rng.random((height, width, 3), dtype=np.float32) * 2 - 1) * reach
    elif kind == "chroma":
        size = rng.uniform(0.8, 3) * u  # blotches, as after a camera's noise reduction
        chroma = gauss(rng, (int(height / size) + 1, int(width / size) + 1, 3))
        chroma -= chroma.mean(axis=2, keepdims=True)
        chroma = cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(log_uniform(rng, 14, 60))
        x += chroma + gauss(rng, (height, width, 1)) * (loss * np.float32(rng.uniform(0, 6)))
    elif kind == "poisson":
        deviation = log_uniform(rng, 6, 45) * float(loss)  # at mid grey
        photons = 128 / deviation**2
        if photons * 255 < 60:
            x = rng.poisson(x * photons).astype(np.float32) / np.float32(photons)
        else:
            x += np.sqrt(x / np.float32(photons)) * gauss(rng, x.shape)
    elif kind == "impulse":
        density = float(np.clip((log_uniform(rng, 5.5, 40) * float(loss) / 127) ** 2, 0.012, 0.45))
        planes = 3 if chance(rng, 0.4) else 1
        hit = rng.random((height, width, planes), dtype=np.float32)
        extremes = choose(rng, {"both": 6, "white": 1, "black": 1, "any": 1})
        if extremes == "any":
            value = rng.uniform(0, 255, hit.shape).astype(np.float32)
        else:
            value = {"both": hit < density / 2, "white": np.ones_like(hit), "black": np.zeros_like(hit)}[extremes] * np.float32(255)
        x = np.where(hit < density, value, x)
    elif kind == "speckle":
        sigma = np.float32(log_uniform(rng, 6, 45) / 110) * loss
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
    strength = np.float32(log_uniform(rng, 9, 45))
    if chance(rng, 0.55):
        across = chance(rng, 0.65)
        size = height if across else width
        lines = rng.standard_normal(int(size / (rng.uniform(0.6, 3) * u)) + 2, dtype=np.float32)
        lines = cv2.resize(lines[:, None], (1, size), interpolation=cv2.INTER_LINEAR)
        return (lines if across else lines.T) * strength * np.ones((height, width), np.float32)
    period, angle = log_uniform(rng, 2.6, 16) * u, rng.uniform(0, math.pi) if chance(rng, 0.6) else math.pi / 2
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.sin((x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / period) + rng.uniform(0, 6)) * strength


# ---- low contrast ---------------------------------------------------------------------------------------------------


def low_contrast(rng, picture):
    kind = choose(rng, {"squeeze": 4, "fog": 4, "haze": 2, "dirt": 3, "grease": 2})
    height, width = picture.shape[:2]
    x = picture.astype(np.float32)
    if kind == "squeeze":
        contrast, level = log_uniform(rng, 0.09, 0.4), rng.uniform(60, 215)
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
        veil = rng.uniform(0.3, 0.7)
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


# ---- colour cast ----------------------------------------------------------------------------------------------------


def colour_cast(rng, picture):
    before = picture[::4, ::4].reshape(-1, 3).mean(0)
    kinds = {"gain": 4, "white_balance": 3, "add": 3, "tint": 3, "sepia": 1, "duotone": 1, "lost": 1, "hue": 1, "swap": 0.7, "gamma": 1.5}
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


# ---- scrambled ------------------------------------------------------------------------------------------------------


def scrambled(rng, picture, photos):
    kinds = {
        "blocks": 5,
        "shuffle": 2,
        "torn": 3,
        "jitter": 2,
        "smear": 4,
        "repeat": 2,
        "roll": 1,
        "bitstream": 5,
        "missing": 2.5,
        "fields": 1,
        "stride": 1,
        "mixed": 1.5,
        "planes": 0.7,
    }
    for _ in range(8):
        kind = choose(rng, kinds)
        result = SCRAMBLERS[kind](rng, picture.copy(), photos)
        step = max(1, min(picture.shape[:2]) // 120)
        change = cv2.absdiff(result[::step, ::step], picture[::step, ::step]).max(axis=2)
        if (change > 24).mean() > 0.07:
            break
    return result


def filler(rng):
    """What decoders leave where data is missing."""
    kind = choose(rng, {"grey": 4, "green": 2, "black": 2, "pink": 1, "white": 0.5, "any": 1})
    if kind == "any":
        return rng.integers(0, 256, 3)
    return np.array({"grey": (128, 128, 128), "green": (0, 135, 0), "black": (0, 0, 0), "pink": (255, 0, 255), "white": (255, 255, 255)}[kind])


def scramble_blocks(rng, picture, photos):
    height, width = picture.shape[:2]
    source = picture.copy()
    size = max(int(2 ** rng.uniform(3, 6) * max(unit(picture) / 1.9, 0.6)), 6)
    rows, columns = height // size, width // size
    share = log_uniform(rng, 0.06, 0.5)
    one_fill, mode = filler(rng), choose(rng, {"fill": 3, "repeat": 3, "mean": 1, "texture": 1, "mixed": 2})
    longest = 1 if chance(rng, 0.4) else max(2, columns // 2)
    left = max(int(share * rows * columns), 3)
    while left > 0:
        run = int(rng.integers(1, longest + 1))
        left -= run
        y, x = rng.integers(rows) * size, rng.integers(columns) * size
        view = picture[y : y + size, x : x + run * size]
        what = mode if mode != "mixed" else choose(rng, {"fill": 1, "repeat": 1, "mean": 1, "texture": 1})
        if what == "fill":
            view[:] = one_fill
        elif what == "mean":
            view[:] = clip8(view.mean(axis=(0, 1)) + rng.normal(0, 40, 3))
        elif what == "texture":  # one surviving DCT coefficient
            wave = np.cos(np.arange(view.shape[1]) * math.pi / 8 * rng.integers(1, 8)) * rng.uniform(20, 120)
            view[:] = clip8(view.mean(axis=(0, 1)) + wave[None, :, None])
        else:
            h, w = view.shape[:2]
            sy, sx = rng.integers(height - h + 1), rng.integers(width - w + 1)
            view[:] = source[sy : sy + h, sx : sx + w]
    return picture


def scramble_shuffle(rng, picture, photos):
    height, width = picture.shape[:2]
    rows, columns = rng.integers(2, 13, 2)
    if rows * columns < 6:
        rows, columns = 3, 3
    h, w = height // rows, width // columns
    tiles = [(r * h, c * w) for r in range(rows) for c in range(columns)]
    moved = rng.permutation(len(tiles))[: max(3, int(len(tiles) * rng.uniform(0.25, 1)))]
    source = picture.copy()
    for here, there in zip(moved, np.roll(moved, 1)):
        (y, x), (sy, sx) = tiles[here], tiles[there]
        picture[y : y + h, x : x + w] = source[sy : sy + h, sx : sx + w]
    return picture


def scramble_torn(rng, picture, photos):
    height, width = picture.shape[:2]
    cuts = np.sort(rng.integers(0, height, rng.integers(1, 12)))
    for top, bottom in zip(cuts, np.append(cuts[1:], height)):
        if chance(rng, 0.75):
            shift = int(rng.choice([-1, 1]) * rng.uniform(0.04, 0.5) * width)
            picture[top:bottom] = np.roll(picture[top:bottom], shift, axis=1)
            if chance(rng, 0.15):
                picture[top:bottom, : abs(shift)] = 0
    return picture


def scramble_jitter(rng, picture, photos):
    """Lost line synchronisation: every row shifted on its own, or along a wave."""
    height, width = picture.shape[:2]
    reach = log_uniform(rng, 0.02, 0.25) * width
    rows = np.arange(height)
    if chance(rng, 0.5):
        size = int(rng.integers(1, max(2, int(4 * unit(picture)))))
        shifts = np.repeat(rng.normal(0, reach * 0.6, height // size + 1), size)[:height]
    else:
        shifts = reach * np.sin(rows / height * rng.uniform(6, 60) + rng.uniform(0, 6))
    if chance(rng, 0.3):
        shifts = shifts * (rows > rng.uniform(0, 0.6) * height)
    columns = (np.arange(width)[None] + shifts.astype(int)[:, None]) % width
    return picture[rows[:, None], columns]


def scramble_smear(rng, picture, photos):
    """A row repeated to the end, or over a stretch; at times with drift, in a part of the width, or sideways."""
    turned = chance(rng, 0.15)
    work = np.ascontiguousarray(picture.transpose(1, 0, 2)) if turned else picture
    height, width = work.shape[:2]
    start = int(height * rng.uniform(0.05, 0.8))
    end = height if chance(rng, 0.65) else min(height, start + int(height * rng.uniform(0.12, 0.5)))
    left, right = (0, width) if chance(rng, 0.75) else np.sort(rng.integers(0, width, 2))
    right = max(right, min(width, left + width // 5))
    line = work[start, left:right].copy()
    drift = int(rng.integers(-2, 3)) if chance(rng, 0.25) else 0
    for row in range(start, end):
        work[row, left:right] = np.roll(line, drift * (row - start), axis=0) if drift else line
    if chance(rng, 0.15):
        work = work[::-1]
    return np.ascontiguousarray(work.transpose(1, 0, 2)) if turned else np.ascontiguousarray(work)


def scramble_repeat(rng, picture, photos):
    """A band of lines shown over and over."""
    height = picture.shape[0]
    band = max(3, int(height * log_uniform(rng, 0.02, 0.3)))
    start = int(rng.uniform(0, height - band))
    first = start if chance(rng, 0.6) else 0
    source = picture[start : start + band].copy()
    last = height if chance(rng, 0.6) else min(height, first + band * int(rng.integers(2, 8)))
    for top in range(first, last, band):
        picture[top : top + band] = source[: min(band, height - top)]
    return picture


def scramble_roll(rng, picture, photos):
    """The picture starts somewhere in its middle, with the blanking bar in sight at times."""
    axis = 0 if chance(rng, 0.7) else 1
    size = picture.shape[axis]
    shift = int(size * rng.uniform(0.15, 0.85))
    picture = np.roll(picture, shift, axis=axis)
    if chance(rng, 0.5):
        bar = slice(shift, min(size, shift + int(size * rng.uniform(0.01, 0.08))))
        if axis == 0:
            picture[bar] = filler(rng)
        else:
            picture[:, bar] = filler(rng)
    return picture


def scramble_bitstream(rng, picture, photos):
    """Bytes of the JPEG's entropy-coded data flipped, lost or cut off, then whatever the decoder makes of it."""
    buffer = io.BytesIO()
    restart = {"restart_marker_rows": int(rng.integers(1, 5))} if chance(rng, 0.4) else {}
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(rng.integers(35, 96)), subsampling=int(rng.choice([0, 2])), **restart)
    data = bytearray(buffer.getvalue())
    scan = data.find(b"\xff\xda") + 14
    begin = scan + int((len(data) - scan) * rng.uniform(0, 0.75))
    for _ in range(int(log_uniform(rng, 1, 40))):
        at = int(rng.integers(begin, len(data) - 2))
        how = rng.integers(3)
        if how == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif how == 1:
            data[at] = int(rng.integers(255))
        else:
            del data[at : at + int(rng.integers(1, 12))]
        if at >= len(data) - 16:
            break
    if chance(rng, 0.15):
        data = data[: int(begin + (len(data) - begin) * rng.uniform(0.1, 0.8))]
    try:
        decoded = np.array(Image.open(io.BytesIO(bytes(data))).convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return picture
    return decoded if decoded.shape == picture.shape else picture


def scramble_missing(rng, picture, photos):
    """Part of the frame never arrived."""
    height, width = picture.shape[:2]
    share = rng.uniform(0.15, 0.7)
    edge = choose(rng, {"bottom": 6, "top": 2, "right": 1, "left": 1, "band": 2})
    if edge in ("bottom", "top"):
        rows = slice(int(height * (1 - share)), height) if edge == "bottom" else slice(0, int(height * share))
        view = picture[rows]
    elif edge == "band":
        start = int(height * rng.uniform(0, 0.7))
        view = picture[start : start + int(height * rng.uniform(0.1, 0.4))]
    else:
        view = picture[:, int(width * (1 - share)) :] if edge == "right" else picture[:, : int(width * share)]
    fill = choose(rng, {"flat": 6, "static": 1.5, "other": 1.5})
    if fill == "flat":
        view[:] = filler(rng)
    elif fill == "static":
        view[:] = rng.integers(0, 256, (*view.shape[:2], 1 if chance(rng, 0.5) else 3))
    else:
        view[:] = cv2.resize(photos[rng.integers(len(photos))], view.shape[1::-1], interpolation=cv2.INTER_AREA)
    if edge == "bottom" and chance(rng, 0.4):  # the slice breaks off within a row of blocks
        size = int(16 * max(unit(picture) / 1.9, 0.6))
        picture[rows.start : rows.start + size, int(width * rng.random()) :] = view[-1, -1]
    return picture


def scramble_fields(rng, picture, photos):
    """The two fields of an interlaced frame from different moments."""
    lines = max(1, round(rng.uniform(0.8, 5) * unit(picture)))
    shift = int(rng.choice([-1, 1]) * log_uniform(rng, 5, 40) * unit(picture))
    odd = (np.arange(picture.shape[0]) // lines) % 2 == 1
    picture[odd] = np.roll(picture[odd], shift, axis=1)
    return picture


def scramble_stride(rng, picture, photos):
    """Rows read with the wrong length: the picture leans and wraps."""
    height, width = picture.shape[:2]
    lean = rng.choice([-1, 1]) * log_uniform(rng, 0.15, 4)
    rows = np.arange(height)[:, None]
    columns = (np.arange(width)[None] + (rows * lean).astype(int)) % width
    return picture[rows, columns]


def scramble_mixed(rng, picture, photos):
    """Slices or blocks of another frame in this one."""
    height, width = picture.shape[:2]
    other = cv2.resize(photos[rng.integers(len(photos))], (width, height), interpolation=cv2.INTER_AREA)
    size = int(2 ** rng.uniform(3.5, 6) * max(unit(picture) / 1.9, 0.6))
    columns = 1 if chance(rng, 0.5) else width // size + 1
    cells = (rng.random((height // size + 1, columns)) < rng.uniform(0.15, 0.6)).astype(np.uint8)
    mask = np.repeat(cells, size, axis=0)[:height]
    mask = np.repeat(mask, size if columns > 1 else width, axis=1)[:, :width]
    return np.where(mask[..., None] > 0, other, picture)


def scramble_planes(rng, picture, photos):
    """The colour planes apart from the brightness plane."""
    ycc = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)
    shift = int(rng.uniform(0.08, 0.5) * picture.shape[1])
    ycc[..., 1:] = np.roll(ycc[..., 1:], (int(shift * rng.uniform(-0.5, 0.5)), shift), axis=(0, 1))
    return scramble_torn(rng, cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), photos)


SCRAMBLERS = {
    "blocks": scramble_blocks,
    "shuffle": scramble_shuffle,
    "torn": scramble_torn,
    "jitter": scramble_jitter,
    "smear": scramble_smear,
    "repeat": scramble_repeat,
    "roll": scramble_roll,
    "bitstream": scramble_bitstream,
    "missing": scramble_missing,
    "fields": scramble_fields,
    "stride": scramble_stride,
    "mixed": scramble_mixed,
    "planes": scramble_planes,
}


# ---- one picture of a class -----------------------------------------------------------------------------------------

DEFECTS = {
    "dark": dark,
    "overexposed": overexposed,
    "blurred": blurred,
    "covered": covered,
    "noisy": noisy,
    "low_contrast": low_contrast,
    "color_cast": colour_cast,
}


def sample(rng, photos, label):
    """A picture of class `label` and the scene it was made from, both (H, W, 3) uint8."""
    before = mild_optics(rng, scene(rng, photos))
    if label == "clear":
        after = before
    elif label == "scrambled":
        after = scrambled(rng, before, photos)
    else:
        after = DEFECTS[label](rng, before)
    if label == "noisy":
        if chance(rng, 0.3):
            after = overlay(rng, after)
        if chance(rng, 0.4):
            after = jpeg(after, rng.uniform(60, 97))
    else:
        after = mild_sensor(rng, after)
    return after, before
