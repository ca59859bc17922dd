"""The exercises' checks: right answers pass, each usual mistake is called by its name, and nothing stops a notebook."""

import ast
import builtins
import copy
import functools
import inspect
import itertools
import math
import re
import sys
import types
from fractions import Fraction

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import center_of_mass
from scipy.spatial.distance import cdist
from scipy.special import softmax
from test_project import PROJECT
from toy import raises, shown

from fkp_utils import detection, exercises
from fkp_utils.datasets import Crop
from fkp_utils.landmarks import IBUG_68, IMM_58
from fkp_utils.metrics import mae, mean_shape
from fkp_utils.metrics import nme as measured_nme
from fkp_utils.nets import heatmaps

CHECKS = {name: getattr(exercises, name) for name in dir(exercises) if name.startswith("check_")}


def _seen(layers):
    """The receptive field by brute force: which of the input's pixels one output depends on."""
    needed = {0}
    for kernel, stride in reversed(layers):
        needed = {stride * k + j for k in needed for j in range(kernel)}
    return max(needed) - min(needed) + 1


def _backwards(layers):
    """A field grows from the last layer on: r -> (r - 1) * stride + kernel."""
    return functools.reduce(lambda field, layer: (field - 1) * layer[1] + layer[0], reversed(layers), 1)


def _emptied(layers):
    field, step = 1, 1
    while layers:
        kernel, stride = layers.pop(0)
        field, step = field + step * (kernel - 1), step * stride
    return field


def _flip_in_place(landmarks, width, order):
    landmarks[:, 0] = width - 1 - landmarks[:, 0]
    landmarks[:] = landmarks[np.array(order)]
    return landmarks


def _scattered(landmarks, width, order):
    mirrored = np.empty_like(landmarks)
    mirrored[list(order), 0], mirrored[list(order), 1] = width - 1 - landmarks[:, 0], landmarks[:, 1]
    return mirrored


def _nme_in_place(predicted, truth, corners):
    predicted -= truth
    truth -= truth[:, corners[0]][:, None].copy()
    return np.sqrt((predicted**2).sum(2)).sum(1) / len(predicted[0]) * 100 / np.hypot(*truth[:, corners[1]].T)


def _nme_by_hand(predicted, truth, corners):
    return [100 * sum(map(math.dist, p, t)) / len(t) / math.dist(t[corners[0]], t[corners[1]])
            for p, t in zip(predicted.tolist(), truth.tolist())]


def _to_image_in_place(points, square, size):
    points += 0.5
    points *= square[2] / size
    points += square[:2]
    return points


class Falling:
    """A schedule with __call__, as PyTorch's are."""

    def __init__(self, floor=0.0):
        self.floor = floor

    def __call__(self, step, steps, peak, warmup):
        if step <= warmup:
            return step / warmup * peak
        done = torch.tensor(math.pi * (step - warmup) / (steps - warmup), dtype=torch.float64)
        return self.floor + (peak - self.floor) * (1 + done.cos()) / 2


def _profile(centres, length, sigma):
    return np.exp(-np.square(np.arange(length) - centres[:, None]) / (2 * sigma**2))


def _bells_of_a_thing(points, size, sigma):
    thing = types.SimpleNamespace(map=_bells_by_distance(points, size, sigma))       # its name is nobody's loop
    return thing.map


def _on_axes(axes):
    def bells(points, size, sigma):
        y, x = axes(size)
        return _profile(points[:, 1], len(y), sigma)[:, :, None] * _profile(points[:, 0], len(x), sigma)[:, None]
    return bells


class Bells(torch.nn.Module):
    """Gaussians as a layer."""

    def forward(self, points, size, sigma):
        points = torch.from_numpy(points)
        y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
        return torch.exp(-((x - points[:, :1, None]) ** 2 + (y - points[:, 1:, None]) ** 2) / 2 / sigma**2)


def _bells_by_distance(points, size, sigma):
    rows, columns = np.indices(size)
    pixels = np.c_[columns.ravel(), rows.ravel()]
    return np.exp(cdist(points, pixels, "sqeuclidean") / (-2 * sigma**2)).reshape(-1, *size)


def _soft_by_torch(logits):
    logits = torch.as_tensor(logits, dtype=torch.float32)
    h, w = logits.shape[1:]
    share = logits.flatten(1).softmax(1).view(-1, h, w)
    return torch.stack([share.sum(1) @ torch.arange(w).float(), share.sum(2) @ torch.arange(h).float()], dim=1)


def _soft_in_place(logits):
    logits -= logits.max((1, 2))[:, None, None]
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=2).sum(axis=1)[:, None, None]
    rows, columns = np.indices(logits.shape[1:])
    return np.einsum("nhw,khw->nk", logits, np.array([columns, rows]))


def _mae_by_hand(predicted, truth):
    differences = [abs(a - b) for p, t in zip(predicted, truth) for q, u in zip(p, t) for a, b in zip(q, u)]
    return sum(differences) / len(differences)


def _mae_in_place(predicted, truth):
    predicted -= truth
    np.abs(predicted, out=predicted)
    truth[...] = 0
    return np.mean(predicted)


