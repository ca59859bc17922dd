"""One generated photo: a person, an expression, a pose, a light and a backdrop, with its landmarks."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from .fields import column, noise, refine
from .hair import ears, glasses, hair_shell
from .head import N_COLS, template
from .person import EXPRESSION_MODES, Person, sample_person
from .render import PIVOT, Camera, Light, normals, rotation, shade, shadow, shrink, splat
from .skin import neck_mask, paint_eyes_and_mouth, paint_skin

_MIDDLE = column(PIVOT + [0, -1.2, 0])


@dataclass(frozen=True)
class Shot:
    """What changes from picture to picture of one person. Angles in degrees."""

    yaw: float
    pitch: float
    roll: float
    expression: np.ndarray        # coefficients of EXPRESSION_MODES
    gaze: np.ndarray              # (2,)
    light: Light
    camera: Camera
    size: tuple[int, int]         # (height, width)


@lru_cache(maxsize=1)
def _painted(seed: int, female: bool, detail: int):
    """What stays the same over one person's pictures (painting costs as much as rendering)."""
    person = sample_person(seed, female)
    return paint_skin(person, detail), hair_shell(person), ears(person)


def face_shape(person: Person, expression: np.ndarray) -> np.ndarray:
    """The person's 68 landmarks in 3-D with an expression, float (68, 3), facing the camera."""
    model = template().model
    coefficients = person.shape.copy()
    coefficients[list(EXPRESSION_MODES)] += expression
    landmarks = model.mean + np.einsum("k,kpi->pi", coefficients, model.modes)
    # Lids and lips may touch but never cross.
    for upper, lower, gap in ((37, 41, .02), (38, 40, .02), (43, 47, .02), (44, 46, .02),
                              (61, 67, .004), (62, 66, .004), (63, 65, .004)):
        short = max(0.0, gap - (landmarks[lower, 1] - landmarks[upper, 1]))
        landmarks[lower, 1] += short / 2
        landmarks[upper, 1] -= short / 2
    return landmarks


