"""Checks for the notebooks' coding exercises: right, wrong, and for the usual mistakes, which one it is.

A check calls the function that it is given, on a few cases, and compares what it returns with the answer, and then with the
answers that usual mistakes give. It never raises, so that a notebook runs to its end whatever stands in the cell; only Ctrl-C
goes through. A function that returns nothing yet is told "not yet". There are two checks a notebook, in the notebooks' order.
"""

import copy
import dis
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import combinations
from math import cos, pi, prod, sqrt
from traceback import TracebackException
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from . import plotting
from .landmarks import IBUG_68, Convention
from .metrics import mae

Answer = Callable[..., Any]
NOT_YET = "not yet: your function returns nothing"
_IN_C = ("starmap", "vectorize", "frompyfunc")                                 # loops that run no lines
_GATHERS = {"LIST_APPEND", "MAP_ADD", "SET_ADD", "YIELD_VALUE"}              # of a comprehension's steps


def close(a: Any, b: Any, tolerance: float = 1e-4) -> bool:
    """Whether two answers have one shape, and numbers that are equal up to a share or an amount of `tolerance`."""
    a, b = _array(a), _array(b)
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance)


def at_extremes(high: list[tuple[Any, Any]], apart: list[tuple[Any, Any]]) -> str:
    """What is wrong with answers for maps of large logits, or at levels far apart, each beside the right one; or nothing."""
    for pairs, why in ((high, "exp of a large one overflows"),
                       (apart, "exp of one far below the largest is 0, which has no logarithm and divides nothing")):
        if off := [_array(found) for found, right in pairs if not close(found, right)]:
            why = "something is cut off, or added" if all(np.isfinite(found).all() for found in off) else why
            return f"wrong: right for small logits, not all: {why}. Take each map's own largest off, as `log_softmax` does"
    return ""


def said_of(judge: Callable[[], str]) -> "Verdict":
    """What a check says; whatever the student's code raises is told, and stops nothing."""
    try:
        return said if isinstance(said := judge(), Verdict) else Verdict(said)
    except NotImplementedError as error:                  # of a module without a `forward`, too
        held = "[ModuleList]" in str(error) or "[ModuleDict]" in str(error)
        return Verdict("wrong: an nn.ModuleList only holds layers; nn.Sequential runs them, too" if held else "not yet")
    except KeyboardInterrupt:
        raise
    except BaseException as error:                       # whatever a beginner's code can raise, and str(error) again
        return Verdict(f"wrong: it raises {type(error).__name__}: {TracebackException(type(error), error, None)}")


class Verdict(str):
    """What a check says; shown without quotes."""

    def __repr__(self) -> str:
        return str(self)

    def __reduce__(self):
        return Verdict, (str(self),)                      # without its picture, which may be of a function in a notebook

    def drawn(self, sketch: Callable[..., str], *shown: Any) -> "Verdict":
        """The same with a picture, HTML that `sketch(*shown)` makes where it is shown, not before."""
        self._repr_html_ = partial(sketch, *shown)
        return self


def _array(value: Any) -> np.ndarray:
    """A copy of an answer: an array of any kind, a number, or what holds or yields such; an empty one of no answer."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().to(torch.complex128).numpy()
    elif hasattr(value, "__iter__") and not hasattr(value, "__array__") and not isinstance(value, str):
        value = [_array(part) for part in value]
    array = np.array([] if value is None or value is ... else value)
    if array.dtype.kind in "SUMm":
        raise TypeError(f"numbers are wanted, not {array.dtype}")
    array = array.astype(complex)
    return array if array.imag.any() else array.real


@np.errstate(all="ignore")                               # also puts back what a function sets
def _answers(function: Answer, cases: Sequence[tuple]) -> list[np.ndarray]:
    """Copies of what a function returns, given copies: whatever it changes, cases and other answers stay as they are."""
    return [_array(function(*copy.deepcopy(case))) for case in cases]


def _is_own(function: Answer, names: dict[str, Any]) -> bool:
    """Whether code with these globals is the student's: of the function's module, or of a notebook."""
    return names.get("__name__") == function.__module__ or not names.get("__spec__")


@contextmanager
def _counted_maps(function: Answer) -> Iterator[set[int]]:
    """A set that has as many numbers as the longest `map` of the student's has steps: they run no lines."""
    plain, steps = map, set[int]()

    class Counted(plain):                                 # type: ignore[valid-type,misc]
        def __new__(cls, called, first, *rows):
            theirs = _is_own(function, sys._getframe(1).f_globals)
            return plain(called, ((x, steps.add(n))[0] for n, x in enumerate(first)) if theirs else first, *rows)
    with patch("builtins.map", Counted):
        yield steps


