"""The IMM loader: formats it must read, faults it must name."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fkp_utils.datasets import IMMFaces
from fkp_utils.datasets.imm import read_asf
from fkp_utils.errors import DatasetError
from fkp_utils.landmarks import NOSE_TIP_58


@pytest.mark.parametrize("columns", [7, 10])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_reads_both_column_counts_and_all_line_ends(imm_folder, columns, newline):
    folder = imm_folder(columns=columns, newline=newline)
    points = read_asf(folder / "01-1m.asf")
    assert points.shape == (58, 2)
    np.testing.assert_allclose(points[10], [0.11, 0.12], atol=1e-6)


def test_a_mark_of_utf_8_before_the_first_line_is_no_fault(imm_folder):
    path = imm_folder() / "01-1m.asf"
    expected = read_asf(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    np.testing.assert_array_equal(read_asf(path), expected)
    assert expected.dtype == np.float32


def test_relative_coordinates_become_pixels(imm_folder):
    faces = IMMFaces(imm_folder().parent)
    np.testing.assert_allclose(faces.landmarks[0, 10], [0.11 * 640, 0.12 * 480], atol=1e-3)


def test_landmarks_follow_a_resize(imm_folder):
    root = imm_folder().parent
    small = IMMFaces(root, size=(60, 80)).landmarks[0, 10]
    np.testing.assert_allclose(small, [(0.11 * 640 + 0.5) / 8 - 0.5, (0.12 * 480 + 0.5) / 8 - 0.5], atol=1e-4)


def _fault(folder, root, name):
    with pytest.raises(DatasetError) as error:
        IMMFaces(root)
    assert name in str(error.value)
    return str(error.value)


def test_missing_photo_is_named(imm_folder):
    folder = imm_folder()
    (folder / "01-1m.jpg").unlink()
    assert "no such picture" in _fault(folder, folder.parent, "01-1m.jpg")


def test_missing_asf_is_named(imm_folder):
    folder = imm_folder()
    (folder / "01-1m.asf").unlink()
    assert "cannot be read" in _fault(folder, folder.parent, "01-1m.asf")


def test_wrong_point_count_is_named(imm_folder):
    folder = imm_folder(points=57)
    assert "57 points" in _fault(folder, folder.parent, "01-1m.asf")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", ["nan", "inf", "9e9", "abc", "-1e40", "9" * 5000])
def test_bad_number_is_named(imm_folder, bad):
    folder = imm_folder()
    path = folder / "01-1m.asf"
    path.write_text(path.read_text().replace("0.1100", bad))
    _fault(folder, folder.parent, "01-1m.asf")


def test_truncated_jpeg_names_the_file(imm_folder):
    folder = imm_folder()
    path = folder / "01-1m.jpg"
    path.write_bytes(path.read_bytes()[:1200])
    assert "damaged" in _fault(folder, folder.parent, "01-1m.jpg")


def test_text_file_named_jpg_names_the_file(imm_folder):
    folder = imm_folder()
    (folder / "01-1m.jpg").write_text("hello")
    assert "not a picture" in _fault(folder, folder.parent, "01-1m.jpg")


def test_photo_of_another_size_is_named(imm_folder):
    folder = imm_folder(size=(320, 240))
    assert "320x240" in _fault(folder, folder.parent, "01-1m.jpg")


def test_empty_folder_is_named(tmp_path):
    (tmp_path / "imm_face_db").mkdir()
    _fault(tmp_path, tmp_path, "imm_face_db")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=400), st.text(alphabet="0123456789.#- \t\r\nnaife", max_size=400).map(str.encode)))
def test_rubbish_gives_only_dataset_errors(tmp_path, rubbish):
    path = tmp_path / "x.asf"
    path.write_bytes(rubbish)
    with pytest.raises(DatasetError):
        read_asf(path)


def test_embedded_split_is_by_person(embedded):
    train, val = IMMFaces(embedded, "train", size=(60, 80)), IMMFaces(embedded, "val", size=(60, 80))
    assert (len(train), len(val)) == (192, 48)
    assert {train.person(i) for i in range(192)} == set(range(1, 33))
    assert {val.person(i) for i in range(48)} == set(range(33, 41))


def test_real_photos_load_and_nose_tip_is_in_the_middle(real):
    faces = IMMFaces(real, "all", size=(60, 80))
    assert len(faces) == 240
    frontal = [i for i in range(240) if faces.view(i) == 1]
    corners = faces.landmarks[frontal][:, [21, 13]].mean(1)
    nose = faces.landmarks[frontal][:, NOSE_TIP_58]
    assert np.abs(nose - corners)[:, 0].max() < 4 and (nose[:, 1] > corners[:, 1]).all()
