"""Checks for the notebooks' coding exercises: right, wrong, and for the usual mistakes, which one it is.

A check calls the function that it is given, on a few cases, and compares what it returns with the answer, and then with the
answers that usual mistakes give. It never raises, so that a notebook runs to its end whatever stands in the cell; a function
that returns nothing yet is told "not yet".
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from .landmarks import IBUG_68, Convention
from .metrics import mae
from .nets.heatmaps import gaussian_heatmaps

Answer = Callable[..., Any]


class Verdict(str):
    """What a check says; shown without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value, dtype=float)


def _equal(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float) -> bool:
    return all(a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in zip(found, expected))


def check(yours: Answer, right: Answer, cases: Sequence[tuple], mistakes: dict[str, Answer],
          tolerance: float = 1e-4) -> Verdict:
    """Compare a function with the right one on some cases (tuples of arguments), and with wrong ones, by what is wrong."""
    try:
        answers = [yours(*case) for case in cases]
        if any(answer is None or answer is ... for answer in answers):
            return Verdict("not yet: your function returns nothing")
        found = [_array(answer) for answer in answers]
    except NotImplementedError:
        return Verdict("not yet")
    except Exception as error:                            # whatever a beginner's code can raise
        return Verdict(f"wrong: it raises {type(error).__name__}: {error}")
    expected = [_array(right(*case)) for case in cases]
    if _equal(found, expected, tolerance):
        return Verdict("right")
    for what, wrong in mistakes.items():
        if _equal(found, [_array(wrong(*case)) for case in cases], tolerance):
            return Verdict(f"wrong: {what}")
    for a, b in zip(found, expected):
        if a.shape != b.shape:
            return Verdict(f"wrong: it returns the shape {a.shape}, not {b.shape}")
    worst = max(range(len(cases)), key=lambda k: float(np.nan_to_num(np.abs(found[k] - expected[k]), nan=np.inf).max()))
    at = np.unravel_index(np.nan_to_num(np.abs(found[worst] - expected[worst]), nan=np.inf).argmax(), found[worst].shape)
    place = f" at {tuple(map(int, at))}" if at else ""
    return Verdict(f"wrong: in case {worst + 1}{place} it says {found[worst][at]:.6g}, not {expected[worst][at]:.6g}")


def _faces(count: int, n: int = 68, seed: int = 0) -> np.ndarray:
    """Made-up landmarks, (count, n, 2), in pixels of a picture of 200x160."""
    return np.random.default_rng(seed).uniform((20, 10), (180, 150), (count, n, 2))


# ---------------------------------------------------------------- notebook 1


def mean_baseline(train: np.ndarray, count: int) -> np.ndarray:
    """The mean shape of (N, n, 2) training landmarks, for each of `count` faces: (count, n, 2)."""
    return np.repeat(train.mean(0)[None], count, 0)


def check_mean_baseline(yours: Answer) -> Verdict:
    """your_baseline(train (N, n, 2), count) -> (count, n, 2): the answer that looks at no picture."""
    return check(yours, mean_baseline, [(_faces(5, 3), 2), (_faces(4, 1, 1), 3)], {
        "one mean of all landmarks; each landmark has its own": lambda t, c: np.broadcast_to(t.mean((0, 1)), (c, *t.shape[1:])),
        "x and y were averaged together": lambda t, c: np.broadcast_to(t.mean((0, 2))[:, None], (c, *t.shape[1:])),
        "the mean shape once; it is wanted for each of `count` faces": lambda t, c: t.mean(0),
        "the first `count` training faces, not their mean": lambda t, c: t[:c],
        "the median, not the mean": lambda t, c: np.repeat(np.median(t, 0)[None], c, 0)})


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """How many pixels wide what one output sees is, after layers of (kernel, stride)."""
    field, step = 1, 1
    for kernel, stride in layers:
        field, step = field + (kernel - 1) * step, step * stride
    return field


def check_receptive_field(yours: Answer) -> Verdict:
    """your_field(layers) -> pixels; layers are (kernel, stride), pooling is one of them: NoseNet has [(5, 1), (2, 2)] * 3."""
    cases = [([(5, 1), (2, 2)] * 3,), ([(3, 1)],), ([(7, 2), (3, 2), (3, 1)],)]
    return check(yours, receptive_field, cases, {
        "the strides were left out: behind a stride of 2 each step is two pixels": lambda ls: 1 + sum(k - 1 for k, s in ls),
        "kernels were added up; they overlap": lambda ls: sum(k for k, s in ls),
        "kernels were multiplied": lambda ls: math.prod(k for k, s in ls),
        "a layer's own stride acts on the layers behind it, not on itself": lambda ls: 1 + sum(
            (k - 1) * math.prod(s for _, s in ls[:i + 1]) for i, (k, _) in enumerate(ls)),
        "without the first pixel: a field starts with 1": lambda ls: receptive_field(ls) - 1})