def _loops(function: Answer, small: tuple, large: tuple) -> bool:
    """Whether a line of its own module runs twice in a call, a `map` of it is long, or a larger case runs more lines of any."""
    def lines(case):
        ran, before = [], sys.gettrace()

        def trace(frame, event, _):
            ran.extend([(frame, frame.f_lasti)] * (event == "line"))
            return trace
        sys.settrace(trace)
        try:
            answer = function(*copy.deepcopy(case))
            list(answer if hasattr(answer, "__next__") else ())                         # what yields has run nothing yet
        finally:
            sys.settrace(before)
        return ran
    with _counted_maps(function) as mapped:
        few, many = (min(lines(case), lines(case), key=len) for case in (small, large))     # without garbage collection
    own = [at for at in many if _is_own(function, at[0].f_globals)]
    steps = {frame.f_code: [*dis.get_instructions(frame.f_code)] for frame, _ in own}
    in_c = len(mapped) > 3 or any(step.argval in _IN_C for code in steps.values() for step in code)    # a shape has three
    # A comprehension may do so for x, for y, and, from Python 3.13 on, where it finds no third.
    gather = {code for code in steps if any(step.opname in _GATHERS for step in steps[code])}
    return in_c or len(many) > len(few) or any(n > 1 + 2 * (at[0].f_code in gather) for at, n in Counter(own).items())


def check(yours: Answer, right: Answer, cases: Sequence[tuple], mistakes: dict[str, Answer], tolerance: float = 1e-4,
          loops: bool = True, sketch: Callable[..., str] | None = None) -> Verdict:
    """Compare a function with the right one on some cases (tuples of arguments), and with wrong ones, by what is wrong.

    They are asked again with new numbers, so that no list of answers is right. Without `loops`, a function that has one is
    wrong; the last case must then be larger than the first. `sketch` draws the first case and the student's answer, if right.
    """
    return said_of(lambda: _judged(yours, right, cases, mistakes, partial(close, tolerance=tolerance), loops, sketch))


_GENERAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "x and y are exchanged: (y, x), not (x, y)": lambda x: np.concatenate([x[..., 1::-1], x[..., 2:]], -1),
    "rounded to whole numbers": np.round, "cut to whole numbers": np.floor, "the sign is the other way round": np.negative,
    "half a pixel off: pixel centres are integers; too much": lambda x: x + 0.5,
    "half a pixel off: pixel centres are integers; too little": lambda x: x - 0.5}


