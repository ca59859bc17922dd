"""The square around a face that a net gets to see, and the way back to the picture."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import DatasetError


@dataclass(frozen=True)
class Crop:
    """How a face box becomes a square grayscale picture.

    The square has the box's longer side times `margin`; its centre is the box's, moved down by
    `shift` box heights (dlib's boxes sit high: the landmarks' centre lies 0.1 below theirs). Where
    it leaves the picture the border pixels are repeated. Pixel centres are integers, so a box
    (left, top, width, height) covers x from left - 0.5 to left + width - 0.5.

    Parameters
    ----------
    margin : how many times the box is widened
    shift : share of the box's height
    size : side of the result in pixels
    """

    margin: float = 1.4
    shift: float = 0.1
    size: int = 224

    def squares(self, boxes: np.ndarray) -> np.ndarray:
        """Corner and side (N, 3), float64 pixels, of the squares for boxes (N, 4)."""
        boxes = np.asarray(boxes, np.float64)
        side = self.margin * boxes[:, 2:].max(1)
        centre = boxes[:, :2] + boxes[:, 2:] / 2 + np.array([0, self.shift]) * boxes[:, 3:] - 0.5
        return np.c_[centre - side[:, None] / 2, side]

    def to_crop(self, points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Move points (N, n, 2) from the pictures' pixels to those of the crops of boxes (N, 4)."""
        square = self.squares(boxes)[:, None]
        return (points - square[..., :2]) * (self.size / square[..., 2:]) - 0.5

    def to_image(self, points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Move points (N, n, 2) from the crops' pixels back to the pictures'; undoes `to_crop`, float64."""
        square = self.squares(boxes)[:, None]
        return (np.asarray(points, np.float64) + 0.5) * (square[..., 2:] / self.size) + square[..., :2]

    def cut(self, picture: Image.Image, box: np.ndarray, name: str = "picture") -> np.ndarray:
        """Crop a grayscale picture to uint8 (size, size), resized with anti-aliasing.

        Raises DatasetError, with `name`, for a box so large that it belongs to another picture.
        """
        x, y, side = self.squares(np.asarray(box)[None])[0]
        if side > 10 * max(picture.size):
            raise DatasetError(f"{name}: a face box of {box[2]:g}x{box[3]:g} in a picture of {picture.width}x{picture.height}")
        left, top = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        right, bottom = int(np.ceil(x + 0.5 + side)), int(np.ceil(y + 0.5 + side))
        rows, columns = (np.arange(a, b).clip(0, end - 1) for a, b, end in
                         ((top, bottom, picture.height), (left, right, picture.width)))
        pixels = Image.fromarray(np.asarray(picture)[rows[:, None], columns])
        inside = (x + 0.5 - left, y + 0.5 - top, x + 0.5 - left + side, y + 0.5 - top + side)
        return np.asarray(pixels.resize((self.size, self.size), Image.Resampling.BILINEAR, box=inside))


def box_around(landmarks: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) as dlib's detector would draw them around 68 landmarks (N, 68, 2): medians on the iBUG training photos."""
    low, high = landmarks.min(1), landmarks.max(1)
    side = 1.057 * np.sqrt(np.prod(high - low, 1, keepdims=True))
    return np.c_[(low + high) / 2 - [0, 0.087] * side - side / 2, side, side]


def clip_boxes(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The part of boxes (N, 4) that lies on pictures of (width, height) (N, 2)."""
    low = boxes[:, :2].clip(0, sizes - 1)
    high = (boxes[:, :2] + boxes[:, 2:]).clip(1, sizes)
    return np.c_[low, high - low]