# Right answers that are not the module's own: the package's other functions, or written in another way.
RIGHT = {
    "check_mean_baseline": [
        lambda train, count: [list(np.mean(train, 0))] * count,
        lambda train, count: np.tile(train.mean(axis=0), (count, 1, 1)),
        lambda train, count: mean_shape(train) + np.zeros((count, 1, 1)),
        lambda train, count: np.broadcast_to(train.sum(0) / len(train), (count, *train.shape[1:])),
        lambda train, count: torch.tensor(train).mean(0).expand(count, -1, -1),
        lambda train, count: np.stack([train.mean(0) for _ in range(count)]),
        lambda train, count: (train.mean(0) for _ in range(count)),
        lambda train, count: itertools.repeat(train.mean(0), count),
        lambda *given: np.full((given[1], *given[0].shape[1:]), given[0].mean(0))],
    "check_receptive_field": [_seen, _backwards, _emptied, lambda layers: np.float32(_seen(layers)),
                              lambda layers: torch.tensor(_seen(layers)), lambda layers: float(_backwards(layers))],
    "check_flip": [
        lambda p, width, order: np.array([[width - 1 - p[k][0], p[k][1]] for k in order]), _flip_in_place, _scattered,
        lambda p, width, order: np.c_[width - 1 - p[:, 0], p[:, 1]][np.array(order)].astype(np.float32),
        lambda p, width, order: [(width - 1 - x, y) for x, y in (p[k] for k in order)],
        lambda p, width, order: (torch.tensor(p) * torch.tensor([-1, 1]) + torch.tensor([width - 1, 0]))[torch.tensor(order)],
        lambda p, width, order: np.multiply(p - (width - 1, 0), (-1, 1)).take(order, axis=0)],
    "check_nme": [
        _nme_in_place, _nme_by_hand,
        lambda p, t, c: measured_nme(p, t, type("Corners", (), {"eye_corners": c})),
        lambda p, t, c: (torch.tensor(p) - torch.tensor(t)).norm(dim=-1).mean(1).mul(100).div(
            torch.tensor(t[:, c[0]] - t[:, c[1]]).norm(dim=-1)),
        lambda p, t, c: pd.Series(np.abs((p - t) @ [1, 1j]).mean(1) / np.abs((t[:, c[0]] - t[:, c[1]]) @ [1, 1j]) * 100)],
    "check_to_image": [
        lambda p, square, size: Crop(1.0, 0.0, size).to_image(                         # a box's first pixel, not its edge
            p[None], np.array([[square[0] + 0.5, square[1] + 0.5, square[2], square[2]]]))[0],
        _to_image_in_place, lambda p, s, size: [[(x + 0.5) * s[2] / size + s[0], (y + 0.5) * s[2] / size + s[1]] for x, y in p],
        lambda p, s, size: np.array(s[:2]) + np.multiply(np.add(p, 0.5), s[2] / size),
        lambda p, s, size: (torch.from_numpy(p).float() + 0.5) * s[2] / size + torch.tensor(s[:2]),
        lambda p, s, size: pd.DataFrame(p, columns=["x", "y"]).add(0.5).mul(s[2] / size).add(s[:2])],
    "check_schedule": [
        lambda k, n, peak, w: peak * (k / w if k < w else np.cos(np.pi / 2 * (k - w) / (n - w)) ** 2), Falling(),
        functools.partial(lambda half, k, n, peak, w: peak * min(
            k / w, half + math.cos(math.pi * max(0, k - w) / (n - w)) / 2), 0.5),
        lambda step, steps, peak, warmup: np.where(step < warmup, peak * step / warmup, peak / 2 * (
            1 + np.cos(np.pi * (step - warmup) / (steps - warmup)))),
        lambda k, n, peak, w: np.float32(np.interp(k, [0, w], [0, peak]) if k < w else peak * (
            1 - math.sin(math.pi * (k - w) / (n - w) / 2) ** 2))],
    "check_gaussians": [
        lambda p, s, g: _profile(p[:, 1], s[0], g)[:, :, None] * _profile(p[:, 0], s[1], g)[:, None],
        Bells(), _bells_by_distance, _bells_of_a_thing,
        lambda p, s, g: np.einsum("nh,nw->nhw", _profile(p[:, 1], s[0], g), _profile(p[:, 0], s[1], g)).astype(np.float32),
        lambda p, s, g: np.exp(-((np.stack(np.meshgrid(np.arange(s[1]), np.arange(s[0])), -1) - p[:, None, None]) ** 2).sum(-1)
                               / (2 * g * g)),
        lambda p, s, g: np.fromfunction(lambda n, y, x: np.exp(-((x - p[n, 0]) ** 2 + (y - p[n, 1]) ** 2) / 2 / g**2),
                                        (len(p), *s), dtype=int),
        lambda p, s, g: torch.vmap(lambda q: torch.exp(-(torch.arange(s[0])[:, None] - q[1]) ** 2 / (2 * g**2)) * torch.exp(
            -(torch.arange(s[1]) - q[0]) ** 2 / (2 * g**2)))(torch.tensor(p)),
        lambda p, s, g: (_profile(p[:, 1], s[0], g)[:, :, None] * _profile(p[:, 0], s[1], g)[:, None]).tolist(),
        *map(_on_axes, (          # the two axes, one after the other: no loop over pixels
            lambda s: [np.arange(n) for n in s], lambda s: tuple(np.arange(n) for n in s), lambda s: (np.arange(n) for n in s),
            lambda s: {n: np.arange(s[n]) for n in (0, 1)}.values(), lambda s: [
                np.arange(n)
                for n in s], lambda s: map(np.arange, s))),
        lambda p, s, g: exercises.gaussians(*map(np.asarray, (p, s, g))),
        lambda p, s, g: exercises.gaussians(list(p) if isinstance(p, (list, map, zip)) else p, s, g)],
    "check_soft_argmax": [
        lambda m: heatmaps.soft_argmax(torch.tensor(m)[None])[0], _soft_by_torch, _soft_in_place,
        lambda m: [center_of_mass(softmax(one))[::-1] for one in m],
        lambda m: np.stack([np.average(np.indices(m.shape)[axis], (1, 2), np.exp(m - m.max((1, 2), keepdims=True)))
                            for axis in (2, 1)], axis=1)],
    "check_submission_order": [
        lambda p: [v for face in p for point in face for v in point], np.ravel, lambda p: torch.tensor(p).flatten(),
        lambda p: p.flatten().tolist(), lambda p: itertools.chain(*p.reshape(-1, 2)),
        lambda p: pd.DataFrame(p.reshape(-1, 2)).stack(), lambda p: p.reshape(len(p) * 136)],
    "check_mae": [
        mae, _mae_by_hand, _mae_in_place, lambda p, t: np.linalg.norm((p - t).ravel(), 1) / p.size,
        lambda p, t: torch.nn.functional.l1_loss(torch.tensor(p), torch.tensor(t)),
        lambda p, t: torch.nn.L1Loss()(torch.tensor(p).float(), torch.tensor(t).float()),
        lambda p, t: sum(np.abs(a - b).mean() for a, b in zip(p, t)) / len(p)],
}


def _named(right):
    """The same function, called by the names of its arguments."""
    names = list(inspect.signature(right).parameters)
    return lambda *given: right(**dict(zip(names, given)))


def _distances(p, t, c):
    return np.linalg.norm(p - t, axis=-1).mean(1) / np.linalg.norm(t[:, 39] - t[:, 42], axis=-1) * 100


def mean_under(weights):
    """The mean position of each map."""
    y, x = np.mgrid[:weights.shape[1], :weights.shape[2]]
    return np.stack([(weights * x).sum((1, 2)), (weights * y).sum((1, 2))], -1) / weights.sum((1, 2))[:, None]


def _bell(p, s, g):
    return exercises.gaussians(p, s, g)