def _in_general(right: Answer, cases: Sequence[tuple], expected: list[np.ndarray]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """What is wrong, and the answers: the right ones changed, or the right function's for an argument that was changed."""
    for what, change in _GENERAL.items():
        with suppress(Exception):                        # such as exchanging the x and y of one number
            yield f"{what}, in the answer", [change(answer) for answer in expected]
        for k, name in enumerate(inspect.signature(right).parameters):
            with suppress(Exception):
                yield f"{what}, in `{name}`", _answers(right, [tuple(
                    change(np.array(x)) if i == k and np.array(x).dtype == float and np.ndim(x) else x
                    for i, x in enumerate(case)) for case in cases])


@np.errstate(all="ignore")
def _judged(yours: Answer, right: Answer, cases: Sequence[tuple], mistakes: dict[str, Answer],
            close: Callable[[Any, Any], bool], loops: bool, sketch: Callable[..., str] | None) -> str:
    rng, expected = np.random.default_rng(), _answers(right, cases)
    new = [tuple(x * rng.uniform(0.9, 1.1, np.shape(x)) if isinstance(x, float | np.ndarray) else x for x in c) for c in cases]
    found = _answers(yours, cases)
    fits = list(map(close, found, expected))
    if not any(answer.size for answer in found):
        return NOT_YET
    if all(fits) and not all(map(close, _answers(yours, [*cases, *new]), [*expected, *_answers(right, new)])):
        return "wrong: right at first, but not for other numbers, or when asked again: is a constant in the code?"
    if all(fits):
        if not loops and _loops(yours, cases[0], cases[-1]):
            return "wrong: the values are right, but there is a loop; broadcasting does without"
        return Verdict("right").drawn(sketch, cases[0], found[0].real) if sketch else "right"
    for what, wrong in mistakes.items():
        with suppress(Exception):                        # such as asking for a landmark that not every case has
            if all(map(close, found, _answers(wrong, cases))):
                return f"wrong: {what}"
    ignored = []
    for k, name in enumerate(inspect.signature(right).parameters):
        pairs = [(a, b) for a, b in combinations(range(len(cases)), 2) if not close(expected[a], expected[b]) and all(
            np.array_equal(x, y) == (i != k) for i, (x, y) in enumerate(zip(cases[a], cases[b])))]
        ignored += [f"`{name}`"] if pairs and all(close(found[a], found[b]) for a, b in pairs) else []
    for what, answers in () if ignored else _in_general(right, cases, expected):
        if all(map(close, found, answers)):
            return f"wrong: {what}"
    why = (f"a constant: it is the same for every {' and '.join(ignored)}; " if ignored else
           f"right in {sum(fits)} of {len(fits)} cases, but " * any(fits))
    k = fits.index(False)
    if found[k].shape != expected[k].shape:
        shape = f"the shape {found[k].shape}" if found[k].size else "nothing"
        return f"wrong: {why}in case {k + 1} it returns {shape}, not {expected[k].shape or 'one number'}"
    off = np.nan_to_num(np.abs(found[k] - expected[k]), nan=np.inf)
    at = tuple(map(int, np.unravel_index(off.argmax(), off.shape)))
    place = f"case {k + 1} at {at}" if at else f"case {k + 1}"
    return f"wrong: {why}in {place} it says {found[k][at]:.6g}, not {expected[k][at]:.6g}"


def _faces(count: int, n: int = 68, seed: int = 0) -> np.ndarray:
    """Made-up landmarks, (count, n, 2), in pixels of a picture of 200x160; others for each count, n and seed."""
    return np.random.default_rng((count, n, seed)).uniform((20, 10), (180, 150), (count, n, 2))


def mean_baseline(train: np.ndarray, count: int) -> np.ndarray:
    """The mean shape of (N, n, 2) training landmarks, for each of `count` faces: (count, n, 2)."""
    return np.repeat(train.mean(0)[None], count, 0)


def check_mean_baseline(yours: Answer, seed: int = 0) -> Verdict:
    """your_baseline(train (N, n, 2), count) -> (count, n, 2): the answer that looks at no picture."""
    cases = [(_faces(n, size, seed), count) for n, size, count in ((5, 3, 2), (5, 3, 4), (4, 1, 4), (1, 7, 1))]
    return check(yours, mean_baseline, cases, {
        "one mean of all landmarks; each landmark has its own": lambda t, c: np.broadcast_to(t.mean((0, 1)), (c, *t.shape[1:])),
        "x and y were averaged together": lambda t, c: np.broadcast_to(t.mean((0, 2))[:, None], (c, *t.shape[1:])),
        "the mean shape once; it is wanted for each of `count` faces": lambda t, c: t.mean(0),
        "one for each training face; it is wanted for each of `count` faces": lambda t, c: mean_baseline(t, len(t)),
        "the first `count` training faces, not their mean": lambda t, c: t[:c],
        "the median, not the mean": lambda t, c: np.repeat(np.median(t, 0)[None], c, 0)},
        sketch=lambda case, found: plotting.sketch("right: three landmarks of five faces (dots 0 to 4), your mean (crosses)",
                                                   np.zeros((3, 160, 200)) - 0.5, case[0].swapaxes(0, 1), found[0][:, None]))


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """How many pixels wide what one output sees is, after layers of (kernel, stride)."""
    field, step = 1, 1
    for kernel, stride in layers:
        field, step = field + (kernel - 1) * step, step * stride
    return field


def check_receptive_field(yours: Answer, seed: int | None = None) -> Verdict:
    """your_field(layers) -> pixels; layers are (kernel, stride), pooling is one of them: NoseNet has [(5, 1), (2, 2)] * 3."""
    new = [[(k, s) for k, s in net] for net in np.random.default_rng(seed).integers((1, 1), (8, 4), (3, 4, 2)).tolist()]
    cases = [(layers,) for layers in ([(5, 1), (2, 2)] * 3, [(3, 1)], [(7, 2), (3, 2), (3, 1)], *new)]
    return check(yours, receptive_field, cases, {
        "the strides were left out: behind a stride of 2 each step is two pixels": lambda ls: 1 + sum(k - 1 for k, s in ls),
        "kernels were added up; they overlap": lambda ls: sum(k for k, s in ls),
        "kernels were multiplied": lambda ls: prod(k for k, s in ls),
        "a layer's own stride acts on the layers behind it, not on itself": lambda ls: 1 + sum(
            (k - 1) * prod(s for _, s in ls[:i + 1]) for i, (k, _) in enumerate(ls)),
        "without the first pixel: a field starts with 1": lambda ls: receptive_field(ls) - 1})


def flipped(landmarks: np.ndarray, width: int, order: Sequence[int]) -> np.ndarray:
    """Landmarks (n, 2) of the mirror image of a picture `width` pixels wide; `order` says which landmark takes which number."""
    return (landmarks * [-1, 1] + [width - 1, 0])[list(order)]


def check_flip(yours: Answer, convention: Convention = IBUG_68, seed: int = 0) -> Verdict:
    """your_flip(landmarks (n, 2), width, order) -> (n, 2)."""
    [face], [few] = _faces(1, convention.size, seed), _faces(1, 7, seed)
    cases = [(few, 190, (4, 3, 2, 1, 0, 6, 5)), (face, 200, convention.flip), (face, 97, convention.flip),
             (face, 200, tuple(range(len(face))[::-1]))]
    return check(yours, flipped, cases, {
        "left and right were not exchanged: a number that lay on the left of the picture must lie on the left again":
            lambda p, w, o: p * [-1, 1] + [w - 1, 0],
        "one pixel off: pixel centres are 0 to width - 1, so x becomes width - 1 - x": lambda p, w, o: flipped(p, w + 1, o),
        "one pixel off and left and right not exchanged": lambda p, w, o: p * [-1, 1] + [w, 0],
        "landmarks changed numbers, but the picture's x did not": lambda p, w, o: p[list(o)],
        "y was mirrored, not x": lambda p, w, o: (p * [1, -1] + [0, w - 1])[list(o)],
        "x became negative: add the width back": lambda p, w, o: (p * [-1, 1])[list(o)]},
        sketch=lambda case, found: plotting.sketch("right: seven landmarks, and yours in the mirror image, by number",
                                                   np.zeros((2, 160, 190)) - 0.5, [case[0], None], [None, found]))


def nme(predicted: np.ndarray, truth: np.ndarray, corners: tuple[int, int]) -> np.ndarray:
    """Mean distance of the landmarks in percent of that between the outer eye corners: (N, n, 2) twice -> (N,)."""
    left, right = corners
    scale = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)
    return 100 * np.linalg.norm(predicted - truth, axis=-1).mean(1) / scale


