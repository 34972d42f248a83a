"""Man-made things drawn into a scene: signs, posters, grids, stripes, wires. Sharp edges and repetition are no defects."""

import math

import cv2
import numpy as np

from pixels import chance, choose, clip8, ramp, soft_field
from text import write_text

SIDE = 160  # of the square that a surface is drawn on before it is put into the scene


def cluttered(rng, picture, photos):
    """The scene with some things in front of it."""
    picture = picture.copy()
    for _ in range(int(rng.integers(1, 6))):
        kind = choose(rng, {"sign": 3, "poster": 2, "bars": 2, "grid": 3, "stripes": 1, "checks": 0.5, "wires": 1.5, "round": 1})
        if kind == "wires":
            wires(rng, picture)
        elif kind == "round":
            disc(rng, picture)
        else:
            put(rng, picture, SURFACES[kind](rng, photos), straight=kind != "poster" and chance(rng, 0.3))
    return picture


def built(rng, width, height, photos):
    """A scene of made surfaces only: a wall or a sky, with things in front of it."""
    wall = np.empty((height, width, 3), np.float32)
    wall[:] = rng.uniform(40, 235) + rng.normal(0, 14, 3)
    wall += (ramp(rng, height, width) - 0.5)[..., None] * rng.uniform(0, 90)
    wall += (soft_field(rng, height, width, int(rng.integers(2, 30))) - 0.5)[..., None] * rng.uniform(0, 60)
    picture = clip8(wall)
    for _ in range(int(rng.integers(2, 5))):
        picture = cluttered(rng, picture, photos)
    return picture


def isolated(rng, picture):
    """A part of the scene before a plain backdrop, white as in a shop's catalogue, grey or black, at times with a shadow."""
    height, width = picture.shape[:2]
    mask = blob(rng, height, width)
    shade = choose(rng, {250: 4, 235: 1, 128: 1, 24: 1.5}) + rng.uniform(-6, 5)
    backdrop = np.full((height, width, 1), shade, np.float32) + (ramp(rng, height, width)[..., None] - 0.5) * rng.uniform(0, 24)
    if chance(rng, 0.5):
        shadow = cv2.GaussianBlur(np.roll(mask, (height // 16, width // 24), (0, 1)), (0, 0), width / 30)
        backdrop *= 1 - 0.5 * shadow[..., None]
    mask = mask[..., None]
    return clip8(picture * mask + backdrop * (1 - mask))


def blob(rng, height, width):
    """A random closed shape with a sharp edge, 1 inside and 0 outside, over a fifth to three fifths of the picture."""
    angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(5, 16))))
    reach = rng.uniform(0.25, 0.48, len(angles))
    points = np.stack([(0.5 + reach * np.cos(angles)) * width, (0.5 + reach * np.sin(angles)) * height], axis=1)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    if chance(rng, 0.5):  # rounded
        mask = cv2.GaussianBlur(mask, (0, 0), width / 25)
        mask = np.clip((mask.astype(np.float32) - 127) * 12 + 127, 0, 255)
    return mask.astype(np.float32) / 255


def colour(rng):
    """Mostly dull, as most things are."""
    spread = choose(rng, {5: 3, 20: 3, 70: 2})
    return np.clip(rng.uniform(0, 255) + rng.normal(0, spread, 3), 0, 255).astype(np.float32)


def plate(rng):
    return clip8(np.ones((SIDE, SIDE, 3), np.float32) * colour(rng))


def sign(rng, photos):
    """A plate with a frame and lines of text: a shop's sign, a page, a label."""
    surface = plate(rng)
    ink = tuple(int(c) for c in clip8(colour(rng)))
    if chance(rng, 0.5):
        cv2.rectangle(surface, (4, 4), (SIDE - 5, SIDE - 5), ink, int(rng.integers(1, 6)))
    lines = int(rng.integers(1, 14))
    for line in range(lines):
        at = (int(rng.uniform(4, 30)), int((line + 0.8) * SIDE / lines))
        write_text(rng, surface, at, min(SIDE / lines / 32, 2.2), ink)
    return surface


def poster(rng, photos):
    picture = photos[rng.integers(len(photos))]
    surface = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    edge = int(rng.integers(0, 12))
    if edge:
        cv2.rectangle(surface, (0, 0), (SIDE - 1, SIDE - 1), tuple(int(c) for c in clip8(colour(rng))), edge)
    return surface


def bars(rng, photos):
    """Posts or slats side by side: a fence, a blind, a radiator. Transparent between them, as None says."""
    count, thick = int(rng.integers(3, 16)), rng.uniform(0.25, 0.7)
    surface, mask = plate(rng), np.zeros((SIDE, SIDE), np.uint8)
    step = SIDE / count
    for i in range(count):
        left = int(i * step + rng.uniform(0, 0.1) * step)
        right = max(int(left + thick * step), left + 1)
        cv2.rectangle(mask, (left, 0), (right, SIDE), 255, -1)
        shade = rng.uniform(0.75, 1.1)
        surface[:, left : right + 1] = clip8(surface[:, left : right + 1] * shade)
        if right - left > 4:
            surface[:, left : left + 2] = clip8(surface[:, left : left + 2] * 0.6)
    for y in rng.uniform(0.05, 0.95, int(rng.integers(0, 3))):
        cv2.rectangle(mask, (0, int(y * SIDE)), (SIDE, int((y + 0.06) * SIDE)), 255, -1)
    return np.dstack([surface, mask])


