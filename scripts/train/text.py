"""Random writing."""

import string

import cv2

LETTERS = list(string.ascii_uppercase + string.ascii_lowercase + string.digits + " :-/.")


def write_text(rng, picture, at, size, colour, longest=20):
    """Writes 1 to `longest` random characters, the first one's foot at `at` (x, y), `size` in units of OpenCV's font."""
    text = "".join(rng.choice(LETTERS, rng.integers(min(3, longest), longest + 1)))
    cv2.putText(picture, text, at, int(rng.integers(0, 4)), size, colour, int(rng.integers(1, 3)), cv2.LINE_AA)