# A beginner's code, as one writes it, and a word of what the check must say.
MISTAKES = {
    "check_mean_baseline": [
        (lambda train, count: train.mean(0), "for each of"), (lambda train, count: train[:count], "first"),
        (lambda train, count: np.tile(train.mean(axis=(0, 1)), (count, train.shape[1], 1)), "has its own"),
        (lambda train, count: np.repeat(train.mean(0)[None], 2, 0), "constant.*`count`"),
        (lambda train, count: np.repeat(train.mean(0)[None], len(train), 0), "each training face"),
        (lambda train, count: np.zeros((count, 3, 2)), "constant.*`train`"),
        (lambda train, count: np.repeat(train[:, :3].mean(0)[None], count, 0), "right in 3 of 4 cases.* shape"),
        (lambda train, count: np.repeat(train.sum(0)[None] / 5, count, 0), "right in 2 of 4 cases"),
        (lambda train, count: np.repeat(train.sum(0)[None] / max(1, len(train) - 1), count, 0), "in case 1")],
    "check_receptive_field": [
        (lambda layers: 1 + sum(kernel - 1 for kernel, stride in layers), "strides"),
        (lambda layers: sum(kernel for kernel, stride in layers), "overlap"), (lambda layers: 36, "constant.*same for every"),
        (lambda layers: np.array(36.0), "constant.*`layers`"), (lambda layers: 6 * len(layers), r"right in \d of 6 cases"),
        (lambda layers: {6: 36, 1: 3, 3: 19}.get(len(layers), 36), r"right in \d of 6 cases"),
        (lambda layers: {6: 36, 1: 3, 3: 19}[len(layers)], "KeyError")],
    "check_flip": [
        (lambda p, width, order: np.stack([width - 1 - p[:, 0], p[:, 1]], 1), "left and right were not exchanged"),
        (lambda p, width, order: np.stack([width - p[:, 0], p[:, 1]], 1)[list(order)], "one pixel off"),
        (lambda p, width, order: p[list(order)], "x did not"),
        (lambda p, width, order: np.stack([199 - p[:, 0], p[:, 1]], 1)[list(order)], "constant.*`width`"),
        (lambda p, width, order: (p * [-1, 1] + [width - 1, 0])[list(IBUG_68.flip[:len(p)] if len(p) > 9 else order)],
         "constant.*`order`"),
        (lambda p, width, order: (p * [-1, 1] + [width - 1, 0])[list(IBUG_68.flip)], "IndexError"),
        (lambda p, width, order: (p * [-1, 1] + [p[:, 0].max(), 0])[list(order)], "wrong"),
        (lambda p, width, order: (p * [-1, 1] + [width - 1, 0])[order], "IndexError")],
    "check_nme": [
        (lambda p, t, c: _distances(p, t, c), "inner eye corners"),
        (lambda p, t, c: np.linalg.norm(p - t, axis=2).mean(axis=1), "not divided"),
        (lambda p, t, c: _nme_in_place(p, t, c) / 100, "percent"), (lambda p, t, c: exercises.nme(p, p, c) * 0, "wrong"),
        (lambda p, t, c: exercises.nme(p, t, c).mean(), "each face has its own"),
        (lambda p, t, c: measured_nme(p, t, IBUG_68), "constant.*`corners`"),
        (lambda p, t, c: np.linalg.norm(p - t, axis=2).sum(1) / 0.68 / np.linalg.norm(t[:, c[0]] - t[:, c[1]], axis=1), "68"),
        (lambda p, t, c: exercises.nme(p, t, c)[:3] * (p.shape[1] / (p.shape[1] - 1)), "in case 1")],
    "check_to_image": [
        (lambda p, square, size: p * square[2] / size + np.array(square[:2]), "half a pixel off"),
        (lambda p, square, size: (p + 0.5) * square[2] / size, "were not added"),
        (lambda p, square, size: (p - np.array(square[:2])) * size / square[2] - 0.5, "inverse"),
        (lambda p, square, size: (p + 0.5) * square[2] / 100 + square[:2], "constant.*`size`"),
        (lambda p, square, size: (p + 0.5) * square[2] / 224 + square[:2], "constant.*`size`"),
        (lambda p, square, size: (p + 0.5) * 300 / size + [30, 12], "constant.*`square`")],
    "check_schedule": [
        (lambda k, n, peak, w: peak * (1 + np.cos(np.pi * k / n)) / 2, "no warm-up"),
        (lambda k, n, p, w: p * (k / w if k < w else (1 + np.cos(180 * (k - w) / (n - w))) / 2), "degrees"),
        (lambda k, n, p, w: exercises.cosine_rate(k, 100, p, w), "constant.*`steps`"),
        (lambda k, n, p, w: exercises.cosine_rate(k, n, 0.01, w), "constant.*`peak`"),
        (lambda k, n, p, w: exercises.cosine_rate(k, n, p, 10), "constant.*`warmup`"),
        (lambda k, n, p, w: p, "constant.*`step`"), (lambda k, n, p, w: 0.005, "constant.*same for every"),
        (lambda k, n, p, w: p * k / w if k < w else None, "returns nothing")],
    "check_gaussians": [
        (lambda p, s, g: np.stack([_bell(q[None, ::-1], s, g)[0] for q in p]), "exchanged"),
        (lambda p, s, g: _bell(np.round(p), s, g), "rounded"), (lambda p, s, g: _bell(p, s, g / np.sqrt(2)), "without the 2"),
        (lambda p, s, g: _bell(p, s, 2), "constant.*`sigma`"), (lambda p, s, g: _bell(p, (20, 28), g), "constant.*`size`"),
        (lambda p, s, g: _bell(p, s, g).sum(0), "one map|shape"), (lambda p, s, g: _bell(p, s[::-1], g), "shape"),
        (lambda p, s, g: _bell(p, s, np.sqrt(2) * g), "2 is squared"), (lambda p, s, g: 1 - _bell(p, s, g), "other way round"),
        (lambda p, s, g: _bell(p, s, g) / _bell(p, s, g).max((1, 2), keepdims=True), "the brightest pixel is made 1"),
        (lambda p, s, g: _bell(p[:1], s, g), "shape")],
    "check_soft_argmax": [
        (lambda m: mean_under(np.exp(m)), "overflow"), (lambda m: mean_under(np.exp(m - m.max())), "exp of one far below"),
        (lambda m: mean_under(np.exp(m.clip(-50, 50))), "not all: something is cut off"),
        (lambda m: mean_under(1 / (1 + np.exp(-m))), "sigmoid"), (lambda m: mean_under(np.maximum(m, 0)), "cut off at 0"),
        (lambda m: exercises.soft_argmax(m)[:, [1, 0]], r"\(y, x\)"),
        (lambda m: heatmaps.argmax(torch.tensor(m)[None])[0], "brightest"),
        (lambda m: (m * np.arange(m.shape[2])).sum((1, 2)), "shape"),
        (lambda m: exercises.soft_argmax(m) * [16 / m.shape[2], 1], "in case 1"),
        (lambda m: exercises.soft_argmax(m - np.arange(m.shape[2]) * 1e-3), "wrong")],
    "check_submission_order": [
        (lambda p: np.concatenate([p[..., 0], p[..., 1]], 1).ravel(), "they alternate"),
        (lambda p: p[..., ::-1].reshape(-1), "y before x"), (lambda p: p.reshape(-1, 136), "one value a row"),
        (lambda p: p[0].reshape(-1), "right in 1 of 3 cases"), (lambda p: p.reshape(2 * 136), "ValueError"),
        (lambda p: np.resize(p, 272), "right in 1 of 3")],
    "check_mae": [
        (lambda p, t: np.linalg.norm(p - t, axis=-1).mean(), "one by one"), (lambda p, t: (p - t).mean(), "cancel"),
        (lambda p, t: ((p - t) ** 2).mean(), "squared"), (lambda p, t: np.abs(p - t).sum() / len(p) / 136, "136"),
        (lambda p, t: np.abs(p - t).sum() / (3 * 68 * 2), "right in 2 of 3"),
        (lambda p, t: np.abs(p - t).sum() / (p.size - 1), "in case 1"), (lambda p, t: 3.2, "constant.*`predicted`"),
        (lambda p, t: np.median(np.abs(p - t)), "in case 1")],
}