# ---------------------------------------------------------------- notebook 2


def flipped(landmarks: np.ndarray, width: int, order: Sequence[int]) -> np.ndarray:
    """Landmarks (n, 2) of the mirror image of a picture `width` pixels wide; `order` says which landmark takes which number."""
    mirrored = landmarks * [-1, 1] + [width - 1, 0]
    return mirrored[list(order)]


def check_flip(yours: Answer, convention: Convention = IBUG_68) -> Verdict:
    """your_flip(landmarks (n, 2), width, order) -> (n, 2)."""
    cases = [(_faces(1, convention.size)[0], 200, convention.flip), (_faces(1, convention.size, 2)[0], 97, convention.flip)]
    return check(yours, flipped, cases, {
        "left and right were not exchanged: landmark 36 must stay the outer corner of the *same* side of the picture's face":
            lambda p, w, o: p * [-1, 1] + [w - 1, 0],
        "one pixel off: pixel centres are 0 to width - 1, so x becomes width - 1 - x": lambda p, w, o: flipped(p, w + 1, o),
        "one pixel off and left and right not exchanged": lambda p, w, o: p * [-1, 1] + [w, 0],
        "landmarks changed numbers, but the picture's x did not": lambda p, w, o: p[list(o)],
        "y was mirrored, not x": lambda p, w, o: (p * [1, -1] + [0, w - 1])[list(o)],
        "x became negative: add the width back": lambda p, w, o: (p * [-1, 1])[list(o)]})


def nme(predicted: np.ndarray, truth: np.ndarray, corners: tuple[int, int]) -> np.ndarray:
    """Mean distance of the landmarks in percent of that between the outer eye corners: (N, n, 2) twice -> (N,)."""
    left, right = corners
    scale = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)
    return 100 * np.linalg.norm(predicted - truth, axis=-1).mean(1) / scale


def check_nme(yours: Answer) -> Verdict:
    """your_nme(predicted (N, n, 2), truth (N, n, 2), (left, right) outer eye corners) -> (N,) in percent."""
    truth = _faces(3)
    cases = [(truth + np.random.default_rng(1).normal(0, 4, truth.shape), truth, (36, 45))]

    def over(scale: Answer) -> Answer:
        return lambda p, t, c: 100 * np.linalg.norm(p - t, axis=-1).mean(1) / scale(p, t, c)

    def eyes(points, c):
        return np.linalg.norm(points[:, c[0]] - points[:, c[1]], axis=-1)
    return check(yours, nme, cases, {
        "not in percent: times 100": lambda p, t, c: nme(p, t, c) / 100,
        "divided by the wrong distance: that of the *predicted* eyes; a bad answer must not choose its own yardstick":
            over(lambda p, t, c: eyes(p, c)),
        "divided by the wrong distance: only along x": over(lambda p, t, c: np.abs(t[:, c[0], 0] - t[:, c[1], 0])),
        "divided by the wrong distance: the inner eye corners": over(lambda p, t, c: eyes(t, (39, 42))),
        "divided by the wrong distance: that of the jaw's ends": over(lambda p, t, c: eyes(t, (0, 16))),
        "one number for all faces; each face has its own": lambda p, t, c: nme(p, t, c).mean(),
        "x and y apart: the distance is the root of the sum of their squares":
            lambda p, t, c: 100 * np.abs(p - t).mean((1, 2)) / eyes(t, c),
        "the root of the mean square, not the mean distance":
            lambda p, t, c: 100 * np.sqrt(np.square(p - t).sum(-1).mean(1)) / eyes(t, c),
        "not divided by anything: these are pixels": lambda p, t, c: np.linalg.norm(p - t, axis=-1).mean(1)})


# ---------------------------------------------------------------- notebook 3


def to_image(points: np.ndarray, square: tuple[float, float, float], size: int) -> np.ndarray:
    """Points (n, 2) in pixels of a crop back into the photo; the crop shows the square (left, top, side) with `size` pixels.

    Left and top are edges: the first pixel's centre, 0 in the crop, is half a crop's pixel inside of them.
    """
    left, top, side = square
    return (points + 0.5) * side / size - 0.5 + [left + 0.5, top + 0.5]


