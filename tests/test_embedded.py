"""The embedded faces, as files: layouts, landmarks, mirror images, what is covered; and the formats their maker writes."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fkp_utils.datasets import Crop, IBugFaces, IMMFaces
from fkp_utils.datasets.imm import read_asf
from fkp_utils.landmarks import IBUG_68

sys.path.append(str(Path(__file__).parents[1] / "bench/shipped_files/faces"))

import formats


def entries(embedded, name):
    """The XML's entries: (file, box, landmarks (68, 2) or None)."""
    xml = ElementTree.parse(embedded / formats.IBUG / f"labels_ibug_300W_{name}.xml")
    found = []
    for e in xml.iter("image"):
        points = np.array([[float(p.get("x")), float(p.get("y"))] for p in e.iter("part")])
        box = [int(e.find("box").get(k)) for k in ("left", "top", "width", "height")]
        found.append((e.get("file"), box, points if len(points) else None))
    return found


def test_layout_is_the_official_one(embedded):
    names = {path.stem for path in (embedded / formats.IMM).glob("*.jpg")}
    assert len(names) == 240 and names == {path.stem for path in (embedded / formats.IMM).glob("*.asf")}
    assert {(int(n[:2]), int(n[3])) for n in names} == {(person, view) for person in range(1, 41) for view in range(1, 7)}
    for name, count, with_parts in (("train", 600, True), ("test", 100, True), ("test_parsed", 100, False)):
        found = entries(embedded, name)
        assert len(found) == count == len({file for file, _, _ in found})
        assert all((points is not None) == with_parts for _, _, points in found)
        assert all((embedded / formats.IBUG / file).is_file() for file, _, _ in found)