def test_every_check_is_tried():
    assert CHECKS.keys() == MISTAKES.keys() == RIGHT.keys() and len(CHECKS) == 10


def _each(answers):
    return [(name, k) for name in sorted(answers) for k in range(len(answers[name]))]


# Of the checks whose right answer has a picture: another answer, which is wrong, but near.
PICTURED = {"check_mean_baseline": lambda t, c: exercises.mean_baseline(t, c) + [9, 0],
            "check_flip": lambda p, w, o: exercises.flipped(p, w, range(len(p))),
            "check_gaussians": lambda p, s, g: exercises.gaussians(p, s, 1.3 * g),
            "check_soft_argmax": lambda m: exercises.soft_argmax(m) + 0.5}


@pytest.mark.parametrize("name", CHECKS)
def test_right_shows_what_it_is_right_about_and_the_text_stays(name):
    data, words, picture = shown(CHECKS[name](RIGHT[name][0]))
    assert data["text/plain"] == "right" and (picture is not None) == (name in PICTURED)
    if name in PICTURED:
        assert len(data["text/html"]) <= 6000 and data["text/html"].startswith("<p>right: ")
        assert words.startswith("right: ") and "landmark" in words and picture[0].mean() < 60 and picture.max() > 180
    for wrong in (lambda *given: None, MISTAKES[name][0][1]):
        data, _, picture = shown(CHECKS[name](wrong))
        assert list(data) == ["text/plain"] and not data["text/plain"].startswith("right")


@pytest.mark.parametrize("name", PICTURED)
def test_the_picture_is_of_the_students_answer(name, monkeypatch):
    """Where everything is let through, another answer has another picture."""
    _, _, right = shown(CHECKS[name](RIGHT[name][0]))
    monkeypatch.setattr(exercises, "close", lambda a, b, tolerance=0: True)
    data, _, other = shown(CHECKS[name](PICTURED[name]))
    assert data["text/plain"] == "right" and (np.abs(other - right).max(2) > 60).sum() > 40
    _, _, again = shown(CHECKS[name](RIGHT[name][-1]))
    assert np.abs(again - right).mean() < 0.5


@pytest.mark.parametrize("name", PICTURED)
def test_a_picture_is_drawn_for_who_looks_at_it_and_without_the_students_function(name, monkeypatch):
    calls, drawn = [], []
    monkeypatch.setattr(exercises.plotting, "sketch", lambda *given: drawn.append(given) or "html", raising=False)
    said = CHECKS[name](lambda *given: calls.append(1) or RIGHT[name][0](*given))
    before = len(calls)
    assert repr(said) == str(said) == "right" and not drawn
    assert said._repr_html_() == "html" and len(drawn) == 1 and len(calls) == before


@pytest.mark.parametrize("name, k", _each(RIGHT))
def test_right_answers_pass_however_they_are_written(name, k):
    assert CHECKS[name](RIGHT[name][k]) == "right"


@pytest.mark.parametrize("name, k", _each(MISTAKES))
def test_usual_mistakes_are_named(name, k):
    wrong, word = MISTAKES[name][k]
    said = CHECKS[name](wrong)
    assert said.startswith("wrong: ") and re.search(word, said), said


def test_an_answer_that_takes_arguments_by_name_or_is_a_method_is_right():
    for name in ("check_flip", "check_nme", "check_schedule"):
        assert CHECKS[name](_named(RIGHT[name][0])) == "right"

    class Mine:
        def rate(self, step, steps, /, peak, *, warmup=None, **more):
            return exercises.cosine_rate(step, steps, peak, warmup)
    assert exercises.check_schedule(lambda k, n, p, w: Mine().rate(k, n, p, warmup=w)) == "right"
    assert exercises.check_mae(staticmethod(mae)) == "right"


# ---------------------------------------------------------------- what a function changes, keeps and returns


@pytest.fixture
def loops_allowed(monkeypatch):
    """For functions of a test that loop over what they were given, around an answer that does not."""
    monkeypatch.setattr(exercises, "_loops", lambda *given: False)


def _spoilt(value):
    """Everything in a case that can be changed, changed."""
    if isinstance(value, np.ndarray):
        value[...] = np.arange(value.size).reshape(value.shape)
    elif isinstance(value, list):
        value[:] = [(1, 1)]


@pytest.mark.usefixtures("loops_allowed")
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_changing_what_was_given_spoils_no_right_answer(name):
    """Whether before or after the answer is worked out, and also what an earlier call gave and got."""
    kept, right = [], RIGHT[name][0]

    def careless(*given):
        answer = right(*copy.deepcopy(given))
        for value in (*given, *kept):
            _spoilt(value)
        kept.extend([*given, answer])
        return answer
    assert CHECKS[name](careless) == "right"


@pytest.mark.usefixtures("loops_allowed")
@pytest.mark.parametrize("name", sorted(CHECKS.keys() - {"check_schedule"}))         # whose arguments nobody can change
def test_what_is_right_for_a_changed_case_is_wrong(name):
    def easier(*given):
        for value in given:
            if isinstance(value, np.ndarray):
                value[...] = np.arange(value.size).reshape(value.shape)
            elif isinstance(value, list):
                value[:] = [(1, 1)]
        return RIGHT[name][0](*copy.deepcopy(given))
    assert CHECKS[name](easier).startswith("wrong: ")


