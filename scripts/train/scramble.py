"""Scrambled frames: blocks, lines and bits that got lost, repeated or moved on the way."""

import io
import math

import cv2
import numpy as np
from PIL import Image, ImageFile

from pixels import INPUT_SIZE, chance, choose, clip8, log_uniform, unit


ImageFile.LOAD_TRUNCATED_IMAGES = True  # the corrupted-JPEG recipe wants the decoder's own mess


def scrambled(rng, picture, photos):
    kinds = {
        "blocks": 5,
        "shuffle": 2,
        "torn": 3,
        "jitter": 2,
        "smear": 4,
        "repeat": 2,
        "roll": 0.5,
        "bitstream": 5,
        "missing": 2.5,
        "fields": 1,
        "stride": 1,
        "mixed": 1.5,
        "planes": 0.7,
    }
    small = cv2.resize(picture, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_AREA)
    for _ in range(8):
        kind = choose(rng, kinds)
        result = SCRAMBLERS[kind](rng, picture.copy(), photos)
        # what cannot be seen at the network's size is no defect: textures hide a shift, plain walls hide all
        change = cv2.absdiff(cv2.resize(result, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_AREA), small).max(axis=2)
        if (change > 32).mean() > 0.12:
            return result
    return scramble_missing(rng, picture.copy(), photos)


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
    share = log_uniform(rng, 0.08, 0.5)
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
    cuts = np.sort(rng.integers(0, height, rng.integers(2, 14)))
    for top, bottom in zip(cuts, np.append(cuts[1:], height)):
        if chance(rng, 0.75):
            shift = int(rng.choice([-1, 1]) * rng.uniform(0.06, 0.5) * width)
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
    share = rng.uniform(0.2, 0.68)
    edge = choose(rng, {"bottom": 6, "top": 2, "right": 1, "left": 1, "band": 2})
    if edge in ("bottom", "top"):
        rows = slice(int(height * (1 - share)), height) if edge == "bottom" else slice(0, int(height * share))
        view = picture[rows]
    elif edge == "band":
        start = int(height * rng.uniform(0, 0.7))
        view = picture[start : start + int(height * rng.uniform(0.1, 0.4))]
    else:
        view = picture[:, int(width * (1 - share)) :] if edge == "right" else picture[:, : int(width * share)]
    fill = choose(rng, {"flat": 6, "static": 1.5, "other": 0.8})
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
