"""Checks of nets that a student writes: given the right one's weights, they must give its answers."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..exercises import Verdict, close, said_of
from ..nets.models import NoseNet

RETURNS_NOTHING = "wrong: `forward` returns nothing; it wants a `return`"
UNWANTED = (nn.PReLU, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm)     # of which no net here has one
_same = nn.Identity()


def _tensors(parts: Sequence[Any]) -> list[Tensor]:
    return [x for part in parts for x in (part if isinstance(part, list | tuple) else [part]) if isinstance(x, Tensor)]


class _Used(TorchFunctionMode):
    """Notes weights as they are used, wherever they are kept: a list for each convolution or Linear and the norm behind it."""

    def __init__(self, net: nn.Module, given: Any):
        super().__init__()
        self.layers: list[list[Tensor]] = [[]]            # at first there is none yet
        self.of: dict[Tensor, list[Tensor]] = {}          # the layer of a weight
        self.behind = dict.fromkeys(_tensors([given]), self.layers[0])      # the last layer that a tensor has come through
        self.made = {p: [p] for p in net.parameters()}    # weights, and what is made of them alone, such as a view

    def __torch_function__(self, func, types, args=(), kwargs=None):
        answer = func(*args, **(kwargs or {}))
        named = args[:1] if func in (Tensor.to, Tensor.type_as) else [*args, *(kwargs or {}).values()]   # others for their type
        given = _tensors(named)
        weights = sorted((p for x in given for p in self.made.get(x, ())), key=lambda p: p.dim() == 1)      # biases last
        layer = next((self.behind[x] for x in given if x in self.behind), None)
        for p in weights if layer is not None else ():
            if p not in self.of:
                self.layers += [[]] * (p.dim() > 1)
                self.of[p] = self.layers[-1] if p.dim() > 1 else layer
                self.of[p].append(p)
            layer = self.of[p]
        known, what = (self.made, weights) if layer is None else (self.behind, layer)
        known.update(dict.fromkeys(_tensors([args[0] if func is Tensor.__setitem__ else answer]), what))
        return answer


class _Activated(TorchFunctionMode):
    """Another function in the place of each ReLU."""

    def __init__(self, other: Callable[[Tensor], Tensor]):
        super().__init__()
        self.other = other

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return self.other(args[0]) if func in (F.relu, torch.relu, Tensor.relu) else func(*args, **(kwargs or {}))


def _with(other: Callable[[Tensor], Tensor], net: nn.Module, images: Tensor) -> Tensor:
    with _Activated(other):
        return net(images)


_OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "ReLU6": F.relu6, "LeakyReLU": F.leaky_relu, "ELU or CELU": F.elu, "GELU": F.gelu, "SiLU": F.silu, "Softplus": F.softplus,
    "Tanh": torch.tanh, "Sigmoid": torch.sigmoid}
ACTIVATIONS: dict[str, Callable[[Any, Tensor], Tensor]] = {               # mistakes that every net may have
    f"nn.{name} stands where nn.ReLU is wanted": partial(_with, other) for name, other in _OTHERS.items()}


class AsRun(nn.Module):
    """A net whose weights come as they are used, not as they were written down; or as `key` of a layer's shape sorts them."""

    def __init__(self, net: nn.Module, given: Any, key: Callable[[torch.Size], Any] = lambda shape: 0):
        super().__init__()
        given = given.clone() if isinstance(given, Tensor) else [level.clone() for level in given]
        with torch.no_grad():
            net.eval()(copy.copy(given))                  # lazy layers now have their weights
            with _Used(net, given) as used:
                self.answer = net(given)
        first, *layers = used.layers
        self.order = nn.ParameterList(sum(sorted(layers, key=lambda layer: key(layer[0].shape)), first))
        self.net, self.forward, self.unused = net, net.__call__, len([*net.parameters()]) - len(self.order)


def as_run(net: Any, size: Sequence[int], *key: Any) -> Any:
    """A net as `AsRun`; itself if it is none or does not run, which a check tells better."""
    try:
        return AsRun(net, torch.zeros(1, *size), *key)
    except Exception:                                     # whatever a beginner's code can raise
        return net


