"""Whatever holds a photo becomes the right pixels, or one sentence that says what is wrong with it."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image

from fkp_utils.datasets.images import read_gray, read_photo
from fkp_utils.errors import DatasetError

# Not square; a ramp from black to white along x, which no mirrored, turned or cut picture equals.
GREY = np.tile(np.linspace(0, 255, 52).astype(np.uint8), (16, 1))
GREY[3:6, 2:9] = 250
RGB = np.stack([GREY, 255 - GREY, GREY // 2], 2)
OF_GREY = np.repeat(GREY[..., None], 3, 2)
ALPHA = np.zeros_like(GREY)
ALPHA[:, 20:] = 255
SEEN = np.where(ALPHA[..., None] > 0, RGB, 255)


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **options)
    return file.getvalue()


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def chunk(kind, content, checksum=None):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum or zlib.crc32(kind + content))


def png(values, bits, colour, chunks=b""):
    rows = values.astype(">u2" if bits == 16 else np.uint8).reshape(len(values), -1)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))) + chunk(b"IEND", b""))


# What callers have.

class _Picture:
    """Has pixels as many libraries' classes do, but is no array."""

    def __array__(self, dtype=None, copy=None):
        return RGB


HELD = {
    "array": (RGB, RGB),
    "read-only array": (np.frombuffer(RGB.tobytes(), np.uint8).reshape(RGB.shape), RGB),
    "mirrored view": (RGB[:, ::-1], RGB[:, ::-1]),
    "every other column": (RGB[:, ::2], RGB[:, ::2]),
    "one pixel": (RGB[:1, :1], RGB[:1, :1]),
    "grey": (GREY, OF_GREY),
    "grey (h, w, 1)": (GREY[..., None], OF_GREY),
    "three columns of grey": (GREY[:, :3], OF_GREY[:, :3]),
    "RGBA": (np.dstack([RGB, ALPHA]), SEEN),
    "floats": (RGB / 255, RGB),
    "half floats, grey": ((GREY / 255).astype(np.float16), OF_GREY),
    "a mask that hides nothing": (np.ma.array(RGB), RGB),
    "another class": (_Picture(), RGB),
    "tensor (h, w, 3)": (torch.from_numpy(RGB), RGB),
    "tensor (3, h, w)": (torch.from_numpy(RGB).permute(2, 0, 1), RGB),
    "tensor (1, h, w)": (torch.from_numpy(GREY)[None], OF_GREY),
    "tensor (h, w)": (torch.from_numpy(GREY), OF_GREY),
    "floating tensor with gradients": ((torch.from_numpy(RGB).permute(2, 0, 1) / 255).requires_grad_(), RGB),
    "tensor of half the bits": ((torch.from_numpy(RGB).permute(2, 0, 1) / 255).half(), RGB),
    "tensor of bfloat16": ((torch.from_numpy(RGB).permute(2, 0, 1) / 255 > 0.5).bfloat16(), np.where(RGB > 127, 255, 0)),
    "floats a little beside 0 and 1": (np.where(RGB == 255, 1.0000001, np.where(RGB == 0, -1e-7, RGB / 255)), RGB),
    "floats resized": (RGB / 255 * 1.18 - 0.09, np.rint((RGB * 1.18 - 22.95).clip(0, 255))),
    "bytes": (encoded(RGB), RGB),
    "bytearray": (bytearray(encoded(RGB)), RGB),
    "memoryview": (memoryview(encoded(RGB)), RGB),
    "file in memory": (io.BytesIO(encoded(RGB)), RGB),
    "PIL image": (Image.fromarray(RGB), RGB),
    "PIL image, transparent": (Image.fromarray(np.dstack([RGB, ALPHA])), SEEN),
    "PIL image, grey with alpha": (Image.fromarray(np.dstack([GREY, ALPHA]), "LA"),
                                   np.where(ALPHA[..., None] > 0, OF_GREY, 255)),
    "PIL image, 16 bits": (Image.fromarray(GREY.astype(np.uint16) * 257), OF_GREY),
    "PIL image, 32 bits": (Image.fromarray(GREY).convert("I"), OF_GREY),
    "PIL image, floats": (Image.fromarray(GREY).convert("F"), OF_GREY),
}


