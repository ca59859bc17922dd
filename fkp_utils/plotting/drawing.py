"""Faces drawn on photos, with Pillow alone: loads in a moment, without matplotlib."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from ..landmarks import Convention, box_corners
from ..palette import BOX, LINE, PREDICTION

LONGEST = 65_500                     # pixels of a JPEG's sides; matplotlib draws a few more


def drawn_on(photo: np.ndarray, landmarks: Sequence[np.ndarray], boxes: Sequence[np.ndarray], rolls: Sequence[float],
             convention: Convention | None = None, bold: float = 1.0) -> np.ndarray:
    """A photo with the faces found in it drawn on: uint8 (h, w, 3), or a multiple of it where the photo is smaller than 480 px.

    Points, the convention's lines and the boxes are as wide as each face's size asks for. Everything is drawn at four times
    the resolution for small faces and then shrunk, so that edges are smooth.

    photo : uint8 (h, w, 3); landmarks : k times (n, 2) in its pixels; boxes : k times (4,); rolls : k, degrees; bold : times
    as wide as usual, to be shown small
    """
    larger = max(1, min(4, round(480 / max(photo.shape[:2]))))
    picture = ImageOps.scale(Image.fromarray(photo), larger)
    for points, box, roll in zip(landmarks, boxes, rolls):
        [corners] = box_corners(np.asarray(box)[None], np.array([roll]))
        shapes = np.concatenate([points, corners])
        size = larger * max(np.sqrt(np.prod(np.ptp(points, 0))), 0.3 * np.sqrt(np.prod(box[2:])), 1)
        fine = 4 if size < 400 else 2 if size < 1000 else 1
        stroke = max(1.0, bold * size / 130)
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
