"""The square around a face that a net gets to see, and the way back to the picture."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import DatasetError
from ..landmarks import box_centres, rotation, turned


@dataclass(frozen=True)
class Crop:
    """How a face box becomes a square grayscale picture.

    The square has the box's longer side times `margin`; its centre is the box's, moved down by `shift` box heights (dlib's
    boxes sit high: the landmarks' centre lies 0.1 below theirs). Where it leaves the picture the border pixels are repeated.
    Pixel centres are integers, so a box (left, top, width, height) covers x from left - 0.5 to left + width - 0.5. With a roll,
    in degrees and clockwise on the screen, box and square are turned about the box's centre: the face in the crop is upright.

    margin : how many times the box is widened; shift : share of the box's height; size : side of the result in pixels
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

    def to_crop(self, points: np.ndarray, boxes: np.ndarray, rolls: np.ndarray | None = None) -> np.ndarray:
        """Move points (N, n, 2) from the pictures' pixels to those of the crops of boxes (N, 4), turned by `rolls` (N,)."""
        if rolls is not None:
            points = turned(points, -np.asarray(rolls), box_centres(boxes)[:, None])
        square = self.squares(boxes)[:, None]
        return (points - square[..., :2]) * (self.size / square[..., 2:]) - 0.5

    def to_image(self, points: np.ndarray, boxes: np.ndarray, rolls: np.ndarray | None = None) -> np.ndarray:
        """Move points (N, n, 2) from the crops' pixels back to the pictures'; undoes `to_crop`, float64."""
        square = self.squares(boxes)[:, None]
        points = (np.asarray(points, np.float64) + 0.5) * (square[..., 2:] / self.size) + square[..., :2]
        return points if rolls is None else turned(points, np.asarray(rolls), box_centres(boxes)[:, None])

    def cut(self, picture: Image.Image, box: np.ndarray, name: str = "picture", roll: float = 0.0) -> np.ndarray:
        """Crop a grayscale picture to uint8 (size, size), resized with anti-aliasing.

        Raises DatasetError, with `name`, for a box so large that it belongs to another picture.
        """
        x, y, side = self.squares(np.asarray(box)[None])[0]
        if side > 10 * max(picture.size):
            raise DatasetError(f"{name}: a face box of {box[2]:g}x{box[3]:g} in a picture of {picture.width}x{picture.height}")
        if not roll:
            return self._resample(picture, x, y, side / self.size, self.size)
        # First an upright square that holds the turned one, in the crop's resolution; then that is turned.
        scale, turn = side / self.size, rotation(roll)
        n = int(np.ceil(self.size * np.abs(turn[0]).sum())) + 4
        centre = self.to_image(np.full((1, 1, 2), (self.size - 1) / 2), np.asarray(box)[None], np.array([roll]))[0, 0]
        x, y = centre - n * scale / 2
        wide = Image.fromarray(self._resample(picture, x, y, scale, n))
        to_wide = np.c_[turn, n / 2 - self.size / 2 * turn.sum(1)].ravel().tolist()
        return np.asarray(wide.transform((self.size,) * 2, Image.Transform.AFFINE, to_wide, Image.Resampling.BICUBIC))

    @staticmethod
    def _resample(picture: Image.Image, x: float, y: float, scale: float, size: int) -> np.ndarray:
        """The square whose corner's pixel edge is at (x, y) + 0.5, `size` pixels of `scale` wide: uint8 (size, size)."""
        (first, last, columns, left, right), (top, bottom, rows, upper, lower) = (
            _visible(start + 0.5, scale, length, size) for start, length in ((x, picture.width), (y, picture.height)))
        inside = np.asarray(picture.crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)))
        pixels = Image.fromarray(inside[rows[:, None] - rows[0], columns - columns[0]])
        seen = pixels.resize((last - first, bottom - top), Image.Resampling.BILINEAR, box=(left, upper, right, lower))
        return np.pad(np.asarray(seen), ((top, size - bottom), (first, size - last)), "edge")


def _visible(start: float, scale: float, length: int, size: int) -> tuple[int, int, np.ndarray, float, float]:
    """First and last + 1 of a crop's `size` rows or columns that see more than repeated border, and one at least.

    With the picture's pixels that they need, and where among these they begin and end. A bilinear filter reaches one of the
    crop's pixels to both sides.
    """
    first = min(max(int(np.floor(-start / scale)) - 2, 0), size - 1)
    last = max(min(int(np.ceil((length - start) / scale)) + 2, size), first + 1)
    low, high, reach = start + first * scale, start + last * scale, int(np.ceil(max(scale, 1))) + 1
    places = np.arange(int(np.floor(low)) - reach, int(np.ceil(high)) + reach)
    return first, last, places.clip(0, length - 1), low - places[0], high - places[0]


def clip_boxes(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The part of boxes (N, 4) that lies on pictures of (width, height) (N, 2)."""
    low, high = boxes[:, :2].clip(0, sizes - 1), (boxes[:, :2] + boxes[:, 2:]).clip(1, sizes)
    return np.c_[low, high - low]