@pytest.mark.filterwarnings("ignore:'mode' parameter")
@pytest.mark.parametrize("name", HELD)
def test_what_callers_have_becomes_its_pixels(name):
    held, expected = HELD[name]
    found = read_photo(held)
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    assert found.shape == expected.shape and np.abs(found.astype(int) - expected).max() <= ("half" in name)


def test_files_are_read_by_name_path_and_handle(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(RGB))
    with (tmp_path / "a.png").open("rb") as file:
        file.seek(5)
        for held in (str(tmp_path / "a.png"), tmp_path / "a.png", next(os.scandir(tmp_path)), file):
            np.testing.assert_array_equal(read_photo(held), RGB)
        assert not file.closed


def test_a_pil_image_is_turned_upright_and_left_as_it_was():
    exif = Image.Exif()
    exif[0x0112] = 6
    held = Image.open(io.BytesIO(encoded(RGB, exif=exif)))
    np.testing.assert_array_equal(read_photo(held), np.rot90(RGB, -1))
    np.testing.assert_array_equal(read_photo(held), np.rot90(RGB, -1))
    assert held.size == (52, 16)


def test_pixels_of_the_right_kind_are_not_copied():
    assert read_photo(RGB) is RGB or read_photo(RGB).base is RGB or np.shares_memory(read_photo(RGB), RGB)


NOT_HELD = {
    "None": (None, TypeError, "None: no picture was read"),
    "a number": (7, TypeError, "not int"),
    "lists": (RGB.tolist(), TypeError, "not list"),
    "uint16": (GREY.astype(np.uint16) * 16, ValueError, "ndarray (16, 52) of uint16 from 0 to 4080"),
    "int64 to 255": (GREY.astype(np.int64), ValueError, "of int64 from 0 to 255"),
    "floats to 255": (RGB.astype(float), ValueError, "of float64 from 0 to 255"),
    "floats to 1.11": (RGB / 255 * 1.11, ValueError, "from 0 to 1.11"),
    "a sparse tensor": (torch.from_numpy(GREY).to_sparse(), TypeError, "not Tensor"),
    "a tensor without values": (torch.zeros(8, 9, 3, device="meta"), TypeError, "not Tensor"),
    "floats about 0": (RGB / 255 - 0.5, ValueError, "of float64 from -0.5 to 0.5"),
    "floats with NaN": (np.where(GREY == 250, np.nan, GREY / 255), ValueError, "from nan to nan"),
    "booleans": (GREY > 99, ValueError, "of bool"),
    "objects": (RGB.astype(object), ValueError, "of object"),
    "complex": (RGB.astype(complex), ValueError, "of complex128"),
    "no pixels": (np.zeros((0, 0, 3), np.uint8), ValueError, "(0, 0, 3)"),
    "no columns": (np.zeros((9, 0), np.uint8), ValueError, "(9, 0)"),
    "a row": (GREY[0], ValueError, "(52,)"),
    "a scalar": (np.uint8(3), ValueError, "()"),
    "two channels": (RGB[..., :2], ValueError, "(16, 52, 2)"),
    "five channels": (np.dstack([RGB, RGB[..., :2]]), ValueError, "(16, 52, 5)"),
    "several photos": (np.stack([RGB, RGB]), ValueError, "(2, 16, 52, 3)"),
    "channels first": (np.moveaxis(RGB, 2, 0), ValueError, "(3, 16, 52)"),
    "tensor of one photo": (torch.from_numpy(RGB).permute(2, 0, 1)[None], ValueError, "Tensor (1, 3, 16, 52) of uint8"),
    "tensor of six photos": (torch.zeros(6, 16, 52, dtype=torch.uint8), ValueError, "Tensor (6, 16, 52)"),
    "normalised tensor": (torch.linspace(-2, 2, 24).reshape(3, 2, 4).repeat(1, 3, 3), ValueError, "from -2 to 2"),
    "hidden pixels": (np.ma.masked_equal(RGB, 250), ValueError, "MaskedArray"),
    "a table": (pd.DataFrame(GREY.astype(int)), ValueError, "DataFrame"),
    "a text file": (io.StringIO("photo"), DatasetError, "Binary data must be used"),
    "a file that says nothing": (io.BytesIO(), DatasetError, "not a picture"),
    "bytes of pixels": (RGB.tobytes(), DatasetError, "not a picture"),
    "an empty PIL image": (Image.new("RGB", (0, 7)), DatasetError, "no pixels"),
    "a closed PIL image": (Image.new("RGB", (8, 7)), DatasetError, "closed image"),
}