def check_nme(yours: Answer, seed: int = 0) -> Verdict:
    """your_nme(predicted (N, n, 2), truth (N, n, 2), (left, right) outer eye corners) -> (N,) in percent."""
    faces = {(n, size): _faces(n, size, seed) for n, size in ((3, 68), (2, 50), (1, 68))}
    cases = [(t + np.random.default_rng(1).normal(0, 4, t.shape), t, corners) for t, corners in (
        (faces[3, 68], (36, 45)), (faces[3, 68], (30, 8)), (faces[2, 50], (47, 2)), (faces[1, 68], (36, 45)))]

    def eyes(points, c):
        return np.linalg.norm(points[:, c[0]] - points[:, c[1]], axis=-1)
    return check(yours, nme, cases, {
        "not in percent: times 100": lambda p, t, c: nme(p, t, c) / 100,
        "divided by the wrong distance: that of the *predicted* eyes; a bad answer must not choose its own yardstick":
            lambda p, t, c: nme(p, t, c) * eyes(t, c) / eyes(p, c),
        "divided by the wrong distance: only along x": lambda p, t, c: nme(p, t, c) * eyes(t, c) / eyes(t * [1, 0], c),
        "divided by the wrong distance: the inner eye corners": lambda p, t, c: nme(p, t, (39, 42)),
        "divided by the wrong distance: that of the jaw's ends": lambda p, t, c: nme(p, t, (0, 16)),
        "the sum over the landmarks, not their mean": lambda p, t, c: nme(p, t, c) * p.shape[1],
        "divided by 68, not by the number of landmarks": lambda p, t, c: nme(p, t, c) * p.shape[1] / 68,
        "one number for all faces; each face has its own": lambda p, t, c: nme(p, t, c).mean(),
        "x and y apart: the distance is the root of the sum of their squares":
            lambda p, t, c: 100 * np.abs(p - t).mean((1, 2)) / eyes(t, c),
        "the root of the mean square, not the mean distance":
            lambda p, t, c: 100 * np.sqrt(np.square(p - t).sum(-1).mean(1)) / eyes(t, c),
        "divided by the mean distance of all faces' eyes; each face has its own":
            lambda p, t, c: nme(p, t, c) * eyes(t, c) / eyes(t, c).mean(),
        "not divided by anything: these are pixels": lambda p, t, c: np.linalg.norm(p - t, axis=-1).mean(1)})


