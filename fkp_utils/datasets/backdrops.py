"""Painted backdrops: what lies behind faces in scenes, and pictures of nobody."""

import numpy as np
from PIL import Image


def _resize(field: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resample a float (h, w) field to (h', w')."""
    return np.asarray(Image.fromarray(np.asarray(field, np.float32)).resize(shape[::-1], Image.Resampling.BICUBIC))


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Smooth noise, mean 0 and standard deviation about 1, float32 (h, w), from so many independent values along each axis."""
    return _resize(rng.normal(size=[min(cells, side) for side in shape]), shape) * 1.3


def clutter(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A random out-of-focus backdrop, linear (3, h, w): planes, boxes, discs and texture."""
    from scipy.ndimage import gaussian_filter

    h, w = size[0] // 2, size[1] // 2                       # out of focus, so half the size is enough
    saturation = rng.beta(1.2, 3)

    def colour():
        hue = rng.normal(0, 1, 3)
        return rng.uniform(0.04, 0.85) ** 2.2 * np.clip(1 + saturation * hue, 0.05, 2.5)

    picture = np.empty((3, h, w), np.float32)
    top, bottom = (np.asarray(colour(), np.float32).reshape(3, 1, 1) for _ in range(2))
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
    grain = sum(_noise(rng, (h, w), c) / k for k, c in enumerate((5, 16, 50, 120), 1))
    picture *= np.clip(1 + rng.uniform(.05, .3) * grain, 0.2, 2)
    blur = rng.uniform(0.2, 4) * w / 250
    return np.clip(np.stack([_resize(gaussian_filter(plane, blur), size) for plane in picture]), 0.001, 1.2)
