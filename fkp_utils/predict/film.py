"""Faces from picture to picture: of a film or a camera, each looked for where it was before."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.images import read_photo
from ..detection import find_faces, grey_of
from ..nets.net import Net
from ..nets.quantised import Quantised
from . import faces as stills
from .faces import MIN_CONFIDENCE, SECOND_LOOK_SHIFT, Face

SEARCH_EVERY = 10                            # pictures after which new faces are looked for
# In inter-ocular distances. Nearly all real faces in about the right box have less, and no crop half beside a face or turned by
# a quarter that a look at the mirror image would reject. A face twice as large as its box may have less, too: the box that its
# landmarks imply is another (bench/real_photos/spread.md).
SURE_SPREAD = 0.15


def follow(pictures: Iterable[Any], run: Net | None = None, fast: bool = True, min_confidence: float = MIN_CONFIDENCE,
           search_every: int = SEARCH_EVERY) -> Iterator[list[Face]]:
    """The faces of each picture of a film, in order, as they come.

    Where no face is left, and in one picture of `search_every`, the whole picture is searched; else each face is read in the
    box that its last landmarks imply, and again where that was off. Faces that are followed keep their places in the list.

    pictures : each what `predict.landmarks` takes; where their size changes, faces are looked for anew
    run : net (default: the smaller one that comes with the project, or with `fast=False` the other)
    fast : as `predict.landmarks` has it; and where a net that comes with the project is sure, it does not look at the mirror
        image: a face's confidence is that of the last look at both, landmarks are a little less exact and steady (spread.py)
    min_confidence : of a face that is followed further; above `MIN_CONFIDENCE` each look is one at the mirror image, too
    search_every : pictures, a whole number, at least 1

    A face that leaves the picture is lost, and so is one of two that have come to be the same. Raises what `predict.landmarks`
    does, at the picture that it is about; TypeError for one picture or file in place of many; ValueError for `search_every`.
    """
    if isinstance(pictures, str | Path | bytes) or getattr(pictures, "shape", ())[2:] in ((3,), (4,)):
        raise TypeError("`follow` takes the pictures of a film one by one: files or arrays (h, w, 3); it decodes no films")
    if search_every < 1 or search_every % 1:
        raise ValueError(f"search_every is {search_every}: a whole number of pictures, at least 1")
    run = run or stills.default_net(fast)
    faces, shape = list[Face](), None
    for number, picture in enumerate(pictures):
        array = read_photo(picture)
        if array.shape != shape:                             # another film, or the camera turned: boxes mean nothing there
            faces, shape = [], array.shape
        faces = _read_again(array, faces, run, fast and min_confidence <= MIN_CONFIDENCE)
        faces = [face for face in faces if face.confidence >= min_confidence]
        if not faces or number % search_every == 0:
            faces += _new_faces(array, faces, run, fast, min_confidence)
        faces = stills.once(faces, range(0, -len(faces), -1))       # the earlier counts as the surer one
        yield faces.copy()


def _read_again(array: np.ndarray, faces: list[Face], run: Net, one_look: bool) -> list[Face]:
    """The faces of the picture before where they are now, in the boxes that their landmarks imply."""
    rows = stills.boxes_of(faces, "faces")
    here = stills.lie_on(rows, array)
    seen, rows = [face for face, stays in zip(faces, here) if stays], rows[here]
    unsure = np.arange(len(seen))
    if seen and one_look and isinstance(run, Quantised):
        grey, boxes, rolls = grey_of(array), rows[:, :4], rows[:, 4]
        points, spread = stills.look([grey] * len(seen), boxes, rolls, run, stills.one_way)
        seen = [replace(face, landmarks=found) for face, found in zip(seen, points)]
        *_, moved = stills.implied_boxes(points, boxes, rolls, run.convention)
        unsure = np.flatnonzero(~((spread < SURE_SPREAD) & (moved <= SECOND_LOOK_SHIFT)))       # NaN is unsure, too
    if len(unsure):
        for k, face in zip(unsure, stills.landmarks_of([array], rows[unsure], run)[0]):
            seen[k] = face
    return [stills.boxed_anew(face) for face in seen]


def _new_faces(array: np.ndarray, known: list[Face], run: Net, fast: bool, min_confidence: float) -> list[Face]:
    """The picture's faces that are none of the known ones."""
    def elsewhere(photo: np.ndarray) -> np.ndarray:
        return stills.others(find_faces(photo, fast=fast), stills.boxes_of(known, "faces"))
    return stills.landmarks_of([array], None, run, elsewhere if known else None, min_confidence, fast=fast)[0]
