"""From sheets of coloured vertices to a picture: pose, light, depth buffer, backdrop."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import correlate1d, gaussian_filter

from .fields import column, noise, resize

PIVOT = np.array([0.0, 0.75, -0.85], np.float32)     # the head turns about the top of the neck


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation (3, 3) from degrees; positive yaw looks to the image's right, positive pitch down."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


@dataclass(frozen=True)
class Camera:
    """Weak perspective: `scale` pixels a unit at the depth of the face, `distance` units away."""

    scale: float
    centre: tuple[float, float]
    distance: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (3, ...) to pixels (2, ...); pixel centres are integers."""
        f = np.float32(self.scale * self.distance) / (np.float32(self.distance) - points[2])
        return np.stack([points[k] * f + np.float32(self.centre[k]) for k in (0, 1)])


@dataclass(frozen=True)
class Light:
    """A key light over a soft surround; colours are linear light (3,)."""

    direction: np.ndarray
    key: np.ndarray
    sky: np.ndarray
    ground: np.ndarray


def normals(sheet: np.ndarray) -> np.ndarray:
    """Unit normals that face outwards, (3, h, w) -> (3, h, w)."""
    du, dv = (correlate1d(sheet, [-1, 0, 1], axis, mode="nearest") for axis in (2, 1))      # differences of neighbours
    n = np.stack([du[i] * dv[j] - du[j] * dv[i] for i, j in ((1, 2), (2, 0), (0, 1))])
    n /= np.sqrt(n[0] ** 2 + n[1] ** 2 + n[2] ** 2) + 1e-9
    return n


def _back_to_front(depth: np.ndarray) -> np.ndarray:
    """Order of vertices from far to near; 16-bit keys make this a radix sort."""
    return np.argsort((depth * 6000).clip(-32000, 32000).astype(np.int16), kind="stable")


def shadow(sheet: np.ndarray, casters: list[np.ndarray], direction: np.ndarray, cells: int = 150) -> np.ndarray:
    """Share of the key light that reaches each vertex, (3, h, w) -> (h, w) in [0, 1], by a shadow map."""
    side = np.cross(direction, [0, 1, 0.01])
    side /= np.linalg.norm(side)
    frame = np.stack([side, np.cross(direction, side), direction]).astype(np.float32)
    own = frame @ sheet.reshape(3, -1)
    everything = np.concatenate([own, *[frame @ c for c in casters]], 1)
    i, j = (np.clip((everything[k] + 2.2) * (cells / 4.4), 0, cells - 1).astype(np.int32) for k in (0, 1))
    cell = i * cells + j
    nearest = np.full(cells * cells, -9, np.float32)
    order = _back_to_front(everything[2])
    nearest[cell[order]] = everything[2, order]
    behind = nearest[cell[: own.shape[1]]] - own[2]
    lit = 1 - np.clip((behind - 0.06) / 0.08, 0, 1)
    return gaussian_filter(lit.reshape(sheet.shape[1:]), 2.0)


def shade(colour, gloss, n, lit, light: Light) -> np.ndarray:
    """Lambert, light scattered in skin, and a soft highlight: (3, h, w), (h, w), (3, h, w), (h, w) -> (3, h, w)."""
    d = light.direction.astype(np.float32)
    facing = n[0] * d[0] + n[1] * d[1] + n[2] * d[2]
    diffuse = np.clip((facing + 0.22) / 1.22, 0, 1) * lit
    # Light that has travelled through skin is red: it shows where the key light fades.
    terminator = 0.10 * np.exp(-(((facing - 0.02) / 0.18) ** 2)) * lit
    up = 0.5 - 0.5 * n[1]
    front = 0.55 + 0.45 * np.clip(n[2], 0, 1)
    half = d + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    shine = np.clip(n[0] * half[0] + n[1] * half[1] + n[2] * half[2], 0, 1) ** 8
    shine = 0.20 * (0.9 * shine**4 + 0.25 * shine) * gloss * lit
    out = np.empty_like(colour)
    for k, scatter in enumerate((1.0, 0.25, 0.15)):
        around = (light.ground[k] + (light.sky[k] - light.ground[k]) * up) * front
        out[k] = colour[k] * (around + (diffuse + scatter * terminator) * light.key[k]) + shine * light.key[k]
    return out


