"""Reading pictures: whatever holds a photo becomes its pixels, and any fault of a file one DatasetError."""

import io
import os
import re
import warnings
import zlib
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import DecompressionBombError as TooLarge
from pillow_heif import register_heif_opener

from ..errors import DatasetError

MAX_PIXELS = 120_000_000                      # phones have 108 megapixels
OVER = 0.1                                    # by which fractions leave their range when they are rounded, or pictures resized
# Set once, since catch_warnings is not thread-safe. Damaged metadata does not make a picture unreadable, and our limit is
# stricter than the one at which Pillow fails.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, module=r"PIL\.")
# What cameras, phones and scanners write; Pillow knows more, among them PostScript, which is a program.
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "TIFF", "PPM")
register_heif_opener()                        # HEIF, which phones write, is a format that Pillow leaves to others
UPRIGHT = dict(enumerate(map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2)), 2))         # by EXIF orientation


def _read(source: Any, pixels: Callable[[Image.Image], Any]) -> Any:
    """What `pixels` makes of a file, its bytes or a PIL image; where it fails, of the same file without its metadata."""
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    name = str(path or getattr(source, "name", None) or getattr(source, "filename", None) or "the picture given")
    try:
        if isinstance(source, Image.Image):
            return pixels(source)
        if path and path.exists() and not path.is_file():
            raise DatasetError("a folder or a device, not a picture")
        with path.open("rb") if path else nullcontext(source if hasattr(source, "read") else io.BytesIO(source)) as file:
            try:
                with Image.open(file, formats=FORMATS) as image:
                    return pixels(image)
            except Exception:
                with suppress(Exception):
                    file.seek(0)
                    tries = (pixels(Image.open(io.BytesIO(one), formats=FORMATS)) for one in _mended(file.read(1 << 28)))
                    first = next(tries)
                    if all(np.array_equal(first, other) for other in tries):
                        return first
                raise
    except Exception as error:                         # damaged files make Pillow raise nearly anything, TypeError for one
        fault = (str(error) if isinstance(error, DatasetError) else "no such picture" if isinstance(error, FileNotFoundError)
                 else f"no pixels, or over {MAX_PIXELS / 1e6:g} megapixels: make it smaller" if isinstance(error, TooLarge)
                 else f"not a picture that can be read, or half of one ({', '.join(FORMATS)})"
                 if isinstance(error, UnidentifiedImageError)
                 else f"cannot be read ({error.strerror})" if isinstance(error, OSError) and error.strerror
                 else f"damaged picture ({' '.join(str(error).split())[:200]})")
        raise DatasetError(f"{name}: {fault}".encode(errors="backslashreplace").decode()) from None


def _mended(content: bytes) -> list[bytes]:
    """A PNG, AVIF or JPEG with less metadata, a WebP's whole chunks; a JPEG with an end, after bytes that change no pixels."""
    if content.startswith(b"\x89PNG"):
        kept, at = bytearray(content[:8]), 8
        while at < len(content):
            end = at + 12 + int.from_bytes(content[at:at + 4])
            kind, sound = content[at + 4:at + 8], zlib.crc32(content[at + 4:end - 4]) == int.from_bytes(content[end - 4:end])
            if kind[:1].isupper() or (sound and kind in (b"tRNS", b"eXIf")):
                kept += content[at:end]
            at = end
        return [bytes(kept)]
    if content[8:12] == b"WEBP":
        at = 12
        while (end := at + 8 + int.from_bytes(content[at + 4:at + 8], "little")) <= len(content):
            at = end + end % 2
        return [b"RIFF" + (at - 8).to_bytes(4, "little") + content[8:at].ljust(at - 8, b"\0")]
    if not content.startswith(b"\xff\xd8"):
        return [content.replace(b"Exif", b"free")]                 # what an AVIF calls it
    content = re.sub(rb"(?<=\xff[\xe0\xe2]..)(JFI|ICC|MPF)", b"???", content, flags=re.DOTALL)
    [components] = re.findall(rb"\xff[\xc0-\xc2]\0.\x08....(.)", content, re.DOTALL)[0]
    scans = [content[at.end():at.end() + 2 * at[1][0] + 3] for at in re.finditer(rb"\xff\xda\0.(.)", content, re.DOTALL)]
    complete = {(part, k) for *parts, first, last, bits in scans if bits % 16 == 0 for part in parts[::2]
                for k in range(first, last + 1)}                   # the frequencies of which the last bits begin
    between = (b"", b"\xfe\x7d" * 99, b"\x55\x9a" * 99, b"\xb1\x2c" * 99) if len(complete) == 64 * components else ()
    return [content.rstrip(b"\xff") + some + b"\xff\xd9" for some in between]


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture's pixels as they are stored, but with 8 bits a colour."""
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise TooLarge
    tags, way = getattr(image, "tag_v2", {}), str(getattr(image, "tile", [])[:1])             # how Pillow will unpack it
    planes = tags.get(284) == 2 and (len(image.getbands()) == 2 or (max(tags.get(258, (1,))) > 8 and ";16N" not in way))
    if planes or ("libtiff" in way and re.search(r"\dBS|\dBF", way)):
        raise DatasetError("a TIFF with separate colour planes, or an order of bytes, that is not read: save it as PNG")
    image.load()
    if image.mode[0] not in "IF":
        if ";16" in way and image.mode[:3] == "RGB" and np.max(image.getextrema()[:3]) < 64:
            raise DatasetError("colours of 16 bits, of which at most 14 are used: save it with 8 bits a colour")
        return image
    values = np.asarray(image)
    known, fractions = values[np.isfinite(values)], values.dtype.kind == "f"
    low, high = (known.min(), known.max()) if known.size else (np.nan, np.nan)
    over = OVER * fractions
    whites = [255, 1023, 4095, 16383, 65535][-1 if re.search(r"'ppm.*args=.*, (?!65535)", way) else 0:]
    white = next((white for white in [1] * fractions + whites if high <= white + over * white), np.nan)
    if not low >= -over * white or (fractions and 1.1 < high < 16):
        raise DatasetError(f"black and white of values from {low:g} to {high:g} are not known: save it with 8 bits a colour")
    grey = np.nan_to_num(np.clip(values, 0, white) * np.float32(255 / white))
    grey = 255 - grey if tags and not tags.get(262) else grey
    grey[values == image.info.get("transparency", -1)] = 255
    return Image.fromarray(np.rint(grey).astype(np.uint8))