def test_a_prediction_made_the_truth_is_no_right_answer():
    def cheat(predicted, truth, *corners):
        predicted[...] = truth
        return np.zeros(len(truth)) if corners else 0.0
    assert exercises.check_mae(cheat).startswith("wrong") and exercises.check_nme(cheat).startswith("wrong")


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_an_answer_whose_memory_the_next_call_uses_again_is_right(name):
    memory = np.zeros(100_000)

    def reused(*given):
        answer = np.asarray(RIGHT[name][0](*given), dtype=float)
        memory[...] = 7
        view = memory[:answer.size].reshape(answer.shape)
        view[...] = answer
        return view
    assert CHECKS[name](reused) == "right"


def test_an_answer_that_is_a_view_of_what_was_given_is_right():
    seen = []

    def view(landmarks):
        for older in seen:
            older[...] = 0
        seen.append(landmarks)
        return landmarks.reshape(-1)
    assert exercises.check_submission_order(view) == "right" and len(seen) > 2


KINDS = {
    "float32": lambda a: a.astype(np.float32), "tensor": torch.tensor, "tensor that learns": lambda a: torch.tensor(
        a, requires_grad=True), "list": np.ndarray.tolist, "tuples": lambda a: tuple(zip(*a.T)) if a.ndim == 2 else a,
    "tuple of arrays": lambda a: tuple(a) if a.ndim else a,
    "rows of tensors": lambda a: torch.tensor(a).unbind() if a.ndim else a,
    "pandas": lambda a: {1: pd.Series, 2: pd.DataFrame}.get(a.ndim, np.asarray)(a), "objects": lambda a: a.astype(object),
    "complex": lambda a: a.astype(complex), "complex tensor": lambda a: torch.tensor(a).to(torch.complex64),
    "Fortran's order": lambda a: a.copy(order="F"), "read-only": lambda a: np.broadcast_to(a, a.shape),
    "masked": np.ma.masked_array, "long double": lambda a: a.astype(np.longdouble)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_right_answer_is_right_as_any_kind_of_array(name, kind):
    assert CHECKS[name](lambda *given: KINDS[kind](np.asarray(RIGHT[name][0](*given), dtype=float))) == "right"


def test_whole_numbers_are_right_as_any_kind_of_number():
    for kind in (int, float, complex, Fraction, np.int16, np.uint64, np.float16, torch.tensor, np.array):
        assert exercises.check_receptive_field(lambda layers, kind=kind: kind(_seen(layers))) == "right", kind


@pytest.mark.parametrize("answer", [
    "36", b"36", ["36"], {36}, [36], (36,), [[36]], np.array("36"), True, None, [None], {}, pytest.param(object(), id="object"),
    36 + 5j, math.nan,
    math.inf, [[1, 2], [3]], [np.zeros(2), np.zeros(3)], np.datetime64("2020-01-01"), type, len, NotImplemented,
    torch.tensor([]), pd.NA, [36, ...], torch.zeros(2, 3, device="meta")], ids=str)
def test_what_is_no_right_number_is_not_right(answer):
    said = exercises.check_receptive_field(lambda layers: answer if len(layers) == 6 else _seen(layers))
    assert said.startswith(("wrong: ", "not yet")), said


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_an_answer_that_is_complex_or_nan_where_it_should_not_be_is_wrong(name):
    right = RIGHT[name][0]
    for spoil in (1j, math.nan, math.inf, 10**9):
        assert CHECKS[name](lambda *given, spoil=spoil: np.asarray(right(*given), dtype=float) + spoil).startswith("wrong: ")


def test_settings_that_a_function_changes_change_no_verdict_and_are_put_back():
    before = np.geterr()

    def raising(points, size, sigma):
        np.seterr(all="raise")
        np.random.seed(0)
        torch.manual_seed(0)
        np.set_printoptions(precision=1)
        print("a trace of a beginner's")
        with np.errstate(under="ignore"):
            return exercises.gaussians(points, size, sigma)
    with np.printoptions():
        assert exercises.check_gaussians(raising) == "right" and np.geterr() == before
        with np.errstate(all="raise"):
            for name in CHECKS:
                assert CHECKS[name](RIGHT[name][0]) == "right"
                assert CHECKS[name](MISTAKES[name][1][0]).startswith("wrong: ")
                assert CHECKS[name](lambda *given: ...).startswith("not yet")


def test_the_default_device_of_torch_matters_not():
    with torch.device("meta"):
        assert exercises.check_soft_argmax(exercises.soft_argmax) == "right"


def test_nothing_is_left_of_a_check_in_numpys_random_numbers():
    np.random.seed(3)
    exercises.check_nme(exercises.nme)
    once = np.random.random()
    np.random.seed(3)
    assert once == np.random.random()


# ---------------------------------------------------------------- constants


@functools.cache
def _cases(name):
    """The cases that a check tries, as a function that it tries sees them, and the names of their parts."""
    seen = []
    CHECKS[name](lambda *given: seen.append(copy.deepcopy(given)))
    return seen, list(inspect.signature(RIGHT[name][0]).parameters)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_constant_is_wrong_and_called_so(name):
    for case in _cases(name)[0]:
        answer = np.asarray(RIGHT[name][0](*copy.deepcopy(case)), dtype=float)
        said = CHECKS[name](lambda *given, answer=answer: answer)
        assert said.startswith("wrong: a constant: it is the same for every `"), said


ARGUMENTS = {"check_mean_baseline": ["train", "count"], "check_receptive_field": ["layers"],
             "check_flip": ["landmarks", "width", "order"], "check_nme": ["predicted", "truth", "corners"],
             "check_to_image": ["points", "square", "size"], "check_schedule": ["step", "steps", "peak", "warmup"],
             "check_gaussians": ["points", "size", "sigma"], "check_soft_argmax": ["logits"],
             "check_submission_order": ["landmarks"], "check_mae": ["predicted", "truth"]}
ARRAYS = {"train", "landmarks", "predicted", "truth", "points", "logits"}


@pytest.mark.parametrize("name, k", _each(ARGUMENTS))
def test_an_argument_that_is_a_constant_in_the_code_is_named(name, k):
    """Numbers are; with an array that is not the one given shapes do not fit, which is said."""
    for case in _cases(name)[0]:
        def ignores(*given, case=case):
            return RIGHT[name][0](*given[:k], copy.deepcopy(case[k]), *given[k + 1:])
        said = CHECKS[name](ignores)
        assert said.startswith("wrong: "), said
        argument = ARGUMENTS[name][k]
        assert argument in ARRAYS or f"`{argument}`" in said or "raises" in said, said


@pytest.mark.usefixtures("loops_allowed")
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_list_of_the_answers_to_cases_of_before_is_not_right(name):
    table = {}

    def honest(*given):
        answer = np.asarray(RIGHT[name][0](*copy.deepcopy(given)), dtype=float)
        table[repr(given)] = answer
        return answer
    assert CHECKS[name](honest) == "right"
    said = CHECKS[name](lambda *given: table.get(repr(given), next(iter(table.values()))))
    assert said.startswith("wrong: "), said
    assert CHECKS[name](lambda *given: table[repr(given)]).startswith("wrong: "), said


def test_flips_of_another_convention_are_checked_by_its_order():
    assert exercises.check_flip(exercises.flipped, IMM_58) == "right"
    wrong = exercises.check_flip(lambda p, w, o: (p * [-1, 1] + [w - 1, 0])[list(IMM_58.flip if len(p) == 58 else o)], IMM_58)
    assert "`order`" in wrong


# ---------------------------------------------------------------- calls that depend on one another


def test_a_function_that_keeps_something_between_calls_is_wrong():
    def growing(landmarks, values=[]):                                         # noqa: B006
        values.extend(landmarks.reshape(-1))
        return values
    total = [1, 1]

    def field(layers):
        for kernel, stride in layers:
            total[0], total[1] = total[0] + (kernel - 1) * total[1], total[1] * stride
        return total[0]
    assert exercises.check_submission_order(growing).startswith("wrong: ")
    assert exercises.check_receptive_field(field).startswith("wrong: ")
    for good in (1, 3, 4, 5, 6, 7):
        def later(p, t, calls=itertools.count(), good=good):                   # noqa: B008
            return mae(p, t) + (next(calls) >= good)
        assert exercises.check_mae(later).startswith("wrong: ")
    assert exercises.check_mae(lambda p, t: mae(p, t) + np.random.normal()).startswith("wrong: ")


# ---------------------------------------------------------------- tolerance


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_thousandth_off_is_wrong_and_a_millionth_is_not(name):
    right = RIGHT[name][0]
    for factor, said in ((1.0005, "wrong"), (0.9995, "wrong"), (1 + 1e-6, "right")):
        assert CHECKS[name](lambda *given, factor=factor: factor * np.asarray(right(*given), dtype=float)).startswith(said)


@pytest.mark.parametrize("name", ["check_mean_baseline", "check_flip", "check_to_image", "check_soft_argmax",
                                  "check_submission_order", "check_mae"])
def test_a_part_of_a_pixel_is_wrong(name):
    for shift in (0.4, -0.4, 0.1, 0.03):
        assert CHECKS[name](lambda *given, shift=shift: np.asarray(RIGHT[name][0](*given)) + shift).startswith("wrong: ")

    def one_off(*given):
        answer = np.array(RIGHT[name][0](*given), dtype=float)
        answer.reshape(-1)[-1:] += 0.1
        return answer
    assert CHECKS[name](one_off).startswith("wrong: in case 1")


# ---------------------------------------------------------------- without a loop


def _one_bell(x, y, size, sigma):
    rows, columns = np.ogrid[:size[0], :size[1]]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))


