"""What the camera looks at: crops of photos at a camera's resolution."""

import cv2
import numpy as np

from clutter import built, cluttered, isolated
from pixels import chance, choose, clip8, log_uniform, luma, soft_field


def photo_scene(rng, photos):
    """A part of a photo at a camera's resolution, seen differently each time.

    There are few photos: what a network could know by heart of one must not help it.
    """
    picture = photos[rng.integers(len(photos))]
    height, width = picture.shape[:2]
    if min(height, width) > 240 and chance(rng, 0.8):
        # the part keeps at least 224 pixels a side, so that it is not soft before any blur
        h, w = int(rng.uniform(max(224, height * 0.5), height)), int(rng.uniform(max(224, width * 0.5), width))
        y, x = rng.integers(height - h + 1), rng.integers(width - w + 1)
        picture = picture[y : y + h, x : x + w]
    if chance(rng, 0.5):
        picture = picture[:, ::-1]
    if chance(rng, 0.08):
        picture = picture[::-1]
    if chance(rng, 0.06):
        picture = picture.transpose(1, 0, 2)
    picture = np.ascontiguousarray(picture)
    if chance(rng, 0.35):
        picture = warped(rng, picture)
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


def warped(rng, picture):
    """Turned, sheared and seen at an angle, by a little; what lies outside is cut off."""
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    reach = np.array([width, height], np.float32) * rng.uniform(0.02, 0.12)
    inside = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32) * rng.random((4, 2), dtype=np.float32) * reach
    matrix = cv2.getPerspectiveTransform(corners + inside, corners)
    return cv2.warpPerspective(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def blended(rng, first, second):
    """Two scenes in one, each fading into the other: things that were never seen side by side."""
    height, width = first.shape[:2]
    second = cv2.resize(second, (width, height), interpolation=cv2.INTER_AREA)
    field = soft_field(rng, height, width, int(rng.integers(1, 4)))
    share = np.clip((field - rng.uniform(0.3, 0.7)) * rng.uniform(3, 8) + 0.5, 0, 1)[..., None]
    return clip8(first * share + second * (1 - share))


def scene(rng, photos):
    """(H, W, 3) uint8: a photo as it is at times, mostly a part of one that was changed or had things put into it."""
    if chance(rng, 0.12):
        return photos[rng.integers(len(photos))].copy()
    picture = photo_scene(rng, photos)
    if chance(rng, 0.2):
        picture = blended(rng, picture, photo_scene(rng, photos))
    elif chance(rng, 0.08):
        picture = isolated(rng, picture)
    elif chance(rng, 0.06):
        picture = built(rng, *picture.shape[1::-1], photos)
    if chance(rng, 0.35):
        picture = cluttered(rng, picture, photos)
    if chance(rng, 0.25):  # other colours, as of other things
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(rng.integers(-9, 10))) % 180
        picture = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    if chance(rng, 0.08):
        picture = np.repeat(luma(picture)[..., None], 3, axis=2)
    elif chance(rng, 0.25):
        grey = luma(picture)[..., None].astype(np.float32)
        picture = clip8(grey + (picture - grey) * np.float32(rng.uniform(0.5, 1.3)))
    return picture