def to_image(points: np.ndarray, square: tuple[float, float, float], size: int) -> np.ndarray:
    """Points (n, 2) of a crop, in the photo's pixels; it shows the square from the edges left and top on in `size` pixels."""
    left, top, side = square
    return (points + 0.5) * side / size + [left, top]


def check_to_image(yours: Answer, seed: int = 0) -> Verdict:
    """your_to_image(points (n, 2), (left, top, side), size) -> (n, 2) in pixels of the photo."""
    cases = [(_faces(1, n, seed)[0], square, size) for n, square, size in (
        (5, (30.0, 12.0, 300.0), 100), (5, (30.0, 12.0, 300.0), 224), (5, (-7.5, 3.0, 64.0), 224), (1, (8.0, -9.5, 90.0), 128))]
    return check(yours, to_image, cases, {
        "left and top were not added": lambda p, q, s: (p + 0.5) * q[2] / s,
        "the scale is the wrong way round: size / side takes photos to crops": lambda p, q, s: (p + 0.5) * s / q[2] + q[:2],
        "this is the inverse: from the photo into the crop": lambda p, q, s: (p - q[:2]) * s / q[2] - 0.5,
        "left and top must not be scaled": lambda p, q, s: (p + 0.5 + q[:2]) * q[2] / s})


def cosine_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """A learning rate that rises in a line over `warmup` steps, and falls along half a cosine to zero at `steps`."""
    if step < warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + cos(pi * (step - warmup) / (steps - warmup)))


def check_schedule(yours: Answer, seed: int = 0) -> Verdict:
    """your_rate(step, steps, peak, warmup) -> learning rate: 0 at step 0, `peak` at step `warmup`, 0 at `steps`."""
    n, w = 100 + 30 * seed, 10 + seed
    cases = [*((step, n, 0.01, w) for step in (0, 3, w, w + 1, 40, 55, n - 1, n)), (40, n + 50, 0.01, w),
             (40, n, 0.002, w), (40, n, 0.01, 25)]

    def late(formula: Answer) -> Answer:
        return lambda k, n, p, w: p * k / w if k < w else formula(k, n, p, w)
    return check(yours, cosine_rate, cases, {
        "a quotient of whole numbers by //, which is 0 until it is 1": lambda k, n, p, w: cosine_rate(k, n, p, w) * (k >= w),
        "the cosine does not end at zero: n - w steps are left for it": late(
            lambda k, n, p, w: p * 0.5 * (1 + cos(pi * (k - w) / n))),
        "there is no warm-up": lambda k, n, p, w: p * 0.5 * (1 + cos(pi * k / n)),
        "the cosine must start where the warm-up ends: (step - warmup) / (steps - warmup)":
            late(lambda k, n, p, w: p * 0.5 * (1 + cos(pi * k / n))),
        "the cosine runs a whole turn: it comes back": late(lambda k, n, p, w: p * 0.5 * (1 + cos(2 * pi * (k - w) / (n - w)))),
        "a quarter of a turn: half a cosine goes from 1 to -1": late(lambda k, n, p, w: p * cos(pi / 2 * (k - w) / (n - w))),
        "degrees where radians are wanted": late(lambda k, n, p, w: p * 0.5 * (1 + cos(180 * (k - w) / (n - w)))),
        "a straight line, not a cosine": late(lambda k, n, p, w: p * (n - k) / (n - w)),
        "the factor is -1 to 1: (1 + cos) / 2": late(lambda k, n, p, w: p * cos(pi * (k - w) / (n - w)))}, 1e-7)


