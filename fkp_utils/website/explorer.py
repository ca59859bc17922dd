"""Faces with all their heatmaps for the page to play with: two sheets of pictures, and numbers."""

import matplotlib
import numpy as np
import torch.nn.functional as F

from ..datasets import IBugFaces
from ..metrics import nme, relative_errors
from ..nets.trained import Trained
from ..plotting import extremes

COUNT, TILE = 24, 24                     # faces; pixels of a heatmap's sides on the sheet


def explorer(run: Trained, faces: IBugFaces, large: IBugFaces) -> tuple[np.ndarray, np.ndarray, dict]:
    """Some faces from the smallest to the largest error, evenly spread, and what a heatmap net says of each landmark.

    run : net with heatmaps; faces : as it takes them; large : the same faces with more pixels, to be shown

    Returns heatmaps, uint8 (COUNT * TILE, n * TILE, 3): a row a face, a column a landmark; faces, uint8 (s, COUNT * s); and the
    names of landmarks, the lines between them, and of each face the NME, and of each landmark the error (%), the true and the
    found place in thousandths of the crop's side.
    """
    found = run.predict(faces)
    errors = nme(found, faces.landmarks, faces.convention)
    percent = relative_errors(found, faces.landmarks, faces.convention).astype(float)    # in float32 13.3 is 13.300000190734863
    order = extremes(errors, len(errors), worst=False)
    chosen = order[np.linspace(0, len(order) - 1, min(COUNT, len(order))).round().astype(int)]
    maps = run.heatmap_target.heatmaps(run.logits(faces.batch(chosen)[0]))
    small = F.adaptive_avg_pool2d(maps, TILE)
    small = small / small.amax((2, 3), keepdim=True).clamp(min=1e-12)
    sheet = matplotlib.colormaps["inferno"](small.numpy())[..., :3]         # (k, n, TILE, TILE, 3)
    sheet = sheet.transpose(0, 2, 1, 3, 4).reshape(len(chosen) * TILE, -1, 3)

    def places(points: np.ndarray) -> list[list[int]]:
        return (1000 * (points + 0.5) / faces.size[1]).round().astype(int).tolist()
    numbers = {"names": list(faces.convention.names),
               "lines": [[list(index), closed] for index, closed in faces.convention.lines],
               "faces": [{"nme": round(float(errors[k]), 2), "errors": percent[k].round(1).tolist(),
                          "truth": places(faces.landmarks[k]), "found": places(found[k])} for k in chosen]}
    return (255 * sheet).astype(np.uint8), np.hstack([large.images[int(k)] for k in chosen]), numbers
