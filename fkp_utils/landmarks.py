"""Landmark conventions: which index is what, which partner it has in the mirror image, how a face is drawn.

58 points: IMM Face Database (Stegmann et al., 2003), paths in file order.
68 points: Multi-PIE / iBUG 300-W (Sagonas et al., 2013).

Left and right are the image's: index 0 of both conventions lies at the image's left.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Convention:
    """What the landmarks of a dataset mean. A dataset carries one, and so do the weights trained on it.

    name : of the convention
    flip : flip[i] is the index, in the original, of the landmark that becomes number i in the mirror image
    eye_corners : the outer eye corners, image left then right, whose distance normalises errors; None where there are none
    regions : indices of each region of the face
    lines : polylines that draw a face: (indices, closed)
    box : how dlib's detector would draw the face's box around the landmarks: its side over the geometric mean of their
        width and height, and how many sides its centre lies above theirs; None where that is not known

    ValueError when `flip` is not its own inverse, or an index is none of a landmark.
    """

    name: str
    flip: tuple[int, ...]
    eye_corners: tuple[int, int] | None = None
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    lines: tuple[tuple[tuple[int, ...], bool], ...] = ()
    box: tuple[float, float] | None = None

    def __post_init__(self):
        n = len(self.flip)
        if sorted(self.flip) != list(range(n)) or any(self.flip[k] != i for i, k in enumerate(self.flip)):
            raise ValueError(f"convention {self.name!r}: flip must exchange pairs of its {n} landmarks")
        used = [*(self.eye_corners or ()), *(k for part in self.regions.values() for k in part),
                *(k for line, _ in self.lines for k in line)]
        if not all(0 <= k < n for k in used):
            raise ValueError(f"convention {self.name!r}: has landmarks 0 to {n - 1}, but speaks of {max(used, key=abs)}")

    @property
    def size(self) -> int:
        """Number of landmarks."""
        return len(self.flip)

    @property
    def names(self) -> list[str]:
        """What each landmark is called: its region and its place there, such as "jaw 9"; else its index."""
        names = [str(k) for k in range(self.size)]
        for region, indices in self.regions.items():
            for place, k in enumerate(indices, 1):
                names[k] = f"{region} {place}"
        return names

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Convention":
        """What `to_dict` made, also after JSON turned its tuples into lists. ValueError or TypeError for anything else."""
        def frozen(value):
            return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value
        regions = {str(region): frozen(indices) for region, indices in dict(values.get("regions", {})).items()}
        return cls(**{**{key: frozen(value) for key, value in values.items()}, "regions": regions})


def _run(first: int, last: int) -> tuple[int, ...]:
    step = 1 if last >= first else -1
    return tuple(range(first, last + step, step))


DLIB_BOX = (1.057, 0.087)       # medians on the iBUG training photos, see `Convention`
NOSE_TIP_58 = 52                # the middle of the lower edge of the nose (figure 1 of notebook 1 shows it)

NOSE = Convention("nose tip", flip=(0,))
IMM_58 = Convention(
    "IMM, 58 landmarks",
    flip=(*_run(12, 0), *_run(21, 28), *_run(13, 20), *_run(34, 38), *_run(29, 33), *_run(43, 39), *_run(46, 44),
          *_run(57, 47)),
    eye_corners=(21, 13),
    regions={"jaw": _run(0, 12), "eyes": _run(13, 28), "brows": _run(29, 38), "mouth": _run(39, 46), "nose": _run(47, 57)},
    lines=((_run(0, 12), False), (_run(13, 20), True), (_run(21, 28), True), (_run(29, 33), False), (_run(34, 38), False),
           (_run(39, 46), True), (_run(47, 57), False)))
IBUG_68 = Convention(
    "iBUG 300-W, 68 landmarks",
    flip=(*_run(16, 0), *_run(26, 17), *_run(27, 30), *_run(35, 31), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
          *_run(54, 48), *_run(59, 55), *_run(64, 60), *_run(67, 65)),
    eye_corners=(36, 45),
    regions={"jaw": _run(0, 16), "brows": _run(17, 26), "nose": _run(27, 35), "eyes": _run(36, 47), "mouth": _run(48, 67)},
    lines=((_run(0, 16), False), (_run(17, 21), False), (_run(22, 26), False), (_run(27, 30), False), (_run(31, 35), False),
           (_run(36, 41), True), (_run(42, 47), True), (_run(48, 59), True), (_run(60, 67), True)), box=DLIB_BOX)


def moved_aside(landmarks: Any, convention: Convention, offset: float) -> Any:
    """Landmarks (b, n, 2), array or tensor, moved to the face's image-right by a share of the inter-ocular distance.

    ValueError for a convention without eye corners, which no move at all does not need.
    """
    if not offset:
        return landmarks
    if convention.eye_corners is None:
        raise ValueError(f"convention {convention.name!r} has no eye corners, of whose distance {offset:g} is a share")
    left, right = (landmarks[:, k, None] for k in convention.eye_corners)
    return landmarks + offset * (right - left)


def mirrored(landmarks: np.ndarray, convention: Convention, width: int) -> np.ndarray:
    """Landmarks (N, n, 2) of a picture `width` pixels wide, as they are in its mirror image."""
    return landmarks[:, list(convention.flip)] * [-1, 1] + [width - 1, 0]


def box_centres(boxes: np.ndarray) -> np.ndarray:
    """Centres (N, 2) of boxes (N, 4), which cover x from left - 0.5 to left + width - 0.5: pixel centres are integers."""
    boxes = np.asarray(boxes, np.float64)
    return boxes[:, :2] + boxes[:, 2:4] / 2 - 0.5


def square_boxes(centres: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) with these centres (N, 2) and sides (N,); `box_centres` undone."""
    return np.concatenate([centres - sides[:, None] / 2 + 0.5, sides[:, None], sides[:, None]], 1)