def gaussians(points: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """Gaussians of peak 1 around points (n, 2) that may lie between pixels: (n, h, w)."""
    y, x = np.mgrid[:size[0], :size[1]]
    square = (x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2
    return np.exp(-square / (2 * sigma**2))


def check_gaussians(yours: Answer, seed: int = 0) -> Verdict:
    """your_gaussians(points (n, 2), (h, w), sigma) -> (n, h, w), each with a peak of 1, without a loop."""
    cases = [(np.random.default_rng((n, seed)).uniform(4, 16, (n, 2)), size, sigma) for n, size, sigma in (
        (3, (20, 28), 2.0), (3, (24, 20), 2.0), (3, (20, 28), 1.3), (1, (24, 20), 1.3), (6, (30, 33), 1.7))]
    return check(yours, gaussians, cases, {
        "a minus is missing: it must fall away from the landmark": lambda p, s, g: 1 / gaussians(p, s, g),
        "divided by 2 pi sigma^2; here the peak is wanted to be 1": lambda p, s, g: gaussians(p, s, g) / (2 * pi * g**2),
        "sigma is not squared": lambda p, s, g: gaussians(p, s, sqrt(g)),
        "the 2 is squared with sigma: 2 * sigma**2, not (2 * sigma)**2": lambda p, s, g: gaussians(p, s, sqrt(2) * g),
        "without the 2 under the square": lambda p, s, g: gaussians(p, s, g / sqrt(2)),
        "the distance is not squared": lambda p, s, g: np.exp(-np.sqrt(-np.log(gaussians(p, s, g)) * 2 * g**2) / (2 * g**2)),
        "the brightest pixel is made 1; the peak of 1 is at the point, which lies between pixels":
            lambda p, s, g: gaussians(p, s, g) / gaussians(p, s, g).max((1, 2), keepdims=True),
        "0 at the point and 1 far away; it is the other way round": lambda p, s, g: 1 - gaussians(p, s, g),
        "their sum is 1; here the peak is wanted to be 1":
            lambda p, s, g: gaussians(p, s, g) / gaussians(p, s, g).sum((1, 2), keepdims=True),
        "one map for all points; each has its own": lambda p, s, g: gaussians(p, s, g).max(0)}, loops=False,
        sketch=lambda case, found: plotting.sketch(
            "right: three points, and your maps, white where they are 1", found - 0.5, case[0][:, None], [None] * 3))


def _mean_position(weights: np.ndarray) -> np.ndarray:
    weights = weights / weights.sum((1, 2), keepdims=True)
    y, x = np.mgrid[:weights.shape[1], :weights.shape[2]]
    return np.stack([(weights * x).sum((1, 2)), (weights * y).sum((1, 2))], -1)


def soft_argmax(logits: np.ndarray) -> np.ndarray:
    """The mean position under a softmax over each map's pixels: (n, h, w) -> (n, 2), (x, y)."""
    return _mean_position(np.exp(logits - logits.max((1, 2), keepdims=True)))


def check_soft_argmax(yours: Answer, seed: int = 0) -> Verdict:
    """your_soft_argmax(logits (n, h, w)) -> (n, 2): (x, y), between pixels."""
    rng = np.random.default_rng(seed)
    cases = [(9 * gaussians(rng.uniform(3, 9, (n, 2)), size, 2.0) + rng.normal(0, 1, (n, *size)),)
             for n, size in ((3, (16, 20)), (1, (13, 11)), (2, (18, 12)))]

    def brightest(logits):
        rows, columns = np.unravel_index(logits.reshape(len(logits), -1).argmax(1), logits.shape[1:])
        return np.stack([columns, rows], -1)
    said = check(yours, soft_argmax, cases, {
        "in shares of the map, not in pixels": lambda m: soft_argmax(m) / (np.array(m.shape[:0:-1]) - 1),
        "softmax over each row alone; all pixels of a map together":
            lambda m: soft_argmax(m - np.log(np.exp(m).sum(2, keepdims=True))) * np.array([m.shape[1], m.shape[1]]),
        "the logits weigh without a softmax": _mean_position,
        "a sigmoid of each pixel alone; all pixels of a map share one softmax": lambda m: _mean_position(1 / (1 + np.exp(-m))),
        "the logits weigh, cut off at 0, without a softmax": lambda m: _mean_position(m.clip(0)),
        "exp without the sum beneath it: the weights must add up to 1":
            lambda m: soft_argmax(m) * np.exp(m).sum((1, 2))[:, None],
        "softmax over all maps together; each map has its own": lambda m: soft_argmax(m) * (
            np.exp(m).sum((1, 2)) / np.exp(m).sum())[:, None],
        "the brightest pixel, in whole pixels: that is argmax": brightest,
        "one off: the first pixel is 0": lambda m: soft_argmax(m) + 1}, sketch=lambda case, found: plotting.sketch(
            "right: three maps of logits, what you read off (crosses)", case[0] / 16 - 0.4, [None] * 3, found[:, None]))
    if said != "right":
        return said

    def beside(*far):
        return list(zip(_answers(yours, far), _answers(soft_argmax, far)))
    return said_of(lambda: at_extremes(beside(*((100 * maps + 800,) for maps, in cases)), beside(
        *((100 * maps - 3000 * np.arange(len(maps))[:, None, None],) for maps, in cases))) or said)


def check_submission_order(yours: Answer, seed: int = 0) -> Verdict:
    """your_values(landmarks (N, 68, 2)) -> (N * 136,): face by face, landmark by landmark, x before y."""
    return check(yours, lambda landmarks: landmarks.reshape(-1), [(_faces(count, 68, seed),) for count in (2, 1, 3)], {
        "all x of a face, then all y: they alternate": lambda p: p.transpose(0, 2, 1).reshape(-1),
        "y before x": lambda p: p[..., ::-1].reshape(-1),
        "landmark by landmark through all faces: a face's values belong together": lambda p: p.transpose(1, 0, 2).reshape(-1),
        "Fortran's order, the first index fastest": lambda p: p.reshape(-1, order="F"),
        "still a table: one value a row is wanted": lambda p: p.reshape(len(p), -1)})


def check_mae(yours: Answer, seed: int = 0) -> Verdict:
    """your_mae(predicted (N, n, 2), truth (N, n, 2)) -> pixels."""
    cases = [(t + np.random.default_rng(number).normal(0.5, 4, t.shape), t)
             for number, t in enumerate((_faces(3, 68, seed), _faces(3, 68, seed), _faces(1, 5, seed)), 1)]
    return check(yours, mae, cases, {
        "the mean distance: the score takes x and y one by one": lambda p, t: np.linalg.norm(p - t, axis=-1).mean(),
        "squared, not absolute": lambda p, t: np.square(p - t).mean(),
        "the root of the mean square": lambda p, t: np.sqrt(np.square(p - t).mean()),
        "signs were kept: errors to the left and to the right cancel": lambda p, t: (p - t).mean(),
        "signs were kept, the other way round": lambda p, t: (t - p).mean(),
        "divided by 136 a face, not by the number of values": lambda p, t: np.abs(p - t).sum() / (136 * len(p)),
        "the sum, not the mean": lambda p, t: np.abs(p - t).sum(),
        "one number a face; the score is one for all": lambda p, t: np.abs(p - t).mean((1, 2)),
        "|dx| + |dy| of a landmark is two values, not one": lambda p, t: np.abs(p - t).sum(-1).mean()})
