"""Faces in a photo, by the detector that comes with scikit-image.

A cascade of boosted local binary patterns (Liao et al., ICB 2007; Viola and Jones, IJCV 2004), trained
on frontal faces. Its boxes are smaller than those of dlib's detector, which the landmark nets are
trained on; `TO_DLIB` turns one into the other.
"""

from functools import cache

import numpy as np
from PIL import Image
from skimage import data
from skimage.feature import Cascade

LONG_SIDE = 480                      # photos are searched at this size; a face needs a sixteenth of it
TO_DLIB = (1.0, 0.0)                 # factor of the size, shift down in heights: medians on the iBUG training photos


@cache
def _cascade() -> Cascade:
    return Cascade(data.lbp_frontal_face_cascade_filename())


def find_faces(photo: np.ndarray) -> np.ndarray:
    """Boxes of all faces of a photo, largest first.

    Parameters
    ----------
    photo : uint8 (h, w, 3) RGB

    Returns
    -------
    float64 (k, 4), (left, top, width, height) in pixels of the photo, as dlib's detector draws them.
    k is 0 where no face is found.
    """
    picture = Image.fromarray(photo).convert("L")
    factor = LONG_SIDE / max(picture.size)
    small = picture.resize([max(1, round(side * factor)) for side in picture.size], Image.Resampling.BILINEAR)
    if min(small.size) < 30:
        return np.empty((0, 4))
    found = _cascade().detect_multi_scale(np.asarray(small), scale_factor=1.15, step_ratio=1.2, min_size=(30, 30),
                                          max_size=(min(small.size),) * 2)
    boxes = np.array([(f["c"], f["r"], f["width"], f["height"]) for f in found], float).reshape(-1, 4) / factor
    size, down = boxes[:, 2:] * TO_DLIB[0], boxes[:, 3] * TO_DLIB[1]
    centre = boxes[:, :2] + boxes[:, 2:] / 2 + np.c_[0 * down, down]
    boxes = np.c_[centre - size / 2, size]
    return boxes[np.argsort(-boxes[:, 2], kind="stable")]
