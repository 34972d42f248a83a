"""Pictures as a faulty camera would give them, made on the fly from good ones.

Everything works on RGB uint8 arrays of shape (H, W, 3) at the picture's own resolution. Strengths are given in
pixels of the 224 x 224 network input and scaled by `unit(picture)`, so that a defect survives the downsizing
whatever the resolution. Between the mild defects that every class may carry (`mild`) and the weakest defect of a
class lies a gap that is not trained: there, people disagree as well.
"""

from cover import covered
from focus import blurred
from grain import noisy
from mild import mild_optics, mild_sensor, overlay
from pixels import INPUT_SIZE, chance, jpeg, to_input
from scenes import scene
from scramble import scrambled
from tone import colour_cast, dark, low_contrast, overexposed

__all__ = ["INPUT_SIZE", "LABELS", "mild_sensor", "sample", "to_input"]

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
