"""Checks of what makes a net that answers with heatmaps: its loss, two convolutions, a level of a U-Net with its skip."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..exercises import NOT_YET, Verdict, at_extremes, close, said_of
from ..nets.heatmaps import gaussian_heatmaps
from ..nets.models import UNet
from ..nets.targets import Heatmaps
from .nets import RETURNS_NOTHING, AsRun, check_net, misbuilt


def _loss(logits: Tensor, target: Tensor, dims: tuple[int, ...] = (-2, -1)) -> Tensor:
    return -(target * (logits - logits.logsumexp(dims, keepdim=True))).sum((-2, -1)).mean()


WRONG_LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {        # of logits z, maps m, and target t, m of sum 1
    "the softmax goes over the channels; a map's pixels are the classes": lambda z, t, m: _loss(z, t, (1,)),
    "the softmax goes over each row alone; all pixels of a map together": lambda z, t, m: _loss(z, t, (-1,)),
    "the logits are taken as they are; log_softmax is wanted": lambda z, t, m: -(t * z).sum((2, 3)).mean(),
    "there is a softmax, but no logarithm": lambda z, t, m: -(t * z.flatten(2).softmax(-1).view_as(z)).sum((2, 3)).mean(),
    "the sum over all maps, not their mean": lambda z, t, m: len(m.flatten(0, 1)) * _loss(z, t),
    "the mean over the pixels; their sum is wanted": lambda z, t, m: _loss(z, t) / m[0, 0].numel(),
    "the target's sum is not 1: divide each map by its sum": lambda z, t, m: _loss(z, m),
    "the target is divided by the sum of a picture's maps; each map by its own":
        lambda z, t, m: _loss(z, m / m.sum((1, 2, 3), keepdim=True)),
    "the target is divided by the sum of all maps; each map by its own": lambda z, t, m: _loss(z, m / m.sum()),
    "the target is divided by its highest place; each map by its sum":
        lambda z, t, m: _loss(z, m / m.amax((2, 3), keepdim=True)),
    "each pixel alone: that is binary cross-entropy; a map's pixels share one softmax":
        lambda z, t, m: F.binary_cross_entropy_with_logits(z, m),
    "the sign: a logarithm of a probability is negative, a loss is not": lambda z, t, m: -_loss(z, t)}


def check_cross_entropy(yours: Callable[[Tensor, Tensor], Any], seed: int = 0) -> Verdict:
    """your_cross_entropy(logits (b, n, h, w), maps (b, n, h, w) >= 0) -> scalar: its value and its gradient are compared."""
    generator, cases = torch.Generator().manual_seed(seed), []
    for b, n, h, w, size, level in ((2, 3, 12, 16, 2, 0), (3, 1, 9, 11, 2, 0), (1, 2, 9, 8, 2, 800), (1, 2, 9, 8, 200, -3000)):
        points = 3 + torch.rand(b, n, 2, generator=generator) * torch.tensor([w - 7, h - 7])
        points[0, 0] = torch.tensor([0.4, 0.3])           # in a corner, so that sums of maps differ
        levels = torch.tensor([level * (level > 0)] + [level] * (n - 1))[:, None, None]        # negative: not of the first map
        logits = (size * torch.randn(b, n, h, w, generator=generator) + levels).requires_grad_()
        expected = Heatmaps((h, w), "cross_entropy", 1.5).loss(logits, points)
        cases.append((logits, gaussian_heatmaps(points, (h, w), 1.5, 1.0), expected))

    def judge() -> str:
        losses: list[Any] = [yours(logits * 1, maps.clone()) for logits, maps, _ in cases]
        if any(loss is None or loss is ... for loss in losses):
            return NOT_YET
        if shape := tuple(torch.as_tensor(losses[0]).shape):
            return f"wrong: it returns the shape {shape}; one number is wanted, the mean over all maps"
        fits = [close(loss, expected) for loss, (_, _, expected) in zip(losses, cases)]
        if all(fits[:2]):
            if said := at_extremes(*([(loss, case[2])] for loss, case in zip(losses[2:], cases[2:]))):
                return said
            if not all(isinstance(loss, Tensor) and loss.requires_grad for loss in losses):
                return "wrong: the value is right, but it has no gradient: stay with torch's functions, without `detach`"
            pairs = [[torch.autograd.grad(of, logits, retain_graph=True)[0] for of in (loss, expected)]
                     for loss, (logits, _, expected) in zip(losses, cases)]
            return "right" if all(close(a, b) for a, b in pairs) else "wrong: the value is right, its gradient is not"
        for what, wrong in WRONG_LOSSES.items():
            if all(close(loss, wrong(z, m / m.sum((2, 3), keepdim=True), m)) for loss, (z, m, _) in zip(losses[:2], cases)):
                return f"wrong: {what}"
        return f"wrong: the first loss is {torch.as_tensor(losses[0]).item():.6g}, not {cases[0][2].item():.6g}, " \
            f"{torch.as_tensor(losses[0]).item() / cases[0][2].item():.4g} times that"

    return said_of(judge)


def _right(width: int, seed: int = 0, channels: int = 1) -> UNet:
    """A small U-Net of whose weights each one shows in the answers, those of batch normalisation, too."""
    with torch.random.fork_rng():
        torch.manual_seed(1 + seed)
        net = UNet(channels, 3, width)
        for weight in net.parameters():
            nn.init.kaiming_normal_(weight) if weight.dim() == 4 else nn.init.uniform_(weight, -0.5, 1.5)
    return net


def check_convolutions(yours: Callable[[int, int], nn.Module], seed: int = 0) -> Verdict:
    """your_convolutions(channels, features): twice a 3x3 convolution, batch normalisation, ReLU; the picture keeps its size."""
    def through(*layers: int) -> Callable[[Any, Tensor], Tensor]:
        return lambda net, x: nn.Sequential(*(net[k] for k in layers))(x)
    mistakes = {"there is no ReLU between the convolutions": through(0, 1, 3, 4, 5),
                "there is no ReLU after the second convolution": through(0, 1, 2, 3, 4),
                "there is no ReLU at all": through(0, 1, 3, 4), "normalise before the ReLU": through(0, 2, 1, 3, 5, 4)}

    def judge(channels: int, features: int) -> str:
        net: Any = yours(channels, features)
        layers = list(net.modules()) if isinstance(net, nn.Module) else []
        if layers and (said := misbuilt(net)):
            return said
        if not any(layer._parameters for layer in layers):
            return "not yet: there are no layers" if layers or net is None or net is ... else "wrong: it is no torch.nn.Module"
        run = AsRun(net, torch.zeros(1, channels, 8, 8))
        if not any(buffer.dim() == 1 for buffer in net.buffers()):        # running means
            return "wrong: there is no batch normalisation; one goes after each convolution"
        if any(isinstance(layer, nn.Conv2d) and layer.bias is not None for layer in layers):
            return "wrong: a convolution has a bias, which batch normalisation subtracts again: bias=False"
        right = _right(features, seed, channels).get_submodule("encoder1")
        return check_net(lambda: run, right, (channels, 8, 8), mistakes)

    if (said := said_of(lambda: judge(1, 4))) != "right" or (other := said_of(lambda: judge(3, 6))) == "right":
        return said
    return Verdict(f"{other} (3 channels to 6; 1 to 4 is right)")


def _unet(net: Any, x: Tensor, join: Callable[[Tensor, Tensor], Tensor], pool: Callable = F.max_pool2d, k: int = 1) -> Tensor:
    """U-Net's answer with another way to `join` what comes up and the skip."""
    if k == 5:
        return net.bottleneck(x)
    skip = net.get_submodule(f"encoder{k}")(x)
    up = net.get_submodule(f"upconv{k}")(_unet(net, pool(skip, 2), join, pool, k + 1))
    x = net.get_submodule(f"decoder{k}")(join(up, skip))
    return net.conv(x) if k == 1 else x