def box_around(landmarks: np.ndarray, convention: Convention) -> np.ndarray:
    """Boxes (N, 4) as dlib's detector draws them around landmarks (N, n, 2); ValueError where `convention` has no `box`."""
    if convention.box is None:
        raise ValueError(f"convention {convention.name!r} does not say how a box lies around its landmarks")
    factor, up = convention.box
    low, high = landmarks.min(1), landmarks.max(1)
    sides = factor * np.sqrt(np.prod(high - low, 1))
    return square_boxes((low + high) / 2 - [0, up] * sides[:, None], sides)


def roll(landmarks: np.ndarray, convention: Convention) -> np.ndarray:
    """How far faces (N, n, 2) are turned in the picture's plane, (N,) degrees, clockwise on the screen: 0 for an upright face.

    The direction from left to right is the sum over all pairs of landmarks that the mirror image exchanges, so that a face
    that looks aside is not taken for a turned one. ValueError for a convention without eye corners, which say what is left.
    """
    if convention.eye_corners is None:
        raise ValueError(f"convention {convention.name!r} does not say which landmarks are the eye corners")
    left, right = convention.eye_corners
    flip = np.array(convention.flip)
    pairs = landmarks[:, flip] - landmarks                            # each pair twice, in both directions
    ahead = (pairs * (landmarks[:, right] - landmarks[:, left])[:, None]).sum(-1, keepdims=True) > 0
    across = (pairs * ahead).sum(1)
    return np.rad2deg(np.arctan2(across[:, 1], across[:, 0]))


def rotation(degrees: np.ndarray | float) -> np.ndarray:
    """Matrices (..., 2, 2) that turn (x, y) by `degrees` (...), clockwise on the screen."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.stack([cos, -sin, sin, cos], -1).reshape(*np.shape(degrees), 2, 2)


def turned(points: np.ndarray, degrees: np.ndarray, centres: np.ndarray | float = 0.0) -> np.ndarray:
    """Points (N, n, 2) turned by `degrees` (N,), clockwise on the screen, about the origin or about `centres` (N, 1, 2)."""
    return (points - centres) @ rotation(degrees).swapaxes(1, 2) + centres


def box_corners(boxes: np.ndarray, rolls: np.ndarray) -> np.ndarray:
    """Corners (N, 4, 2) of boxes (N, 4) turned by `rolls` (N,) degrees about their centres, clockwise from the upper left."""
    return turned(boxes[:, None, 2:] / 2 * [[-1, -1], [1, -1], [1, 1], [-1, 1]], rolls) + box_centres(boxes)[:, None]


def upright_boxes(landmarks: np.ndarray, convention: Convention) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) around faces (N, n, 2) as if they stood upright, and the rolls (N,) to turn them by about their centres.

    An upright face gets what `box_around` says.
    """
    rolls = roll(landmarks, convention)
    boxes = box_around(turned(landmarks, -rolls), convention)
    return square_boxes(turned(box_centres(boxes)[:, None], rolls)[:, 0], boxes[:, 2]), rolls
