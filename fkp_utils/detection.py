"""Faces in a photo, at any size and angle: the net of recipe `finder`, trained on scenes made of the iBUG photos.

It looks at the photo at several sizes. A face is found best when its box is 20 to 200 pixels wide, so that 256 pixels of
the photo's longer side are enough for a portrait, and 640 for a face of a thirtieth of it. The last size is the photo's own or
larger. Most photos it learned from stand upright, and it is surest of faces that do: where it is sure of none at the smallest
size, it looks there for large faces in the photo turned by quarters of the circle, too. `bench/real_photos/finder.py` compares
it with other detectors, and says how many small faces are found; `schedule.py` there says what the looks are worth. Photos of
more than 12 megapixels (`MAX_PIXELS`) are made as small as that: 12 pixels there are 17 of a photo of 24, and 35 of one of 100.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from PIL import Image

from .landmarks import box_centres, square_boxes
from .nets.net import Net
from .nets.peaks import distinct
from .nets.quantised import Quantised

WEIGHTS = "finder.safetensors"
QUANTISED = "finder.onnx"                # made of it; the default
LEVELS = (256, 640, 1280, 5120, 20480)   # longer sides at which photos are searched; the last two: panoramas
MAX_ENLARGED = 1280                      # longer side to which a photo is enlarged, ...
MAX_ENLARGEMENT = 1.5                    # ... and by how much, except to the first
MAX_PIXELS = 12_000_000                  # of the photo at the largest size, which bounds the time
TILE, OVERLAP = 1664, 192                # pixels searched at once; a face larger than the overlap is found at a smaller size
MIN_TURNED_SIDE = 24                     # of a face in the turned looks, pixels there; smaller ones: at the next size
MIN_COARSE_SIDE = 16                     # of any face, pixels there, except at the last size
SURE = 0.5                               # of a face that is nearly upright: then the smallest size is not looked at turned
UPRIGHT = 45                             # degrees, at most, that such a face is turned
LEAST, BESIDE_SURE = 0.2, 0.35           # confidences, lower than where the finder is alone: the landmark net judges, too
loaded = cache(Quantised)                # a net that comes with the project, by its file's name


def search_levels(width: int, height: int) -> list[float]:
    """Longer sides at which a photo is searched, the last one its own or more; of more than `MAX_PIXELS` less."""
    longer = max(width, height)
    last = next((level for level in LEVELS if longer <= level <= MAX_ENLARGED), longer)
    if last > LEVELS[0]:
        last = min(last, MAX_ENLARGEMENT * longer, longer * (MAX_PIXELS / (width * height)) ** 0.5)
    return list(dict.fromkeys([LEVELS[0], *(level for level in LEVELS[1:] if 2 * level <= last), last]))


def find_faces(photo: np.ndarray | Image.Image, finder: Net | None = None, min_confidence: float | None = None,
               levels: Sequence[float] | None = None, fast: bool = False, every_box: bool = False) -> np.ndarray:
    """All faces of a photo, largest first.

    photo : uint8 (h, w, 3) RGB, or a grey PIL image
    finder : net (default: the one that comes with the project)
    min_confidence : from which on something is a face (default: `BESIDE_SURE` where another one is sure, else `LEAST`)
    levels : longer sides at which the photo is searched, at the first also turned (default: `search_levels`)
    fast : leave out larger sizes where a smaller one has shown a face: small faces beside a large one are not looked for
    every_box : all boxes from `LEAST` on, in no order and several of a face: where the surest is none, another one may be right

    Returns float64 (k, 6), (left, top, width, height, roll, confidence): boxes in pixels of the photo, as dlib's detector draws
    them around an upright face, turned about their centres by the roll in degrees, clockwise on the screen.
    """
    run: Net = finder or loaded(QUANTISED)
    grey = photo if isinstance(photo, Image.Image) else grey_of(photo)
    least = LEAST if min_confidence is None else min_confidence
    found: list[np.ndarray] = []
    for k, level in enumerate(levels := levels or search_levels(*grey.size)):
        factor = level / max(grey.size)
        size = max(1, round(grey.width * factor)), max(1, round(grey.height * factor))
        small = np.asarray(grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0) if size != grey.size else grey)
        faces = _search_parts(run, small, range(1), least)
        if not k and not _sure(faces[np.abs(faces[:, 3]) <= UPRIGHT]):
            faces = np.concatenate([faces, _search_parts(run, small, range(1, 4), least)])
        faces = faces[faces[:, 2] >= (MIN_COARSE_SIDE if k + 1 < len(levels) else 0)]
        scale = np.divide(grey.size, size)
        faces[:, :2] = (faces[:, :2] + 0.5) * scale - 0.5
        faces[:, 2] *= scale.prod() ** 0.5
        found.append(faces)
        if fast and _sure(faces):
            found[-1] = faces[faces[:, 4] >= SURE]
            break
    faces = np.concatenate(found)
    boxes = np.c_[square_boxes(faces[:, :2], faces[:, 2]), faces[:, 3:]]
    if every_box:
        return boxes
    kept = boxes[surest(boxes, BESIDE_SURE if min_confidence is None and _sure(faces) else 0)]
    return kept[np.argsort(-kept[:, 2], kind="stable")]


def surest(boxes: np.ndarray, least: float) -> np.ndarray:
    """Which of boxes (k, 6) that are at least so sure are no surer one (`nets.peaks.distinct`), surest first: int (n,)."""
    kept = distinct(np.c_[box_centres(boxes), boxes[:, 2], np.arange(len(boxes)), boxes[:, 5]])
    return kept[kept[:, 4] >= least, 3].astype(int)


def grey_of(photo: np.ndarray) -> Image.Image:
    """A photo, uint8 (h, w, 3), in grey, by so many rows at a time as stay in the processor's caches where it is large."""
    grey, rows = np.empty(photo.shape[:2], np.uint8), 1 + 2**20 // photo.shape[1]
    for top in range(0, len(photo), rows):
        grey[top:top + rows] = np.asarray(Image.fromarray(photo[top:top + rows]).convert("L"))
    return Image.fromarray(grey)


