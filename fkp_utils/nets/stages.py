"""What happens to a picture on its way through a net, stage by stage."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..augment import to_float

_INSIDE = (nn.BatchNorm2d, nn.ReLU)      # belong to the layer before them
_ASIDE = {"sides"}                       # the feature pyramid's links from the way down to the way up


@dataclass(frozen=True)
class Stage:
    """A module of a net and what it puts out for one picture: float32 (channels, height, width), or (features,)."""

    name: str
    maps: np.ndarray


def _parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, part in model.named_children():
        if isinstance(part, nn.ModuleList):
            yield from () if name in _ASIDE else ((f"{name} {k}", item) for k, item in part.named_children())
        elif not isinstance(part, _INSIDE):
            yield name, part


@torch.no_grad()
def stages(model: nn.Module, image: torch.Tensor) -> list[Stage]:
    """A picture, uint8 (1, 1, height, width), and what the modules of a net make of it, in the order in which it passes them.

    The net answers as in validation; it is left in the mode and on the device that it was in.
    """
    found = [Stage("picture", to_float(image)[0].numpy())]
    with ExitStack() as hooks:
        for name, part in _parts(model):
            hooks.enter_context(part.register_forward_hook(
                lambda part, given, answer, name=name: found.append(Stage(name, np.array(answer[0].float().cpu())))))
        hooks.callback(model.train, model.training)
        model.eval()(to_float(image.to(next(model.parameters()).device)))
    return found