def test_the_set_is_small_free_and_says_how_it_was_made(embedded):
    files = [path for path in embedded.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20e6
    sheet = (embedded / "README.md").read_text()
    assert "CC0" in sheet and "make.py" in sheet and "seed" in sheet


def test_every_picture_has_the_size_that_its_entry_gives_and_no_metadata(embedded):
    xml = ElementTree.parse(embedded / formats.IBUG / "labels_ibug_300W_train.xml")
    for e in list(xml.iter("image"))[::20]:
        with Image.open(embedded / formats.IBUG / e.get("file")) as picture:
            assert picture.size == (int(e.get("width")), int(e.get("height"))) and not picture.getexif()
    for path in sorted((embedded / formats.IMM).glob("*.jpg"))[::20]:
        with Image.open(path) as picture:
            assert picture.size == (640, 480)


def test_landmarks_lie_in_their_boxes_and_eyes_are_darker_than_cheeks(embedded):
    """The iris, between a lid's landmarks, against the cheek below it, on IMM's frontal views."""
    inside = [((points > np.array(box[:2]) - 0.35 * box[2]) & (points < np.array(box[:2]) + 1.35 * box[2])).mean()
              for _, box, points in entries(embedded, "train")]
    assert np.mean(inside) > 0.98 and min(inside) > 0.6
    darker = []
    for person in range(1, 41):
        path = next((embedded / formats.IMM).glob(f"{person:02d}-1*.jpg"))
        grey = np.asarray(Image.open(path).convert("L"), float)
        points = read_asf(path.with_suffix(".asf")) * [640, 480]
        for first in (13, 21):
            x, y = points[first:first + 8].mean(0).round().astype(int)
            drop = round(0.35 * np.linalg.norm(points[13] - points[21]))
            darker.append(grey[y - 1:y + 2, x - 1:x + 2].mean() < grey[y + drop - 3:y + drop + 4, x - 3:x + 4].mean())
    assert np.mean(darker) > 0.9


def test_people_of_the_studio_stay_themselves_over_their_views(embedded):
    """Shapes of frontal and happy views: a person's two are more alike than two people's."""
    faces = IMMFaces(embedded, "all")
    rigid = [13, 17, 21, 25, 47, 57, 52]
    shapes = {view: np.stack([faces.landmarks[i][rigid] for i in range(240) if faces.view(i) == view]) for view in (1, 2)}
    for shape in shapes.values():
        shape -= shape.mean(1, keepdims=True)
        shape /= np.linalg.norm(shape[:, 0] - shape[:, 2], axis=1)[:, None, None]
    same = np.linalg.norm(shapes[1] - shapes[2], axis=-1).mean()
    other = np.linalg.norm(shapes[1] - np.roll(shapes[2], 1, 0), axis=-1).mean()
    assert same < 0.7 * other


def test_views_turn_as_in_imm_and_noses_leave_the_middle(embedded):
    """View 3 is turned to the image's left, 4 to its right: the nose tip lies there of the middle of the eyes. Real noses lie
    43 pixels from their mean position, in the mean."""
    faces = IMMFaces(embedded, "all")
    eyes, nose = (faces.landmarks[:, 13] + faces.landmarks[:, 21]) / 2, faces.landmarks[:, 52]
    views = np.array([faces.view(i) for i in range(240)])
    aside = (nose - eyes)[:, 0] / np.linalg.norm(faces.landmarks[:, 13] - faces.landmarks[:, 21], axis=1)
    assert aside[views == 3].max() < 0 < aside[views == 4].min() and abs(aside[views == 1].mean()) < 0.03
    assert nose[views == 3, 0].mean() < 290 and nose[views == 4, 0].mean() > 360
    assert 35 < np.linalg.norm(nose - nose.mean(0), axis=1).mean() < 55


def test_covered_landmarks_are_listed_for_every_picture_and_are_a_minority(embedded):
    wild = [file for name in ("train", "test") for file, _, _ in entries(embedded, name)]
    studio = [path.name for path in (embedded / formats.IMM).glob("*.jpg")]
    for folder, files, size in ((formats.IBUG, wild, 68), (formats.IMM, studio, 58)):
        covered = json.loads((embedded / folder / "covered.json").read_text())
        assert set(covered) == set(files)
        assert all(0 <= k < size for indices in covered.values() for k in indices)
        share = np.mean([len(indices) / size for indices in covered.values()])
        assert 0.005 < share < 0.3


def test_the_mirror_image_of_a_crop_is_the_crop_of_the_mirror_image(embedded):
    """A box spans edges: one from 3 to 13 in a picture 20 wide becomes one from 7 to 17."""
    faces = IBugFaces(embedded, "test", crop=Crop(1.4, 0.1, 64))
    assert [name.endswith("_mirror.jpg") for name in faces.names] == [False, True] * 50
    np.testing.assert_allclose(faces.boxes[1::2, 0], (faces.sizes[::2, 0] - faces.boxes[::2, 0] - faces.boxes[::2, 2]))
    mirrored = faces.landmarks[1::2][:, list(IBUG_68.flip)] * [-1, 1] + [63, 0]
    np.testing.assert_allclose(mirrored, faces.landmarks[::2], atol=0.02)
    assert np.abs(faces.images[1::2, :, ::-1].astype(int) - faces.images[::2]).mean() < 2           # JPEG differs a little


def test_a_mirrored_entry_by_hand():
    """A picture 20 wide: x becomes 19 - x, the box from 3 to 13 one from 7 to 17, a covered right ear (0) the left one (16)."""
    points = np.arange(136.0).reshape(68, 2) / 8
    made = formats.mirrored(formats.entry("a.jpg", (20, 30), points, np.array([3, 5, 10, 12]), [0, 8, 36]), "b.jpg")
    assert made["box"] == [7, 5, 10, 12] and made["covered"] == [8, 16, 45] and made["file"] == "b.jpg"
    np.testing.assert_allclose(made["parts"][0], np.round([19 - points[16, 0], points[16, 1]], 2))
    np.testing.assert_allclose(made["parts"][45], np.round([19 - points[36, 0], points[36, 1]], 2))


def test_an_asf_file_of_the_maker_is_read_back(tmp_path):
    points = np.random.default_rng(0).uniform(0, 400, (58, 2))
    (tmp_path / "a.asf").write_text(formats.asf(points, "a.jpg", (640, 480)))
    np.testing.assert_allclose(read_asf(tmp_path / "a.asf") * [640, 480], points, atol=1e-5)


def test_boxes_lie_around_their_landmarks_to_a_tenth_of_a_pixel_in_the_mean():
    """Without the detector's own inexactness: the mean over landmarks anywhere between pixels, whose centres are integers."""
    still = SimpleNamespace(normal=lambda mean, deviation: mean, choice=lambda values: 1)
    rng, aside = np.random.default_rng(0), []
    for _ in range(400):
        landmarks = rng.uniform(100, 102, 2) + [[0, 0], [rng.uniform(80, 81), rng.uniform(90, 91)]]
        left, top, width, height = formats.detector_box(still, landmarks, 0, 0)
        middle = landmarks.mean(0) - [0, 0.087 * 1.057 * np.sqrt(np.prod(np.ptp(landmarks, 0)))]
        aside.append(np.array([left + width / 2 - 0.5, top + height / 2 - 0.5]) - middle)
    assert np.abs(np.mean(aside, 0)).max() < 0.1


def test_a_missing_set_is_one_error_that_names_it(tmp_path):
    from fkp_utils.errors import DatasetError
    with pytest.raises(DatasetError, match="imm_face_db"):
        IMMFaces(tmp_path, "train")