def _layers(kept: Any) -> list[nn.Module]:
    """Layers in a list, tuple or dictionary, or in such in it."""
    if isinstance(kept, dict):
        return _layers([*kept.values()])
    if isinstance(kept, list | tuple):
        return [layer for part in kept for layer in _layers(part)]
    return [kept] if isinstance(kept, nn.Module) else []


def misbuilt(net: nn.Module) -> str:
    """What is wrong with how a net's layers are held or made, before it is run; or nothing."""
    registered = set(net.modules())
    names = {name for layer in net.modules() for name, value in vars(layer).items() if not name.startswith("_")
             and isinstance(value, list | tuple | dict) and any(part not in registered for part in _layers(value))}
    if names:
        return f"wrong: no optimizer finds the layers in `{min(names)}`: make it an nn.ModuleList or nn.ModuleDict"
    if kinds := {type(layer).__name__ for layer in registered if isinstance(layer, UNWANTED)}:
        return f"wrong: nn.{min(kinds)} is none of its layers (batch normalisation is nn.BatchNorm2d, and ReLU has no weights)"
    alone = any(isinstance(layer, nn.BatchNorm2d) and not layer.track_running_stats for layer in registered)
    return "wrong: with track_running_stats=False a face's answer depends on the batch's others, in evaluation, too" * alone


def check_net(yours: Callable[[], nn.Module], right: nn.Module, size: Sequence[int],
              mistakes: dict[str, Callable[[Any, Tensor], Tensor]], seed: int = 0) -> Verdict:
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
        if said := misbuilt(net):
            return said
        if not shapes:
            made = isinstance(net(torch.zeros(1, *size)), Tensor)
            return "wrong: it has no weights; layers are made in `__init__`, once" if made else "not yet: it has no weights"
        said = next((f"wrong: weight {k} of {len(wanted)} has the shape {a}, not {b}"
                     for k, (a, b) in enumerate(zip(shapes, wanted), 1) if a != b), "")
        if len(shapes) > len(wanted) or (len(shapes) < len(wanted) and not said):
            said = f"wrong: it has {len(shapes)} weights and biases, not {len(wanted)}"
        if unused := getattr(net, "unused", 0):
            said = f"wrong: of its {len(shapes)} weights and biases, {unused} are never used: `forward` leaves them out"
        images = torch.rand(3, *size, generator=torch.Generator().manual_seed(seed)) - 0.5
        images *= torch.tensor([1, 6, 40])[:, None, None, None]
        if sorted(shapes) == sorted(wanted) and not isinstance(answer := net.eval()(images.clone()), Tensor):
            what = type(answer).__name__
            return RETURNS_NOTHING if answer in (None, ...) else f"wrong: `forward` returns a {what}, not a tensor"
        if shapes != wanted:
            return said
        net.load_state_dict(dict(zip([name for name, _ in net.named_parameters()], right.parameters())), strict=False)
        with torch.no_grad():
            found, expected = net.eval()(given := images.clone()), right.eval()(images)
            if (given != images).any():
                return "wrong: it changes the picture that it is given: an operation in place, as `x += 1` or `inplace=True`"
            if found.shape != expected.shape:
                return f"wrong: for pictures {tuple(images.shape)} it answers {tuple(found.shape)}, not {tuple(expected.shape)}"
            if (one := tuple(net(images[:1]).shape)) != (1, *expected.shape[1:]):
                return f"wrong: for one picture it answers {one}, not {(1, *expected.shape[1:])}: is there a squeeze?"
            if _near(found, expected):
                return ("wrong: the answers are right, the gradients are not: is something detached, frozen, under no_grad, "
                        "or not quite a ReLU?"
                        if not _alike(net, right, images, expected) else "right"
                        if _near(net.train()(many := images.repeat(8, 1, 1, 1)), right.train()(many), 1e-2)
                        else "wrong: right in evaluation, not in training: is there a dropout, or another norm?")
            for what, answer in (mistakes | ACTIVATIONS).items():
                if _near(found, answer(right, images)):
                    return f"wrong: {what}"
            if _near(found[:1], expected[:1]):
                return "wrong: right for small numbers, not for large ones: another activation than ReLU, or something cut off?"
        off = float((found - expected).abs().max())
        return said or f"wrong: the weights fit, the answers do not; they differ by up to {off:.3g}"

    return said_of(judge)