@pytest.mark.parametrize("name", NOT_HELD)
def test_one_sentence_says_what_is_wanted(name):
    held, kind, words = NOT_HELD[name]
    if "closed" in name:
        held.close()
    with pytest.raises(kind) as told:
        read_photo(held)
    message = str(told.value)
    assert words in message and "\n" not in message and len(message) < 250
    if kind is not DatasetError:
        assert "uint8 (h, w, 3)" in message


# Values.

SIXTEEN = GREY.astype(np.uint16) * 257
VALUES = {                                           # what is in the file: the picture as 8 bits, or words of the error
    "16 bits": (SIXTEEN, OF_GREY),
    "14 in 16": (SIXTEEN >> 2, OF_GREY),
    "12 in 16": (SIXTEEN >> 4, OF_GREY),
    "10 in 16": (SIXTEEN >> 6, OF_GREY),
    "8 in 16": (SIXTEEN >> 8, OF_GREY),
    "int32 to 255": (GREY.astype(np.int32), OF_GREY),
    "int16 to 4095": ((SIXTEEN >> 4).astype(np.int16), OF_GREY),
    "int16 below 0": ((SIXTEEN.astype(int) - 32768).astype(np.int16), "values from -32768 to 32767"),
    "uint32": (SIXTEEN.astype(np.uint32) * 65537, "values from"),
    "floats to 1": ((GREY / 255).astype(np.float32), OF_GREY),
    "floats to 255": (GREY.astype(np.float32), OF_GREY),
    "floats to 4095": ((GREY / 255 * 4095).astype(np.float32), OF_GREY),
    "floats to 1, resized": ((GREY / 255 * 1.06 - 0.03).astype(np.float32), np.clip(np.rint(OF_GREY * 1.06 - 7.65), 0, 255)),
    "floats to 3": ((GREY / 85).astype(np.float32), "values from 0 to 3"),
    "floats about 0": ((GREY / 255 - 0.5).astype(np.float32), "values from -0.5 to 0.5"),
    "floats to 1e30": (np.where(GREY == 250, np.float32(1e30), GREY / 255).astype(np.float32), "to 1e+30"),
    "nothing but NaN": (np.full(GREY.shape, np.nan, np.float32), "values from nan"),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_values_of_more_than_8_bits_are_scaled_or_refused(name, order, compression):
    values, expected = VALUES[name]
    content = tiff(values, byteorder=order, compression=compression, photometric="minisblack")
    try:
        found = read_photo(content)
    except DatasetError as error:
        unread = order == ">" and (values.dtype == np.uint32 or (compression and values.dtype != np.uint16))
        assert unread or (isinstance(expected, str) and expected in str(error)), error
    else:
        assert not isinstance(expected, str) and np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("odd, seen", [(np.inf, 255), (-np.inf, 0), (np.nan, 0)])
def test_one_odd_value_costs_its_pixel_only(odd, seen):
    values = (GREY / 255).astype(np.float32)
    values[1, 30] = odd
    expected = GREY.copy()
    expected[1, 30] = seen
    np.testing.assert_array_equal(read_photo(tiff(values))[..., 1], expected)


@pytest.mark.parametrize("values", [255 - GREY, 65535 - SIXTEEN, (1 - GREY / 255).astype(np.float32)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_zero_may_be_white(values, compression):
    content = tiff(values, photometric="miniswhite", compression=compression)
    assert np.abs(read_photo(content).astype(int) - OF_GREY).max() <= 1


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["RGB 8", "RGB 16", "RGBA 8", "RGBA 16", "CMYK 8", "CMYK 16", "grey with alpha 8", "floats"])
def test_planes_of_a_tiff_are_put_together_or_refused(kind, order, compression):
    cmyk = np.asarray(Image.fromarray(RGB).convert("CMYK"))
    values = {"RGB": RGB, "RGBA": np.dstack([RGB, ALPHA]), "CMYK": cmyk, "grey": np.dstack([GREY, ALPHA]),
              "floats": RGB}[kind.split()[0]]
    options = {"RGBA": {"extrasamples": ["unassalpha"]}, "CMYK": {"photometric": "separated"},
               "grey": {"photometric": "minisblack", "extrasamples": ["unassalpha"]}}.get(kind.split()[0], {})
    values = values.astype(np.uint16) * 257 if "16" in kind else values.astype(np.float32) / 255 if kind == "floats" else values
    content = tiff(np.moveaxis(values, 2, 0), planarconfig="separate", byteorder=order, compression=compression,
                   **{"photometric": "rgb"} | options)
    try:
        found = read_photo(content).astype(int)
    except DatasetError as error:
        assert kind not in ("RGB 8", "RGBA 8", "CMYK 8") and ("planes" in str(error) or "not a picture" in str(error))
    else:
        assert np.abs(found - (SEEN if "RGBA" in kind else RGB)).max() <= 1


def test_colours_of_16_bits_keep_their_upper_8():
    for content in (tiff(RGB.astype(np.uint16) * 257, photometric="rgb"), png(RGB.astype(np.uint16) * 257, 16, 2)):
        np.testing.assert_array_equal(read_photo(content), RGB)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_colours_of_12_bits_in_16_are_refused(compression):
    values = RGB.astype(np.uint16) * 16
    for content in (tiff(values, photometric="rgb", compression=compression), png(values, 16, 2),
                    png(np.dstack([values, SIXTEEN]), 16, 6), png(np.dstack([values[..., 0], SIXTEEN]), 16, 4)):
        with pytest.raises(DatasetError, match="use"):
            read_photo(content)


@pytest.mark.parametrize("most", [100, 255, 4095, 65535])
@pytest.mark.parametrize("magic", [b"P2", b"P5", b"P6"])
def test_portable_maps_of_any_white(most, magic):
    values = np.rint((RGB if magic == b"P6" else GREY) / 255 * most)
    pixels = (" ".join(f"{value:.0f}" for value in values.ravel()).encode() if magic == b"P2"
              else values.astype(">u2" if most > 255 else np.uint8).tobytes())
    found = read_photo(magic + b"\n52 16\n%d\n" % most + pixels)
    assert np.abs(found.astype(int) - (RGB if magic == b"P6" else OF_GREY)).max() <= (2 if most == 100 else 1)


def test_a_dark_portable_map_stays_dark_where_it_says_what_is_white():
    found = read_photo(b"P5\n52 16\n4095\n" + np.full((16, 52), 819, ">u2").tobytes())
    assert (found == 51).all()                       # a fifth of 255


def test_transparent_grey_of_16_bits_is_white():
    content = png(SIXTEEN, 16, 0, chunk(b"tRNS", struct.pack(">H", 250 * 257)))
    np.testing.assert_array_equal(read_photo(content), np.where(OF_GREY == 250, 255, OF_GREY))


def test_a_deep_tiff_is_turned_upright():
    for values in (GREY, SIXTEEN, RGB, RGB.astype(np.uint16) * 257):
        for compression in (None, "zlib"):
            found = read_photo(tiff(values, compression=compression, photometric="rgb" if values.ndim == 3 else "minisblack",
                                  extratags=[(274, 3, 1, 6, True)]))
            np.testing.assert_array_equal(found, np.rot90(RGB if values.ndim == 3 else OF_GREY, -1))


def test_grey_alpha_that_is_multiplied_in():
    values = np.dstack([np.where(ALPHA, GREY, 0), ALPHA]).astype(np.uint8)
    found = read_photo(tiff(values, photometric="minisblack", extrasamples=["assocalpha"], planarconfig="contig"))
    np.testing.assert_array_equal(found, np.where(ALPHA[..., None] > 0, OF_GREY, 255))


def test_gray_of_16_bits_is_read_as_any(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(SIXTEEN))
    np.testing.assert_array_equal(np.asarray(read_gray(tmp_path / "a.tif")), GREY)


# What is beside the pixels.

LONG = zlib.compress(bytes(3_000_000))
BESIDE_PNG = {
    "long zTXt": chunk(b"zTXt", b"prompt\0\0" + LONG),
    "long iTXt": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG),
    "long iCCP": chunk(b"iCCP", b"printer\0\0" + LONG),
    "70 texts of a megabyte": chunk(b"tEXt", b"a\0" + b"x" * (1 << 20)) * 70,
    "odd way of packing": chunk(b"zTXt", b"a\0\7abc"),
    "short": b"".join(chunk(kind, b"a") for kind in (b"gAMA", b"cHRM", b"pHYs", b"acTL")),
    "empty": b"".join(chunk(kind, b"") for kind in (b"gAMA", b"sRGB", b"iCCP", b"zTXt", b"tEXt", b"eXIf", b"tIME")),
    "wrong sums": b"".join(chunk(kind, b"abcdefghi\0\0jk", 1) for kind in (b"tEXt", b"eXIf", b"tIME", b"prVt", b"tRNS")),
    "rubbish as EXIF": chunk(b"eXIf", b"rubbish" * 9),
    "frames out of order": chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", bytes(26)) * 2,
}


@pytest.mark.parametrize("name", BESIDE_PNG)
@pytest.mark.parametrize("after", [False, True])
def test_metadata_of_a_png_do_not_cost_its_pixels(name, after):
    whole = encoded(RGB)
    where = len(whole) - 12 if after else 33
    np.testing.assert_array_equal(read_photo(whole[:where] + BESIDE_PNG[name] + whole[where:]), RGB)


def test_a_png_without_its_damaged_metadata_keeps_transparency_and_orientation():
    exif = Image.Exif()
    exif[0x0112] = 8
    content = encoded(np.dstack([RGB, ALPHA]), exif=exif)
    found = read_photo(content[:33] + BESIDE_PNG["long zTXt"] + content[33:])
    np.testing.assert_array_equal(found, np.rot90(SEEN))
    key = chunk(b"tRNS", struct.pack(">H", 250))
    found = read_photo(png(GREY, 8, 0, BESIDE_PNG["wrong sums"] + key))
    np.testing.assert_array_equal(found, np.where(OF_GREY == 250, 255, OF_GREY))


@pytest.mark.parametrize("damage", ["IHDR", "IDAT", "cut", "half"])
def test_damaged_pixels_of_a_png_stay_an_error(damage):
    content = bytearray(encoded(np.random.default_rng(0).integers(0, 255, (90, 70, 3), np.uint8)))
    if damage == "IHDR":
        content[29] ^= 255
    elif damage == "IDAT":
        content[len(content) // 2] ^= 255
    del content[{"cut": len(content) - 60, "half": len(content) // 2}.get(damage, len(content)):]
    for more in (b"", BESIDE_PNG["long zTXt"]):
        with pytest.raises(DatasetError):
            read_photo(bytes(content[:33] + more + content[33:]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_rubbish_as_exif_does_not_cost_the_pixels(kind):
    rng, exif = np.random.default_rng(0), Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x010F] = 1, 72.0, "maker"
    whole = encoded(RGB, kind, exif=exif)
    at = max(whole.find(exif.tobytes()[6:]), whole.find(b"Exif\0\0") + 6 if b"Exif\0\0" in whole else -1)
    assert at > 0
    expected = read_photo(whole)
    for length in (1, 2, 4, 30):
        for _ in range(10):
            content = bytearray(whole)
            content[at:at + length] = rng.bytes(length)
            if kind == "PNG":
                end = at + len(exif.tobytes()) - 6
                content[end:end + 4] = struct.pack(">I", zlib.crc32(content[at - 4:end]))
            np.testing.assert_array_equal(read_photo(bytes(content)).mean(), expected.mean())


@pytest.mark.parametrize("segment", [b"\xff\xe0\0\6JFIF", b"\xff\xe2\0\6MPF\0", b"\xff\xe2\0\016ICC_PROFILE\0", b"\xff\xfe\0\2",
                                     b"\xff\xe1\0\010Exif\0\0", b"\xff\xed\0\0258BIM Photoshop 3.0\0"])
def test_short_segments_of_a_jpeg_do_not_cost_its_pixels(segment):
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(RGB, "JPEG", exif=exif)
    expected = read_photo(whole)
    assert expected.shape == (52, 16, 3)
    np.testing.assert_array_equal(read_photo(whole[:2] + segment + whole[2:]), expected)
    after = 4 + int.from_bytes(whole[4:6])
    np.testing.assert_array_equal(read_photo(whole[:after] + segment + whole[after:]), expected)


# A file's end.

NOISE = np.random.default_rng(1).integers(0, 255, (17, 45, 3), np.uint8)


def _cut_files():
    """By kind: a file, and how many of its last bytes hold no pixel."""
    picture, exif = Image.fromarray(NOISE), Image.Exif()
    exif[0x010F] = "maker"
    webp = encoded(picture, "WEBP", exif=exif, xmp=b"<x>" * 9, lossless=True)
    other = Image.fromarray(255 - NOISE)
    moving = encoded(picture, "WEBP", save_all=True, append_images=[other], lossless=True)
    last = len(encoded(other, "WEBP", lossless=True)) - 12        # what its own file has besides the 12 bytes of a head
    return {"BMP": (encoded(picture, "BMP"), 1), "BMP, grey": (encoded(picture.convert("L"), "BMP"), 3),   # rows end at 4 bytes
            "TIFF": (tiff(NOISE), 0), "TIFF, tiles": (tiff(NOISE, tile=(16, 16), compression="zlib"), 0),
            "TIFF, LZW": (encoded(picture, "TIFF", compression="tiff_lzw"), 0),        # what describes it comes last
            "PPM": (encoded(picture, "PPM"), 0), "PGM": (encoded(picture.convert("L"), "PPM"), 0),
            "PNG": (encoded(picture), 12 + 4), "GIF": (encoded(picture.convert("P"), "GIF"), 2),
            "WebP": (encoded(picture, "WEBP", lossless=True), 0), "WebP with metadata": (webp, len(webp) - webp.index(b"EXIF")),
            "moving WebP": (moving, last), "HEIF": (encoded(picture, "HEIF"), 0), "AVIF": (encoded(picture, "AVIF"), 0)}


@pytest.mark.parametrize("kind", _cut_files())
def test_a_file_that_ends_early_is_read_where_no_pixel_is_missing_and_else_refused(kind):
    """As it lacks a byte more and more, it is the same picture, then an error, never another picture."""
    whole, beside = _cut_files()[kind]
    expected, lacks = read_photo(whole), 0
    for missing in [*range(1, 120), *range(120, len(whole) - 9, 41)]:
        try:
            found = read_photo(whole[:-missing])
        except DatasetError as error:
            assert "damaged" in str(error) or "not a picture" in str(error)
            lacks = lacks or missing
        else:
            assert not lacks
            np.testing.assert_array_equal(found, expected)
    assert beside < lacks <= beside + (6 if kind == "PNG" else 2 if kind[:4] != "movi" else 60), (beside, lacks)


# A JPEG's end.

PORTRAIT = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8).repeat(9, 0).repeat(11, 1)
JPEGS = {"usual": {}, "progressive": {"progressive": True}, "finest": {"quality": 100, "subsampling": 0},
         "restarts": {"restart_marker_rows": 1}, "own tables": {"optimize": True}}


@pytest.mark.parametrize("how", JPEGS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_without_its_end_marker_is_read(how, mode):
    whole = encoded(Image.fromarray(PORTRAIT).convert(mode), "JPEG", **JPEGS[how])
    expected = read_photo(whole)
    for content in (whole[:-1], whole[:-2], whole[:-2] + b"\n"):
        np.testing.assert_array_equal(read_photo(content), expected)


@pytest.mark.parametrize("how", JPEGS)
def test_a_jpeg_that_lacks_pixels_is_an_error(how):
    whole = encoded(PORTRAIT, "JPEG", **JPEGS[how])
    expected = read_photo(whole)
    for missing in [*range(3, 60), *range(60, len(whole) - 300, 23)]:
        try:
            found = read_photo(whole[:-missing])
        except DatasetError as error:
            assert "damaged" in str(error) or "not a picture" in str(error)
        else:
            np.testing.assert_array_equal(found, expected)             # what is missing was padding
            assert missing < 6


def test_a_progressive_jpeg_that_ends_after_an_early_scan_is_an_error():
    whole = encoded(PORTRAIT, "JPEG", progressive=True)
    starts = [at for at in range(len(whole)) if whole[at:at + 3] == b"\xff\xda\0"]
    tables = [at for at in range(starts[0], len(whole)) if whole[at:at + 3] == b"\xff\xc4\0"]
    assert len(starts) == 10 and len(tables) >= 7
    for at in starts[1:] + tables:
        with pytest.raises(DatasetError, match="damaged"):
            read_photo(whole[:at])


ENDS = {"BMP": 0, "PPM": 0, "TIFF": 0, "GIF": 2, "PNG": 20, "WEBP": 0, "AVIF": 0, "HEIF": 0}     # bytes after the last pixel


@pytest.mark.parametrize("kind", ENDS)
def test_a_file_of_any_format_that_lacks_pixels_is_refused_and_named(tmp_path, kind):
    whole, path = encoded(PORTRAIT[:, :76], kind), tmp_path / "cut"             # rows of BMP then need no padding
    expected = read_photo(whole)
    for missing in {1, ENDS[kind], ENDS[kind] + 8, ENDS[kind] + 40, len(whole) // 2, len(whole) - 30} - {0}:
        path.write_bytes(whole[:-missing])
        if missing <= ENDS[kind]:
            np.testing.assert_array_equal(read_photo(path), expected)
        else:
            with pytest.raises(DatasetError, match=r"cut: (damaged picture|not a picture that can be read, or half of one) \("):
                read_photo(path)


@pytest.mark.parametrize("how", ["tiff_lzw", "tiff_deflate", "jpeg"])
def test_a_tiff_whose_table_of_contents_is_missing_may_be_half_of_one(how):
    with pytest.raises(DatasetError, match=r"damaged picture|half of one"):
        read_photo(encoded(PORTRAIT, "TIFF", compression=how)[:-1])


# Size.

READ = """
import resource, sys
from fkp_utils.datasets.images import read_photo
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
photo = read_photo(sys.argv[1])
print(photo.shape, photo[5, 5], photo[-5, -5], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / photo.size)
"""


@pytest.mark.training
def test_a_photo_of_110_megapixels_is_read_without_a_word_and_in_four_times_its_bytes(tmp_path):
    photo = Image.new("L", (12_100, 9_100), 90)
    photo.paste(200, (0, 0, 6_050, 9_100))
    Image.merge("RGB", [photo] * 3).save(tmp_path / "a.jpg")
    done = subprocess.run([sys.executable, "-c", READ, tmp_path / "a.jpg"], capture_output=True, text=True)
    told, _, kibibytes_a_value = done.stdout.rpartition(" ")
    assert (told, done.stderr) == ("(9100, 12100, 3) [200 200 200] [90 90 90]", "")
    assert float(kibibytes_a_value) * 1024 < 4


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [11_000, 15_000, 30_000, 2**31 - 1])
def test_larger_ones_are_told_to_become_smaller(side):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    with pytest.raises(DatasetError, match="over 120 megapixels: make it smaller"):
        read_photo(content)


# Names.

def test_what_is_no_file_is_told_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "album.jpg").mkdir()
    (tmp_path / "file.jpg").write_bytes(b"")
    for name, words in (("pipe.jpg", "device"), ("album.jpg", "folder"), ("file.jpg", "not a picture"),
                        ("gone.jpg", "no such picture"), ("file.jpg/a.jpg", "Not a directory"),
                        ("a" * 300 + ".jpg", "name too long")):
        with pytest.raises(DatasetError, match=words) as told:
            read_photo(tmp_path / name)
        assert str(tmp_path / name) in str(told.value)
    for name in ("/dev/zero", "/dev/null"):
        with pytest.raises(DatasetError, match=f"{name}: .* device"):
            read_photo(name)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")
    (tmp_path / "mine.jpg").write_bytes(b"a")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DatasetError, match=r"mine\.jpg: cannot be read \(Permission denied\)"):
        read_photo(tmp_path / "mine.jpg")


def test_a_name_that_is_not_utf_8_is_told_in_letters_that_can_be_printed(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.jpg")
    with open(path, "wb") as file:
        file.write(b"no photo")
    with pytest.raises(DatasetError, match=r"caf\\udce9\.jpg: not a picture") as told:
        read_photo(os.fsdecode(path))
    str(told.value).encode()