def check_level(yours: Callable[[int, int, nn.Module], nn.Module], seed: int = 0) -> Verdict:
    """YourLevel(channels, features, below): convolutions, below at half the size, up, with the skip through convolutions."""
    def joined(*parts: int, **how: Any) -> Callable[[Any, Tensor], Tensor]:
        return lambda net, x: _unet(net, x, lambda *both: torch.cat([both[k] for k in parts], 1), **how)

    mistakes = {"the skip comes first; first is what comes up": joined(1, 0), "the level below is not used": joined(1, 1),
                "what comes up is there twice, the skip is not": joined(0, 0),
                "the pooling takes means, not the strongest": joined(0, 1, pool=F.avg_pool2d)}

    def judge() -> str:
        seen: list[tuple[int, ...]] = []
        up: list[tuple[int, ...]] = []
        below, right = nn.Conv2d(4, 8, 1, bias=False), _right(2, seed)
        nn.init.zeros_(below.weight)                              # it says nothing: what the answer tells, the skip has told
        below.register_forward_pre_hook(lambda layer, given: seen.append(tuple(given[0].shape[1:])))
        level = yours(3, 4, below)
        if isinstance(level, nn.Module) and (said := misbuilt(level)):
            return said
        if level is None or level is ... or not any(layer._parameters for layer in level.modules() if layer is not below):
            return "not yet: there are no layers"
        for layer in level.modules():
            if isinstance(layer, nn.ConvTranspose2d):
                if layer.bias is None:
                    return "wrong: the transposed convolution has no bias; no norm comes after it that would do without"
                layer.register_forward_hook(lambda layer, given, answer: up.append(tuple(answer.shape[1:])))
        answer = images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        try:
            said, answer = "", level.eval()(images)
        except RuntimeError as error:
            if isinstance(error, NotImplementedError):
                raise
            said = str(error)
        if answer is None or answer is ...:
            return RETURNS_NOTHING
        inputs = sorted(layer.in_channels for layer in level.modules() if isinstance(layer, nn.Conv2d))
        if seen and seen[0] != (4, 4, 4):
            return f"wrong: the level below is given {seen[0]}, not (features, h/2, w/2): two convolutions, then pooling"
        if up and up[0] != (4, 8, 8):
            return f"wrong: what comes up is {up[0]}, not (features, h, w), here (4, 8, 8): kernel and stride of 2 double it"
        if "must match" in said:
            return "wrong: the skip has another size than what comes up: take it after the convolutions and before pooling"
        if 7 in inputs:
            return "wrong: the skip is the level's own picture; it is what the convolutions make of it"
        if said:
            return f"wrong: it does not run: {said}"
        if inputs == [3, 4, 4, 4, 4]:
            return ("wrong: the skip is not concatenated with what comes up" if (answer[0] - answer[1]).any() else
                    "wrong: there is no skip")
        net: Any = _right(2).get_submodule("bottleneck")
        for k in (2, 5):                                          # as ReLU; theirs alone is another activation for `check_net`
            net[k] = right.bottleneck[k] = nn.Threshold(0.0, 0.0)
        for channels, features in ((8, 16), (4, 8), (2, 4), (1, 2)):
            net = yours(channels, features, net)
        whole = nn.Sequential(net, nn.Conv2d(2, 3, 7, padding=3, bias=False))
        return check_net(lambda: AsRun(whole, torch.zeros(1, 1, 32, 32)), right, (1, 32, 32), mistakes)

    return said_of(judge)
