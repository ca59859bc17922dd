"""Forty odd files that people have: each gives the right landmarks, no face, or one clear line."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fkp_utils import predict
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.errors import DatasetError
from fkp_utils.nets.weights import load_weights

pytestmark = pytest.mark.training

_HOW = Image.Transpose
UPRIGHT = {2: _HOW.FLIP_LEFT_RIGHT, 3: _HOW.ROTATE_180, 4: _HOW.FLIP_TOP_BOTTOM, 5: _HOW.TRANSPOSE, 6: _HOW.ROTATE_90,
           7: _HOW.TRANSVERSE, 8: _HOW.ROTATE_270}


@pytest.fixture(scope="module", autouse=True)
def _small():
    """The small net does as well for files, in a third of the time."""
    small = load_weights("small68.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "default_net", lambda fast=False: small)
        yield


@pytest.fixture(scope="module")
def portrait():
    return Image.fromarray(free_portraits()["Eileen Collins"]).crop((60, 0, 400, 340))


@pytest.fixture(scope="module")
def expected(portrait):
    """Landmarks of the portrait itself."""
    [face] = predict.landmarks(np.asarray(portrait))
    return face.landmarks


def _transparent(portrait, mode):
    """The face stays, the picture's edges are see-through."""
    alpha = Image.new("L", portrait.size, 0)
    alpha.paste(255, (20, 0, 320, 330))
    picture = portrait.convert("RGBA")
    picture.putalpha(alpha)
    return picture.convert(mode) if mode == "LA" else picture.quantize(255) if mode == "P" else picture


