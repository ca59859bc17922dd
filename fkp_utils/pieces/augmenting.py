"""Checks of what Part 2 writes: the warp of picture and landmarks, He's initial weights, the weights' moving average."""

import copy
from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .. import plotting
from ..augment import turn_and_scale, warp
from ..exercises import NOT_YET, Answer, Verdict, check, close, said_of


def check_matrix(yours: Answer, seed: int = 0) -> Verdict:
    """your_matrix(degrees (b,), factor (b,)) -> (b, 2, 2): clockwise on the screen, where y points down."""
    turns = (([20.0, -35, 90], [1.1, 0.9, 1]), ([7.0], [1.2]), ([7.0], [2.0]))
    cases = [(torch.tensor(a) + 3 * seed, torch.tensor(f)) for a, f in turns]
    return check(yours, turn_and_scale, cases, {
        "it turns the other way; y points down: clockwise is [[cos, -sin], [sin, cos]]": lambda a, f: turn_and_scale(-a, f),
        "degrees were taken for radians": lambda a, f: turn_and_scale(torch.rad2deg(a), f),
        "the factor is left out": lambda a, f: turn_and_scale(a, torch.ones_like(f)),
        "the face's number comes last; it comes first: (b, 2, 2)": lambda a, f: turn_and_scale(a, f).permute(1, 2, 0)})


