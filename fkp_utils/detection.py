"""Faces in a photo, by the detector that comes with scikit-image.

A cascade of boosted local binary patterns (Liao et al., ICB 2007; Viola and Jones, IJCV 2004), trained
on frontal faces. Its boxes are smaller than those of dlib's detector, which the landmark nets are
trained on; `TO_DLIB` turns one into the other.

Compared on 74 of the real validation photos: this one finds 64 of the faces and draws 6 other boxes; OpenCV 4's
frontal Haar cascade 68 and 13, in a sixth of the time. OpenCV 5 no longer has it, and it would be one more
dependency. `predict` leaves out boxes in which the landmark net sees no face.
"""

from functools import cache

import numpy as np
from PIL import Image
from skimage import data
from skimage.feature import Cascade

LONG_SIDE = 480                      # photos are searched at this size; a face needs a sixteenth of it
TO_DLIB = (0.945, 0.07)              # factor of the size, shift down in heights: medians on the iBUG training photos
SURE, UNSURE = 12, 4                 # least number of overlapping detections


@cache
def _cascade() -> Cascade:
    return Cascade(data.lbp_frontal_face_cascade_filename())


def _search(picture: np.ndarray, hits: int) -> np.ndarray:
    found = _cascade().detect_multi_scale(picture, scale_factor=1.1, step_ratio=1, min_size=(30, 30),
                                          max_size=(min(picture.shape),) * 2, min_neighbor_number=hits)
    boxes = np.array([(f["c"], f["r"], f["width"], f["height"]) for f in found], float).reshape(-1, 4)
    boxes = boxes[np.argsort(-boxes[:, 2], kind="stable")]
    kept: list[np.ndarray] = []
    for box in boxes:                # a box whose centre lies in a larger one is the same face
        centre = box[:2] + box[2:] / 2
        if not any((other[:2] < centre).all() and (centre < other[:2] + other[2:]).all() for other in kept):
            kept.append(box)
    return np.array(kept).reshape(-1, 4)


def find_faces(photo: np.ndarray) -> np.ndarray:
    """Boxes of all faces of a photo, largest first.

    Where no face is sure, the largest of the unsure ones is given.

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
    small = np.asarray(picture.resize([max(1, round(side * factor)) for side in picture.size], Image.Resampling.BILINEAR))
    if min(small.shape) < 30:
        return np.empty((0, 4))
    boxes = _search(small, SURE)
    boxes = (boxes if len(boxes) else _search(small, UNSURE)[:1]) / factor
    size = boxes[:, 2:] * TO_DLIB[0]
    centre = boxes[:, :2] + boxes[:, 2:] * [0.5, 0.5 + TO_DLIB[1]]
    return np.c_[centre - size / 2, size]