def _turned(portrait, path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = portrait.transpose(UPRIGHT[orientation]) if orientation > 1 else portrait
    stored.save(path, exif=exif, quality=95)


def _grey16(portrait, path):
    Image.fromarray(np.asarray(portrait.convert("L"), np.uint16) * 257).save(path)


def _without_its_last_bytes(portrait, path):
    portrait.save(path, quality=95)
    path.write_bytes(path.read_bytes()[:-2])


def _with_long_text(portrait, path):
    text = PngInfo()
    text.add_text("prompt", "a photo of a face, " * 110_000, zip=True)
    portrait.save(path, pnginfo=text)


def _one_infinity(portrait, path):
    values = np.asarray(portrait.convert("L"), np.float32) / 255
    values[0, 0] = np.inf
    Image.fromarray(values).save(path)


def _turned_heic(portrait, path):
    exif = Image.Exif()
    exif[0x0112] = 6
    portrait.transpose(UPRIGHT[6]).save(path, exif=exif.tobytes(), quality=90)


def _colour16(portrait, path):
    tifffile.imwrite(path, np.asarray(portrait, np.uint16) * 257, photometric="rgb")


# Name: how the file is made of the portrait, and how much larger it shows the face.
SHOWS_THE_FACE = {
    **{f"orientation{k}.jpg": (lambda p, path, k=k: _turned(p, path, k), 1) for k in range(1, 9)},
    "cmyk.jpg": (lambda p, path: p.convert("CMYK").save(path), 1),
    "grey.jpg": (lambda p, path: p.convert("L").save(path), 1),
    "progressive.jpg": (lambda p, path: p.save(path, progressive=True), 1),
    "strongly packed.jpg": (lambda p, path: p.save(path, quality=12), 1),
    "two pictures.jpg": (lambda p, path: p.save(path, "MPO", save_all=True, append_images=[p.rotate(180)]), 1),
    "png inside.jpg": (lambda p, path: p.save(path, "PNG"), 1),
    "LOUD.JPG": (lambda p, path: p.save(path, "JPEG"), 1),
    "Großmutter 2 über 日本.jpg": (lambda p, path: p.save(path), 1),
    "palette with alpha.png": (lambda p, path: _transparent(p, "P").save(path), 1),
    "alpha.png": (lambda p, path: _transparent(p, "RGBA").save(path), 1),
    "grey alpha.png": (lambda p, path: _transparent(p, "LA").save(path), 1),
    "sixteen bit.png": (_grey16, 1),
    "sixteen bit.tif": (_grey16, 1),
    "twelve bits.tif": (lambda p, path: Image.fromarray(np.asarray(p.convert("L"), np.uint16) * 16).save(path), 1),
    "one infinity.tif": (_one_infinity, 1),
    "without its last bytes.jpg": (_without_its_last_bytes, 1),
    "long text.png": (_with_long_text, 1),
    "float.tif": (lambda p, path: p.convert("F").save(path), 1),
    "colour.tif": (lambda p, path: p.save(path, compression="tiff_lzw"), 1),
    "animated.gif": (lambda p, path: p.save(path, save_all=True, append_images=[p.rotate(90), p.rotate(180)]), 1),
    "animated.webp": (lambda p, path: p.save(path, save_all=True, append_images=[p.rotate(90)], quality=95), 1),
    "animated.png": (lambda p, path: p.save(path, save_all=True, append_images=[p.rotate(90)]), 1),
    "plain.bmp": (lambda p, path: p.save(path), 1),
    "plain.ppm": (lambda p, path: p.save(path), 1),
    "a phone's.heic": (lambda p, path: p.save(path, quality=90), 1),
    "a phone's, turned.heic": (_turned_heic, 1),
    "new.avif": (lambda p, path: p.save(path, quality=90), 1),
    "stereo.mpo": (lambda p, path: p.save(path, save_all=True, append_images=[p.rotate(180)]), 1),
    "sixteen bit colour.tif": (_colour16, 1),
    "huge.jpg": (lambda p, path: p.resize((6800, 6800)).save(path, quality=60), 20),
    "small.jpg": (lambda p, path: p.resize((136, 136)).save(path, quality=95), 0.4),
}


@pytest.mark.parametrize("name", SHOWS_THE_FACE)
def test_the_face_is_found_where_it_is(portrait, expected, tmp_path, name):
    make, larger = SHOWS_THE_FACE[name]
    make(portrait, tmp_path / name)
    [face] = predict.landmarks(tmp_path / name)
    assert np.abs((face.landmarks + 0.5) / larger - 0.5 - expected).mean() < 0.04 * np.ptp(expected[:, 0])


def _ten(portrait):
    picture = Image.new("RGB", (5 * 340, 2 * 340))
    for k in range(10):
        picture.paste(portrait, (k % 5 * 340, k // 5 * 340))
    return picture


def test_ten_faces_are_ten_faces(portrait, expected, tmp_path):
    _ten(portrait).save(tmp_path / "ten.png")
    faces = predict.landmarks(tmp_path / "ten.png")
    assert len(faces) == 10
    places = {tuple((face.landmarks.mean(0) // 340).astype(int)) for face in faces}
    assert places == {(x, y) for x in range(5) for y in range(2)}
    assert max(np.abs(face.landmarks % 340 - expected).mean() for face in faces) < 0.04 * np.ptp(expected[:, 0])


NO_FACE = {
    "one pixel.png": lambda p: Image.new("RGB", (1, 1)),
    "a line.png": lambda p: Image.new("RGB", (900, 1), "red"),
    "grey.png": lambda p: Image.new("L", (400, 300), 128),
    "noise.png": lambda p: Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)),
    "hair only.png": lambda p: p.crop((0, 0, 340, 40)),
}


@pytest.mark.parametrize("name", NO_FACE)
def test_no_face_is_an_empty_list(portrait, tmp_path, name):
    NO_FACE[name](portrait).save(tmp_path / name)
    assert predict.landmarks(tmp_path / name) == []


def _bytes_of(portrait, path):
    portrait.save(path, quality=95)
    return path.read_bytes()


def _flip_checksum(portrait, path):
    content = bytearray(_bytes_of(portrait, path))
    content[29] ^= 255                                    # the check sum of the first chunk
    return bytes(content)


def _planes(portrait, path):
    tifffile.imwrite(path, np.moveaxis(np.asarray(portrait, np.uint16) * 257, 2, 0), photometric="rgb", planarconfig="separate")
    return path.read_bytes()


REFUSED = {
    "empty.jpg": lambda p, path: b"",
    "text.jpg": lambda p, path: b"Dear grandmother, here is the photo.",
    "cut in two.jpg": lambda p, path: _bytes_of(p, path)[:6000],
    "header only.jpg": lambda p, path: _bytes_of(p, path)[:200],
    "cut.png": lambda p, path: _bytes_of(p, path)[:5000],
    "wrong sum.png": _flip_checksum,
    "page.jpg": lambda p, path: b"<html><body>404 Not Found</body></html>",
    "drawing.svg": lambda p, path: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "phone.heic": lambda p, path: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "planes of sixteen bits.tif": _planes,
    "archive.jpg": lambda p, path: b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("name", [*REFUSED, "gone.jpg", "a folder.jpg"])
def test_what_is_no_photo_is_named_in_one_line(portrait, tmp_path, name):
    if name == "a folder.jpg":
        (tmp_path / name).mkdir()
    elif name in REFUSED:
        content = REFUSED[name](portrait, tmp_path / name)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError) as told:
        predict.landmarks(tmp_path / name)
    assert str(tmp_path / name) in str(told.value) and "\n" not in str(told.value)