def _with_for(points, size, sigma):
    maps = np.zeros((len(points), *size))
    for k, (x, y) in enumerate(points):
        maps[k] = _one_bell(x, y, size, sigma)
    return maps


def _with_while(points, size, sigma):
    maps, k = [], 0
    while k < len(points):
        maps.append(_one_bell(*points[k], size, sigma))
        k += 1
    return np.array(maps)


def _pixel_by_pixel(points, size, sigma):
    maps = np.zeros((len(points), *size))
    for row in range(size[0]):
        for column in range(size[1]):
            maps[:, row, column] = np.exp(-((points - [column, row]) ** 2).sum(1) / (2 * sigma**2))
    return maps


def _row_by_row(points, size, sigma):
    x = np.arange(size[1])
    rows = [np.exp(-((x - points[:, :1]) ** 2 + (y - points[:, 1:]) ** 2) / (2 * sigma**2)) for y in range(size[0])]
    return np.stack(rows, 1)


def _recursive(points, size, sigma):
    first = _one_bell(*points[0], size, sigma)[None]
    return first if len(points) == 1 else np.concatenate([first, _recursive(points[1:], size, sigma)])


def _halved(points, size, sigma):
    if len(points) == 1:
        return _one_bell(*points[0], size, sigma)[None]
    half = len(points) // 2
    return np.concatenate([_halved(points[:half], size, sigma), _halved(points[half:], size, sigma)])


def _yielding(points, size, sigma):
    for x, y in points:
        yield _one_bell(x, y, size, sigma)


def _over_axes(points, size, sigma):
    square = np.zeros((len(points), *size))
    for axis, grid in enumerate(np.mgrid[:size[0], :size[1]][::-1]):
        square += (grid - points[:, axis, None, None]) ** 2
    return np.exp(-square / (2 * sigma**2))


def _ufuncs_in_a_map(points, size, sigma):
    rows, columns = _profile(points[:, 1], size[0], sigma), _profile(points[:, 0], size[1], sigma)
    return np.array(list(map(np.multiply.outer, rows, columns)))


def _rows_in_a_map(points, size, sigma):
    """As many as the largest case has, so that no case runs more lines than another."""
    columns = _profile(points[:, 0], size[1], sigma)
    rows = map(np.multiply, _profile(points[:, 1], 40, sigma).T[..., None], np.repeat(columns[None], 40, 0))
    return np.stack(list(rows), 1)[:, :size[0]]


def _ufuncs_in_a_starmap(points, size, sigma):
    pairs = np.stack([_profile(points[:, 1], 40, sigma), _profile(points[:, 0], 40, sigma)], 1)
    return np.array(list(itertools.starmap(np.multiply.outer, pairs)))[:, :size[0], :size[1]]