def _near(found: Tensor, expected: Tensor, tolerance: float = 1e-4) -> bool:
    """Whether answers are equal, up to a share of each picture's largest number, or of a thousandth."""
    most = expected.abs().amax(tuple(range(1, expected.dim())), keepdim=True).clamp(min=1e-3)
    return found.shape == expected.shape and close(found / most, expected / most, tolerance)


@torch.enable_grad()
def _alike(net: nn.Module, right: nn.Module, images: Tensor, weight: Tensor) -> bool:
    """Whether gradients of both nets' weights, and of the pictures, are the same."""
    slopes = []
    for model in (net, right):
        given, parts = images.clone().requires_grad_(), [*model.parameters()]
        answer = model(given * 1)                         # what is changed in place is a copy
        if not answer.requires_grad or not all(p.requires_grad for p in parts):
            return False
        slopes.append(torch.autograd.grad((answer * weight).sum(), (given, *parts), allow_unused=True))
    return all(a is not None and close(a / (most := b.abs().max().clamp(min=1e-12)), b / most, 1e-3)
               for a, b in zip(*slopes))                  # a dead layer's are 0


def nose_net(net: NoseNet, x: Tensor, conv: Callable = F.relu, pool: Callable = F.max_pool2d, fc: Callable = F.relu,
             last: Callable = lambda x: x, order: tuple[int, ...] = (1, 2, 3)) -> Tensor:
    """NoseNet's answer with other functions in its places, or its maps flattened in another order."""
    for layer in (net.conv1, net.conv2, net.conv3):
        x = pool(conv(layer(x)), 2)
    return last(net.fc2(fc(net.fc1(x.permute(0, *order).flatten(1)))))


def check_nose_net(yours: Callable[[], nn.Module], seed: int = 0) -> Verdict:
    """YourNoseNet(): three convolutions of 12 filters of 5x5, each with ReLU and 2x2 max-pooling; then 288 -> 100 -> 2."""
    with torch.random.fork_rng():
        torch.manual_seed(1 + seed)
        right = NoseNet()
        right.fc2.bias.data = torch.tensor([-0.6, 1.4])  # so that what is done to the answer shows
        for layer in (right.conv1, right.conv2, right.conv3, right.fc1):
            layer.weight.data *= 3                        # so that numbers go beyond the 6 of nn.ReLU6, ...
            right.fc2.weight.data /= 3                    # ... and answers do not
    size = (1, *NoseNet.size)
    return check_net(lambda: as_run(yours(), size), right, size, {
        **{f"the maps are flattened as after permute{(0, *order)}; `flatten(1)` alone is wanted, channel by channel":
           partial(nose_net, order=order) for order in [*permutations((1, 2, 3))][1:]},
        "there is a ReLU on the answer; nothing is wanted there": lambda net, x: nose_net(net, x, last=F.relu),
        "there is no ReLU between fc1 and fc2: two linear layers in a row are one": lambda net, x: nose_net(net, x, fc=_same),
        "there is no ReLU after the convolutions": lambda net, x: nose_net(net, x, conv=_same),
        "there is no ReLU at all: the net is linear, up to its pooling": lambda net, x: nose_net(net, x, _same, fc=_same),
        "the pooling takes means, not the strongest": lambda net, x: nose_net(net, x, pool=F.avg_pool2d),
        "there is a sigmoid on the answer; nothing is wanted there": lambda net, x: nose_net(net, x, last=torch.sigmoid),
        "there is a tanh on the answer; nothing is wanted there": lambda net, x: nose_net(net, x, last=torch.tanh),
        "there is a softmax on the answer; coordinates are no probabilities":
            lambda net, x: nose_net(net, x, last=lambda y: y.softmax(1))}, seed)
