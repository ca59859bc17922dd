"""The faces of one photo: found, read by a landmark net, drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .. import plotting
from ..augment import flip, moved_aside
from ..datasets.images import read_photo
from ..detection import find_faces
from ..landmarks import Convention, box_corners, upright_boxes
from ..metrics import nme
from ..nets.finder import Faces
from ..nets.trained import Trained
from ..nets.weights import load_weights

WEIGHTS = "ibug68.safetensors"
SMALL = "small68.safetensors"                # faster, and nearly as exact; the demo's net
BATCH = 16                                   # faces looked at together
PIXELS_AT_ONCE = 2**19                       # that go through the net: blocks above 32 MB are cleared anew each time
# Set by data/measured/finder.json: of faces turned, small and many it loses 0.3 percent.
MIN_CONFIDENCE = 0.65
MIN_FIRST_CONFIDENCE = 0.5                   # in a box that a detector proposes: no second look would make a face of it
UNSURE_SIDE, UNSURE_LEAST = 64, 0.5          # smaller faces that the finder is so sure of: their roll may be wrong all the same
SECOND_LOOK_SHIFT = 0.1                      # sides by which a box must move for a second look
AVERAGED_SHIFT = 0.2                         # and up to which the first look's answer counts as much as the second one's
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


@cache
def default_net(fast: bool = False) -> Trained:
    """The net that comes with the project, or the faster one, loaded once."""
    return load_weights(SMALL if fast else WEIGHTS).for_answers()


def check_reads_faces(run: Trained) -> None:
    """ValueError for a net that does not read the landmarks of a face's square crop: a finder, or one for whole photos."""
    if isinstance(run.target, Faces):
        raise ValueError(f"{run.recipe.title}: finds faces, not landmarks; take {WEIGHTS} or {SMALL}")
    height, width = run.recipe.size
    if height != width:
        raise ValueError(f"{run.recipe.title}: takes whole pictures of {width}x{height}, not square crops of faces; "
                         f"take {WEIGHTS} or {SMALL}")