def _rgb(image: Image.Image) -> np.ndarray:
    """A picture's pixels as they should be seen, uint8 (h, w, 3)."""
    picture = _eight_bits(image)
    if picture.has_transparency_data:
        picture = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
    turn = None
    with suppress(Exception):                                      # damaged EXIF does not say how to turn it
        turn = UPRIGHT.get(image.getexif()[0x0112])
    return np.asarray(picture if turn is None else picture.transpose(turn))


def read_gray(path: str | Path, expected: tuple[int, int] | None = None) -> Image.Image:
    """Decode a dataset's picture as 8-bit grayscale.

    Raises DatasetError if the file is missing, is no picture, lacks pixels, has too many or not the `expected` (width, height).
    """
    image = _read(path, lambda image: _eight_bits(image).convert("L"))
    if expected and image.size != tuple(expected):
        raise DatasetError(f"{path}: is {image.size[0]}x{image.size[1]} pixels, expected {expected[0]}x{expected[1]}")
    return image


def read_photo(photo: Any) -> np.ndarray:
    """Anyone's photo as it should be seen, uint8 RGB (h, w, 3).

    photo : a file's path, the open file or its bytes; a PIL image; or an array or tensor, uint8 or fractions from 0 to 1, or
        up to `OVER` beside them: (h, w, 3) RGB, (h, w) or (h, w, 1) grey, (h, w, 4) RGBA; tensors also (3, h, w) and so on

    Turned upright by its EXIF orientation; transparent parts are white; grey, palette and CMYK pictures are converted, colour
    profiles taken as sRGB; of an animation the first frame is taken. A file that ends early is read where all pixels are
    there, whatever its format, and refused where one is missing. Of grey values of more than 8 bits, white is the smallest
    of 8, 10, 12, 14 and 16 bits that holds all, since cameras write 12 bits into 16; of fractions also 1. Raises DatasetError
    as `read_gray`, and where values do not tell what is white; else a TypeError or ValueError says what is wanted.
    """
    if isinstance(photo, str | os.PathLike | bytes | bytearray | memoryview | Image.Image) or hasattr(photo, "read"):
        return _read(photo, _rgb)
    wanted = "a photo is a file, its bytes, a PIL image or uint8 (h, w, 3) RGB, (h, w) grey or (h, w, 4) RGBA pixels"
    is_tensor = hasattr(photo, "detach")                       # without PyTorch, which takes seconds to import
    try:
        if not hasattr(photo, "__array__"):
            raise TypeError
        plain = photo.detach().cpu() if is_tensor else photo
        pixels = array = np.asarray(plain.float() if is_tensor and str(plain.dtype) == "torch.bfloat16" else plain)
    except (TypeError, RuntimeError):                          # of a sparse tensor, or one without values
        raise TypeError(f"{wanted}, not {'None: no picture was read' if photo is None else type(photo).__name__}") from None
    if is_tensor and pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.dtype.kind == "f" and ((pixels >= -OVER) & (pixels <= 1 + OVER)).all():
        pixels = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    if pixels.dtype != np.uint8 or (pixels.ndim, *pixels.shape[2:]) not in ((2,), (3, 1), (3, 3), (3, 4)) or not pixels.size \
            or np.ma.is_masked(photo):
        span = f" from {array.min():g} to {array.max():g}" if array.size and array.dtype.kind in "iuf" else ""
        raise ValueError(f"{wanted}, not {type(photo).__name__} {array.shape} of {array.dtype}{span}")
    pixels = np.ascontiguousarray(pixels.squeeze(2) if pixels.shape[2:] == (1,) else pixels)
    return pixels if pixels.shape[2:] == (3,) else _rgb(Image.fromarray(pixels))
