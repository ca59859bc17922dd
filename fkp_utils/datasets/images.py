"""Reading pictures: one function that turns any fault of a file into one DatasetError."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from ..errors import DatasetError

MAX_PIXELS = 50_000_000                       # a decoded photo takes up to five times as many bytes, several times over
# Set once, since catch_warnings is not thread-safe. Damaged metadata does not make a picture unreadable, and our limit is
# stricter than the one that Pillow warns of.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, module=r"PIL\.")
# What cameras, phones and scanners write; Pillow knows more, among them PostScript, which is a program.
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "TIFF", "PPM")
register_heif_opener()                        # HEIF, which phones write, is a format that Pillow leaves to others


@contextmanager
def _opened(path: str | Path | BinaryIO) -> Iterator[Image.Image]:
    """A picture, open for decoding; any fault inside the block becomes a DatasetError with the file's name."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DatasetError(f"{path}: more pixels than a photo has ({image.width}x{image.height})")
            yield image
    except DatasetError:
        raise
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such picture") from None
    except UnidentifiedImageError:
        raise DatasetError(f"{path}: not a picture that can be read ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise DatasetError(f"{path}: more pixels than a photo has") from None
    except Exception as error:                         # damaged files make Pillow raise nearly anything, TypeError for one
        raise DatasetError(f"{path}: damaged picture ({error})") from None


def read_gray(path: str | Path, expected: tuple[int, int] | None = None) -> Image.Image:
    """Decode a dataset's picture as 8-bit grayscale.

    Parameters
    ----------
    path : file to read
    expected : (width, height) in pixels that the picture must have, if known

    Raises
    ------
    DatasetError
        If the file is missing, is no picture, is truncated, is too large, or has another size.
    """
    with _opened(path) as image:
        if expected and image.size != tuple(expected):
            raise DatasetError(f"{path}: is {image.size[0]}x{image.size[1]} pixels, expected {expected[0]}x{expected[1]}")
        return image.convert("L")


def read_photo(path: str | Path | BinaryIO) -> np.ndarray:
    """Decode anyone's photo as it should be seen: uint8 RGB (h, w, 3).

    Turned upright by its EXIF orientation; transparent parts are white; grey, palette, CMYK and 16-bit
    pictures are converted; of an animation the first frame is taken. Raises DatasetError as `read_gray`.
    """
    with _opened(path) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(("I", "F")):                     # 16 or 32 bits a pixel
            values = np.asarray(image, np.float32)
            white = 65535 if image.mode.startswith("I") else max(1.0, float(np.nan_to_num(values).max()))
            image = Image.fromarray((np.nan_to_num(values) * (255 / white)).clip(0, 255).astype(np.uint8))
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))


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
