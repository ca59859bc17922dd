"""Small image tools for painting: smooth noise, soft masks, refined grids.

Arrays of points and colours are planar, (3, h, w): NumPy is several times faster on them than on (h, w, 3).
"""

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import map_coordinates


def resize(field: np.ndarray, shape: tuple[int, int], method=Image.Resampling.BICUBIC) -> np.ndarray:
    """Resample a float (h, w) field to (h', w')."""
    return np.asarray(Image.fromarray(np.asarray(field, np.float32)).resize(shape[::-1], method))


def noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float]) -> np.ndarray:
    """Smooth noise of mean 0 and standard deviation about 1, float32 (h, w).

    `cells` is the number of independent values along each axis: (3, 200) gives vertical streaks.
    """
    whole = [int(min(max(2, c), s)) for c, s in zip(cells, shape)]
    return resize(rng.normal(size=whole), shape) * 1.3


def fractal(rng: np.random.Generator, shape: tuple[int, int], cells: float, octaves: int) -> np.ndarray:
    """Sum of noises, each twice as fine and half as strong; float32 (h, w)."""
    ratio = shape[0] / shape[1]
    return sum(noise(rng, shape, (cells * ratio * 2**k, cells * 2**k)) / 2**k for k in range(octaves))


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between (either order)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def refine(grid: np.ndarray) -> np.ndarray:
    """Insert midpoints along the last two axes: (..., h, w) -> (..., 2h-1, 2w-1), float32."""
    *lead, h, w = grid.shape
    out = np.empty((*lead, 2 * h - 1, 2 * w - 1), np.float32)
    out[..., ::2, ::2] = grid
    out[..., 1::2, ::2] = 0.5 * (grid[..., :-1, :] + grid[..., 1:, :])
    out[..., 1::2] = 0.5 * (out[..., :-1:2] + out[..., 2::2])
    return out


def column(triple: ArrayLike) -> np.ndarray:
    """(3,) as float32 (3, 1, 1), to broadcast against planar (3, h, w) arrays."""
    return np.asarray(triple, np.float32).reshape(3, 1, 1)


def spline(points: np.ndarray, closed: bool, steps: int = 12) -> np.ndarray:
    """Catmull-Rom curve through points: (n, 2) -> (m, 2)."""
    p = np.asarray(points, float)
    p = np.r_[p[-1:], p, p[:2]] if closed else np.r_[2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]]
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curve = [0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
             for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:])]
    return np.concatenate(curve if closed else [*curve, p[-2:-1]])


class Canvas:
    """Draws soft shapes in face units and samples them at given places.

    The drawing covers x, y in [-1.2, 1.2]; `sample` is bilinear.
    """

    SCALE, EXTENT = 420, 1.2

    def __init__(self):
        size = int(2 * self.EXTENT * self.SCALE)
        self.image = Image.new("L", (size, size))
        self.draw = ImageDraw.Draw(self.image)

    def _pixels(self, points):
        return [tuple(q) for q in (np.asarray(points) + self.EXTENT) * self.SCALE]

    def polygon(self, points: np.ndarray) -> "Canvas":
        """Fill a polygon (n, 2)."""
        self.draw.polygon(self._pixels(points), fill=255)
        return self

    def line(self, points: np.ndarray, width: float) -> "Canvas":
        """Draw a path (n, 2) of a width in face units."""
        self.draw.line(self._pixels(points), fill=255, width=max(1, int(width * self.SCALE)), joint="curve")
        return self

    def sample(self, x: np.ndarray, y: np.ndarray, blur: float) -> np.ndarray:
        """Values in [0, 1] at places x, y (h, w) after a blur given in face units; float32 (h, w)."""
        image = np.asarray(self.image.filter(ImageFilter.GaussianBlur(blur * self.SCALE)), np.float32) / 255
        places = [np.clip((c + self.EXTENT) * self.SCALE - 0.5, 0, len(image) - 1) for c in (y, x)]
        return map_coordinates(image, places, order=1)
