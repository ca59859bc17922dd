"""The exercises' checks: right answers pass, each usual mistake is called by its name, and nothing stops a notebook."""

import re

import numpy as np
import pytest
import torch

from fkp_utils import exercises
from fkp_utils.datasets import Crop
from fkp_utils.landmarks import IBUG_68
from fkp_utils.metrics import mae
from fkp_utils.metrics import nme as measured_nme
from fkp_utils.nets import heatmaps

CHECKS = {name: getattr(exercises, name) for name in dir(exercises) if name.startswith("check_")}


def _distances(p, t, c):
    return np.linalg.norm(p - t, axis=-1).mean(1) / np.linalg.norm(t[:, 39] - t[:, 42], axis=-1) * 100


# A beginner's code, as one writes it, and a word of what the check must say.
MISTAKES = {
    "check_mean_baseline": [(lambda train, count: train.mean(0), "for each of"), (lambda train, count: train[:count], "first"),
                            (lambda train, count: np.tile(train.mean(axis=(0, 1)), (count, train.shape[1], 1)), "has its own")],
    "check_receptive_field": [(lambda layers: 1 + sum(kernel - 1 for kernel, stride in layers), "strides"),
                              (lambda layers: sum(kernel for kernel, stride in layers), "overlap")],
    "check_flip": [(lambda p, width, order: np.stack([width - 1 - p[:, 0], p[:, 1]], 1), "left and right were not exchanged"),
                   (lambda p, width, order: np.stack([width - p[:, 0], p[:, 1]], 1)[list(order)], "one pixel off"),
                   (lambda p, width, order: p[list(order)], "x did not")],
    "check_nme": [(lambda p, t, c: _distances(p, t, c), "inner eye corners"),
                  (lambda p, t, c: np.linalg.norm(p - t, axis=2).mean(axis=1), "not divided"),
                  (lambda p, t, c: measured_nme(p, t, IBUG_68) / 100, "percent"),
                  (lambda p, t, c: measured_nme(p, t, IBUG_68).mean(), "each face has its own")],
    "check_to_image": [(lambda p, square, size: p * square[2] / size + np.array(square[:2]), "half a pixel off"),
                       (lambda p, square, size: (p + 0.5) * square[2] / size, "were not added"),
                       (lambda p, square, size: (p - np.array(square[:2])) * size / square[2] - 0.5, "inverse")],
    "check_schedule": [(lambda k, n, peak, w: peak * (1 + np.cos(np.pi * k / n)) / 2, "no warm-up"),
                       (lambda k, n, p, w: p * (k / w if k < w else (1 + np.cos(180 * (k - w) / (n - w))) / 2), "degrees")],
    "check_gaussians": [(lambda p, s, g: np.stack([exercises.gaussians(q[None, ::-1], s, g)[0] for q in p]), "exchanged"),
                        (lambda p, s, g: exercises.gaussians(np.round(p), s, g), "rounded"),
                        (lambda p, s, g: exercises.gaussians(p, s, g / np.sqrt(2)), "without the 2")],
    "check_soft_argmax": [(lambda m: exercises.soft_argmax(m)[:, [1, 0]], r"\(y, x\)"),
                          (lambda m: heatmaps.argmax(torch.tensor(m)[None])[0], "brightest")],
    "check_submission_order": [(lambda p: np.concatenate([p[..., 0], p[..., 1]], 1).ravel(), "they alternate"),
                               (lambda p: p[..., ::-1].reshape(-1), "y before x"),
                               (lambda p: p.reshape(-1, 136), "one value a row")],
    "check_mae": [(lambda p, t: np.linalg.norm(p - t, axis=-1).mean(), "one by one"), (lambda p, t: (p - t).mean(), "cancel"),
                  (lambda p, t: ((p - t) ** 2).mean(), "squared")],
}
# Right answers that are not the module's own: the package's other functions, or written in another way.
RIGHT = {
    "check_mean_baseline": lambda train, count: [list(np.mean(train, 0))] * count,
    "check_receptive_field": lambda layers: _seen(layers),
    "check_flip": lambda p, width, order: np.array([[width - 1 - p[k][0], p[k][1]] for k in order]),
    "check_nme": lambda p, t, c: measured_nme(p, t, IBUG_68),
    "check_to_image": lambda p, square, size: Crop(1.0, 0.0, size).to_image(
        p[None], np.array([[square[0] + 0.5, square[1] + 0.5, square[2], square[2]]]))[0],   # a box's first pixel, not its edge
    "check_schedule": lambda k, n, peak, w: peak * (k / w if k < w else np.cos(np.pi / 2 * (k - w) / (n - w)) ** 2),
    "check_gaussians": lambda p, s, g: np.stack([np.outer(np.exp(-(np.arange(s[0]) - y) ** 2 / 2 / g**2),
                                                          np.exp(-(np.arange(s[1]) - x) ** 2 / 2 / g**2)) for x, y in p]),
    "check_soft_argmax": lambda m: heatmaps.soft_argmax(torch.tensor(m)[None])[0],
    "check_submission_order": lambda p: [v for face in p for point in face for v in point],
    "check_mae": lambda p, t: mae(p, t),
}


def _seen(layers):
    """The receptive field by brute force: which of the input's pixels one output depends on."""
    needed = {0}
    for kernel, stride in reversed(layers):
        needed = {stride * k + j for k in needed for j in range(kernel)}
    return max(needed) - min(needed) + 1


def test_every_check_is_tried():
    assert CHECKS.keys() == MISTAKES.keys() == RIGHT.keys() and len(CHECKS) == 10


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_right_answers_pass(name):
    assert CHECKS[name](RIGHT[name]) == "right"


@pytest.mark.parametrize("name, k", [(name, k) for name in sorted(MISTAKES) for k in range(len(MISTAKES[name]))])
def test_usual_mistakes_are_named(name, k):
    wrong, word = MISTAKES[name][k]
    said = CHECKS[name](wrong)
    assert said.startswith("wrong: ") and re.search(word, said), said


@pytest.mark.parametrize("name", sorted(CHECKS))
@pytest.mark.parametrize("yours, said", [
    (lambda *given: ..., "not yet"), (lambda *given: None, "not yet"), (lambda: 1, "wrong: it raises TypeError"),
    (lambda *given: 1 / 0, "wrong: it raises ZeroDivisionError"), (lambda *given: np.full((7, 7), np.nan), "wrong"),
    (lambda *given: "text", "wrong")])
def test_nothing_stops_the_notebook(name, yours, said):
    assert CHECKS[name](yours).startswith(said)


def test_a_number_that_is_wrong_in_no_usual_way_is_shown_beside_the_right_one():
    assert exercises.check_receptive_field(lambda layers: 5) == "wrong: in case 1 it says 5, not 36"
    assert repr(exercises.check_mae(lambda p, t: 0.0)).startswith("wrong: in case 1 it says 0, not ")
