"""The generated faces: official formats, determinism, interruption, exact landmarks."""

import filecmp
import json
from types import SimpleNamespace

import numpy as np
import pytest

from fkp_utils.datasets import Crop, IBugFaces, IMMFaces
from fkp_utils.datasets import embedded as module
from fkp_utils.datasets.embedded import Settings, ensure_embedded, studio_picture, wild_picture
from fkp_utils.datasets.imm import read_asf
from fkp_utils.errors import DatasetError
from fkp_utils.landmarks import IBUG_68
from fkp_utils.synthesis.head import N_COLS, template
from fkp_utils.synthesis.person import sample_person
from fkp_utils.synthesis.portrait import _march, face_shape

pytestmark = pytest.mark.training

TINY = Settings(people=1, train=2, test=4, seed=3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return ensure_embedded(tmp_path_factory.mktemp("tiny") / "faces", TINY, processes=1)


def _files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_layout_is_the_official_one(tiny):
    imm = [f for f in _files(tiny) if f.startswith("imm_face_db")]
    assert imm == sorted(f"imm_face_db/01-{v}m.{e}" for v in range(1, 7) for e in ("asf", "jpg"))
    xml = (tiny / "ibug_300W_large_face_landmark_dataset/labels_ibug_300W_test.xml").read_text()
    assert xml.count("<image ") == 4 and xml.count("_mirror.jpg") == 2 and xml.count("<part ") == 4 * 68
    parsed = (tiny / "ibug_300W_large_face_landmark_dataset/labels_ibug_300W_test_parsed.xml").read_text()
    assert parsed.count("<box ") == 4 and "<part" not in parsed
    assert not list(tiny.rglob("*.json")) or _files(tiny).count("embedded.json") == 1


def test_same_settings_same_bytes_whatever_the_processes(tiny, tmp_path):
    again = ensure_embedded(tmp_path / "faces", TINY, processes=2)
    assert _files(again) == _files(tiny)
    assert filecmp.cmpfiles(tiny, again, _files(tiny), shallow=False)[1:] == ([], [])


def test_interrupted_generation_is_never_taken_as_whole_and_goes_on(tiny, tmp_path, monkeypatch):
    target, made = tmp_path / "faces", []

    def interrupted(seed, index):
        if made:
            raise KeyboardInterrupt
        made.append(index)
        return wild_picture(seed, index)

    monkeypatch.setattr(module, "wild_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_embedded(target, TINY, processes=1)
    assert not target.exists()
    monkeypatch.setattr(module, "wild_picture", wild_picture)
    ensure_embedded(target, TINY, processes=1)
    assert filecmp.cmpfiles(tiny, target, _files(tiny), shallow=False)[1:] == ([], [])


def test_complete_set_is_not_made_again(tiny, monkeypatch):
    monkeypatch.setattr(module, "studio_picture", None)
    assert ensure_embedded(tiny, TINY) == tiny


def test_set_of_another_generator_is_made_again(tmp_path):
    folder = ensure_embedded(tmp_path / "faces", Settings(people=0, train=1, test=0), processes=1)
    stamp = folder / "embedded.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "generator": "older"}))
    before = stamp.read_text()
    ensure_embedded(folder, Settings(people=0, train=1, test=0), processes=1)
    assert stamp.read_text() != before


def test_foreign_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(DatasetError, match="other files"):
        ensure_embedded(tmp_path, TINY)
    assert (tmp_path / "photo.jpg").read_text() == "mine"


def test_written_landmarks_are_the_rendered_ones(tiny):
    _, landmarks = studio_picture(TINY.seed, 1, 2)
    np.testing.assert_allclose(read_asf(tiny / "imm_face_db/01-2m.asf") * [640, 480], landmarks, atol=1e-3)


def test_surface_passes_through_every_landmark():
    head = template()
    landmarks = face_shape(sample_person(5), np.array([0.5, 1.0, -0.5, 0.3]))
    surface = head.deform(landmarks).reshape(3, -1).T[head.landmark_vertex]
    assert np.abs(surface - landmarks).max() < 0.005           # in distances between the eye corners


def test_features_are_seen_at_the_landmarks():
    """A vertex from which the feature is seen 0.02 to the right goes 0.02 to the left of the landmark; the jaw's stay."""
    head, landmarks = template(), face_shape(sample_person(5), np.zeros(4))
    moved = landmarks - head.vertices_of(landmarks)
    np.testing.assert_allclose(moved[17:], head.model.feature_offset[17:], atol=1e-12)
    assert not moved[:17].any() and np.abs(moved[17:]).max() > 0.01


def test_jaw_paths_stay_as_high_as_they_begin_and_end_in_the_middle_of_the_face():
    head = template()
    y = head.deform(head.vertices_of(head.model.mean))[1].ravel()
    assert len(head.ibug_jaw_paths) == 17 and len(head.imm_jaw_paths) == 13
    for path in [*head.ibug_jaw_paths[:5], *head.ibug_jaw_paths[-5:], head.imm_jaw_paths[0], head.imm_jaw_paths[-1]]:
        assert np.abs(y[path] - y[path[0]]).max() < 0.03               # rows are 0.01 to 0.02 apart
        assert len(set(path)) == len(path) > 20 and abs(path[-1] % N_COLS - N_COLS // 2) <= 1
    assert len(head.ibug_jaw_paths[8]) == 1


def test_a_hidden_jaw_landmark_goes_to_the_outline():
    """Three vertices each, from left of the middle and from right of it; of a face 100 wide, 0.4 is taken as none."""
    left, right = np.array([0, 1, 2]), N_COLS - 1 - np.array([0, 1, 2])
    xy = np.zeros((2, N_COLS))
    for x_left, x_right, outermost in (((5, 3, 4), (90, 95, 93), (1, N_COLS - 2)), ((3, 4, 5), (95, 94, 93), (0, N_COLS - 1)),
                                       ((3, 2.7, 4), (90, 90.3, 80), (0, N_COLS - 1))):
        xy[0, left], xy[0, right] = x_left, x_right
        assert tuple(_march(xy, [left, right], 100)) == outermost


def test_eyes_are_where_the_landmarks_say():
    """The white of the eye is brighter than the lids; the aperture's landmarks surround a dark iris."""
    photo, landmarks = studio_picture(0, 8, 1)
    gray = photo.mean(2)
    for first in (13, 21):
        centre = landmarks[first:first + 8].mean(0).round().astype(int)
        iris = gray[centre[1] - 2:centre[1] + 3, centre[0] - 2:centre[0] + 3].mean()
        cheek = gray[centre[1] + 35:centre[1] + 45, centre[0] - 5:centre[0] + 5].mean()
        assert iris < 0.75 * cheek


def test_one_person_keeps_its_identity_over_views():
    a, b = face_shape(sample_person(7), np.zeros(4)), face_shape(sample_person(7), np.ones(4))
    other = face_shape(sample_person(8), np.zeros(4))
    rigid = [36, 39, 42, 45, 27]
    assert np.abs(a - b)[rigid].mean() < 0.5 * np.abs(a - other)[rigid].mean()


def test_wild_faces_vary_in_pose_and_box_covers_the_face():
    boxes = []
    for index in range(6):
        photo, landmarks, box = wild_picture(0, index)
        assert photo.dtype == np.uint8 and landmarks.shape == (68, 2) and np.isfinite(landmarks).all()
        inside = (landmarks > box[:2] - 0.3 * box[2:]) & (landmarks < box[:2] + 1.3 * box[2:])
        assert inside.mean() > 0.95
        boxes.append(box)
    assert np.ptp(np.array(boxes)[:, 2]) > 10


def test_boxes_lie_around_their_landmarks_to_a_tenth_of_a_pixel_in_the_mean():
    """Without the detector's own inexactness: the mean over landmarks anywhere between pixels, whose centres are integers."""
    still = SimpleNamespace(normal=lambda mean, deviation: mean, choice=lambda values: 1)
    rng, aside = np.random.default_rng(0), []
    for _ in range(400):
        landmarks = rng.uniform(100, 102, 2) + [[0, 0], [rng.uniform(80, 81), rng.uniform(90, 91)]]
        left, top, width, height = module._detector_box(still, landmarks, 0, 0)
        middle = landmarks.mean(0) - [0, 0.087 * 1.057 * np.sqrt(np.prod(np.ptp(landmarks, 0)))]
        aside.append(np.array([left + width / 2 - 0.5, top + height / 2 - 0.5]) - middle)
    assert np.abs(np.mean(aside, 0)).max() < 0.1


def test_mirrored_landmarks_flip_back(tiny):
    import xml.etree.ElementTree as ElementTree
    xml = ElementTree.parse(tiny / "ibug_300W_large_face_landmark_dataset/labels_ibug_300W_test.xml")
    first, mirror = list(xml.iter("image"))[:2]
    points = [np.array([[float(p.get("x")), float(p.get("y"))] for p in e.iter("part")]) for e in (first, mirror)]
    width = int(first.get("width"))
    np.testing.assert_allclose((points[1] * [-1, 1] + [width - 1, 0])[list(IBUG_68.flip)], points[0], atol=0.02)


def test_the_mirror_image_of_a_crop_is_the_crop_of_the_mirror_image(tiny):
    """A box spans edges: one from 3 to 13 in a picture 20 wide becomes one from 7 to 17."""
    faces = IBugFaces(tiny, "test", crop=Crop(1.4, 0.1, 64))
    assert [name.endswith("_mirror.jpg") for name in faces.names] == [False, True, False, True]
    np.testing.assert_allclose(faces.boxes[1::2, 0], (faces.sizes[::2, 0] - faces.boxes[::2, 0] - faces.boxes[::2, 2]))
    mirrored = faces.landmarks[1::2][:, list(IBUG_68.flip)] * [-1, 1] + [63, 0]
    np.testing.assert_allclose(mirrored, faces.landmarks[::2], atol=0.02)
    assert np.abs(faces.images[1::2, :, ::-1].astype(int) - faces.images[::2]).mean() < 2           # JPEG differs a little


def test_loader_reads_the_generated_set(tiny):
    faces = IMMFaces(tiny, "train")
    assert len(faces) == 6 and faces.images.std() > 20
