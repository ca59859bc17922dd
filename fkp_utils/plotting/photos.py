"""Photos with what was found in them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image, ImageDraw, ImageOps

from ..landmarks import Convention, box_corners
from ..palette import BOX, LINE, PREDICTION
from .base import DPI, LONGEST, Figure
from .faces import show_face, superimpose


def drawn_on(photo: np.ndarray, landmarks: Sequence[np.ndarray], boxes: Sequence[np.ndarray], rolls: Sequence[float],
             convention: Convention | None = None) -> np.ndarray:
    """A photo with the faces found in it drawn on: uint8 (h, w, 3), or a multiple of it where the photo is smaller than 480 px.

    Points, the convention's lines and the boxes are as wide as each face's size asks for. Everything is drawn at four times
    the resolution for small faces and then shrunk, so that edges are smooth.

    photo : uint8 (h, w, 3); landmarks : k times (n, 2) in its pixels; boxes : k times (4,); rolls : k, degrees
    """
    larger = max(1, min(4, round(480 / max(photo.shape[:2]))))
    picture = ImageOps.scale(Image.fromarray(photo), larger)
    for points, box, roll in zip(landmarks, boxes, rolls):
        [corners] = box_corners(np.asarray(box)[None], np.array([roll]))
        shapes = np.concatenate([points, corners])
        size = larger * max(np.sqrt(np.prod(np.ptp(points, 0))), 0.3 * np.sqrt(np.prod(box[2:])), 1)
        fine = 4 if size < 400 else 2 if size < 1000 else 1
        stroke = max(1.0, size / 130)
        low = np.maximum(np.floor(larger * shapes.min(0) - 4 * stroke), 0).astype(int)
        high = np.minimum(np.ceil(larger * shapes.max(0) + 4 * stroke), picture.size).astype(int)
        if (high <= low).any():
            continue
        part = picture.crop((*low, *high))
        sheet = ImageOps.scale(part, fine)
        pen = ImageDraw.Draw(sheet)

        def place(xy, low=low, fine=fine):
            return [tuple(p) for p in (((xy + 0.5) * larger - low) * fine - 0.5).tolist()]

        wide = max(1, round(stroke * fine))
        pen.line([*place(corners), *place(corners[:1])], fill=BOX, width=wide, joint="curve")
        for index, closed in convention.lines if convention else ():
            path = place(points[[*index, index[0]] if closed else list(index)])
            pen.line(path, fill=LINE, width=wide, joint="curve")
        for x, y in place(points):
            pen.circle((x, y), 1.1 * stroke * fine, fill=PREDICTION)
        picture.paste(sheet.resize(part.size, Image.Resampling.BOX), tuple(low.tolist()))
    return np.asarray(picture)


def photo_figure(photo: np.ndarray, title: str = "") -> Figure:
    """A photo, uint8 (h, w, 3), as a figure of at most 7 inches, saved with its pixels or more, a side of at most `LONGEST`."""
    h, w = photo.shape[:2]
    width = min(7.0, max(4.0, 5.5 * w / h))
    height = width * h / w + (0.35 if title else 0)
    fig = Figure(figsize=(width, height), dpi=min(max(DPI, w / width), LONGEST / max(width, height)),
                 layout=ConstrainedLayoutEngine(w_pad=0, h_pad=0))
    show_face(fig.subplots(), photo, title=title)
    return fig


def photo_with_points(photo: np.ndarray, points: np.ndarray | None) -> Figure:
    """A photo, uint8 (h, w, 3), of 360 px on the screen, and points (n, 2) on it, or None."""
    fig = Figure(figsize=(360 / DPI, 360 / DPI * photo.shape[0] / photo.shape[1]), dpi=DPI)
    show_face(fig.add_axes((0, 0, 1, 1)), photo, prediction=points)
    return fig


def teaser(photo: np.ndarray, crop: np.ndarray, heatmaps: np.ndarray, drawn: np.ndarray) -> Figure:
    """Three squares side by side: a photo (h, w, 3), the heatmaps (n, height, width) over a crop (s, s), and what was found."""
    fig = Figure(figsize=(10.8, 3.6), dpi=DPI)
    for k, picture in enumerate((photo, crop, drawn)):
        ax = fig.add_axes((k / 3 + 0.003 * (k > 0), 0, 1 / 3 - 0.006 * (k < 2), 1))
        show_face(ax, picture)
        if k == 1:
            superimpose(ax, heatmaps, crop.shape[:2], 0.3)
        ax.set_aspect("auto")
    return fig
