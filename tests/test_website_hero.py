"""The first screen's face: errors by hand, answers from finished trainings, and what is kept where there are none."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toy import ToyFaces

from fkp_utils.files import write_json
from fkp_utils.landmarks import IBUG_68, IMM_58, NOSE_TIP_58
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import new_model
from fkp_utils.training.loop import finished, fit
from fkp_utils.website import hero
from fkp_utils.website.page import render


def test_shared_places_are_mirrored_alike_and_hold_the_eye_corners():
    """A wrong pair of indices would join a left place to a right one."""
    for ours, theirs in hero.SHARED.items():
        assert hero.SHARED[IMM_58.flip[ours]] == IBUG_68.flip[theirs]
    assert [hero.SHARED[k] for k in IMM_58.eye_corners] == list(IBUG_68.eye_corners)


def test_errors_are_percent_of_the_eyes_distance():
    """Eyes 50 apart. All places 3 right and 4 down: 5 of 50 are ten percent; one of ten places so: one percent."""
    truth = np.random.default_rng(0).uniform(0, 100, (58, 2))
    truth[21], truth[13] = [0, 0], [30, 40]
    assert hero.error(truth + [3, 4], truth) == pytest.approx(10)
    assert hero.error(truth[[NOSE_TIP_58]] + [0, 5], truth) == pytest.approx(10)
    other = np.full((68, 2), 1e6)                              # places that only one convention has do not count
    for ours, theirs in hero.SHARED.items():
        other[theirs] = truth[ours]
    assert hero.error(other, truth) == 0
    other[54] += [3, 4]
    assert hero.error(other, truth) == pytest.approx(1)


def test_a_part_without_a_training_keeps_its_stored_answer(tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    kept = {"points": [[500, 500]], "error": 3.2, "epochs": 40, "pixels": [60, 80]}
    (tmp_path / "results" / "hero.json").write_text(json.dumps({"stages": {"nose": kept, "shipped": kept}}))
    left, top, side = hero.SQUARE
    centre = np.full((58, 2), [left + side / 2 - 0.5, top + side / 2 - 0.5])
    monkeypatch.setattr(hero, "answers", lambda checkpoints, profile: {"shipped": {"points": centre}})
    assert hero.make(tmp_path, "quick", tmp_path) == [] and not (tmp_path / "hero.jpg").exists()       # no training at all
    (tmp_path / "resnet-0.pt").touch()
    assert hero.make(tmp_path, "quick", tmp_path) == ["shipped"]
    record = json.loads((tmp_path / "results" / "hero.json").read_text())
    assert list(record["stages"]) == ["nose", "shipped"] and record["stages"]["nose"] == kept
    assert record["stages"]["shipped"]["points"] == [[500, 500]] * 58 and len(record["truth"]) == 58
    assert Image.open(tmp_path / "hero.jpg").size == (2 * side, 2 * side)


def test_only_a_training_that_came_to_its_end_is_finished(tmp_path):
    chosen = Recipe("toy", "NoseNet", (60, 80), epochs=2, batch=4, lr=1e-3, data="imm_nose")
    faces = ToyFaces(8)
    assert finished(new_model(chosen), faces, faces, chosen, tmp_path) is None
    fit(new_model(chosen), faces, faces, chosen, tmp_path, on_epoch=lambda history: False, progress=False)
    assert finished(new_model(chosen), faces, faces, chosen, tmp_path) is None
    run = fit(new_model(chosen), faces, faces, chosen, tmp_path, progress=False)
    again = finished(new_model(chosen), faces, faces, chosen, tmp_path)
    np.testing.assert_array_equal(again.predict(faces), run.predict(faces))
    assert finished(new_model(chosen), faces, faces, replace(chosen, lr=2e-3), tmp_path) is None


def test_landmarks_become_paths():
    assert hero.dots([[1, 2], [30, 4]]) == "M1 2h0M30 4h0"
    path = hero.strokes({"points": [[500, 400]]})
    assert path == {"lines": "", "crosses": "M470 370l60 60m0-60l-60 60"}
    points = [[k, 2 * k] for k in range(68)]
    lines = hero.strokes({"points": points})["lines"]
    assert lines.startswith("M0 0L1 2L2 4") and lines.count("M") == len(IBUG_68.lines) and lines.count("Z") == 4


def test_what_the_slider_says(tmp_path):
    """Each stage's error and words, in the page's own script."""
    stages = {"face": {"points": [[1, 2]], "error": 8.57, "pixels": [180, 240]}, "shipped": {"points": [[1, 2]], "error": 1.49}}
    write_json(tmp_path / "results" / "hero.json", {"stages": stages, "truth": [[1, 2]]})
    Image.new("RGB", (8, 8)).save(tmp_path / "hero.jpg")
    [told] = re.findall(r"told = (\[.*?)\];\n", render(tmp_path).read_text(encoding="utf-8"))
    assert json.loads(told.replace("\u00a0", " ").rstrip(", ") + "]") == [
        {"key": "face", "title": "58 landmarks", "error": "8.6",
         "said": "FaceNet sees the whole picture, 180 by 240 pixels, and answers with 58 points."},
        {"key": "shipped", "title": "shipped net", "error": "1.5",
         "said": "The net that comes with the course, trained on real photos."}]