def to_crop(points: np.ndarray, square: tuple[float, float, float], size: int) -> np.ndarray:
    """The inverse of `to_image`."""
    left, top, side = square
    return (points - [left, top]) * size / side - 0.5


def check_to_image(yours: Answer) -> Verdict:
    """your_to_image(points (n, 2), (left, top, side), size) -> (n, 2) in pixels of the photo."""
    cases = [(_faces(1, 5)[0], (30.0, 12.0, 300.0), 100), (_faces(1, 4, 3)[0], (-7.5, 3.0, 64.0), 128)]
    return check(yours, to_image, cases, {
        "half a pixel off: pixel centres are integers, edges lie half a pixel outside":
            lambda p, q, s: p * q[2] / s + [q[0], q[1]],
        "left and top were not added": lambda p, q, s: (p + 0.5) * q[2] / s,
        "the scale is the wrong way round: size / side takes photos to crops":
            lambda p, q, s: (p + 0.5) * s / q[2] + [q[0], q[1]],
        "this is the inverse: from the photo into the crop": to_crop,
        "left and top must not be scaled": lambda p, q, s: (p + 0.5 + [q[0], q[1]]) * q[2] / s,
        "half a pixel of the photo too much: left and top are edges already": lambda p, q, s: to_image(p, q, s) - 0.5})


def cosine_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """A learning rate that rises in a line over `warmup` steps, and falls along half a cosine to zero at `steps`."""
    if step < warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def check_schedule(yours: Answer) -> Verdict:
    """your_rate(step, steps, peak, warmup) -> learning rate: 0 at step 0, `peak` at step `warmup`, 0 at `steps`."""
    cases = [(step, 100, 0.01, 10) for step in (0, 3, 10, 11, 40, 55, 99, 100)]

    def late(formula: Answer) -> Answer:
        return lambda k, n, p, w: p * k / w if k < w else formula(k, n, p, w)
    return check(yours, cosine_rate, cases, {
        "there is no warm-up": lambda k, n, p, w: p * 0.5 * (1 + math.cos(math.pi * k / n)),
        "the cosine must start where the warm-up ends: (step - warmup) / (steps - warmup)":
            late(lambda k, n, p, w: p * 0.5 * (1 + math.cos(math.pi * k / n))),
        "the cosine runs a whole turn: it comes back up": late(
            lambda k, n, p, w: p * 0.5 * (1 + math.cos(2 * math.pi * (k - w) / (n - w)))),
        "a quarter of a turn: half a cosine goes from 1 to -1": late(
            lambda k, n, p, w: p * math.cos(math.pi / 2 * (k - w) / (n - w))),
        "degrees where radians are wanted": late(lambda k, n, p, w: p * 0.5 * (1 + math.cos(180 * (k - w) / (n - w)))),
        "a straight line, not a cosine": late(lambda k, n, p, w: p * (n - k) / (n - w)),
        "the factor is -1 to 1: (1 + cos) / 2": late(lambda k, n, p, w: p * math.cos(math.pi * (k - w) / (n - w)))}, 1e-7)


# ---------------------------------------------------------------- notebook 4


