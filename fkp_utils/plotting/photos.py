"""Photos with what was found in them."""

import numpy as np
from matplotlib.layout_engine import ConstrainedLayoutEngine

from .base import DPI, Figure
from .drawing import LONGEST
from .faces import show_face, superimpose


def photo_figure(photo: np.ndarray, title: str = "", alt: str = "") -> Figure:
    """A photo, uint8 (h, w, 3), as a figure of at most 7 inches, saved with its pixels or more, a side of at most `LONGEST`."""
    h, w = photo.shape[:2]
    width = min(7.0, max(4.0, 5.5 * w / h))
    height = width * h / w + (0.35 if title else 0)
    fig = Figure(figsize=(width, height), dpi=min(max(DPI, w / width), LONGEST / max(width, height)),
                 layout=ConstrainedLayoutEngine(w_pad=0, h_pad=0), label=alt)
    show_face(fig.subplots(), photo, title=title)
    return fig


def photo_with_points(photo: np.ndarray, points: np.ndarray | None, alt: str = "") -> Figure:
    """A photo, uint8 (h, w, 3), of 360 px on the screen, and points (n, 2) on it, or None."""
    fig = Figure(figsize=(360 / DPI, 360 / DPI * photo.shape[0] / photo.shape[1]), dpi=DPI, label=alt)
    show_face(fig.add_axes((0, 0, 1, 1)), photo, prediction=points)
    return fig


def teaser(photo: np.ndarray, crop: np.ndarray, heatmaps: np.ndarray, drawn: np.ndarray) -> Figure:
    """Three squares side by side: a photo (h, w, 3), the heatmaps (n, height, width) over a crop (s, s), and what was found."""
    fig = Figure(figsize=(10.8, 3.6), dpi=DPI, label="a photo, heatmaps over the face in it, and the landmarks found")
    for k, picture in enumerate((photo, crop, drawn)):
        ax = fig.add_axes((k / 3 + 0.003 * (k > 0), 0, 1 / 3 - 0.006 * (k < 2), 1))
        show_face(ax, picture)
        if k == 1:
            superimpose(ax, heatmaps, crop.shape[:2], 0.3)
        ax.set_aspect("auto")
    return fig
