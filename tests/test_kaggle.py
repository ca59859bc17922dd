"""The submission file and everything its checker must refuse."""

import numpy as np
import pandas as pd
import pytest

from fkp_utils import kaggle

SIZES = np.array([[300, 200], [150, 160]])


@pytest.fixture
def landmarks():
    return np.random.default_rng(0).uniform(0, 150, (2, 68, 2))


@pytest.fixture
def file(tmp_path, landmarks):
    return kaggle.write_submission(tmp_path / "submission.csv", landmarks)


def test_layout(file, landmarks):
    lines = file.read_text().splitlines()
    assert lines[0] == "Id,Predicted" and len(lines) == 1 + 2 * 136
    for row, (face, point, axis) in ((1, (0, 0, 0)), (2, (0, 0, 1)), (3, (0, 1, 0)), (137, (1, 0, 0))):
        number, value = lines[row].split(",")
        assert int(number) == row - 1 and abs(float(value) - landmarks[face, point, axis]) < 1e-3


def test_round_trip_and_score(file, landmarks):
    assert np.abs(kaggle.read_submission(file, SIZES) - landmarks).max() < 1e-3
    assert abs(kaggle.score(file, landmarks + [3, -1], SIZES) - 2) < 1e-3


def change(file, edit):
    table = pd.read_csv(file)
    edit(table).to_csv(file, index=False)


@pytest.mark.parametrize("edit, words", [
    (lambda t: t.iloc[:-1], "271 rows, expected 272"),
    (lambda t: t.iloc[::-1], "row 2 .*Ids must count from 0"),
    (lambda t: t.assign(Predicted=t.Predicted.where(t.Id != 140)), r"row 142 \(face 1\): not a number"),
    (lambda t: t.assign(Predicted=t.Predicted.where(t.Id != 5, 1e4)), r"row 7 \(face 0\): far outside"),
    (lambda t: t.rename(columns={"Id": "id"}), "columns"),
    (lambda t: t.assign(Predicted=t.Predicted.astype(str).where(t.Id != 0, "left")), "not a number"),
])
def test_refused(file, edit, words):
    change(file, edit)
    with pytest.raises(ValueError, match=words):
        kaggle.read_submission(file, SIZES)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe rubbish", b"a\n1,2,3\n4,5,6,7,8"])
def test_rubbish_is_a_value_error(tmp_path, content):
    (tmp_path / "s.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"s\.csv"):
        kaggle.read_submission(tmp_path / "s.csv", SIZES)


def test_only_finite_landmarks_of_the_right_shape_are_written(tmp_path, landmarks):
    landmarks[1, 3, 0] = np.nan
    for wrong in (landmarks, landmarks[0], landmarks[:, :58]):
        with pytest.raises(ValueError, match="finite landmarks"):
            kaggle.write_submission(tmp_path / "s.csv", wrong)
    assert not list(tmp_path.iterdir())
