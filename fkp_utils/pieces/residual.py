"""Checks of part 3's pieces: batch normalisation, a residual block, and the crop around a box with its inverse."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..datasets.crop import Crop
from ..exercises import Answer, Verdict, check, close, said_of
from .nets import as_run, check_net


def _normalised(net: Any, x: torch.Tensor, axes=(0, 2, 3), n=0, kept=1, inside=1, outside=0, power=0.5, gamma=1, beta=1,
                share=0.1, centred=1, of_batch=None, moves=None, detached=False, fixed=False) -> torch.Tensor:
    """Batch normalisation of three channels with the numbers of `net`; each further argument is a mistake."""
    if net.training if moves is None else moves:
        net.running_mean.lerp_(x.detach().mean((0, 2, 3)), share)
        net.running_var.lerp_(x.detach().var((0, 2, 3), correction=kept), share)
    mean, var = (stat.clone()[:, None, None] for stat in (net.running_mean, net.running_var))
    if net.training if of_batch is None else of_batch:
        seen = x.detach() if detached else x
        mean, var = seen.mean(axes, keepdim=True), seen.var(axes, correction=n, keepdim=True)
    y = (x - centred * mean) / ((var + inside * net.eps) ** power + outside * net.eps)
    scale, level = (part.detach() if fixed else part for part in (net.weight, net.bias))
    return y * (scale[:, None, None] if gamma else 1) + (level[:, None, None] if beta else 0)


_NORMS: dict[str, dict[str, Any]] = {
    "mean and variance are of each picture; they are of the whole batch: axes 0, 2 and 3": {"axes": (2, 3)},
    "each pixel has its own mean; a channel's is over batch, rows and columns: axes 0, 2 and 3": {"axes": (0,)},
    "each picture is normalised over its channels; a channel has its own mean: axes 0, 2 and 3": {"axes": (1, 2, 3)},
    "one mean of all channels; each has its own: axes 0, 2 and 3": {"axes": (0, 1, 2, 3)},
    "in training the batch's own mean and variance are used, not the running ones": {"of_batch": False},
    "in training answers are as if the mean were 0 and the variance 1; take the batch's": {"of_batch": False, "share": 0},
    "epsilon belongs inside of the root: sqrt(var + eps)": {"inside": 0, "outside": 1},
    "epsilon, `eps`, is missing or far too small: a constant channel would be divided by zero": {"inside": 0},
    "the unbiased variance normalises; it is the biased one, divided by n": {"n": 1},
    "`std` is the unbiased one, and epsilon belongs inside of the root of the variance": {"inside": 0, "outside": 1, "n": 1},
    "the mean is not taken off": {"centred": 0}, "it is not divided by the standard deviation": {"power": 0},
    "it is divided by the variance, not by its root": {"power": 1}, "gamma and beta are forgotten": {"gamma": 0, "beta": 0},
    "gamma (`weight`) is forgotten": {"gamma": 0}, "beta (`bias`) is forgotten": {"beta": 0},
    "the running statistics are not updated": {"share": 0}, "the last batch replaces the running statistics": {"share": 1},
    "momentum is the new batch's share: 0.1 of it, 0.9 of the old": {"share": 0.9},
    "the running variance is the unbiased one, divided by n - 1": {"kept": 0},
    "gradients flow through the batch's mean and variance, too; `detach` only what the running ones get": {"detached": True},
    "no gradient arrives at gamma and beta: is `.data` or `detach` at `weight` or `bias`?": {"fixed": True},
    "in evaluation the running mean and variance are used, not the batch's": {"of_batch": True},
    "the running statistics move in evaluation": {"moves": True}}


def _seen(net: Any, layer: Callable[[torch.Tensor], Any], seed: int) -> list[Any]:
    """What a layer answers in training, its running statistics, a gradient, the answers in evaluation, the statistics after."""
    generator = torch.Generator().manual_seed(seed)
    level, size = torch.tensor([2, -1, 0.05])[:, None, None], torch.tensor([3, 1, 0.01])[:, None, None]
    x, other, slope = ((torch.randn(4, 3, 5, 6, generator=generator) * size + level).requires_grad_() for _ in range(3))
    for numbers, value in ((net.weight, [1.5, 0.5, 2]), (net.bias, [0.1, -0.2, 0.3])):
        numbers.data = torch.tensor(value).view_as(numbers)
    seen = [layer(x.clone()), torch.stack([net.running_mean.flatten(), net.running_var.flatten()])]
    if isinstance(seen[0], torch.Tensor) and not seen[1].requires_grad:
        answer = layer(other.clone())
        parts = (other, net.weight, net.bias)
        slopes = torch.autograd.grad((answer * slope).sum(), parts, allow_unused=True) if answer.requires_grad else [None] * 3
        seen.append(torch.cat([(torch.zeros_like(part) if one is None else one).flatten() for one, part in zip(slopes, parts)]))
        net.eval()
        seen += [layer(x.clone()), torch.stack([net.running_mean.flatten(), net.running_var.flatten()])]
    return seen


def check_batch_norm(yours: Callable[[int], nn.Module], seed: int = 0) -> Verdict:
    """YourBatchNorm(channels), for (b, c, h, w), with the names of nn.BatchNorm2d, which is the right answer."""
    def judge() -> str:
        net, right, starts = yours(3), nn.BatchNorm2d(3), {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}
        if not isinstance(net, nn.Module) or (not any(hasattr(net, name) for name in starts) and not net.state_dict()):
            return "not yet" if net in (None, ...) or isinstance(net, nn.Module) else "wrong: it is no torch.nn.Module"
        for name, start in starts.items():
            there, way = (net.named_buffers, "register_buffer") if "running" in name else (net.named_parameters, "nn.Parameter")
            if (found := dict(there()).get(name)) is None:
                return f"wrong: `{name}` is missing, or not made by `{way}`; the names are {', '.join(starts)}"
            if not close(found.flatten(), np.full(3, start)):
                return f"wrong: `{name}` starts as {found.flatten().tolist()}, not as {start} for each channel"
        seen, wanted = _seen(net.train(), net, seed), _seen(right, right, seed)
        if seen[0] is None or seen[0] is ...:
            return "not yet: `forward` returns nothing"
        at = next((k for k, (a, b) in enumerate(zip(seen, wanted)) if not close(a, b)), None)
        if at is None:
            return "right" if len(seen) > 2 else "wrong: the running statistics keep every step's graph: `detach` them"
        for what, mistake in _NORMS.items():
            if all(map(close, seen[:at + 1], _seen(net := nn.BatchNorm2d(3), partial(_normalised, net, **mistake), seed))):
                return f"wrong: {what}"
        what = ("answers in training", "running statistics", "gradients", "answers in evaluation", "statistics after that")[at]
        return f"wrong: unlike nn.BatchNorm2d's are its {what}"
    return said_of(judge)


def basic_block(channels: int, features: int, stride: int = 1) -> nn.Module:
    """torchvision's residual block, (b, channels, h, w) -> (b, features, h / stride, w / stride) (He et al., CVPR 2016)."""
    from .._torchvision import models  # which takes longer to load than all else together

    block = models.resnet.BasicBlock(channels, features, stride)
    if stride != 1 or channels != features:
        block.downsample = nn.Sequential(nn.Conv2d(channels, features, 1, stride, bias=False), nn.BatchNorm2d(features))
    return block


