"""The submission file and everything its checker must refuse."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fkp_utils import kaggle
from fkp_utils.datasets import Crop, IBugFaces
from fkp_utils.nets.weights import load_weights, save_weights
from fkp_utils.predict import Face

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
        assert int(number) == row - 1 and float(value) == round(landmarks[face, point, axis], 3)


def test_round_trip(file, landmarks):
    assert np.abs(kaggle.read_submission(file, SIZES) - landmarks).max() < 1e-3


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


@pytest.mark.parametrize("row, limit", [(4, (-300, 600)), (5, (-200, 400)), (140, (-150, 300)), (141, (-160, 320))])
def test_far_outside_is_more_than_a_picture_away(file, row, limit):
    """Even rows are x, odd ones y; the first face's picture is 300x200, the second's 150x160."""
    for value in limit:
        change(file, lambda t, value=value: t.assign(Predicted=t.Predicted.where(t.Id != row, value)))
        assert kaggle.read_submission(file, SIZES).ravel()[row] == value
        change(file, lambda t, value=value: t.assign(Predicted=t.Predicted.where(t.Id != row, value + np.sign(value) * 0.01)))
        with pytest.raises(ValueError, match="far outside"):
            kaggle.read_submission(file, SIZES)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe rubbish", b"a\n1,2,3\n4,5,6,7,8"])
def test_rubbish_is_a_value_error(tmp_path, content):
    (tmp_path / "s.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"s\.csv"):
        kaggle.read_submission(tmp_path / "s.csv", SIZES)


def test_only_finite_landmarks_of_the_right_shape_are_written(tmp_path, landmarks):
    unknown = landmarks.copy()
    unknown[1, 3, 0] = np.nan
    objects, ragged = landmarks.astype(object), [face.tolist() for face in landmarks]
    objects[0, 0, 0], ragged[1] = None, ragged[1][:58]
    for wrong in (unknown, landmarks[0], landmarks[:, :58], landmarks[..., :1], landmarks[None], objects, ragged, landmarks[:0],
                  [], None, "landmarks", [Face(np.zeros(4), landmarks[0], 1.0)], np.float64(3)):
        with pytest.raises(ValueError, match="finite landmarks"):
            kaggle.write_submission(tmp_path / "s.csv", wrong)
    assert not list(tmp_path.iterdir())
    for as_good in (landmarks.astype(object), landmarks.tolist(), torch.from_numpy(landmarks)):
        written = kaggle.write_submission(tmp_path / "s.csv", as_good)
        np.testing.assert_allclose(kaggle.read_submission(written, SIZES), landmarks, atol=1e-3)


def _beside(weights, offset):
    """A net whose labels lay so far to one side."""
    run = load_weights(weights)
    return replace(run, recipe=replace(run.recipe, augment=replace(run.recipe.augment, flip_offset=offset)))


def test_a_submission_of_a_net_with_a_known_error_scores_it(embedded, tmp_path, monkeypatch, capsys):
    """Every x 3 too large and every y 1 too small: MAE 2, if each face's rows are where the test list has it."""
    listed = IBugFaces(embedded, "test", crop=Crop(1.4, 0.1, 64))
    truth = {(name, tuple(box)): landmarks for name, box, landmarks in zip(listed.names, listed.boxes, listed.truth)}
    opened = []
    monkeypatch.setattr(kaggle, "read_gray", lambda path: str(path)[len(str(listed.folder)) + 1:])

    def answers(names, boxes, run):
        opened.append(len(names))
        return [Face(box, truth[name, tuple(box)] + [3, -1], 1.0) for name, box in zip(names, boxes)]

    monkeypatch.setattr(kaggle, "landmarks_in_boxes", answers)
    save_weights(tmp_path / "net.safetensors", _beside("small68.safetensors", 0.02))
    arguments = ["--data", str(embedded), "--weights", str(tmp_path / "net.safetensors"), "--out", str(tmp_path / "s.csv")]
    assert kaggle.main(arguments) == 0
    said = capsys.readouterr().out
    assert "as found, values" in said and "MAE 2.000 px as found" in said and sum(opened) == len(listed) and len(opened) > 1
    values = pd.read_csv(tmp_path / "s.csv").Predicted.to_numpy().reshape(len(listed), 68, 2)
    np.testing.assert_allclose(values, listed.truth + [3, -1], atol=2e-3)
    assert kaggle.main([*arguments, "--labels-side"]) == 0
    moved = pd.read_csv(tmp_path / "s.csv").Predicted.to_numpy().reshape(len(listed), 68, 2) - values
    eyes = (listed.truth[:, 45] - listed.truth[:, 36]) * np.where(listed.mirrored, -1, 1)[:, None]
    np.testing.assert_allclose(moved, np.repeat(0.02 * eyes[:, None], 68, 1), atol=2e-3)
    assert "on the labels' side, values" in capsys.readouterr().out


def test_labels_of_the_sets_own_mirrored_copies_lie_to_the_other_side(embedded):
    """To the right by 0.02 inter-ocular distances, in the set's copies, which their file names tell, to the left."""
    run = _beside("small68.safetensors", 0.02)
    faces = IBugFaces(embedded, "test", crop=Crop(1.4, 0.1, 64))
    aside = 0.02 * (faces.truth[:, 45] - faces.truth[:, 36])[:, None]
    copies = np.array(["_mirror" in name for name in faces.names])
    assert copies.any() and not copies.all()
    found = kaggle.on_labels_side(faces.truth, run, faces)
    np.testing.assert_allclose(found[copies], (faces.truth - aside)[copies], atol=1e-3)
    np.testing.assert_allclose(found[~copies], (faces.truth + aside)[~copies], atol=1e-3)


@pytest.mark.parametrize("weights, points", [("imm58.safetensors", 58), ("finder.safetensors", 33)])
def test_nets_of_other_points_are_refused_before_they_predict(embedded, tmp_path, monkeypatch, capsys, weights, points):
    monkeypatch.setattr(kaggle, "predict_test", lambda *arguments: pytest.fail("predicted"))
    assert kaggle.main(["--data", str(embedded), "--weights", weights, "--out", str(tmp_path / "s.csv")]) == 1
    assert f"{weights}: a net of {points} points" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_submission_that_cannot_be_written_is_said_before_the_net_predicts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kaggle, "load_weights", lambda path: pytest.fail("began"))
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path, tmp_path / "file" / "s.csv"):
        with pytest.raises(SystemExit) as ended:
            kaggle.main(["--out", str(out)])
        assert ended.value.code == 2 and "argument --out: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--data", "{}/nowhere"], ["--weights", "{}/none.safetensors"], ["--weights", "{}"]])
def test_what_is_not_there_is_one_line(tmp_path, capsys, arguments):
    assert kaggle.main([*(text.format(tmp_path) for text in arguments), "--out", str(tmp_path / "s.csv")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("kaggle: ") and str(tmp_path) in told and told.count("\n") == 1


def test_an_interrupted_prediction_is_exit_code_130(monkeypatch, capsys):
    def interrupt(path):
        raise KeyboardInterrupt
    monkeypatch.setattr(kaggle, "load_weights", interrupt)
    assert kaggle.main([]) == 130 and capsys.readouterr().err == "kaggle: interrupted\n"
