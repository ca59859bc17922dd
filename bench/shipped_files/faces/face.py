"""One face as geometry: its points, its eyes, and how head and neck turn against the chest.

The frame is the head's own: the middle between the eyes is the origin, x to the person's left, -y to the front, z up; a unit is
10 cm.
"""

from dataclasses import dataclass, field
from functools import cache

import landmarks
import mesh
import numpy as np
import people
from scipy.spatial.transform import Rotation

CLOTHES = "helper-tights"


@cache
def part(*groups: str) -> mesh.Part:
    """A subdivided part of the mesh, made once."""
    return mesh.Part(groups)


@cache
def places() -> landmarks.Places:
    """Landmarks and places on the body, found once."""
    return landmarks.Places(part("body"))


def middle_of_eyes(vertices: np.ndarray) -> np.ndarray:
    """Where the head's frame has its origin, (3,), in that of the base mesh's vertices."""
    return np.mean([_ball(vertices, eye)[0] for eye in mesh.EYES], 0)


def _ball(vertices: np.ndarray, eye: str) -> tuple[np.ndarray, float]:
    points = vertices[mesh.vertices_of(eye)]
    return (points.min(0) + points.max(0)) / 2, float(np.ptp(points[:, 0]) / 2)


@dataclass
class Face:
    """A person with an expression.

    points, neutral : (n, 3) of the subdivided body, with and without the expression; normals (n, 3) of `points`
    others : points of the other parts, by group
    eyes : centre (3,) and radius of the eyeballs, person's left then right; gaze : (left, up) in radians
    size : heads of the base mesh
    """

    person: people.Person
    kind: str
    points: np.ndarray
    neutral: np.ndarray
    others: dict[tuple[str, ...], np.ndarray]
    eyes: list[tuple[np.ndarray, float]]
    gaze: np.ndarray
    size: float
    neck: np.ndarray = field(default_factory=lambda: np.zeros(3))     # where the head turns

    def __post_init__(self):
        self.normals = normals(self.points, part("body").faces)

    def smile(self) -> np.ndarray:
        """How far the corners of the mouth are drawn outwards and up, 0 to 1, for each point that of its side: (n,)."""
        corners, weights = (a[[54 - 17, 48 - 17]] for a in places().ibug)
        moved = mesh.at(self.points, corners, weights) - mesh.at(self.neutral, corners, weights)
        left, right = np.clip((moved[:, 2] + moved[:, 0] * [1, -1]) / (.30 * self.size), 0, 1)
        return np.where(self.neutral[:, 0] > 0, left, right)

    def front(self, xz: np.ndarray, lift: float = 0) -> np.ndarray:
        """Points (n, 3), `lift` off the skin, where the mean face has (x, z) seen from the front, in the mesh's coordinates."""
        return self.on(*places().surface.front(np.asarray(xz)), lift)

    def on(self, corners: np.ndarray, weights: np.ndarray, lift: float = 0) -> np.ndarray:
        """Points (n, 3) at places of the body's surface, lifted off it."""
        points = mesh.at(self.points, corners, weights)
        return points + lift * self.normal(corners, weights) if np.any(lift) else points

    def normal(self, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Unit normals (n, 3) at places of the body's surface."""
        n = mesh.at(self.normals, corners, weights)
        return n / np.linalg.norm(n, axis=-1, keepdims=True)


UPPER, LOWER = ((group,) for group in mesh.TEETH)
TONGUE = ("helper-tongue",)
OTHERS = (UPPER, LOWER, TONGUE, (CLOTHES,))


def make(person: people.Person, rng: np.random.Generator, kind: str | None = None) -> Face:
    """The person's face with an expression drawn from `rng` (or one of `people.expression`'s kinds)."""
    kind, actions, gaze = people.expression(rng, kind)
    neutral = people.shape(person)
    moved = people.act(neutral, actions, person)
    origin = middle_of_eyes(neutral)
    body = part("body")
    size = people.head_size(neutral)
    others = {groups: part(*groups).points(moved) - origin for groups in OTHERS}
    # MakeHuman's upper teeth end above the lips' edge; people's are seen a little below it.
    others[UPPER] = others[UPPER] + np.array([0, -.025, -.038]) * size
    others[LOWER] = others[LOWER] + np.array([0, -.01, -.012]) * size
    return Face(person, kind, body.points(moved) - origin, body.points(neutral) - origin,
                others,
                [(centre - origin, radius) for centre, radius in (_ball(moved, eye) for eye in mesh.EYES)],
                gaze, size,
                neutral[mesh.vertices_of("joint-neck")].mean(0) - origin)


def normals(points: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Unit normals (n, 3) of vertices, from the faces around them."""
    p = points[quads]
    flat = np.cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 1])
    total = np.zeros_like(points)
    np.add.at(total, quads.ravel(), np.repeat(flat, 4, 0))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class Pose:
    """How the head stands on the chest: degrees of yaw (to the person's left), pitch (up) and roll (to the person's left)."""

    yaw: float = 0
    pitch: float = 0
    roll: float = 0

    def apply(self, points: np.ndarray, face: Face) -> np.ndarray:
        """Points (..., 3) of the head's frame, turned with the head as far as they are above the neck."""
        flat = points.reshape(-1, 3)
        pivot = face.neck + np.array([0, -.1, .25]) * face.size
        share = np.clip((flat[:, 2] - face.neck[2]) / (.62 * face.size) + .12, 0, 1)
        share = share * share * (3 - 2 * share)
        turn = Rotation.from_euler("ZXY", [self.yaw, -self.pitch, self.roll], degrees=True).as_rotvec()
        return (Rotation.from_rotvec(share[:, None] * turn).apply(flat - pivot) + pivot).reshape(points.shape)