def _warped(images: torch.Tensor, landmarks: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor,
            points: Callable = torch.clone, back: Callable = torch.linalg.inv, centre: Callable = lambda size: (size - 1) / 2,
            seen: Callable = torch.clone, moved: Callable = lambda shift, size: shift, before: bool = False, order=(0, 1),
            unit: Callable = lambda at, size: (2 * at + 1) / size - 1, **how: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """`augment.warp` with other functions in its places, for its usual mistakes."""
    h, w = images.shape[-2:]
    size = images.new_tensor([w, h])
    middle, step = centre(size), moved(shift, size)[:, None]
    found = (landmarks - middle + before * step) @ points(matrix).mT + middle + (not before) * step
    grid = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy"), -1).reshape(1, -1, 2)
    source = (grid - middle - (not before) * seen(step)) @ back(matrix).mT + middle - before * step
    source = unit(source[..., order], size).reshape(len(images), h, w, 2)
    return F.grid_sample(images, source, **{"padding_mode": "border", "align_corners": False, **how}), found


WARPS: dict[str, dict[str, Any]] = {
    "the picture takes the matrix itself; each of its pixels asks where it comes *from*: the inverse": {"back": torch.clone},
    "the landmarks take the inverse; they go where the matrix says": {"points": torch.linalg.inv},
    "it turns the other way: rows take the matrix *transposed*": {"points": lambda m: m.mT, "back": lambda m: m.mT.inverse()},
    "the picture turns the other way: rows take the inverse *transposed*": {"back": lambda m: m.mT.inverse()},
    "x and y of the picture's points are exchanged: grid_sample wants (x, y)": {"order": (1, 0)},
    "the centre is at (0, 0), the picture's corner": {"centre": torch.zeros_like},
    "the centre is half a pixel off: it is (w - 1) / 2, since pixels are 0 to w - 1": {"centre": lambda size: size / 2},
    "the shift is in pixels already, no share of the picture": {"moved": lambda shift, size: shift * size},
    "the shift is left out": {"moved": lambda shift, size: 0 * shift},
    "the shift is in pixels, and stays so": {"moved": lambda shift, size: shift / size},
    "the centre's width and height are exchanged": {"centre": lambda size: (size.flip(0) - 1) / 2},
    "the shift's x and y are exchanged": {"moved": lambda shift, size: shift.flip(-1)},
    "the picture does not move": {"back": lambda m: torch.eye(2), "seen": lambda shift: 0 * shift},
    "the nearest pixel is taken; `grid_sample` reads between them by itself": {"mode": "nearest"},
    "the shift comes before the turn; it comes after it": {"before": True},
    "the landmarks are shifted, the picture is not": {"seen": lambda shift: 0 * shift},
    "the picture is shifted the other way: on the way back the shift is taken off first": {"seen": torch.neg},
    "the picture is half a pixel off: x becomes (2 x + 1) / w - 1": {"unit": lambda at, size: 2 * at / size - 1},
    "2 x / (w - 1) - 1 goes with align_corners=True": {"unit": lambda at, size: 2 * at / (size - 1) - 1},
    "(2 x + 1) / w - 1 goes with align_corners=False": {"align_corners": True},
    "beyond its border the picture is grey: padding_mode=\"border\"": {"padding_mode": "zeros"}}


def check_warp(yours: Callable[..., Any], seed: int = 0) -> Verdict:
    """your_warp(images (b, 1, h, w), landmarks (b, n, 2), matrix (b, 2, 2), shift (b, 2) in pixels) -> images, landmarks."""
    def judge() -> str:
        generator = torch.Generator().manual_seed(seed)
        given = (torch.rand(3, 1, 9, 14, generator=generator) - 0.5, torch.rand(3, 5, 2, generator=generator) * 8,
                 turn_and_scale(torch.tensor([20.0, -35.0, 8.0]), torch.tensor([1.15, 0.85, 1.05])),
                 torch.tensor([[1.3, -0.6], [-1.7, 0.4], [0.7, 1.1]]))
        found = yours(*(x.clone() for x in given))
        if found is None or found is ...:
            return NOT_YET
        if not isinstance(found, tuple | list) or len(found) != 2:
            return "wrong: it returns pictures and landmarks, two things"
        shapes = [tuple(part.shape) for part in found]
        if shapes != [(3, 1, 9, 14), (3, 5, 2)]:
            return f"wrong: pictures and landmarks have the shapes {shapes[0]} and {shapes[1]}, not (3, 1, 9, 14) and (3, 5, 2)"
        fits = [close(part, wanted, 2e-3) for part, wanted in zip(found, warp(*given))]
        for what, change in WARPS.items():
            if not all(fits) and all(close(part, wrong, 2e-3) for part, wrong in zip(found, _warped(*given, **change))):
                return f"wrong: {what}"
        if fits[0] and close(found[1], given[1]):
            return "wrong: the landmarks stay where they are"
        off = " and ".join(what for what, fit in zip(("the picture", "the landmarks"), fits) if not fit)

        def sketch() -> str:                              # of the first face; pictures are dark under the marks
            before, points, after, moved = (torch.as_tensor(part[0]).detach().numpy() for part in (*given[:2], *found))
            return plotting.sketch("right: a picture and its landmarks, and yours, turned, enlarged and shifted",
                                   [before[0] / 2 - 0.25, after[0] / 2 - 0.25], [points, None], [None, moved])
        return f"wrong, in no usual way: {off}" if off else Verdict("right").drawn(sketch)

    return said_of(judge)


STDS: dict[str, Callable[[int, int, int], float]] = {              # of (inputs of a filter, outputs of a channel, channels)
    "right": lambda n, out, channels: sqrt(2 / n),
    "wrong: the 2 is left out: a ReLU lets half of the signal's square through": lambda n, out, channels: sqrt(1 / n),
    "wrong: n is the number of inputs that a filter sees, not of outputs": lambda n, out, channels: sqrt(2 / out),
    "wrong: the mean of inputs and outputs is Glorot's; He's n is inputs": lambda n, out, channels: sqrt(2 / (n + out)),
    "wrong: n is channels times rows times columns, not channels alone": lambda n, out, channels: sqrt(2 / channels),
    "wrong: this is PyTorch's own, sqrt(1 / (3 n))": lambda n, out, channels: sqrt(1 / (3 * n)),
    "wrong: 2 / n is the variance; the standard deviation is its root": lambda n, out, channels: 2 / n}


def check_he(yours: Callable[[nn.Module], Any], seed: int = 0) -> Verdict:
    """your_he(model): weights drawn anew in place, of standard deviation sqrt(2 / n), in the last layer 0.01; biases zero."""
    def judge() -> str:
        with torch.random.fork_rng():
            torch.manual_seed(3 + seed)
            layers = (nn.Conv2d(4, 40, 5), nn.Conv2d(40, 10, 3), nn.Linear(250, 40), nn.Linear(40, 100))
            model = nn.Module()                           # as a net of one's own it has layers, and they no numbers
            for k, layer in enumerate((norm := nn.BatchNorm2d(4), *layers)):
                model.add_module(f"layer{k}", layer)
            before = copy.deepcopy(model)
            yours(model)
        if all(torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters())):
            return "not yet: the weights stay as they are; `nn.init` has functions that write into them"
        if not bool((norm.weight == 1).all()):
            return "wrong: batch normalisation's weights are changed, too; only those of convolutions and Linear are to be"
        drawn, biases = ([layer.get_parameter(name).detach() for layer in layers] for name in ("weight", "bias"))
        stds, sizes = [float(w.std()) for w in drawn], [(w[0].numel(), w[:, 0].numel(), w.shape[1]) for w in drawn[:-1]]
        if min(stds) < 1e-6:
            return "wrong: all weights of a layer are equal, so that all its filters would learn the same: draw them"
        if any(abs(float(w.mean())) > 6 * std / sqrt(w.numel()) for w, std in zip(drawn, stds)):
            return "wrong: the mean of a layer's weights is not zero"
        off = [f"wrong: for n = {n} it is {std:.4f}, not {sqrt(2 / n):.4f}, in {type(layer).__name__}" for (n, *_), std, layer
               in zip(sizes, stds, layers) if abs(std / sqrt(2 / n) - 1) >= 0.07]
        said = next((what for what, rule in STDS.items() if all(
            abs(std / rule(*size) - 1) < 0.07 for std, size in zip(stds, sizes))), *off[:1])
        if said == "right" and abs(stds[-1] / 0.01 - 1) > 0.07:
            return f"wrong: the last layer's standard deviation is {stds[-1]:.3g}, not 0.01: first answers are to be near zero"
        return "wrong: biases start at zero" if said == "right" and any(b.any() for b in biases) else said

    return said_of(judge)


