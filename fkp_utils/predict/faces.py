"""The faces of one photo: found, read by a landmark net, drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from .. import plotting
from ..datasets.images import read_photo
from ..detection import BESIDE_SURE, SURE, find_faces, grey_of, loaded, surest
from ..landmarks import Convention, box_centres, box_corners, mirrored, moved_aside, upright_boxes
from ..metrics import nme, region_errors
from ..nets.net import Net
from ..nets.peaks import same_face
from ..nets.quantised import Quantised

WEIGHTS = "ibug68.safetensors"
SMALL = "small68.safetensors"                # faster, and nearly as exact; the demo's net
QUANTISED, QUANTISED_SMALL = "ibug68.onnx", "small68.onnx"     # made of them; what is asked by default
BATCH = 16                                   # faces looked at together
PIXELS_AT_ONCE = 2**19                       # that go through the net: blocks above 32 MB are cleared anew each time
# Set by data/measured/finder.json: of 370 faces, turned, 24 px small or many, it loses none.
MIN_CONFIDENCE = 0.65
MIN_FIRST_CONFIDENCE = 0.3                   # in a box that a detector proposes: no second look would make a face of it
UNSURE_LEAST = 0.4                           # a finder so sure of a face may be wrong about its roll all the same
STRAIGHT = 3.0                               # degrees: to cut out a face turned by less as a turned one takes as long as a look
SECOND_LOOK_SHIFT = 0.15                     # sides by which a box must move for a second look
AVERAGED_SHIFT = 0.2                         # and up to which the first look's answer counts as much as the second one's
ROUNDS = 2                                   # of boxes: where the surest of a place is none, the next one may be right
CONFIDENCE_DECAY = 10                        # confidence is 1/e where an answer and its mirror image differ by 1 in so many


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a photo; faces are equal where all their numbers are."""

    box: np.ndarray                      # float64 (4,), (left, top, width, height) in pixels: given, or implied by landmarks
    landmarks: np.ndarray                # float64 (n, 2) in pixels of the photo
    confidence: float                    # from 0 to 1; 1 where the net says the same of the mirror image
    roll: float = 0.0                    # degrees, clockwise on the screen, by which the box is turned about its centre
    convention: Convention | None = None           # what the landmarks mean

    def to_dict(self) -> dict:
        """Plain lists, for JSON."""
        return {"box": self.box.round(2).tolist(), "landmarks": self.landmarks.round(2).tolist(),
                "confidence": round(self.confidence, 4), "roll": round(self.roll, 2)}

    def _numbers(self) -> tuple:
        return *np.ravel(self.box).tolist(), *np.ravel(self.landmarks).tolist(), self.confidence, self.roll

    def __eq__(self, other):
        return isinstance(other, Face) and self._numbers() == other._numbers() and self.convention == other.convention

    def __hash__(self):
        return hash(self._numbers())


def default_net(fast: bool = False) -> Quantised:
    """The net that comes with the project, or the faster one, loaded once."""
    return loaded(QUANTISED_SMALL if fast else QUANTISED)


def check_reads_faces(run: Net) -> None:
    """ValueError for a net that does not read the landmarks of a face's square crop: a finder, or one for whole photos."""
    if run.finds_faces:
        raise ValueError(f"{run.title}: finds faces, not landmarks; take {WEIGHTS} or {SMALL}")
    height, width = run.size
    if height != width:
        raise ValueError(f"{run.title}: takes whole pictures of {width}x{height}, not square crops of faces; "
                         f"take {WEIGHTS} or {SMALL}")


