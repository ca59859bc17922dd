"""Odd photos are read as they should be seen; faces are found; the folder's faults are told."""

import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from fkp_utils.datasets import images, personal_photos
from fkp_utils.datasets.images import read_photo
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.detection import find_faces
from fkp_utils.errors import DatasetError
from fkp_utils.predict import __main__ as command_line

RED, GREEN = (200, 30, 20), (20, 180, 40)


def halves(size=(60, 40)):
    """Left half red, right half green."""
    picture = Image.new("RGB", size, RED)
    picture.paste(GREEN, (size[0] // 2, 0, *size))
    return picture


def near(pixel, colour):
    return np.abs(np.asarray(pixel, int) - colour).max() < 25


@pytest.mark.parametrize("orientation, left, upright", [
    (1, RED, (60, 40)), (2, GREEN, (60, 40)), (3, GREEN, (60, 40)), (4, RED, (60, 40)),
    (5, None, (40, 60)), (6, None, (40, 60)), (7, None, (40, 60)), (8, None, (40, 60))])
def test_exif_orientation(tmp_path, orientation, left, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    halves().save(tmp_path / "a.jpg", exif=exif, quality=95)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.shape == (upright[1], upright[0], 3)
    if left:
        assert near(photo[20, 10], left)
    else:                                            # the halves now lie above each other
        top = RED if orientation in (5, 6) else GREEN
        assert near(photo[10, 20], top)


@pytest.mark.parametrize("mode, suffix", [
    ("L", "jpg"), ("L", "png"), ("1", "png"), ("P", "png"), ("CMYK", "jpg"), ("RGB", "webp"), ("RGBA", "png"), ("LA", "png"),
    ("RGB", "bmp")])
def test_modes(tmp_path, mode, suffix):
    halves().convert("RGB").convert(mode).save(tmp_path / f"a.{suffix}")
    photo = read_photo(tmp_path / f"a.{suffix}")
    assert photo.shape == (40, 60, 3) and photo.dtype == np.uint8
    if mode in ("RGB", "CMYK", "RGBA", "P"):
        assert np.abs(photo[20, 10].astype(int) - RED).max() < 60 and photo[20, 50, 1] > photo[20, 50, 0]


def test_sixteen_bit_grey(tmp_path):
    Image.fromarray(np.full((40, 60), 32768, np.uint16)).save(tmp_path / "a.png")
    assert (read_photo(tmp_path / "a.png") == 128).all()          # 32768 / 65535 * 255 = 127.5019


def test_transparent_is_white(tmp_path):
    Image.new("RGBA", (60, 40), (10, 10, 10, 0)).save(tmp_path / "a.png")
    assert (read_photo(tmp_path / "a.png") == 255).all()


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (60, 40), colour) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert near(read_photo(tmp_path / "a.gif")[0, 0], RED)


@pytest.mark.parametrize("content", [b"", b"hello, I am a text", b"\xff\xd8\xff\xe0" + b"rubbish" * 9])
def test_no_photo_gives_one_line(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.jpg"):
        read_photo(tmp_path / "a.jpg")


def test_truncated_photo(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:5000])
    with pytest.raises(DatasetError, match="damaged"):
        read_photo(tmp_path / "a.jpg")


@pytest.fixture(scope="module")
def portraits():
    return free_portraits()


def test_faces_are_found_in_the_portraits(portraits):
    one, two = (find_faces(portraits[name], min_confidence=0.5) for name in ("Eileen Collins", "both"))
    assert len(one) == 1 and len(two) == 2
    left, top, width, height = one[0, :4]
    assert left < 225 < left + width and top < 120 < top + height and 70 < width < 220     # around the nose


@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 900, 3), (300, 300, 3)])
def test_no_face_in_an_empty_picture(shape):
    assert find_faces(np.full(shape, 90, np.uint8)).shape == (0, 6)


def test_an_empty_folder_gives_the_portraits(tmp_path, portraits):
    photos, faults = personal_photos(tmp_path / "nothing")
    assert list(photos) == list(portraits) and not faults


def test_unreadable_files_are_named_and_the_rest_is_used(tmp_path):
    halves().save(tmp_path / "mine.png")
    (tmp_path / "notes.jpg").write_text("no picture")
    (tmp_path / "README.md").write_text("about this folder")
    photos, faults = personal_photos(tmp_path)
    assert next(iter(photos)) == "mine.png" and len(photos) == 3
    assert len(faults) == 1 and "notes.jpg" in faults[0]


def test_what_the_project_made_of_them_is_no_photo(tmp_path, portraits):
    Image.fromarray(portraits["Grace Hopper"]).save(tmp_path / "grace.png")
    assert command_line.main(["--fast", str(tmp_path), "--json", "--csv", "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.iterdir())) == 4
    photos, faults = personal_photos(tmp_path)
    assert next(iter(photos)) == "grace.png" and len(photos) == 3 and faults == []


def test_hidden_files_and_folders_are_left_out_and_names_can_be_drawn(tmp_path):
    halves().save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    (tmp_path / "._a.png").write_bytes(b"Mac OS X")
    (tmp_path / "album.jpg").mkdir()
    photos, faults = personal_photos(tmp_path)
    assert next(iter(photos)) == "caf\\udce9.png" and not faults
    figure = Figure()
    figure.suptitle(next(iter(photos)))
    figure.savefig(io.BytesIO())


def test_every_face_of_a_photo_is_found(portraits):
    count = {name: len(find_faces(photo, min_confidence=0.5)) for name, photo in portraits.items()}
    assert count == {"Eileen Collins": 1, "Grace Hopper": 1, "both": 2}
    assert find_faces(np.full((200, 300, 3), 128, np.uint8)).shape == (0, 6)


def test_reading_in_threads_leaves_the_warnings_as_they_were(tmp_path):
    """`warnings.catch_warnings` in several threads at once puts back what another one had set."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: read_photo(tmp_path / "a.png"), range(1500)))
    assert list(warnings.filters) == before


def test_more_pixels_than_a_photo_has(tmp_path, monkeypatch):
    Image.new("L", (50, 40)).save(tmp_path / "a.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 2000)
    assert read_photo(tmp_path / "a.png").shape == (40, 50, 3)
    monkeypatch.setattr(images, "MAX_PIXELS", 1999)
    with pytest.raises(DatasetError, match=r"a\.png: .*over 0\.001999 megapixels: make it smaller"):
        read_photo(tmp_path / "a.png")


@pytest.mark.parametrize("side", [14000, 15000])
def test_a_bomb_is_refused_in_one_line_and_without_a_warning(tmp_path, side):
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    with warnings.catch_warnings(record=True) as caught, pytest.raises(DatasetError, match="megapixels"):
        read_photo(tmp_path / "bomb.png")
    assert not caught