def _march(sheet_xy: np.ndarray, paths: list[np.ndarray], seen_width: float) -> np.ndarray:
    """The jaw line's vertices (n,) as annotators see them: where the face hides one, at the visible outline.

    The outermost place in the picture along a path is the outline (landmark marching, Zhu et al., CVPR 2015).

    Parameters
    ----------
    sheet_xy : (2, N_ROWS * N_COLS) in pixels
    paths : n arrays of flat indices, each from a vertex towards the middle of the face (`Head.ibug_jaw_paths`)
    seen_width : of the face, in pixels
    """
    moved = []
    for path in paths:
        x = sheet_xy[0, path]
        best = int(np.argmin(x) if path[0] % N_COLS < N_COLS // 2 else np.argmax(x))
        moved.append(path[best if abs(x[best] - x[0]) > 0.004 * seen_width else 0])
    return np.array(moved)


def _pick(keep: np.ndarray, *planar: np.ndarray) -> list[np.ndarray]:
    """The vertices where keep (h, w) holds, from planar (3, h, w) arrays, as (3, n)."""
    index = np.flatnonzero(keep)
    return [np.ascontiguousarray(a).reshape(3, -1).take(index, 1) for a in planar]


def take(person: Person, shot: Shot, detail: int = 1, supersample: float = 1.4):
    """Render one picture; `detail` 1 paints finer than the geometry (for faces wider than 200 px).

    Returns
    -------
    colour : float32 (3, h, w), linear light
    coverage : float32 (h, w)
    landmarks68, landmarks58 : float32 (68, 2), (58, 2), pixels
    """
    head = template()
    landmarks = face_shape(person, shot.expression)
    drawn = head.vertices_of(landmarks)
    sheet = head.deform(drawn)
    (skin, gloss), (hair_p, hair_c, hair_keep), (ear_p, ear_c, ear_keep) = _painted(person.seed, person.female, detail)
    colour, gloss = skin.copy(), gloss.copy()
    paint_eyes_and_mouth(colour, gloss, refine(sheet) if detail else sheet, person, drawn, shot.gaze, detail)
    turn = rotation(shot.yaw, shot.pitch, shot.roll)
    torso = rotation(0.35 * shot.yaw, 0.15 * shot.pitch, 0.2 * shot.roll)
    pivot, scale = column(PIVOT), column(person.scale)

    def place(p, follow=None):
        p = (p - pivot) * scale
        posed = (turn @ p.reshape(3, -1)).reshape(p.shape)
        if follow is not None:
            posed += (1 - follow) * ((torso @ p.reshape(3, -1)).reshape(p.shape) - posed)
        return posed + pivot

    sheet = place(sheet, neck_mask())
    parts = [(place(hair_p), hair_c, hair_keep, 0.25), (place(ear_p), ear_c, ear_keep, 0.1)]
    if person.glasses:
        p, c, keep = glasses(person, drawn)
        parts.append((place(p), c, keep, 0.6))
    lit = shadow(sheet, [parts[0][0][:, hair_keep]], shot.light.direction)
    n = normals(sheet)
    painted = shade(colour, gloss, refine(n) if detail else n, refine(lit) if detail else lit, shot.light)
    # Where vertices would lie more than about two pixels apart, put new ones between them.
    resolution = shot.camera.scale * supersample
    sparse = resolution > 100
    shape, facing = sheet, n[2]
    if detail or sparse:
        shape, facing = refine(sheet), refine(facing)
        painted = painted if detail else refine(painted)
    top, bottom = np.rint(np.searchsorted(head.v, (0.30, 0.775)) * (shape.shape[1] / len(head.v))).astype(int)
    layers = [(*_pick(facing[rows] > -0.12, shape[:, rows], painted[:, rows]), width)
              for rows, width in ((slice(0, top), 3), (slice(top, bottom), 2), (slice(bottom, None), 4))]
    for p, c, keep, shine in parts:
        # Hair, ears and frames are seen from outside: turn their normals away from the head's middle.
        pn = normals(p)
        pn *= np.sign((pn * (p - _MIDDLE)).sum(0))
        shaded = shade(c, np.float32(shine), pn, np.float32(0.85), shot.light)
        if sparse:
            p, shaded, keep = refine(p), refine(shaded), refine(keep) > 0.6
        layers.append((*_pick(keep, p, shaded), 3))
    (h, w), (x, y) = shot.size, shot.camera.centre
    big = Camera(resolution, ((x + 0.5) * supersample - 0.5, (y + 0.5) * supersample - 0.5), shot.camera.distance)
    picture, known = splat(layers, big, (int(h * supersample), int(w * supersample)))
    picture, coverage = shrink(picture, known, shot.size)
    xy = shot.camera.project(sheet).reshape(2, -1)
    points68 = shot.camera.project(place(landmarks.T[:, :, None].astype(np.float32)))[..., 0].T
    points68[:17] = xy.T[_march(xy, head.ibug_jaw_paths, 2 * shot.camera.scale)]
    points58 = xy.T[np.r_[_march(xy, head.imm_jaw_paths, 2 * shot.camera.scale), head.imm_inner]]
    return picture, coverage, points68.astype(np.float32), points58.astype(np.float32)


def develop(picture: np.ndarray, rng: np.random.Generator, blur: float, grain: float) -> np.ndarray:
    """Linear light to an 8-bit sRGB photo with lens blur, sensor noise and a tone curve; (3, h, w) -> uint8 (h, w, 3)."""
    picture = np.clip([gaussian_filter(plane, blur) for plane in picture], 0, None)
    picture = picture * (1 + 0.35 * picture) / (1 + picture * 1.05)      # soft highlights
    photo = np.clip(picture, 0, 1) ** (1 / 2.2)
    h, w = photo.shape[1:]
    photo += grain * (0.6 * rng.standard_normal(photo.shape, np.float32) + 0.8 * noise(rng, (h, w), (h / 2, w / 2)))
    return (np.clip(photo, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
