"""What happens to a picture on its way through a net, stage by stage."""

from dataclasses import dataclass

from torch import nn
from torchinfo import summary

_INSIDE = {"BatchNorm2d", "ReLU"}        # belong to the layer before them
_ASIDE = {"sides"}                       # the feature pyramid's links from the way down to the way up


@dataclass(frozen=True)
class Stage:
    """A module of a net and what it puts out for one picture: (channels, height, width), or (features,)."""

    name: str
    kind: str
    shape: tuple[int, ...]


def stages(model: nn.Module, size: tuple[int, int]) -> list[Stage]:
    """The modules of a net in the order in which a grey picture of `size` (height, width) passes them."""
    found = []
    for layer in summary(model, input_size=(1, 1, *size), depth=2, verbose=0).summary_list:
        parent = layer.parent_info if layer.depth == 2 else None
        listed = parent is not None and parent.class_name == "ModuleList"
        name = f"{parent.var_name} {layer.var_name}" if parent is not None and listed else layer.var_name
        if (layer.depth == 1 or listed) and layer.class_name not in {"ModuleList", *_INSIDE} and name.split()[0] not in _ASIDE:
            found.append(Stage(name, layer.class_name, tuple(layer.output_size[1:])))
    return found
