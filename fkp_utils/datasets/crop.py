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
        scale = side / self.size
        (first, last), (top, bottom) = (self._visible(start + 0.5, scale, length) for start, length in
                                        ((x, picture.width), (y, picture.height)))
        left, upper = x + 0.5 + first * scale, y + 0.5 + top * scale
        right, lower = x + 0.5 + last * scale, y + 0.5 + bottom * scale
        reach = int(np.ceil(max(scale, 1))) + 1                  # of the filter, in pixels of the picture
        columns = np.arange(int(np.floor(left)) - reach, int(np.ceil(right)) + reach)
        rows = np.arange(int(np.floor(upper)) - reach, int(np.ceil(lower)) + reach)
        pixels = np.asarray(picture)[rows.clip(0, picture.height - 1)[:, None], columns.clip(0, picture.width - 1)]
        inside = (left - columns[0], upper - rows[0], right - columns[0], lower - rows[0])
        seen = Image.fromarray(pixels).resize((last - first, bottom - top), Image.Resampling.BILINEAR, box=inside)
        return np.pad(np.asarray(seen), ((top, self.size - bottom), (first, self.size - last)), "edge")

    def _visible(self, start: float, scale: float, length: int) -> tuple[int, int]:
        """First and last + 1 of the crop's rows or columns that see more than repeated border, and one at least.

        A bilinear filter reaches one of the crop's pixels to both sides.
        """
        first = int(np.floor(-start / scale)) - 2
        last = int(np.ceil((length - start) / scale)) + 2
        first = min(max(first, 0), self.size - 1)
        return first, max(min(last, self.size), first + 1)


def clip_boxes(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The part of boxes (N, 4) that lies on pictures of (width, height) (N, 2)."""
    low = boxes[:, :2].clip(0, sizes - 1)
    high = (boxes[:, :2] + boxes[:, 2:]).clip(1, sizes)
    return np.c_[low, high - low]