def check_residual_block(yours: Callable[[int, int, int], nn.Module], seed: int = 0) -> Verdict:
    """YourBlock(channels, features, stride), whose answer must be that of torchvision's block with the same weights."""
    def built(*how):                                      # its weights in torchvision's order: the shortcut's 1x1 comes last
        return as_run(yours(*how), (how[0], 8, 10), lambda shape: shape[2:].numel() == 1)
    def of(join, inner=F.relu):                           # a block that joins its layers' answer and its shortcut's in some way
        return lambda net, x: join(net.bn2(net.conv2(inner(net.bn1(net.conv1(x))))), net.downsample(x) if net.downsample else x)
    mistakes = {"there is a ReLU before the addition, and none after it": of(lambda y, x: F.relu(y) + x),
                "there is a ReLU before the addition, too": of(lambda y, x: F.relu(F.relu(y) + x)),
                "there is no shortcut: the input is not added": of(lambda y, x: F.relu(y)),
                "there is a ReLU on the shortcut": of(lambda y, x: F.relu(y + F.relu(x))),
                "there is no ReLU after the addition": of(lambda y, x: y + x),
                "there is no ReLU between the convolutions": of(lambda y, x: F.relu(y + x), lambda y: y)}
    for how in ((6, 6, 1), (6, 9, 2), (4, 9, 1), (6, 6, 2)):
        with torch.random.fork_rng():
            torch.manual_seed(1 + seed)
            right = basic_block(*how)
            for p in right.parameters():
                p.data += 0.3 * torch.randn_like(p)
        if (said := check_net(partial(built, *how), right, (how[0], 8, 10), mistakes)) != "right":
            hint = "; is padding missing, is the stride on both convolutions or not on the shortcut?" * ("must match" in said)
            return Verdict(said + hint + " ({} channels to {}, stride {})".format(*how) * said.startswith("wrong"))
    return said


