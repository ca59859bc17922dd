"""Checks of nets that a student writes: given the right one's weights, they must give its answers."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..exercises import Verdict, close, said_of
from ..nets.models import NoseNet


class AsRun(nn.Module):
    """A net whose weights come in the order in which its layers run, in whatever order they were written down."""

    def __init__(self, net: nn.Module, images: torch.Tensor):
        super().__init__()
        order: dict[nn.Module, None] = {}
        for layer in net.modules():
            if layer._parameters:
                layer.register_forward_pre_hook(lambda layer, given: order.setdefault(layer))
        with torch.no_grad():
            net.eval()(images)
        self.order, self.net = nn.ModuleList(order), net

    def forward(self, x):
        return self.net(x)


def as_run(net: Any, size: Sequence[int]) -> Any:
    """A net as `AsRun`; itself if it is none or does not run, which a check tells better."""
    try:
        return AsRun(net, torch.zeros(1, *size))
    except Exception:                                     # whatever a beginner's code can raise
        return net


def in_lists(net: nn.Module) -> str:
    """What is wrong where an attribute is a plain list or dictionary of layers, or nothing."""
    registered = set(net.modules())
    names = {name for layer in net.modules() for name, value in vars(layer).items()
             if isinstance(value, list | tuple | dict) and not name.startswith("_")
             and any(isinstance(part, nn.Module) and part not in registered
                     for part in (value.values() if isinstance(value, dict) else value))}
    return f"wrong: no optimizer finds the layers in `{min(names)}`: make it an nn.ModuleList or nn.ModuleDict" if names else ""


def check_net(yours: Callable[[], nn.Module], right: nn.Module, size: Sequence[int],
              mistakes: dict[str, Callable[[Any, torch.Tensor], torch.Tensor]], seed: int = 0) -> Verdict:
    """Compare what `yours` builds with a net, weight by weight, and then their answers for random pictures of `size` (c, h, w).

    mistakes : what is wrong -> how the right net's layers then answer
    """
    def judge() -> str:
        net: Any = yours()
        if net is None:
            return "not yet"
        if not isinstance(net, nn.Module):
            return f"wrong: it is a {type(net).__name__}, not a torch.nn.Module"
        shapes, wanted = ([tuple(p.shape) for p in model.parameters()] for model in (net, right))
        if said := in_lists(net):
            return said
        if not shapes:
            made = isinstance(net(torch.zeros(1, *size)), torch.Tensor)
            return "wrong: it has no weights; layers are made in `__init__`, once" if made else "not yet: it has no weights"
        for k, (a, b) in enumerate(zip(shapes, wanted)):
            if a != b:
                return f"wrong: weight {k + 1} of {len(wanted)} has the shape {a}, not {b}"
        if len(shapes) != len(wanted):
            return f"wrong: it has {len(shapes)} weights and biases, not {len(wanted)}"
        net.load_state_dict(dict(zip([name for name, _ in net.named_parameters()], right.parameters())), strict=False)
        generator = torch.Generator().manual_seed(seed)
        images = torch.rand(3, *size, generator=generator) - 0.5
        with torch.no_grad():
            found, expected = net.eval()(images), right.eval()(images)
            if not isinstance(found, torch.Tensor):
                return "wrong: `forward` returns nothing; it wants a `return`" if found is None else (
                    f"wrong: `forward` returns a {type(found).__name__}, not a tensor")
            if found.shape != expected.shape:
                return f"wrong: for pictures {tuple(images.shape)} it answers {tuple(found.shape)}, not {tuple(expected.shape)}"
            if close(found, expected):
                return "right" if _alike(net, right, images, expected) else (
                    "wrong: the answers are right, the gradients are not: is something detached, or under no_grad?")
            for what, answer in mistakes.items():
                if close(found, answer(right, images)):
                    return f"wrong: {what}"
        return f"wrong: the weights fit, the answers do not; they differ by up to {float((found - expected).abs().max()):.3g}"

    return said_of(judge)


def _most(slopes: torch.Tensor) -> torch.Tensor:
    """The largest size; not 0 where no gradient arrives."""
    return slopes.abs().max().clamp(min=1e-12)


@torch.enable_grad()
def _alike(net: nn.Module, right: nn.Module, images: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether gradients of both nets' weights are the same."""
    sums = [(model(images) * weight).sum() for model in (net, right)]
    slopes = [torch.autograd.grad(one, tuple(model.parameters()), allow_unused=True) if one.requires_grad else ()
              for one, model in zip(sums, (net, right))]
    return bool(slopes[0]) and all(a is not None and close(a / _most(b), b / _most(b), 1e-3) for a, b in zip(*slopes))


def nose_net(net: NoseNet, x: torch.Tensor, conv: Callable = F.relu, pool: Callable = F.max_pool2d, fc: Callable = F.relu,
             last: Callable = lambda x: x) -> torch.Tensor:
    """NoseNet's answer with other functions in its places."""
    for layer in (net.conv1, net.conv2, net.conv3):
        x = pool(conv(layer(x)), 2)
    return last(net.fc2(fc(net.fc1(x.flatten(1)))))


def _same(x: torch.Tensor) -> torch.Tensor:
    return x


def check_nose_net(yours: Callable[[], nn.Module], seed: int = 0) -> Verdict:
    """YourNoseNet(): three convolutions of 12 filters of 5x5, each with ReLU and 2x2 max-pooling; then 288 -> 100 -> 2."""
    with torch.random.fork_rng():
        torch.manual_seed(1 + seed)
        right = NoseNet()
        right.fc2.bias.data = torch.tensor([-0.6, 1.4])  # so that what is done to the answer shows
    size = (1, *NoseNet.size)
    return check_net(lambda: as_run(yours(), size), right, size, {
        "there is a ReLU on the answer; nothing is wanted there": lambda net, x: nose_net(net, x, last=F.relu),
        "there is no ReLU between fc1 and fc2: two linear layers in a row are one": lambda net, x: nose_net(net, x, fc=_same),
        "there is no ReLU after the convolutions": lambda net, x: nose_net(net, x, conv=_same),
        "there is no ReLU at all: the net is linear, up to its pooling": lambda net, x: nose_net(net, x, _same, fc=_same),
        "the pooling takes means, not the strongest": lambda net, x: nose_net(net, x, pool=F.avg_pool2d),
        "there is a sigmoid on the answer; nothing is wanted there": lambda net, x: nose_net(net, x, last=torch.sigmoid),
        "there is a tanh on the answer; nothing is wanted there": lambda net, x: nose_net(net, x, last=torch.tanh),
        "there is a softmax on the answer; coordinates are no probabilities":
            lambda net, x: nose_net(net, x, last=lambda y: y.softmax(1))}, seed)
