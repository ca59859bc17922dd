"""Damaged and invented files: only a DatasetError or a ValueError that names the file, quickly, in little memory.

Every reader gets FKP_FUZZ inputs (default 200). `FKP_FUZZ=25000 pytest tests/test_fuzz.py` makes 125,000.
"""

import base64
import io
import json
import os
import resource
import struct
import time
import zlib

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from fkp_utils.datasets.ibug import read_xml
from fkp_utils.datasets.images import read_photo
from fkp_utils.datasets.imm import read_asf
from fkp_utils.errors import DatasetError
from fkp_utils.kaggle import read_submission
from fkp_utils.landmarks import IBUG_68
from fkp_utils.nets.models import UNet
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.targets import make_target
from fkp_utils.nets.trained import Trained
from fkp_utils.nets.weights import load_weights, save_weights

MANY = settings(max_examples=int(os.environ.get("FKP_FUZZ", 200)), deadline=5000, suppress_health_check=list(HealthCheck))
SIZES = np.array([[60, 40]])


@st.composite
def damaged(draw, seeds):
    """A whole file with a few bytes changed, left out, put in or repeated; or bytes of no meaning."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 5))):
        at, length = draw(st.integers(0, len(content))), draw(st.integers(0, 12))
        what = draw(st.sampled_from(["put", "cut", "end", "repeat"]))
        if what == "put":
            content[at:at + length] = draw(st.binary(max_size=12) | st.sampled_from(TOKENS))
        elif what == "cut":
            del content[at:at + length]
        elif what == "end":
            del content[at:]
        else:
            content[at:at] = content[at:at + length] * draw(st.sampled_from([1, 2, 50]))
    return bytes(content)


TOKENS = [b"nan", b"-1e309", b"99999999999999999999", b"\xff\xff\xff\xff", b"\x00", b"\r", b"<", b"'", b'"', b",",
          b"\xef\xbb\xbf", b"&a;", b"]]>", b"{", b"-", b"1_0", b"\xd9\xa3"]


def _asf():
    rows = [f"0\t4\t{k / 100:.4f}\t{k / 90:.4f}\t{k}\t0\t1" for k in range(58)]
    return "\n".join(["# comment", "58", *rows, "a.jpg"]).encode()


def _xml():
    parts = "".join(f"<part name='{k:02d}' x='{k}' y='{2 * k}'/>" for k in range(68))
    return (f"<?xml version='1.0' encoding='ISO-8859-1'?>\n<dataset><images>\n<image file='a/b.png' width='9' height='9'>\n"
            f"<box top='1' left='2' width='30' height='40'>{parts}</box></image></images></dataset>").encode()


def _pictures():
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8))
    made = []
    kinds = {"JPEG": ("RGB", "L", "CMYK"), "PNG": ("RGB", "P", "RGBA", "I;16"), "GIF": ("P",), "BMP": ("RGB",),
             "TIFF": ("RGB", "F"), "WEBP": ("RGB", "RGBA"), "PPM": ("RGB",)}
    for kind, mode in ((kind, mode) for kind, modes in kinds.items() for mode in modes):
        picture = colour.convert("L").convert("I;16") if mode == "I;16" else colour.convert(mode)
        picture.save(file := io.BytesIO(), kind)
        made.append(file.getvalue())
    colour.save(file := io.BytesIO(), "GIF", save_all=True, append_images=[colour.rotate(90)])
    made.append(file.getvalue())
    deep = np.asarray(colour, np.uint16) * 257
    for values, options in ((deep[..., 0], {}), (np.moveaxis(deep, 2, 0), {"planarconfig": "separate", "photometric": "rgb"})):
        tifffile.imwrite(file := io.BytesIO(), values, **options)
        made.append(file.getvalue())
    return [*made, *(picture[:-2] for picture in made if picture[:2] == b"\xff\xd8")]


def _csv():
    return pd.DataFrame({"Id": range(136), "Predicted": np.linspace(0, 39, 136)}).to_csv(index=False).encode()


def _weights(folder):
    recipe = Recipe("tiny", "UNet", (32, 32), 1, 1, 1e-3, target="heatmaps", width=1)
    run = Trained(UNet(init_features=1), make_target(recipe, torch.zeros(1, 68, 2)), recipe, IBUG_68)
    save_weights(folder / "seed.safetensors", run)
    return (folder / "seed.safetensors").read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """In memory where that is a folder, for speed."""
    return tmp_path_factory.mktemp("fuzz")


def attempt(read, path, content):
    """Read a file of this content; anything but a result or a one-line error that names it fails the test."""
    path.write_bytes(content)
    try:
        read(path)
    except (DatasetError, ValueError) as error:
        assert str(path) in str(error) and len(str(error)) < 1000


@pytest.fixture(autouse=True)
def _little_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 << 20            # KiB, so two GiB: 17 bytes a pixel


@MANY
@given(content=damaged([_asf(), _asf().replace(b"\n", b"\r\n")]))
def test_landmarks_of_imm(folder, content):
    attempt(read_asf, folder / "01-1m.asf", content)


@MANY
@given(content=damaged([_xml()]))
def test_lists_of_ibug(folder, content):
    attempt(read_xml, folder / "list.xml", content)


@MANY
@given(content=damaged(_pictures()))
def test_photos(folder, content):
    attempt(read_photo, folder / "photo.jpg", content)


@MANY
@given(content=damaged([_csv()]))
def test_submissions(folder, content):
    attempt(lambda path: read_submission(path, SIZES), folder / "submission.csv", content)


SEED = {}


@MANY
@given(data=st.data())
def test_weights(folder, data):
    if not SEED:
        SEED["bytes"] = _weights(folder)
    header = int.from_bytes(SEED["bytes"][:8], "little") + 8
    content = data.draw(damaged([SEED["bytes"][:header]])) + SEED["bytes"][header:]
    attempt(load_weights, folder / "net.safetensors", content)


@pytest.mark.parametrize("fields", [{"target": "heatmapw"}, {"target": "coordinates"}, {"size": [33, 32]}, {"size": [32.5, 32]},
                                    {"box_shift": "low"}, {"width": 2}, {"net": "VNet"}])
def test_weights_of_a_recipe_that_does_not_fit_are_refused_by_name(folder, fields):
    content = _weights(folder)
    header = int.from_bytes(content[:8], "little") + 8
    about = json.loads(content[8:header])
    about["__metadata__"]["recipe"] = json.dumps(json.loads(about["__metadata__"]["recipe"]) | fields)
    new = json.dumps(about).encode()
    (folder / "other.safetensors").write_bytes(len(new).to_bytes(8, "little") + new + content[header:])
    with pytest.raises(ValueError, match=r"other\.safetensors: not weights of this project"):
        load_weights(folder / "other.safetensors")


def _png_header(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")


def _laughs():
    entities = "".join(f"<!ENTITY l{k} '{f'&l{k - 1};' * 10}'>" for k in range(1, 10))
    return f"<!DOCTYPE d [<!ENTITY l0 'ha'>{entities}]>\n<dataset>&l9;</dataset>".encode()


def _promises(**fields):
    recipe = {"title": "t", "net": "UNet", "size": [32, 32], "epochs": 1, "batch": 1, "lr": 1.0, "augment": {}} | fields
    return save({"model.a": torch.zeros(1)}, {"recipe": json.dumps(recipe)})


# Found by tests/fuzz.py: a TIFF whose strip lies at a fraction, for which Pillow raises a TypeError.
_RATIONAL_OFFSET = base64.b64decode(
    "SUkqAAgAAAAKAAABBAABAAAAEAAAAAEBBAAAAAAA/////wIBAwABAAAAIAAAAAEBAwABAAAAAQAAAAYBAwABAAAAAQAAABEBBQAB"
    "AAAAhgAAABYBBAABAAAADAAAAAAEARcBAAAAAAMAABwBAwABAAAAAQAAAFMBAwABAAAAAwAAAAAAAAB5qftCmC5UwSPbJAICAgIC"
    "AgICAgICAgKuAgICAgICAgICAgICApyEHkNCgNdj1kIyXjBCKTwRQ4uMOUPHiyhD")


@pytest.mark.parametrize("read, name, content", [
    (read_photo, "bomb.png", _png_header(30_000, 30_000)),
    (read_photo, "claims.png", _png_header(2**31 - 1, 2**31 - 1)),
    (read_photo, "claims.bmp", b"BM" + struct.pack("<IHHIIiiHH24x", 2**32 - 1, 0, 0, 54, 40, 65_000, 65_000, 1, 24)),
    (read_photo, "program.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(never run) print\n"),
    (read_photo, "rational.tif", _RATIONAL_OFFSET),
    (read_xml, "laughs.xml", _laughs()),
    (read_asf, "long.asf", b"58\n" + b"#" * (50 << 20)),
    (load_weights, "claims.safetensors", (4 << 30).to_bytes(8, "little") + b"{}"),
    (load_weights, "wide.safetensors", _promises(width=10**6)),
    (load_weights, "large.safetensors", _promises(size=[10**6, 10**6])),
    (load_weights, "odd.safetensors", _promises(net="HeatmapResNet", width="128")),
])
def test_bombs_are_refused_quickly(tmp_path, read, name, content):
    (tmp_path / name).write_bytes(content)
    start = time.perf_counter()
    with pytest.raises((DatasetError, ValueError), match=name):
        read(tmp_path / name)
    assert time.perf_counter() - start < 5                      # an upper bound on hanging, not a speed test
