"""Figures exist, open, have the right size and are not blank."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fkp_utils import plotting
from fkp_utils.landmarks import IMM_58

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (6, 60, 80), dtype=np.uint8)
POINTS = RNG.uniform(10, 50, (6, 58, 2))
ERRORS = np.array([3., 1., 5., 2., 9., 4.])
HISTORY = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [.1, .05, .02], "val_loss": [.12, .06, .04], "val_error": [9, 5, 4.]})

FIGURES = {
    "face_grid": lambda: plotting.face_grid(IMAGES, POINTS, POINTS + 1, list("abcdef"), heading="faces", convention=IMM_58),
    "numbered": lambda: plotting.numbered_landmarks(IMAGES[0], POINTS[0], IMM_58, marked=52),
    "loss_curves": lambda: plotting.loss_curves(HISTORY, 0.08, "title"),
    "compare": lambda: plotting.compare_recipes({"a": HISTORY, "b": HISTORY}, 8, "px"),
    "ranked": lambda: plotting.ranked_faces(IMAGES, POINTS, POINTS, ERRORS, worst=True, unit="px"),
    "filters one": lambda: plotting.filters(RNG.normal(size=(12, 1, 5, 5)), "conv1"),
    "filters many": lambda: plotting.filters(RNG.normal(size=(12, 12, 5, 5)), "conv2"),
    "options": lambda: plotting.face_with_options(IMAGES[0], POINTS[0], IMM_58, True, True, "a face"),
    "error details": lambda: plotting.error_details(IMAGES[0], POINTS[0], POINTS[1], {"jaw": 3.0, "eyes": 1.0}, "", IMM_58),
    "heatmap details": lambda: plotting.heatmap_details(IMAGES[0], RNG.random((15, 20)), POINTS[0, 0], POINTS[0, 0], ""),
    "feature maps": lambda: plotting.feature_maps(IMAGES[0], RNG.random((12, 20, 30)), RNG.normal(size=(12, 1, 5, 5)), "conv1"),
    "ablation": lambda: plotting.ablation({"reference": {"nme": 5.0}, "worse": {"nme": 6.0}, "better": {"nme": 4.5}}, "all"),
    "calibration": lambda: plotting.calibration(RNG.random(90), RNG.uniform(2, 20, 90)),
    "by view": lambda: plotting.error_by_view(ERRORS, list("aabbcc"), "px"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_a_picture_with_content(name):
    file = io.BytesIO()
    FIGURES[name]().savefig(file, format="jpg")
    picture = np.asarray(Image.open(file).convert("L"))
    assert min(picture.shape) > 100 and max(picture.shape) < 2000 and picture.std() > 5


def test_extremes_are_chosen_by_error():
    assert list(plotting.extremes(ERRORS, 2, worst=True)) == [4, 2]
    assert list(plotting.extremes(ERRORS, 2, worst=False)) == [1, 3]


def test_truth_is_green_and_prediction_red():
    fig = plotting.face_grid(np.zeros((1, 40, 40), np.uint8), [np.array([[10., 20.]])], [np.array([[30., 20.]])])
    file = io.BytesIO()
    fig.savefig(file, format="png")
    rgb = np.asarray(Image.open(file).convert("RGB")).astype(int)
    green = np.argwhere((rgb[..., 1] - rgb[..., 0]) > 100)[:, 1].mean()
    red = np.argwhere((rgb[..., 0] - rgb[..., 1]) > 100)[:, 1].mean()
    assert green < red


def test_ablation_shows_differences_from_the_reference():
    fig = plotting.ablation({"reference": {"nme": 5.0}, "worse": {"nme": 6.25}, "better": {"nme": 4.5}}, "changes")
    assert [text.get_text() for text in fig.axes[0].texts] == ["+1.25", "-0.50"]