def check_square(yours: Answer, seed: int = 0) -> Verdict:
    """your_square(box (left, top, width, height), margin, shift) -> (left, top, side)."""
    def square(box, margin, shift):
        return Crop(margin, shift).squares(box[None])[0]
    wide, high = np.array([10.25, 20, 101.3, 80 - seed]), np.array([-5.0, 20.6, 60.5, 91.7 + seed])
    return check(yours, square, [(wide, 1.4, 0.1), (high, 1.4, 0.1), (wide, 1.7, 0.1), (high, 1.4, 0.3), (high, 1.0, 0.0)], {
        "the margin the wrong way: times, not divided by": lambda b, m, s: square(b, 1 / m, s),
        "the margin is of the whole side, not of each half": lambda b, m, s: square(b, 2 * m - 1, s),
        "the shorter side is taken": lambda b, m, s: square(b, m * min(b[2:]) / max(b[2:]), s),
        "the shift is a share of the height, not of the width": lambda b, m, s: square(b, m, s * b[2] / b[3]),
        "this is the centre; left and top are wanted": lambda b, m, s: square(b, m, s) @ [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 1]],
        "the width is taken for both; it is the longer side": lambda b, m, s: square(b, m * b[2] / max(b[2:]), s),
        "half a pixel off: a box begins half a pixel before its first centre": lambda b, m, s: square(b, m, s) + [0.5, 0.5, 0],
        "the square is rounded to whole pixels": lambda b, m, s: np.round(square(b, m, s)),
        "the shift is up; y grows downwards": lambda b, m, s: square(b, m, -s)}, 1e-6)


def check_to_crop(yours: Answer, seed: int = 0) -> Verdict:
    """your_to_crop(points (n, 2) in pixels of the photo, (left, top, side), size) -> (n, 2) in pixels of the crop."""
    p = np.random.default_rng(1 + seed).uniform(0, 200, (5, 2))
    squares = (((30.0, 12.0, 300.0), 100), ((30.0, 12.0, 300.0), 224), ((-7.5, 3.0, 64.0), 99))
    def to_crop(points, square, size):
        return (points - square[:2]) * size / square[2] - 0.5
    return check(yours, to_crop, [(p, *case) for case in squares], {
        "in shares of the square; in pixels of the crop": lambda p, q, s: (p - q[:2]) / q[2],
        "left and top were not taken off": lambda p, q, s: p * s / q[2] - 0.5,
        "left and top are pixels of the photo: take them off before scaling": lambda p, q, s: p * s / q[2] - q[:2] - 0.5,
        "the scale is the wrong way round: size / side": lambda p, q, s: (p - q[:2]) * q[2] / s - 0.5,
        "this is the way back: from the crop to the photo": lambda p, q, s: (p + 0.5) * q[2] / s + q[:2]})