def _sure(faces: np.ndarray) -> bool:
    return bool((faces[:, 4] >= SURE).any())


def _parts(length: int) -> list[slice]:
    """Parts of a side, none longer than `TILE`, each of which has at least `OVERLAP` pixels in common with the next."""
    count = max(1, -(-(length - OVERLAP) // (TILE - OVERLAP)))
    size = -(-(length + (count - 1) * OVERLAP) // count)
    return [slice(start, start + size) for start in (k * (length - size) // max(1, count - 1) for k in range(count))]


def _search_parts(run: Net, picture: np.ndarray, turns: range, min_confidence: float) -> np.ndarray:
    """What `_search` finds in a picture (h, w) of any size, which the net sees in parts."""
    found, parts = [], list(product(*map(_parts, picture.shape)))

    def searched(part: tuple[slice, ...]) -> np.ndarray:
        return _search(run, picture[part], turns, min_confidence)
    if len(parts) == 1:
        answers = [searched(*parts)]
    else:
        with run.apart() as (pool, _):                           # a thread a part takes less time than all threads in turn
            answers = list(pool.map(searched, parts))
    for (rows, columns), faces in zip(parts, answers):
        faces[:, :2] += [columns.start, rows.start]
        edges = np.array([[part.start, part.stop] for part in (columns, rows)])
        inner = (edges > 0) & (edges < np.array(picture.shape[::-1])[:, None])
        near = inner & (np.abs(faces[:, :2, None] - edges) < OVERLAP / 4)      # perhaps cut in two here, whole in the next part
        found.append(faces[~near.any((1, 2))])
    return np.concatenate(found)


def _search(run: Net, picture: np.ndarray, turns: range, min_confidence: float) -> np.ndarray:
    """Faces (k, 5) as `nets.peaks.peaks` gives them, float64, in a picture (h, w) that the net sees in quarter turns."""
    views = [np.rot90(picture, quarters) for quarters in turns]
    # All views have one size for the net, which wants multiples of 64; more of the same grey is no face.
    size = [-(-side // 64) * 64 for side in np.max([view.shape for view in views], 0)]
    padded = np.stack([np.pad(view, [(0, full - side) for full, side in zip(size, view.shape)], constant_values=128)[None]
                       for view in views])
    found = []
    for quarters, view, faces in zip(turns, views, run.faces(padded, min_confidence)):
        x, y, side, roll, confidence = faces.astype(np.float64).T
        height, width = view.shape
        for _ in range(quarters):                         # what is at (x, y) after a quarter was at (height - 1 - y, x) before
            x, y, height, width = height - 1 - y, x, width, height
        upright = np.stack([x, y, side, (roll + 90 * quarters + 180) % 360 - 180, confidence], 1)
        found.append(upright[side >= MIN_TURNED_SIDE] if quarters else upright)
    return np.concatenate(found)