def both_ways(run: Net, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of crops, uint8 (N, s, s), float64 (N, n, 2), the mean of what the net says of each and of its mirror image.

    Of a picture's mirror image it says the mirrored landmarks, whatever side the labels have that the net learned from
    (`augment.flip`); `on_labels_side` moves them there. Also the confidence (N,) from 0 to 1, how well the two answers agree:
    1 means exactly; 1/e, that they lie a tenth of the inter-ocular distance apart.
    """
    looks = np.concatenate([crops, crops[..., ::-1]])[:, None]
    parts = min(len(looks), -(-looks.size // PIXELS_AT_ONCE))
    answers = np.concatenate([np.asarray(run.landmarks(some), np.float64) for some in np.array_split(looks, parts)])
    straight, other = answers[:len(crops)], mirrored(answers[len(crops):], run.convention, crops.shape[-1])
    found = (straight + other) / 2
    apart = straight - moved_aside(other, run.convention, 2 * run.flip_offset)
    scale = _face_size(found, run.convention).clip(1e-6)[:, None]
    return found, np.exp(-CONFIDENCE_DECAY * np.linalg.norm(apart, axis=-1) / scale).mean(1)


def _face_size(landmarks: np.ndarray, convention: Convention) -> np.ndarray:
    """Inter-ocular distance (N,) of landmarks (N, n, 2); without eye corners the diagonal of their extent."""
    if convention.eye_corners is None:
        return np.linalg.norm(np.ptp(landmarks, 1), axis=-1)
    left, right = convention.eye_corners
    return np.linalg.norm(landmarks[:, left] - landmarks[:, right], axis=-1)


def one_way(run: Quantised, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of crops, uint8 (N, s, s), in one look each and without the labels' side, float64 (N, n, 2); their spread (N,).

    That is the distance by which heatmaps spread about their means, a share of the inter-ocular distance, in the mean.
    """
    points, spread = run.landmarks_and_spread(crops[:, None])
    points = points.astype(np.float64)
    return moved_aside(points, run.convention, -run.flip_offset), spread.mean(1) / _face_size(points, run.convention).clip(1e-6)


def look(pictures: Sequence[Image.Image], boxes: np.ndarray, rolls: np.ndarray, run: Net,
         ask: Callable = both_ways) -> tuple[np.ndarray, np.ndarray]:
    """What `ask` (`both_ways`, `one_way`) says of the faces in boxes (k, 4) turned by rolls (k,): in pixels of the pictures."""
    crop, rolls = run.crop, np.where(np.abs(rolls) < STRAIGHT, 0.0, rolls)
    crops = [crop.cut(picture, box, roll=roll) for picture, box, roll in zip(pictures, boxes, rolls)]
    found, sure = ask(run, np.stack(crops))
    return crop.to_image(found, boxes, rolls), sure


def landmarks_in_boxes(pictures: Sequence[Image.Image], boxes: np.ndarray, run: Net, rolls: np.ndarray | None = None,
                       min_first_confidence: float = 0.0, second_look_shift: float = SECOND_LOOK_SHIFT,
                       unsure: np.ndarray | None = None) -> list[Face]:
    """One face a box, looked at once, and again where that pays: upright, in the box implied by the first answer.

    A detector's boxes are less regular than those the nets were trained on. Where the first box was about right, a second
    look gains 0.04 points of NME (`bench/real_photos/finder.py`). Where its corners moved by less than `AVERAGED_SHIFT` sides,
    both answers are averaged; the first one of a worse box is forgotten. Where the second look is unsure, or the box that is
    then implied is off by `SECOND_LOOK_SHIFT` again, a third one follows, which alone counts.

    pictures : k grayscale pictures, one a box (the same one again for several faces of a photo)
    boxes : float (k, 4), (left, top, width, height) in pixels of the pictures
    run : trained net
    rolls : float (k,), degrees by which the boxes are turned about their centres (default: none)
    min_first_confidence : of a first answer that a second look may follow
    second_look_shift : sides of the box by which its corners must move, in the mean, for a second look
    unsure : bool (k,), where after a first answer below `MIN_CONFIDENCE` the box is turned by quarters, too (default: nowhere)
    """
    rolls = np.zeros(len(boxes)) if rolls is None else rolls.copy()
    found, sure = look(pictures, boxes, rolls, run)
    poor = np.flatnonzero((sure < MIN_CONFIDENCE) & (unsure is not None and unsure)).repeat(3).tolist()
    if poor:
        turns = rolls[poor] + np.resize([90, 180, 270], len(poor))
        for k, turn, points, confidence in zip(poor, turns, *look([pictures[k] for k in poor], boxes[poor], turns, run)):
            if confidence > sure[k]:
                found[k], sure[k], rolls[k] = points, confidence, (turn + 180) % 360 - 180
    if run.convention.box:
        better, upright, moved = implied_boxes(found, boxes, rolls, run.convention)
        some = np.flatnonzero((moved > second_look_shift) & (sure >= min_first_confidence))
        for averaged_shift in (AVERAGED_SHIFT, 0.0):                 # of the second look, and of the third
            if not len(some):
                break
            seen, sure[some] = look([pictures[int(k)] for k in some], better[some], upright[some], run)
            near = (moved[some] < averaged_shift)[:, None, None]
            found[some] = np.where(near, (found[some] + seen) / 2, seen)
            better[some], upright[some], moved[some] = implied_boxes(found[some], better[some], upright[some], run.convention)
            doubtful = moved[some] > np.where(sure[some] < MIN_CONFIDENCE, 0, SECOND_LOOK_SHIFT)
            some = some[doubtful & (sure[some] >= min_first_confidence)]
    return [Face(box, points, float(confidence), float(roll), run.convention)
            for box, points, confidence, roll in zip(boxes, found, sure, rolls)]


def implied_boxes(found: np.ndarray, boxes: np.ndarray, rolls: np.ndarray, convention: Convention) -> tuple[np.ndarray, ...]:
    """Boxes (k, 4) and rolls (k,) implied by landmarks (k, n, 2), and how far their corners are from those of other ones.

    In sides of the implied boxes, in the mean, (k,); 0 where all landmarks lie in a point or a line, which imply no box.
    """
    better, upright = upright_boxes(found, convention)
    moved = np.linalg.norm(box_corners(boxes, rolls) - box_corners(better, upright), axis=-1).mean(1)
    collapsed = (np.ptp(found, 1) <= 1).any(1)
    return better, upright, np.where(collapsed, 0, moved / better[:, 2].clip(1e-9))


def boxes_of(given, whose: str) -> np.ndarray:
    """Boxes as float64 (k, 6), with roll and confidence, or 0; ValueError, with `whose` they are, for anything else."""
    try:
        rows = _plain(given) if isinstance(given, Face) or hasattr(given, "__array__") else [_plain(row) for row in given]
        boxes = np.atleast_2d(np.array(rows, np.float64))
    except (TypeError, ValueError):                          # no numbers, or rows of different lengths
        boxes = np.empty((1, 1, 1))
    if boxes.ndim == 2 and boxes.shape[1] in (4, 5, 6):
        return np.c_[boxes, np.zeros((len(boxes), 2))][:, :6]
    if boxes.size == 0:
        return np.empty((0, 6))
    raise ValueError(f"{whose} must be numbers (k, 4), (left, top, width, height) in pixels, or (k, 5) with rolls in degrees, "
                     f"not {np.shape(given) if isinstance(given, np.ndarray) else given}")


def _plain(box):
    """A box, or all of them, as numpy takes it."""
    if isinstance(box, Face):
        return [*box.box, box.roll]
    return box.detach().cpu().double().numpy() if hasattr(box, "detach") else box               # a tensor


def lie_on(boxes: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Which boxes (k, 5 or 6) lie on the picture (h, w, 3), cover a pixel, and are not many times as large: bool (k,)."""
    height, width = array.shape[:2]
    left, top, wide, high, *_ = boxes.T
    fits = (np.minimum(wide, high) > 0) & (wide * high >= 1) & (np.maximum(wide, high) < 5 * max(width, height))
    return fits & (left < width) & (top < height) & (left + wide > 0) & (top + high > 0) & np.isfinite(boxes[:, :5]).all(1)


def _on_picture(boxes: np.ndarray, array: np.ndarray, strict: bool) -> np.ndarray:
    """The boxes (k, 6) that lie on the picture; if `strict`, ValueError for another one."""
    fits = lie_on(boxes, array)
    if strict and not fits.all():
        box = ", ".join(f"{number:g}" for number in boxes[~fits][0][:4])
        raise ValueError(f"a box (left, top, width, height) of {box} has no pixel, or lies nowhere on a picture of "
                         f"{array.shape[1]}x{array.shape[0]}")
    return boxes[fits]


Detector = Callable[[np.ndarray], np.ndarray]


def landmarks(photo: str | Path | np.ndarray, boxes: Sequence | None = None, run: Net | None = None,
              detector: Detector | None = None, fast: bool = False, min_confidence: float = MIN_CONFIDENCE,
              second_look_shift: float = SECOND_LOOK_SHIFT) -> list[Face]:
    """The faces of a photo: in the order of `boxes` where they are given, else largest first.

    photo : file, or uint8 (h, w, 3) RGB, or what else `datasets.images.read_photo` takes
    boxes : (k, 4) as (left, top, width, height) in pixels, or (k, 5) with rolls in degrees, or other `Face`s, if known; else
        the detector looks for them, the next of a place where the surest is none; of those that end at one face one is kept
    run : net (default: the one that comes with the project)
    detector : photo (h, w, 3) -> boxes (k, 4), or with rolls (k, 5 or 6); those that lie nowhere on the photo are left out
        (default: `detection.find_faces`)
    fast : by default the smaller net that comes with the project, see data/weights/README.md; small faces beside a large one
        are not looked for
    min_confidence : of a detector's faces; others are rejected
    second_look_shift : as `landmarks_in_boxes` has it

    DatasetError when the file is not a picture. No face is no error: the list is empty. ValueError when a given box lies
    nowhere on the photo or is smaller than a pixel, boxes have another shape, an array is no photo, or the net does not read
    faces' crops; TypeError for what is no photo at all, such as None.
    """
    run = run or default_net(fast)
    return landmarks_of([read_photo(photo)], boxes, run, detector, min_confidence, second_look_shift, fast)[0]


def landmarks_of(arrays: Sequence[np.ndarray], boxes: Sequence | None, run: Net, detector: Detector | None = None,
                 min_confidence: float = MIN_CONFIDENCE, second_look_shift: float = SECOND_LOOK_SHIFT,
                 fast: bool = False) -> list[list[Face]]:
    """`landmarks` for several photos, uint8 (h, w, 3); the net reads their faces together."""
    check_reads_faces(run)
    greys = [grey_of(array) for array in arrays]
    if boxes is not None:
        places = [_on_picture(boxes_of(boxes, "boxes"), array, strict=True) for array in arrays]
        found = _read(greys, places, run, second_look_shift)
        if not all(np.isfinite(face.landmarks).all() for faces in found for face in faces):
            raise ValueError(f"{run.title}: its landmarks are not finite")
        return found
    found_by = map(detector, arrays) if detector else (find_faces(grey, fast=fast, every_box=True) for grey in greys)
    rest = [_on_picture(boxes_of(some, "a detector's boxes"), array, strict=False) for some, array in zip(found_by, arrays)]
    sure = [bool((some[:, 5] >= SURE).any()) for some in rest]
    found, beside = [list[Face]() for _ in arrays], sure.copy()
    for _ in range(1 if detector else ROUNDS):
        tried = [np.arange(len(some)) if detector else surest(some, BESIDE_SURE if other else 0)
                 for some, other in zip(rest, beside)]
        places = [some[which] for some, which in zip(rest, tried)]
        if isinstance(run, Quantised) and run.path.name == QUANTISED:
            places = [_screened(grey, some) for grey, some in zip(greys, places)]
        for k, faces in enumerate(_read(greys, places, run, second_look_shift, MIN_FIRST_CONFIDENCE, UNSURE_LEAST)):
            right = np.array([face.confidence >= min_confidence and np.isfinite(face.landmarks).all() for face in faces], bool)
            found[k] += [boxed_anew(face) for face, kept in zip(faces, right) if kept]
            held = places[k][right]
            beside[k], rest[k] = bool((held[:, 5] >= SURE).any()), others(np.delete(rest[k], tried[k], 0), held)
    for k, array in enumerate(arrays):
        if fast and not detector and not found[k] and sure[k]:                               # what hid the faces was none
            found[k] = landmarks_of([array], None, run, None, min_confidence, second_look_shift)[0]
    return [sorted(once(faces), key=lambda face: -np.prod(face.box[2:])) for faces in found]


def _read(greys: Sequence[Image.Image], places: Sequence[np.ndarray], run: Net, second_look_shift: float,
          min_first_confidence: float = 0.0, unsure_least: float = np.inf) -> list[list[Face]]:
    """One face a box of each photo's places (k, 6), from the landmark net, which reads several photos' faces together."""
    rows = np.concatenate([np.empty((0, 6)), *places])
    pictures, faces = [grey for grey, some in zip(greys, places) for _ in some], []
    for some in (slice(start, start + BATCH) for start in range(0, len(rows), BATCH)):
        faces += landmarks_in_boxes(pictures[some], rows[some, :4], run, rows[some, 4], min_first_confidence,
                                    second_look_shift, rows[some, 5] >= unsure_least)
    in_order = iter(faces)
    return [list(islice(in_order, len(some))) for some in places]


def once(faces: Sequence[Face], sure: Sequence[float] | None = None) -> list[Face]:
    """The faces, in order, without those that are a surer one: two boxes may end at one. sure : (k,), default: confidences"""
    sure = [face.confidence for face in faces] if sure is None else sure
    return [faces[k] for k in sorted(surest(np.c_[boxes_of(faces, "faces")[:, :5], sure], -np.inf))]


def others(boxes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Those of boxes (k, 4 or more) around none of the faces in known ones (n, 4 or more), by `nets.peaks.same_face`."""
    places, taken = (np.c_[box_centres(some), some[:, 2]] for some in (boxes, known))
    return boxes[np.array([not same_face(taken, place).any() for place in places], bool)]


def _screened(grey: Image.Image, rows: np.ndarray) -> np.ndarray:
    """Boxes (k, 6) without those that neither the finder is sure of nor the smaller net, which asks in half the time."""
    doubtful = np.flatnonzero(rows[:, 5] < SURE)
    if not len(doubtful):
        return rows
    _, sure = look([grey] * len(doubtful), rows[doubtful, :4], rows[doubtful, 4], default_net(fast=True))
    return np.delete(rows, doubtful[sure < MIN_FIRST_CONFIDENCE], axis=0)


def boxed_anew(face: Face) -> Face:
    """The face with the box and the roll implied by its landmarks, which are more exact than a detector's."""
    if face.convention is None or face.convention.box is None or (np.ptp(face.landmarks, 0) <= 1).any():
        return face
    [box], [roll] = upright_boxes(face.landmarks[None], face.convention)
    return replace(face, box=box, roll=float(roll))


def face_heatmaps(photo: str | Path | np.ndarray, box: np.ndarray, run: Net | None = None,
                  roll: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """What a heatmap net sees in a box (4,) of a photo: the crop, uint8 (1, s, s), and its maps (1, 68, h, w)."""
    array, run = read_photo(photo), run or default_net()
    crops = np.stack([run.crop.cut(grey_of(array), np.asarray(box), roll=roll)])
    return crops, np.asarray(run.heatmaps(crops[:, None]))


def drawn(photo: np.ndarray, faces: Sequence[Face], bold: float = 1.0) -> np.ndarray:
    """The photo, uint8 (h, w, 3), with boxes, landmarks and the lines that join them, at its own size; small ones larger."""
    return plotting.drawn_on(photo, [face.landmarks for face in faces], [face.box for face in faces],
                             [face.roll for face in faces], faces[0].convention if faces else None, bold)


def draw(photo: str | Path | np.ndarray, faces: Sequence[Face]) -> "plotting.Figure":
    """A matplotlib Figure of the photo with boxes and landmarks, which is saved with as many pixels as the photo has."""
    alt = f"a photo with the boxes and landmarks of {len(faces)} face{'s' * (len(faces) > 1)}" if faces else ""
    return plotting.photo_figure(drawn(read_photo(photo), faces), "" if faces else "no face found", alt)


def compared(photo: str | Path | np.ndarray, run: Net, limit: float = 10.0) -> tuple["plotting.Figure", str]:
    """What a net says of the faces of a photo, and beside it, or below, what the shipped weights say in the same boxes.

    Returns the figure, of the part of the photo with faces, and a judgement of each in words: right where its landmarks lie at
    most `limit` percent of the inter-ocular distance from those of the shipped weights, in the mean; and in which region they
    are nearest and farthest. ValueError for a net of other landmarks.
    """
    array, shipped = read_photo(photo), landmarks(photo)
    if run.convention != default_net().convention:
        raise ValueError(f"a net of {run.convention.name!r} cannot be compared with the shipped weights")
    if not shipped:
        return plotting.photo_figure(array, "no face found"), "no face found"
    own = landmarks(photo, [[*face.box, face.roll] for face in shipped], run)
    theirs, ours = (np.array([face.landmarks for face in faces]) for faces in (shipped, own))
    corners, sides = np.split(np.array([face.box for face in shipped]), 2, 1)
    low, high = (corners - sides / 2).min(0).clip(0).astype(int), (corners + 1.5 * sides).max(0).astype(int)
    part = array[low[1]:high[1], low[0]:high[0]]
    together = np.hstack if part.shape[0] > 0.8 * part.shape[1] else np.vstack
    pictures = [drawn(part, [replace(face, box=face.box - [*low, 0, 0], landmarks=face.landmarks - low) for face in faces],
                      bold=2) for faces in (own, shipped)]
    told = []
    for mine, other, apart in zip(ours, theirs, nme(ours, theirs, run.convention)):
        regions = region_errors(mine[None], other[None], run.convention)
        near, far = (f"{name} {regions[name]:.1f}" for name in (pick(regions, key=regions.__getitem__) for pick in (min, max)))
        told.append(f"{'right' if apart <= limit else 'wrong'} ({apart:.1f} %: {near} to {far})")
    alt = f"faces twice, with the net's landmarks, {', '.join(told)}, and with those of the shipped weights"
    return plotting.photo_figure(together(pictures), "", alt), ", ".join(told)
