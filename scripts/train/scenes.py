"""What the camera looks at: crops of photos at a camera's resolution."""

import string

import cv2
import numpy as np

from pixels import chance, choose, clip8, log_uniform, luma


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
    if chance(rng, 0.7):  # small ones mostly: they are quickly made, and large ones end as small inputs too
        low, high = choose(rng, {(230, 340): 6, (340, 560): 3, (560, 1000): 1})
        long_side = log_uniform(rng, low, high)
        aspect = choose(rng, {width / height: 4, 4 / 3: 3, 16 / 9: 2, 1.0: 1, 5 / 4: 1})
        w, h = (long_side, long_side / aspect) if aspect >= 1 else (long_side * aspect, long_side)
        size = (max(int(w), 160), max(int(h), 160))
        shrinks = size[0] * size[1] < width * height
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return picture


def write_text(rng, picture, at, size, colour):
    letters = list(string.ascii_uppercase + string.digits + " :-/.")
    text = "".join(rng.choice(letters, rng.integers(3, 20)))
    cv2.putText(picture, text, at, int(rng.integers(0, 4)), size, colour, int(rng.integers(1, 3)), cv2.LINE_AA)


def scene(rng, photos):
    picture = photo_scene(rng, photos)
    if chance(rng, 0.08):
        picture = np.repeat(luma(picture)[..., None], 3, axis=2)
    elif chance(rng, 0.25):
        grey = luma(picture)[..., None].astype(np.float32)
        picture = clip8(grey + (picture - grey) * np.float32(rng.uniform(0.5, 1.3)))
    return picture
