"""Faces in a photo, at any size and angle: the net of recipe `finder`, trained on scenes made of the iBUG photos.

It looks at the photo at several sizes. A face is found best when its box is 20 to 200 pixels wide, so that 256 pixels of
the photo's longer side are enough for a portrait, and 640 for a face of a thirtieth of it. Most photos it learned from
stand upright, and it is surest of faces that do: at the smallest size, where that costs little, it looks for large faces
in the photo turned by quarters of the circle, too.
`bench/real_photos/finder.py` compares it with other detectors.
"""

from functools import cache

import numpy as np
import torch
from PIL import Image

from .nets.finder import Faces, distinct
from .nets.trained import Trained
from .nets.weights import load_weights

WEIGHTS = "finder.safetensors"
LEVELS = (256, 640, 1280)            # longer sides at which photos are searched
LARGE = 24                           # least side of a face in the turned looks, pixels there; smaller: at the next size
ENLARGED = 1.5                       # more than so many times a photo is enlarged for the first of them only
LEAST = 0.3                          # confidence of a face; lower than where the finder is alone: the landmark net judges, too


@cache
def _default() -> Trained:
    return load_weights(WEIGHTS)


def find_faces(photo: np.ndarray, finder: Trained | None = None, least: float = LEAST,
               levels: tuple[int, ...] = LEVELS) -> np.ndarray:
    """All faces of a photo, largest first.

    Parameters
    ----------
    photo : uint8 (h, w, 3) RGB
    finder : net (default: the one that comes with the project)
    least : confidence from which on something is a face
    levels : longer sides at which the photo is searched

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
    for k, level in enumerate(levels):
        factor = level / max(grey.size)
        if k and factor > ENLARGED:
            break
        width, height = (max(1, round(side * factor)) for side in grey.size)
        small = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))
        faces = _search(run, target, small, range(4) if k == 0 else range(1))
        faces = faces[faces[:, 4] >= least]
        scale = torch.tensor([grey.width / width, grey.height / height])
        faces[:, :2] = (faces[:, :2] + 0.5) * scale - 0.5
        faces[:, 2] *= float(scale.prod().sqrt())
        found.append(faces)
    kept = distinct(torch.cat(found)).double().numpy()
    kept = kept[np.argsort(-kept[:, 2], kind="stable")]
    side = kept[:, 2:3]
    return np.c_[kept[:, :2] + 0.5 - side / 2, side, side, kept[:, 3:]]


def _search(run: Trained, target: Faces, picture: np.ndarray, turns: range) -> torch.Tensor:
    """Faces (k, 5) as `Faces.faces` gives them, in a picture (h, w) that the net sees turned anticlockwise by quarters."""
    views = [np.rot90(picture, quarters) for quarters in turns]
    # All views have one size for the net, which wants multiples of 64; more of the same grey is no face.
    height, width = (max(-(-view.shape[axis] // 64) * 64 for view in views) for axis in (0, 1))
    padded = np.full((len(views), 1, height, width), 128, np.uint8)
    for blank, view in zip(padded[:, 0], views):
        blank[:view.shape[0], :view.shape[1]] = view
    found = []
    for quarters, view, faces in zip(turns, views, target.faces(run.logits(torch.from_numpy(padded))).cpu()):
        x, y, side, roll, confidence = faces.unbind(1)
        height, width = view.shape
        for _ in range(quarters):                         # what is at (x, y) after a quarter was at (height - 1 - y, x) before
            x, y, height, width = height - 1 - y, x, width, height
        upright = torch.stack([x, y, side, (roll + 90 * quarters + 180) % 360 - 180, confidence], 1)
        found.append(upright[side >= LARGE] if quarters else upright)
    return torch.cat(found)
