"""What the camera looks at: crops of photos at a camera's resolution, and drawn scenes."""

import string

import cv2
import numpy as np

from pixels import chance, choose, clip8, gauss, log_uniform, luma, ramp


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
