"""Reading pictures: one function that turns any fault of a file into one DatasetError."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import DatasetError

Image.MAX_IMAGE_PIXELS = 120_000_000          # refuse decompression bombs above about 11000 x 11000


def read_gray(path: Path, expected: tuple[int, int] | None = None) -> Image.Image:
    """Decode a picture as 8-bit grayscale.

    Parameters
    ----------
    path : file to read
    expected : (width, height) in pixels that the picture must have, if known

    Raises
    ------
    DatasetError
        If the file is missing, is no picture, is truncated, is too large, or has another size.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if expected and image.size != tuple(expected):
                    raise DatasetError(f"{path}: is {image.size[0]}x{image.size[1]} pixels, "
                                       f"expected {expected[0]}x{expected[1]}")
                return image.convert("L")
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such picture") from None
    except UnidentifiedImageError:
        raise DatasetError(f"{path}: not a picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DatasetError(f"{path}: more pixels than a photo has") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: damaged picture ({error})") from None


def resize_antialiased(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Resize a grayscale picture to (height, width) with anti-aliasing; uint8 (h, w)."""
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def scale_points(points: np.ndarray, old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Move points (..., 2) along when a picture of (height, width) `old` is resized to `new`.

    Pixel centres are integers, so the corner of a picture lies at -0.5.
    """
    factor = np.array([new[1] / old[1], new[0] / old[0]], points.dtype)
    half = np.array(0.5, points.dtype)
    return (points + half) * factor - half