def splat(layers, camera: Camera, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw each vertex as a small square, nearest on top.

    Squares are as wide as the layer's vertices lie apart, so that surfaces close.

    Parameters
    ----------
    layers : list of (points (3, n), colour (3, n), width of the squares in pixels)
    size : (height, width) of the picture in pixels

    Returns
    -------
    colour (3, h, w) and coverage (h, w), linear, coverage 0 or 1 before down-sampling.
    """
    h, w = size
    nearest = np.full(h * w, -99, np.float32)
    winner = np.zeros(h * w, np.int64)
    first = 0
    for points, _, width in layers:
        x, y = np.rint(camera.project(points) - np.float32(width / 2 - 0.5)).astype(np.int32)
        inside = np.flatnonzero((x >= 0) & (x < w - width) & (y >= 0) & (y < h - width))
        inside = inside[_back_to_front(points[2, inside])]
        depth, cell = points[2, inside], y[inside] * w + x[inside]
        layer = np.full(h * w, -1, np.int64)
        layer[cell] = np.arange(len(cell))                    # the last, nearest, vertex stays
        owner = layer[layer >= 0]
        place = np.flatnonzero(layer >= 0)
        depth, index = depth[owner], inside[owner] + first
        for dy in range(width):
            for dx in range(width):
                at = place + dy * w + dx
                closer = depth > nearest[at]
                nearest[at[closer]] = depth[closer]
                winner[at[closer]] = index[closer]
        first += points.shape[1]
    known = nearest > -99
    colour = np.concatenate([c for _, c, _ in layers], 1)
    picture = colour.take(winner, 1).reshape(3, h, w)
    return picture, known.astype(np.float32).reshape(h, w)


def shrink(picture: np.ndarray, coverage: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Area-average a supersampled picture to `size` (h, w), colours weighted by coverage."""
    def area(field):
        return resize(field, size, Image.Resampling.BOX)
    alpha = area(coverage)
    return np.stack([area(plane * coverage) for plane in picture]) / np.maximum(alpha, 1e-4), alpha


def clutter(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A random out-of-focus backdrop, linear (3, h, w): planes, boxes, discs and texture."""
    h, w = size[0] // 2, size[1] // 2                       # out of focus, so half the size is enough
    saturation = rng.beta(1.2, 3)

    def colour():
        hue = rng.normal(0, 1, 3)
        return rng.uniform(0.04, 0.85) ** 2.2 * np.clip(1 + saturation * hue, 0.05, 2.5)

    picture = np.empty((3, h, w), np.float32)
    top, bottom = column(colour()), column(colour())
    picture[:] = top + (bottom - top) * np.linspace(0, 1, h, dtype=np.float32)[:, None]
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    for _ in range(rng.integers(3, 24)):
        cx, cy = rng.uniform(-.1, 1.1, 2) * (w, h)
        a, b = rng.lognormal(-2.0, .9, 2) * w
        turn = rng.normal(0, .25)
        u = ((xx - cx) * np.cos(turn) + (yy - cy) * np.sin(turn)) / a
        v = (-(xx - cx) * np.sin(turn) + (yy - cy) * np.cos(turn)) / b
        inside = u * u + v * v < 1 if rng.random() < .4 else (np.abs(u) < 1) & (np.abs(v) < 1)
        picture[:, inside] += rng.uniform(.4, 1) * (colour()[:, None] - picture[:, inside])
    grain = sum(noise(rng, (h, w), (c, c)) / k for k, c in enumerate((5, 16, 50, 120), 1))
    picture *= np.clip(1 + rng.uniform(.05, .3) * grain, 0.2, 2)
    blur = rng.uniform(0.2, 4) * w / 250
    return np.clip(np.stack([resize(gaussian_filter(plane, blur), size) for plane in picture]), 0.001, 1.2)