def both_ways(run: Trained, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of crops, the mean of what the net says of each and of its mirror image.

    Of a picture's mirror image it says the mirrored landmarks, whatever side the labels have that the net learned from
    (`augment.flip`); `Trained.on_labels_side` moves them there.

    Parameters
    ----------
    run : trained net
    crops : uint8 (N, s, s)

    Returns
    -------
    landmarks (N, n, 2) in pixels of the crops, and the confidence (N,) from 0 to 1: how well the two
    answers agree. 1 means exactly; 1/e, that they lie a tenth of the inter-ocular distance apart.
    """
    images = torch.from_numpy(crops)[:, None]
    with torch.inference_mode():
        looks = torch.cat([images, images.flip(-1)])
        parts = min(len(looks), -(-looks.numel() // PIXELS_AT_ONCE))
        answers = [run.landmarks(some) for some in looks.tensor_split(parts)]
        straight, mirrored = torch.cat(answers).chunk(2)
        _, mirrored = flip(images, mirrored, images.new_ones(len(images), dtype=torch.bool), run.convention)
        found = (straight + mirrored) / 2
        apart = straight - moved_aside(mirrored, run.convention, 2 * run.recipe.augment.flip_offset)
        scale = _face_size(found, run.convention).clamp(min=1e-6)[:, None]
        sure = torch.exp(-CONFIDENCE_DECAY * apart.norm(dim=-1) / scale).mean(1)
    return found.numpy(), sure.numpy()


def _face_size(landmarks: torch.Tensor, convention: Convention) -> torch.Tensor:
    """Inter-ocular distance (N,) of landmarks (N, n, 2); without eye corners the diagonal of their extent."""
    if convention.eye_corners is None:
        return (landmarks.amax(1) - landmarks.amin(1)).norm(dim=-1)
    left, right = convention.eye_corners
    return (landmarks[:, left] - landmarks[:, right]).norm(dim=-1)


def _look(pictures: Sequence[Image.Image], boxes: np.ndarray, rolls: np.ndarray, run: Trained) -> tuple[np.ndarray, np.ndarray]:
    crop = run.recipe.crop
    crops = [crop.cut(picture, box, roll=roll) for picture, box, roll in zip(pictures, boxes, rolls)]
    found, sure = both_ways(run, np.stack(crops))
    return crop.to_image(found, boxes, rolls), sure


def landmarks_in_boxes(pictures: Sequence[Image.Image], boxes: np.ndarray, run: Trained, rolls: np.ndarray | None = None,
                       min_first_confidence: float = 0.0, second_look_shift: float = SECOND_LOOK_SHIFT,
                       unsure: np.ndarray | None = None) -> list[Face]:
    """One face a box, looked at once, and again where that pays: upright, in the box implied by the first answer.

    A detector's boxes are less regular than those the nets were trained on. Where the first box was about right, a second
    look gains nothing (`bench/real_photos/finder.py`). Where its corners moved by less than `AVERAGED_SHIFT` sides, both
    answers are averaged; the first one of a worse box is forgotten.

    Parameters
    ----------
    pictures : k grayscale pictures, one a box (the same one again for several faces of a photo)
    boxes : float (k, 4), (left, top, width, height) in pixels of the pictures
    run : trained net
    rolls : float (k,), degrees by which the boxes are turned about their centres (default: none)
    min_first_confidence : of a first answer that a second look may follow
    second_look_shift : sides of the box by which its corners must move, in the mean, for a second look
    unsure : bool (k,), where after a first answer that is no better the box is turned by quarters, too (default: nowhere)
    """
    rolls = np.zeros(len(boxes)) if rolls is None else rolls.copy()
    found, sure = _look(pictures, boxes, rolls, run)
    poor = np.flatnonzero((sure < min_first_confidence) & (unsure is not None and unsure)).repeat(3).tolist()
    if poor:
        turns = rolls[poor] + np.resize([90, 180, 270], len(poor))
        for k, turn, points, confidence in zip(poor, turns, *_look([pictures[k] for k in poor], boxes[poor], turns, run)):
            if confidence > sure[k]:
                found[k], sure[k], rolls[k] = points, confidence, (turn + 180) % 360 - 180
    if run.convention.box:
        better, upright = upright_boxes(found, run.convention)
        moved = np.linalg.norm(box_corners(boxes, rolls) - box_corners(better, upright), axis=-1).mean(1)
        collapsed = (np.ptp(found, 1) <= 1).any(1)               # to a point or a line: no box is implied by that
        worth = (moved > second_look_shift * better[:, 2]) & ~collapsed & (sure >= min_first_confidence)
        again = np.flatnonzero(worth).tolist()
        if again:
            seen, sure[again] = _look([pictures[k] for k in again], better[again], upright[again], run)
            near = (moved[again] < AVERAGED_SHIFT * better[again, 2])[:, None, None]
            found[again] = np.where(near, (found[again] + seen) / 2, seen)
    return [Face(box, points, float(confidence), float(roll), run.convention)
            for box, points, confidence, roll in zip(boxes, found, sure, rolls)]


def _boxes_of(given, whose: str) -> np.ndarray:
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
    return box.detach().cpu().double().numpy() if isinstance(box, torch.Tensor) else box


def _on_picture(boxes: np.ndarray, array: np.ndarray, strict: bool) -> np.ndarray:
    """The boxes (k, 6) that lie on the picture and cover a pixel; if `strict`, ValueError for another one."""
    height, width = array.shape[:2]
    left, top, wide, high, *_ = boxes.T
    fits = (np.minimum(wide, high) > 0) & (wide * high >= 1) & (np.maximum(wide, high) < 5 * max(width, height))
    fits &= (left < width) & (top < height) & (left + wide > 0) & (top + high > 0) & np.isfinite(boxes[:, :5]).all(1)
    if strict and not fits.all():
        box = ", ".join(f"{number:g}" for number in boxes[~fits][0][:4])
        raise ValueError(f"a box (left, top, width, height) of {box} has no pixel, or lies nowhere on a picture of "
                         f"{width}x{height}")
    return boxes[fits]


Detector = Callable[[np.ndarray], np.ndarray]


def landmarks(photo: str | Path | np.ndarray, boxes: Sequence | None = None, run: Trained | None = None,
              detector: Detector = find_faces, fast: bool = False, min_confidence: float = MIN_CONFIDENCE,
              second_look_shift: float = SECOND_LOOK_SHIFT) -> list[Face]:
    """The faces of a photo: in the order of `boxes` where they are given, else largest first.

    Parameters
    ----------
    photo : file, or uint8 (h, w, 3) RGB, or what else `datasets.images.read_photo` takes
    boxes : (k, 4) as (left, top, width, height) in pixels, or (k, 5) with rolls in degrees, or other `Face`s, if known; else
        the detector looks for them
    run : net (default: the one that comes with the project)
    detector : photo (h, w, 3) -> boxes (k, 4), or with rolls (k, 5 or 6); those that lie nowhere on the photo are left out
    fast : by default the smaller net that comes with the project, see data/weights/README.md
    min_confidence : of a detector's faces; others are rejected
    second_look_shift : as `landmarks_in_boxes` has it

    DatasetError when the file is not a picture. No face is no error: the list is empty. ValueError when a given box lies
    nowhere on the photo or is smaller than a pixel, boxes have another shape, an array is no photo, or the net does not read
    faces' crops; TypeError for what is no photo at all, such as None.
    """
    run = run or default_net(fast)
    return landmarks_of([read_photo(photo)], boxes, run, detector, min_confidence, second_look_shift)[0]


def landmarks_of(arrays: Sequence[np.ndarray], boxes: Sequence | None, run: Trained, detector: Detector = find_faces,
                 min_confidence: float = MIN_CONFIDENCE, second_look_shift: float = SECOND_LOOK_SHIFT) -> list[list[Face]]:
    """`landmarks` for several photos, uint8 (h, w, 3); the net reads their faces together."""
    check_reads_faces(run)
    if boxes is None:
        places = [_on_picture(_boxes_of(detector(array), "a detector's boxes"), array, strict=False) for array in arrays]
    else:
        given = _boxes_of(boxes, "boxes")
        places = [_on_picture(given, array, strict=True) for array in arrays]
    greys = [Image.fromarray(array).convert("L") for array in arrays]
    jobs = [(k, place) for k, some in enumerate(places) for place in some]
    found: list[list[Face]] = [[] for _ in arrays]
    for start in range(0, len(jobs), BATCH):
        owners, batch = zip(*jobs[start:start + BATCH])
        rows = np.stack(batch)
        faces = landmarks_in_boxes([greys[k] for k in owners], rows[:, :4], run, rows[:, 4],
                                   MIN_FIRST_CONFIDENCE if boxes is None else 0.0, second_look_shift,
                                   (rows[:, 2] < UNSURE_SIDE) & (rows[:, 5] >= UNSURE_LEAST))
        for k, face in zip(owners, faces):
            if boxes is not None:
                if not np.isfinite(face.landmarks).all():
                    raise ValueError(f"{run.recipe.title}: its landmarks are not finite")
                found[k].append(face)
            elif face.confidence >= min_confidence:
                found[k].append(_boxed_anew(face))
    return found if boxes is not None else [sorted(faces, key=lambda face: -np.prod(face.box[2:])) for faces in found]


def _boxed_anew(face: Face) -> Face:
    """The face with the box and the roll implied by its landmarks, which are more exact than a detector's."""
    if face.convention is None or face.convention.box is None or (np.ptp(face.landmarks, 0) <= 1).any():
        return face
    [box], [roll] = upright_boxes(face.landmarks[None], face.convention)
    return replace(face, box=box, roll=float(roll))


def face_heatmaps(photo: str | Path | np.ndarray, box: np.ndarray, run: Trained | None = None,
                  roll: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """What a heatmap net sees in a box (4,) of a photo: the crop, uint8 (1, s, s), and its maps (1, 68, h, w)."""
    array, run = read_photo(photo), run or default_net()
    crops = np.stack([run.recipe.crop.cut(Image.fromarray(array).convert("L"), np.asarray(box), roll=roll)])
    maps = run.heatmap_target.heatmaps(run.logits(torch.from_numpy(crops)[:, None]))
    return crops, maps.cpu().numpy()


def drawn(photo: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    """The photo, uint8 (h, w, 3), with boxes, landmarks and the lines that join them, at its own size; small ones larger."""
    return plotting.drawn_on(photo, [face.landmarks for face in faces], [face.box for face in faces],
                             [face.roll for face in faces], faces[0].convention if faces else None)


def draw(photo: str | Path | np.ndarray, faces: Sequence[Face]) -> "plotting.Figure":
    """A matplotlib Figure of the photo with boxes and landmarks, which is saved with as many pixels as the photo has."""
    return plotting.photo_figure(drawn(read_photo(photo), faces), "" if faces else "no face found")


def compared(photo: str | Path | np.ndarray, run: Trained, limit: float = 10.0) -> tuple["plotting.Figure", str]:
    """What a net says of the faces of a photo, and beside it, or below, what the shipped weights say in the same boxes.

    Returns the figure, and a judgement of each face in words: right where its landmarks lie at most `limit` percent of the
    inter-ocular distance from those of the shipped weights, in the mean. ValueError for a net of other landmarks.
    """
    array, shipped = read_photo(photo), landmarks(photo)
    if run.convention != default_net().convention:
        raise ValueError(f"a net of {run.convention.name!r} cannot be compared with the shipped weights")
    if not shipped:
        return plotting.photo_figure(array, "no face found"), "no face found"
    own = landmarks(photo, [[*face.box, face.roll] for face in shipped], run)
    theirs, ours = (np.array([face.landmarks for face in faces]) for faces in (shipped, own))
    apart = nme(ours, theirs, run.convention)
    together = np.hstack if array.shape[0] > 0.8 * array.shape[1] else np.vstack
    picture = together([drawn(array, own), drawn(array, shipped)])
    told = [f"{'right' if a <= limit else 'wrong'} ({a:.1f} %)" for a in apart]
    return plotting.photo_figure(picture, ""), ", ".join(told)
