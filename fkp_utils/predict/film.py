"""Faces from picture to picture: of a film or a camera, each looked for where it was before."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..datasets.images import read_photo
from ..landmarks import box_centres
from ..nets.net import Net
from ..nets.peaks import same_face
from .faces import MIN_CONFIDENCE, Face, default_net, landmarks_of

SEARCH_EVERY = 10                            # pictures after which new faces are looked for


def follow(pictures: Iterable[Any], run: Net | None = None, fast: bool = True, min_confidence: float = MIN_CONFIDENCE,
           search_every: int = SEARCH_EVERY) -> Iterator[list[Face]]:
    """The faces of each picture of a film, in order, as they come.

    Where no face is left, and in one picture of `search_every`, the whole picture is searched; else each face is read once, in
    the box that its last landmarks imply. Faces keep their places in the list while they are followed.

    Parameters
    ----------
    pictures : of one size, each what `predict.landmarks` takes
    run : net (default: the smaller one that comes with the project, or with `fast=False` the other)
    fast : as `predict.landmarks` has it
    min_confidence : of a face that is followed further
    search_every : pictures

    Raises what `predict.landmarks` does, at the picture that it is about.
    """
    run = run or default_net(fast)
    faces: list[Face] = []
    for number, picture in enumerate(pictures):
        array = read_photo(picture)
        if faces:
            seen = landmarks_of([array], faces, run, second_look_shift=np.inf, boxed_anew=True)[0]
            faces = [face for face in seen if face.confidence >= min_confidence]
        if not faces or number % search_every == 0:
            found = landmarks_of([array], None, run, min_confidence=min_confidence, fast=fast)[0]
            known = _places(faces)
            faces = [*faces, *(face for face, place in zip(found, _places(found)) if not same_face(known, place).any())]
        yield faces


def _places(faces: list[Face]) -> np.ndarray:
    """Centres and sides (k, 3) of faces' boxes."""
    boxes = np.array([face.box for face in faces]).reshape(-1, 4)
    return np.c_[box_centres(boxes), boxes[:, 2]]