def gaussians(points: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """Gaussians of peak 1 around points (n, 2) that may lie between pixels: (n, h, w)."""
    y, x = np.mgrid[:size[0], :size[1]]
    square = (x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2
    return np.exp(-square / (2 * sigma**2))


def check_gaussians(yours: Answer) -> Verdict:
    """your_gaussians(points (n, 2), (h, w), sigma) -> (n, h, w), each with a peak of 1, without a loop."""
    rng = np.random.default_rng(0)
    cases = [(rng.uniform(4, 16, (3, 2)), (20, 28), 2.0), (rng.uniform(4, 16, (1, 2)), (24, 20), 1.3)]

    def bell(p, size, factor):
        y, x = np.mgrid[:size[0], :size[1]]
        return np.exp(-((x - p[:, 0, None, None]) ** 2 + (y - p[:, 1, None, None]) ** 2) / factor)
    return check(yours, gaussians, cases, {
        "x and y are exchanged: points are (x, y), arrays are [row, column]": lambda p, s, g: gaussians(p[:, ::-1], s, g),
        "the points were rounded: a Gaussian may stand between pixels": lambda p, s, g: gaussians(p.round(), s, g),
        "sigma is not squared": lambda p, s, g: bell(p, s, 2 * g),
        "without the 2 under the square": lambda p, s, g: bell(p, s, g**2),
        "the distance is not squared": lambda p, s, g: np.exp(-np.sqrt(-np.log(gaussians(p, s, g)) * 2 * g**2) / (2 * g**2)),
        "their sum is 1; here the peak is wanted to be 1":
            lambda p, s, g: gaussians(p, s, g) / gaussians(p, s, g).sum((1, 2), keepdims=True),
        "one map for all points; each has its own": lambda p, s, g: gaussians(p, s, g).max(0)})


def soft_argmax(logits: np.ndarray) -> np.ndarray:
    """The mean position under a softmax over each map's pixels: (n, h, w) -> (n, 2), (x, y)."""
    h, w = logits.shape[1:]
    weights = np.exp(logits - logits.max((1, 2), keepdims=True))
    weights /= weights.sum((1, 2), keepdims=True)
    y, x = np.mgrid[:h, :w]
    return np.stack([(weights * x).sum((1, 2)), (weights * y).sum((1, 2))], -1)


def check_soft_argmax(yours: Answer) -> Verdict:
    """your_soft_argmax(logits (n, h, w)) -> (n, 2): (x, y), between pixels."""
    maps = gaussian_heatmaps(torch.tensor([[[7.3, 4.6], [11.0, 9.2], [3.4, 12.7]]]), (16, 20), sigma=2.0, scale=9.0)[0]
    noisy = maps.double().numpy() + np.random.default_rng(0).normal(0, 1, (3, 16, 20))

    def mean(weights):
        weights = weights / weights.sum((1, 2), keepdims=True)
        y, x = np.mgrid[:weights.shape[1], :weights.shape[2]]
        return np.stack([(weights * x).sum((1, 2)), (weights * y).sum((1, 2))], -1)

    def brightest(logits):
        rows, columns = np.unravel_index(logits.reshape(len(logits), -1).argmax(1), logits.shape[1:])
        return np.stack([columns, rows], -1)
    return check(yours, soft_argmax, [(noisy,)], {
        "(y, x), not (x, y)": lambda m: soft_argmax(m)[:, ::-1],
        "the logits weigh without a softmax": lambda m: mean(m),
        "exp without the sum beneath it: the weights must add up to 1":
            lambda m: soft_argmax(m) * np.exp(m).sum((1, 2))[:, None],
        "softmax over all maps together; each map has its own": lambda m: soft_argmax(m) * (
            np.exp(m).sum((1, 2)) / np.exp(m).sum())[:, None],
        "the brightest pixel, in whole pixels: that is argmax": brightest,
        "half a pixel off: pixel centres are integers, starting with 0": lambda m: soft_argmax(m) + 0.5,
        "one off: the first pixel is 0": lambda m: soft_argmax(m) + 1}, 1e-4)


# ---------------------------------------------------------------- notebook 5


def submission_values(landmarks: np.ndarray) -> np.ndarray:
    """The values of a submission in their order: face by face, landmark by landmark, x before y; (N, 68, 2) -> (N * 136,)."""
    return landmarks.reshape(-1)


def check_submission_order(yours: Answer) -> Verdict:
    """your_values(landmarks (N, 68, 2)) -> (N * 136,)."""
    return check(yours, submission_values, [(_faces(2),)], {
        "all x of a face, then all y: they alternate": lambda p: p.transpose(0, 2, 1).reshape(-1),
        "y before x": lambda p: p[..., ::-1].reshape(-1),
        "landmark by landmark through all faces: a face's values belong together": lambda p: p.transpose(1, 0, 2).reshape(-1),
        "Fortran's order, the first index fastest": lambda p: p.reshape(-1, order="F"),
        "still a table: one value a row is wanted": lambda p: p.reshape(len(p), -1)})


def check_mae(yours: Answer) -> Verdict:
    """your_mae(predicted (N, n, 2), truth (N, n, 2)) -> pixels."""
    truth = _faces(3)
    cases = [(truth + np.random.default_rng(1).normal(0.5, 4, truth.shape), truth)]
    return check(yours, mae, cases, {
        "the mean distance: the score takes x and y one by one": lambda p, t: np.linalg.norm(p - t, axis=-1).mean(),
        "squared, not absolute": lambda p, t: np.square(p - t).mean(),
        "the root of the mean square": lambda p, t: np.sqrt(np.square(p - t).mean()),
        "signs were kept: errors to the left and to the right cancel": lambda p, t: (p - t).mean(),
        "signs were kept, the other way round": lambda p, t: (t - p).mean(),
        "the sum, not the mean": lambda p, t: np.abs(p - t).sum(),
        "one number a face; the score is one for all": lambda p, t: np.abs(p - t).mean((1, 2)),
        "|dx| + |dy| of a landmark is two values, not one": lambda p, t: np.abs(p - t).sum(-1).mean()})
