"""Faces in a photo, at any size and angle: the net of recipe `finder`, trained on scenes made of the iBUG photos.

It looks at the photo at several sizes. A face is found best when its box is 20 to 200 pixels wide, so that 256 pixels of
the photo's longer side are enough for a portrait, and 640 for a face of a thirtieth of it. The last size is the photo's own or
larger. Most photos it learned from stand upright, and it is surest of faces that do: at the smallest size, where that costs
little, it looks for large faces in the photo turned by quarters of the circle, too. `bench/real_photos/finder.py` compares it
with other detectors.

What remains as a limit: photos of more than 12 megapixels (`MAX_PIXELS`) are made as small as that, which bounds the time.
12 pixels there are 17 of a photo of 24 megapixels, 24 of 50 and 35 of 100. How many small faces are found, the bench says.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
import torch
from PIL import Image

from .landmarks import square_boxes
from .nets.finder import Faces, distinct
from .nets.trained import Trained
from .nets.weights import load_weights

WEIGHTS = "finder.safetensors"
LEVELS = (256, 640, 1280, 5120, 20480)   # longer sides at which photos are searched; the last two: panoramas
MAX_ENLARGED = 1280                      # longer side to which a photo is enlarged, ...
MAX_ENLARGEMENT = 1.5                    # ... and by how much, except to the first
MAX_PIXELS = 12_000_000                  # of the photo at the largest size, which bounds the time
TILE, OVERLAP = 1664, 192                # pixels searched at once; a face larger than the overlap is found at a smaller size
MIN_TURNED_SIDE = 24                     # of a face in the turned looks, pixels there; smaller ones: at the next size
MIN_COARSE_SIDE = 16                     # of any face, pixels there, except at the last size
MIN_CONFIDENCE = 0.3                     # lower than where the finder is alone: the landmark net judges, too


@cache
def _default() -> Trained:
    return load_weights(WEIGHTS).for_answers()


def search_levels(width: int, height: int) -> list[float]:
    """Longer sides at which a photo is searched, the last one its own or more; of more than `MAX_PIXELS` less."""
    longer = max(width, height)
    last = next((level for level in LEVELS if longer <= level <= MAX_ENLARGED), longer)
    if last > LEVELS[0]:
        last = min(last, MAX_ENLARGEMENT * longer, longer * (MAX_PIXELS / (width * height)) ** 0.5)
    return list(dict.fromkeys([LEVELS[0], *(level for level in LEVELS[1:] if 2 * level <= last), last]))


def find_faces(photo: np.ndarray, finder: Trained | None = None, min_confidence: float = MIN_CONFIDENCE,
               levels: Sequence[float] | None = None) -> np.ndarray:
    """All faces of a photo, largest first.

    Parameters
    ----------
    photo : uint8 (h, w, 3) RGB
    finder : net (default: the one that comes with the project)
    min_confidence : from which on something is a face
    levels : longer sides at which the photo is searched, at the first in four turns (default: `search_levels`)

    Returns
    -------
    float64 (k, 6), (left, top, width, height, roll, confidence): boxes in pixels of the photo, as dlib's detector draws them
    around an upright face, turned about their centres by the roll in degrees, clockwise on the screen.
    """
    run = finder or _default()
    target = run.target
    if not isinstance(target, Faces):
        raise ValueError(f"{run.recipe.title} finds landmarks, not faces")
    grey, found = Image.fromarray(photo).convert("L"), []
    for k, level in enumerate(levels := levels or search_levels(*grey.size)):
        factor = level / max(grey.size)
        width, height = (max(1, round(side * factor)) for side in grey.size)
        small = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0))
        faces = _search_parts(run, target, small, range(1 if k else 4), min_confidence)
        faces = faces[faces[:, 2] >= (MIN_COARSE_SIDE if k + 1 < len(levels) else 0)]
        scale = faces.new_tensor([grey.width / width, grey.height / height])
        faces[:, :2] = (faces[:, :2] + 0.5) * scale - 0.5
        faces[:, 2] *= float(scale.prod().sqrt())
        found.append(faces)
    kept = distinct(torch.cat(found)).double().numpy()
    kept = kept[np.argsort(-kept[:, 2], kind="stable")]
    return np.c_[square_boxes(kept[:, :2], kept[:, 2]), kept[:, 3:]]


def _parts(length: int) -> list[slice]:
    """Parts of a side, none longer than `TILE`, each of which has at least `OVERLAP` pixels in common with the next."""
    count = max(1, -(-(length - OVERLAP) // (TILE - OVERLAP)))
    size = -(-(length + (count - 1) * OVERLAP) // count)
    return [slice(start, start + size) for start in (k * (length - size) // max(1, count - 1) for k in range(count))]


def _search_parts(run: Trained, target: Faces, picture: np.ndarray, turns: range, min_confidence: float) -> torch.Tensor:
    """What `_search` finds in a picture (h, w) of any size, which the net sees in parts."""
    found = []
    for rows, columns in product(*map(_parts, picture.shape)):
        faces = _search(run, target, picture[rows, columns], turns, min_confidence)
        faces[:, :2] += torch.tensor([columns.start, rows.start])
        edges = torch.tensor([[part.start, part.stop] for part in (columns, rows)])
        inner = (edges > 0) & (edges < torch.tensor(picture.shape[::-1])[:, None])
        near = inner & ((faces[:, :2, None] - edges).abs() < OVERLAP / 4)      # perhaps cut in two here, whole in the next part
        found.append(faces[~near.flatten(1).any(1)])
    return torch.cat(found)


def _search(run: Trained, target: Faces, picture: np.ndarray, turns: range, min_confidence: float) -> torch.Tensor:
    """Faces (k, 5) as `Faces.faces` gives them, in a picture (h, w) that the net sees turned anticlockwise by quarters."""
    views = [np.rot90(picture, quarters) for quarters in turns]
    # All views have one size for the net, which wants multiples of 64; more of the same grey is no face.
    size = [-(-side // 64) * 64 for side in np.max([view.shape for view in views], 0)]
    padded = np.stack([np.pad(view, [(0, full - side) for full, side in zip(size, view.shape)], constant_values=128)[None]
                       for view in views])
    found = []
    for quarters, view, faces in zip(turns, views, target.faces(run.logits(torch.from_numpy(padded)), min_confidence)):
        x, y, side, roll, confidence = faces.cpu().unbind(1)
        height, width = view.shape
        for _ in range(quarters):                         # what is at (x, y) after a quarter was at (height - 1 - y, x) before
            x, y, height, width = height - 1 - y, x, width, height
        upright = torch.stack([x, y, side, (roll + 90 * quarters + 180) % 360 - 180, confidence], 1)
        found.append(upright[side >= MIN_TURNED_SIDE] if quarters else upright)
    return torch.cat(found)