def grid(rng, photos):
    """Rows of like things: keys, windows, bricks, tiles, books, boxes on shelves."""
    surface = plate(rng)
    rows, columns = rng.integers(2, 12, 2)
    h, w = SIDE / rows, SIDE / columns
    base, vary = colour(rng), rng.uniform(0, 70)
    gap = rng.uniform(0.03, 0.3)
    offset = chance(rng, 0.3)  # as bricks
    lettered = chance(rng, 0.35)
    for row in range(rows):
        for column in range(-1, columns + 1):
            if chance(rng, 0.04):
                continue
            x = (column + (0.5 if offset and row % 2 else 0)) * w
            top, left = int((row + gap) * h), int(x + gap * w)
            bottom, right = int((row + 1) * h - 1), int(x + w - 1)
            tint = clip8(base + rng.normal(0, 1, 3) * vary)
            cv2.rectangle(surface, (left, top), (right, bottom), tuple(int(c) for c in tint), -1)
            if chance(rng, 0.5):
                cv2.line(surface, (left, top), (right, top), tuple(int(c) for c in clip8(tint * 1.25)), 1)
            if lettered:
                write_text(rng, surface, (left + 2, bottom - 2), h / 40, (20, 20, 20), longest=3)
    return surface


def stripes(rng, photos):
    count = int(rng.integers(2, 24))
    tints = [colour(rng) for _ in range(int(rng.integers(2, 4)))]
    surface = np.empty((SIDE, SIDE, 3), np.uint8)
    edges = np.linspace(0, SIDE, count + 1) + np.append(0, rng.uniform(-0.2, 0.2, count)) * SIDE / count
    for i in range(count):
        surface[int(max(edges[i], 0)) : int(edges[i + 1]) + 1] = clip8(tints[i % len(tints)])
    return surface.transpose(1, 0, 2).copy() if chance(rng, 0.5) else surface


def checks(rng, photos):
    cells = int(rng.integers(3, 12))
    pattern = (np.add.outer(np.arange(cells), np.arange(cells)) % 2)[..., None]
    surface = clip8(np.where(pattern, colour(rng), colour(rng)))
    return cv2.resize(surface, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)


SURFACES = {"sign": sign, "poster": poster, "bars": bars, "grid": grid, "stripes": stripes, "checks": checks}


def put(rng, picture, surface, straight):
    """Puts the surface (SIDE, SIDE, 3 or 4 with its mask) somewhere, turned and seen at an angle unless it is straight."""
    height, width = picture.shape[:2]
    size = np.array([width, height]) * rng.uniform(0.12, 0.75) * rng.uniform(0.6, 1.4, 2)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) / 2
    corners = square * size
    if not straight:
        turn = rng.choice([-1, 1]) * rng.uniform(0.05, 0.7)
        turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        corners = (corners + rng.uniform(-0.14, 0.14, (4, 2)) * size) @ turned
    corners = (corners + rng.uniform(0, 1, 2) * [width, height]).astype(np.float32)
    matrix = cv2.getPerspectiveTransform((square + 0.5) * SIDE, corners)
    mask = surface[..., 3] if surface.shape[2] == 4 else np.full((SIDE, SIDE), 255, np.uint8)
    light = 1 + (ramp(rng, SIDE, SIDE)[..., None] - 0.5) * rng.uniform(0, 0.7)
    surface = clip8(surface[..., :3] * light)
    if size.max() < SIDE * 0.8:  # or thin lines would break up
        sigma = 0.4 * SIDE / size.max()
        surface, mask = cv2.GaussianBlur(surface, (0, 0), sigma), cv2.GaussianBlur(mask, (0, 0), sigma)
    placed = cv2.warpPerspective(surface, matrix, (width, height), flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(mask, matrix, (width, height), flags=cv2.INTER_LINEAR)
    share = mask.astype(np.float32)[..., None] / 255
    np.copyto(picture, clip8(placed * share + picture * (1 - share)))


def wires(rng, picture):
    """Thin things across the picture: wires, branches, poles."""
    height, width = picture.shape[:2]
    ink = tuple(int(c) for c in clip8(colour(rng) * 0.6))
    for _ in range(int(rng.integers(1, 9))):
        ends = rng.uniform(-0.1, 1.1, (3, 2)) * [width, height]
        t = np.linspace(0, 1, 24)[:, None]
        curve = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * (ends[:2].mean(0) * 0.8 + ends[1] * 0.2) + t**2 * ends[2]
        cv2.polylines(picture, [np.round(curve * 16).astype(np.int32)], False, ink, int(rng.integers(1, max(2, width // 80))), cv2.LINE_AA, 4)


def disc(rng, picture):
    height, width = picture.shape[:2]
    at = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
    axes = (int(rng.uniform(0.03, 0.25) * width), int(rng.uniform(0.03, 0.25) * height))
    ink = tuple(int(c) for c in clip8(colour(rng)))
    cv2.ellipse(picture, at, axes, rng.uniform(0, 180), 0, 360, ink, -1 if chance(rng, 0.6) else int(rng.integers(1, 8)), cv2.LINE_AA)