AVERAGES: dict[str, Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]] = {
    "right": lambda a, m, d: d * a + (1 - d) * m,
    "wrong: decay and 1 - decay are exchanged: the average keeps `decay` of itself": lambda a, m, d: d * m + (1 - d) * a,
    "wrong: the live weights count 1 - decay, not in full": lambda a, m, d: d * a + m}


def check_average(yours: Callable[[nn.Module, nn.Module, float], Any], seed: int = 0) -> Verdict:
    """your_average(average, model, decay): weights and running means of `average` move towards those of `model`, in place."""
    decay = 0.7 + 0.05 * (seed % 5)

    def judge() -> str:
        model, average = (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in "ab")
        for at, net in enumerate((model, average.requires_grad_(False)), 1):
            for x in net.state_dict().values():
                x.copy_(torch.linspace(10 * at, 10 + at**3, x.numel()).reshape(x.shape))
        live, start = (copy.deepcopy(net.state_dict()) for net in (model, average))
        yours(average, model, decay)
        found = average.state_dict()
        if any(not torch.equal(x, live[name]) for name, x in model.state_dict().items()):
            return "wrong: the live weights have changed; training goes on with them"
        if all(torch.equal(x, start[name]) for name, x in found.items()):
            return "not yet: the average stays as it is; write into its tensors, as `a.copy_(...)` does"
        if any(p.requires_grad for p in average.parameters()):
            return "wrong: gradients are recorded through the average: `torch.no_grad()`"
        said = next((what for what, rule in AVERAGES.items() if all(
            close(found[name], rule(start[name], live[name], decay)) for name in ("0.weight", "0.bias"))), "")
        off = [name for name, x in found.items() if x.is_floating_point()
               and not close(x, AVERAGES["right"](start[name], live[name], decay))]
        if said == "right" and off:
            return (f"wrong: `{off[0]}` is left out, or only copied; `state_dict()` has buffers such as running means, too"
                    if "running" in off[0] else f"wrong: `{off[0]}` is not averaged; all parameters are")
        if said == "right" and int(found["1.num_batches_tracked"]) not in (10, 20):
            return "wrong: a counter, a buffer of whole numbers, is averaged; leave it, or copy it"
        return said or "wrong: it is neither decay * average + (1 - decay) * live nor a usual mistake"

    return said_of(judge)