def _exponent_by_vectorize(points, size, sigma):
    y, x = np.mgrid[:size[0], :size[1]]
    return np.vectorize(math.exp)(-((x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2) / (2 * sigma**2))


def _decorated(function):
    @functools.wraps(function)
    def inner(*given):
        return function(*given)
    return inner


class Looping:
    """A class whose call has a loop."""

    def __call__(self, points, size, sigma):
        return self.maps(points, size, sigma)

    def maps(self, points, size, sigma):
        """One after the other."""
        return np.stack([_one_bell(x, y, size, sigma) for x, y in points])


class LoopingLayer(torch.nn.Module):
    """A layer that has a loop."""

    def forward(self, points, size, sigma):
        return torch.stack([torch.tensor(_one_bell(x, y, size, sigma)) for x, y in points])


LOOPS = {
    "for": _with_for, "while": _with_while, "comprehension": lambda p, s, g: np.stack([_one_bell(x, y, s, g) for x, y in p]),
    "generator": lambda p, s, g: np.array(list(_one_bell(x, y, s, g) for x, y in p)), "yield": _yielding,
    "pixel by pixel": _pixel_by_pixel, "row by row": _row_by_row, "recursion": _recursive, "halves": _halved,
    "rows beyond the last": lambda p, s, g: np.stack([_profile(p[:, 1], 40, g)[:, y, None] * _profile(p[:, 0], s[1], g)
                                                      for y in range(40)], 1)[:, :s[0]],
    "map": lambda p, s, g: np.stack(list(map(lambda q: _one_bell(*q, s, g), p))), "map of ufuncs": _ufuncs_in_a_map,
    "map that is returned": lambda p, s, g: map(functools.partial(lambda s, g, q: _one_bell(*q, s, g), s, g), p),
    "map of rows": _rows_in_a_map,
    "map under no_grad": torch.no_grad()(_ufuncs_in_a_map),
    "map of builtins": lambda p, s, g: np.array(list(builtins.map(np.multiply.outer, _profile(p[:, 1], s[0], g),
                                                                  _profile(p[:, 0], s[1], g)))),
    "starmap": _ufuncs_in_a_starmap, "vectorize of exp": _exponent_by_vectorize, "axes": _over_axes,
    "vectorize": lambda p, s, g: np.vectorize(lambda x, y: _one_bell(x, y, s, g), signature="(),()->(h,w)")(*p.T),
    "apply_along_axis": lambda p, s, g: np.apply_along_axis(lambda q: _one_bell(*q, s, g), 1, p),
    "frompyfunc": lambda p, s, g: np.stack(np.frompyfunc(lambda x, y: _one_bell(x, y, s, g), 2, 1)(*p.T)),
    "helper": lambda p, s, g: _with_for(p, s, g), "partial": functools.partial(lambda k, p, s, g: k * _with_for(p, s, g), 1),
    "class": Looping(), "method": Looping().maps, "layer": LoopingLayer(), "decorator": _decorated(_with_for),
    "no_grad": torch.no_grad()(_with_for),
    "dictionary": lambda p, s, g: list({k: _one_bell(*q, s, g) for k, q in enumerate(p)}.values()),
    "apply": lambda p, s, g: np.stack(pd.DataFrame(p).apply(lambda q: _one_bell(*q, s, g), axis=1)),
    "reduce": lambda p, s, g: functools.reduce(lambda maps, q: np.concatenate([maps, _one_bell(*q, s, g)[None]]), p,
                                               np.zeros((0, *s)))
}


@pytest.mark.parametrize("kind", LOOPS)
def test_right_values_from_a_loop_are_not_right_where_none_is_wanted(kind):
    np.testing.assert_allclose(np.array(list(LOOPS[kind](np.array([[3.0, 2], [4, 5], [1.5, 3]]), (6, 7), 1.5)), dtype=float),
                               exercises.gaussians(np.array([[3.0, 2], [4, 5], [1.5, 3]]), (6, 7), 1.5), atol=1e-9)
    said = exercises.check_gaussians(LOOPS[kind])
    assert said.startswith("wrong: ") and "loop" in said, said


def test_a_loop_is_seen_without_the_sources():
    """As in a notebook's cell that was changed since, or in code that another program wrote."""
    for body in ("np.stack([np.exp(-((x - a)**2 + (y - b)**2) / (2 * g**2)) for a, b in p])",
                 "np.array(list(map(lambda q: np.exp(-((x - q[0])**2 + (y - q[1])**2) / (2 * g**2)), p)))"):
        names = {"np": np}
        exec(f"def yours(p, s, g):\n    y, x = np.mgrid[:s[0], :s[1]]\n    return {body}", names)
        assert "loop" in exercises.check_gaussians(names["yours"])


def test_loops_elsewhere_make_no_answer_wrong():
    table = [k**2 for k in range(9)]

    def around(points, size, sigma):
        """Words such as for, while and map are no loops."""
        try:
            y, x = np.mgrid[:size[0], :size[1]]
            with np.errstate(under="ignore"):
                factor = 2 * sigma**2 if table else undefined                        # noqa: F821
        except ZeroDivisionError:
            factor = 1
        finally:
            x = x + 0
        return np.exp(-((x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2) / factor)
    assert exercises.check_gaussians(around) == "right"


def test_other_exercises_may_have_loops():
    assert exercises.check_mae(_mae_by_hand) == "right"


def test_whoever_was_tracing_goes_on():
    def tracer(frame, event, argument):
        return None
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        exercises.check_gaussians(exercises.gaussians)
        assert sys.gettrace() is tracer
        calls = itertools.count()

        def last(*given):
            return exercises.gaussians(*given) if next(calls) < 15 else 1 / 0
        assert "ZeroDivisionError" in exercises.check_gaussians(last)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


# ---------------------------------------------------------------- nothing stops a notebook


class Silent(Exception):
    """An error that cannot even be shown."""

    def __str__(self):
        raise ValueError("no text")


class Odd:
    """An object that raises whatever is asked of it."""

    def __eq__(self, other):
        raise RuntimeError("not comparable")

    __bool__ = __len__ = __iter__ = __float__ = __array__ = __complex__ = __index__ = lambda self, *more: 1 / 0
    __hash__ = None


def _endless(*given):
    return _endless(*given)


def _endless_list(*given):
    mine = []
    mine.append(mine)
    return mine


@pytest.mark.parametrize("name", sorted(CHECKS))
@pytest.mark.parametrize("yours, said", [
    (lambda *given: ..., "not yet"), (lambda *given: None, "not yet"), (lambda: 1, "wrong: it raises TypeError"),
    (raises(NotImplementedError()), "not yet"), (lambda *given: [], "not yet"),
    (lambda *given: 1 / 0, "wrong: it raises ZeroDivisionError"), (lambda *given: np.full((7, 7), np.nan), "wrong"),
    (lambda *given: "text", "wrong"), (lambda *given: Odd(), "wrong"), (lambda *given: [Odd()], "wrong"),
    (lambda *given: np.array([Odd()], dtype=object), "wrong"), (lambda *given: sys.exit(), "wrong: it raises SystemExit"),
    (raises(GeneratorExit()), "wrong: it raises GeneratorExit"), (raises(BaseException()), "wrong: it raises BaseException"),
    (raises(Silent()), "wrong: it raises Silent"), (raises(StopIteration()), "wrong: it raises StopIteration"),
    (raises(AssertionError("a")), "wrong: it raises AssertionError: a"), (_endless, "wrong: it raises RecursionError"),
    (_endless_list, "wrong: it raises RecursionError"), (5, "wrong: it raises TypeError"), (..., "wrong: it raises TypeError"),
    (None, "wrong: it raises TypeError"), (lambda *given: [1, [2, 3]], "wrong"), (lambda *given: np.zeros((0, 3)), "not yet"),
    (lambda *given: given, "wrong"), (lambda *given: (1 / 0 for _ in "x"), "wrong: it raises ZeroDivisionError"),
    (lambda *given: np.full((3, 3), 1 + 2j), "wrong"), (lambda *given: -np.inf, "wrong"), (type("Empty", (), {}), "wrong")])
def test_nothing_stops_the_notebook(name, yours, said):
    assert CHECKS[name](yours).startswith(said)


def test_the_users_own_interruption_goes_through():
    with pytest.raises(KeyboardInterrupt):
        exercises.check_mae(raises(KeyboardInterrupt()))


def test_an_error_that_comes_late_stops_nothing():
    for good in range(25):
        calls = itertools.count()

        def late(*given, calls=calls, good=good):
            return exercises.gaussians(*given) if next(calls) < good else sys.exit("enough")
        said = exercises.check_gaussians(late)
        assert said == "right" if said == "right" and good > 18 else said.startswith("wrong: it raises SystemExit: enough")


def test_a_number_that_is_wrong_in_no_usual_way_is_shown_beside_the_right_one():
    assert exercises.check_receptive_field(lambda layers: len(layers)) == "wrong: in case 1 it says 6, not 36"
    assert "returns the shape (1,), not one number" in exercises.check_receptive_field(lambda layers: [_seen(layers)])
    assert exercises.check_receptive_field(lambda layers: 5) == (
        "wrong: a constant: it is the same for every `layers`; in case 1 it says 5, not 36")
    assert "; in case 1 it says 0, not " in repr(exercises.check_mae(lambda p, t: 0.0))
    assert "in case 2 it returns nothing" in exercises.check_receptive_field(lambda layers: 36 if len(layers) == 6 else None)


# ---------------------------------------------------------------- the answers that the notebooks print

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("[0-9]*.ipynb"))


def _plain(cell):
    """A code cell without Jupyter's own commands."""
    return "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))


def needed(cell):
    """A cell's import statements, and the SEED and the FAULTS of a training that is handed over."""
    return [node for node in ast.parse(_plain(cell)).body
            if isinstance(node, ast.Import | ast.ImportFrom) or ast.unparse(node).startswith(("SEED = ", "FAULTS = "))]


def _imported(cells):
    """What the import statements of some cells give, and what else is `needed`; nothing else of them runs."""
    names = {"__name__": "__main__"}
    for cell in cells:
        exec(compile(ast.Module(needed(cell), []), "imports", "exec"), names)
    return names


def _parts(path):
    """The code cells; where among them the exercises' checks are; and the source of the cell with the answers."""
    cells = nbformat.read(path, 4).cells
    [answers] = [cell.source for cell in cells if cell.source.startswith("<details><summary>Answers")]
    code = [cell for cell in cells if cell.cell_type == "code"]
    return code, [k for k, cell in enumerate(code) if cell.source.startswith("exercises.check_")], answers


def _blocks(text):
    return re.findall(r"```python\n(.*?)```", text, flags=re.S)


def _exercises(path):
    """Of each exercise its cell, its check's, and its printed answer: below the check, or at the end, in the same order."""
    cells = nbformat.read(path, 4).cells
    at_the_end = iter(_blocks(_parts(path)[2]))
    for cell, check, below in zip(cells, cells[1:], cells[2:]):
        if check.cell_type == "code" and check.source.startswith(("exercises.check_", "pieces.check_", "sabotage.check_")):
            if below.source.startswith("<details><summary>Answer</summary>"):
                [block] = _blocks(below.source)
            else:
                block = next(at_the_end)
            yield cell, check, block


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_answer_that_a_notebook_prints_is_right_in_its_cell(path):
    """With what is imported there and the answers before it, and no others: nothing else of the notebook runs."""
    names, asked = _imported(_parts(path)[0]), list(_exercises(path))
    assert len(asked) >= 2
    for cell, check, block in asked:
        assert cell.source.endswith("    ...") and block.startswith(cell.source.splitlines()[0])
        exec(cell.source, names)
        empty = str(eval(check.source, names))
        assert empty.startswith(("not yet", "wrong: it raises"))
        [output] = check.outputs
        assert output.data["text/plain"] == empty
        exec(block, names)
        assert eval(check.source, names) == "right"


def test_the_checks_are_those_of_the_notebooks():
    asked = [code[at].source for path in NOTEBOOKS for code, checks, _ in [_parts(path)] for at in checks]
    assert sorted(re.findall(r"exercises\.(check_\w+)\(your_\w+\)", "\n".join(asked))) == sorted(CHECKS)


# Names of what a reader puts in, or made by a snippet beside it.
BESIDE = {"1_nose_tip": {"replace", "c", "order"}, "5_kaggle": {"a", "b", "a_test", "b_test"}}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_in_questions_and_answers_uses_what_its_notebook_has(path):
    """It parses, its names are the notebook's, the package's modules or the exercises' arguments, and its calls fit."""
    code, _, _ = _parts(path)
    names = vars(builtins) | _imported(code) | {"detection": detection}
    known = set(names) | BESIDE.get(path.stem, set())
    for cell in code:
        for node in ast.walk(ast.parse(_plain(cell))):
            known |= {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else set()
            known |= {node.arg} if isinstance(node, ast.arg) else set()
    cells = nbformat.read(path, 4).cells
    start = next(k for k, cell in enumerate(cells) if cell.source.startswith(("## Exercises", "## Questions")))
    text = "\n".join(cell.source for cell in cells[start:] if cell.cell_type == "markdown")
    snippets = re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.S))
    assert snippets
    for snippet in snippets:
        for node in ast.walk(ast.parse(snippet)):
            whole = snippet.isidentifier() or isinstance(ast.parse(snippet).body[0], ast.Assign | ast.ImportFrom)
            assert not isinstance(node, ast.Name) or whole or node.id in known, (snippet, node.id)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and callable(names.get(node.func.id)):
                inspect.signature(names[node.func.id]).bind(*node.args, **{word.arg: word.value for word in node.keywords})
            if isinstance(node, ast.Attribute) and inspect.ismodule(module := names.get(getattr(node.value, "id", None))):
                assert hasattr(module, node.attr), snippet
