"""What cheaper layers cost: small68 with separable convolutions in place of the 3x3 ones of its pyramid (HeatmapSlim).

    python bench/real_photos/slim.py DATA [--out WEIGHTS.safetensors]

As in MobileNets (Howard et al., 2017), such a convolution becomes one of each channel by itself and one of 1x1 that mixes
channels. The first begins with the kernel that its channel's weights have most of (the first singular vector; Jaderberg et
al., "Speeding up convolutional neural networks with low rank expansions", BMVC 2014), the second with what makes the sum
nearest to the old one's, on training pictures (linear least squares). All other weights stay. Then it is trained, in stages.
Prints what it does on the validation faces before and after each; three_percent.md has what came of it, where each stage began
from the file of the one before, in float16. 49 minutes in float32 beside other work; an interrupted training goes on when the
command is given again.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fkp_utils.augment import to_float
from fkp_utils.datasets import IBugFaces
from fkp_utils.folders import CHECKPOINTS
from fkp_utils.metrics import mean_nme
from fkp_utils.nets.models import NETS, HeatmapLite, _conv_norm
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.targets import make_target
from fkp_utils.nets.trained import Trained, new_model
from fkp_utils.nets.weights import load_weights, save_weights
from fkp_utils.predict import both_ways
from fkp_utils.profiles import recipe
from fkp_utils.train import faces_for
from fkp_utils.training.loop import fit

PICTURES = 128


def make_separable(net: nn.Module, kernel: int) -> None:
    """Make two of each convolution of 3x3 over several channels, in place: one a channel, `kernel` wide, then one of 1x1."""
    for layers in [part for part in net.modules() if isinstance(part, nn.Sequential)]:
        for k, conv in enumerate(layers):
            if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3) and conv.groups == 1 < conv.in_channels:
                layers[k] = _conv_norm(conv.in_channels, conv.in_channels, kernel, conv.stride[0], conv.in_channels)
                layers[k + 1] = _conv_norm(conv.in_channels, conv.out_channels, 1)


class HeatmapSlim(HeatmapLite):
    """HeatmapLite with separable convolutions in its pyramid."""

    def __init__(self, n_landmarks: int = 68, features: int = 64):
        super().__init__(n_landmarks, features)
        make_separable(self, 5)


NETS["HeatmapSlim"] = lambda width, n: HeatmapSlim(n, width)
# With strong changes of the pictures first, and then few.
STAGES = (replace(recipe("full", "lite"), title="HeatmapSlim", net="HeatmapSlim", epochs=15, lr=8e-4),
          replace(recipe("full", "lite_fine"), title="HeatmapSlim, last stage", net="HeatmapSlim", epochs=10))


def pairs(given: nn.Module, net: nn.Module) -> list[tuple[nn.Sequential, nn.Sequential, int]]:
    """Where a convolution of the given net is two of the other: the layers that it is among, in both, and its place."""
    found = []
    for name, layers in given.named_modules():
        if isinstance(layers, nn.Sequential):
            others = net.get_submodule(name)
            found += [(layers, others, k) for k, layer in enumerate(layers)
                      if isinstance(layer, nn.Conv2d) and isinstance(others[k], nn.Sequential)]
    return found


@torch.no_grad()
def slim(given: nn.Module, net: nn.Module, pictures: torch.Tensor) -> nn.Module:
    """The net with the weights of one with whole convolutions, in place; pictures (b, 1, h, w), floats."""
    given.eval(), net.eval()
    differ = pairs(given, net)
    names = {id(part): name for name, part in net.named_modules()}
    mine = tuple(f"{names[id(part)]}." for _, others, k in differ for part in others[k:k + 2])
    net.load_state_dict({name: value for name, value in given.state_dict().items() if not name.startswith(mine)}, strict=False)
    for layers, others, k in differ:                        # in the order in which pictures pass
        replaced(layers[k:k + 2], others[k:k + 2], lambda: (given(pictures), net(pictures)))
    return net


def replaced(old: nn.Sequential, new: nn.Sequential, ask: Callable) -> None:
    """Set two separable layers so that they answer nearly as a whole one with its normalisation; `ask()` asks both nets."""
    (whole, its_norm), ((alone, norm), (mixing, last_norm)) = old, new
    columns, sizes, kernels = torch.linalg.svd(whole.weight.transpose(0, 1).flatten(2), full_matrices=False)
    edge = (alone.kernel_size[0] - whole.kernel_size[0]) // 2
    alone.weight[:, 0] = nn.functional.pad(kernels[:, 0].reshape(-1, *whole.kernel_size), [edge] * 4)
    seen: dict[nn.Module, torch.Tensor] = {}
    hooks = [layer.register_forward_hook(lambda layer, inputs, answer: seen.update({layer: answer.clone()}))
             for layer in (whole, alone)]
    ask()
    for hook in hooks:
        hook.remove()
    # Normalisation between both changes nothing on these pictures.
    norm.running_var, norm.running_mean = torch.var_mean(seen[alone], (0, 2, 3))
    norm.bias.copy_(norm.running_mean)
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    into, out = (seen[layer].transpose(0, 1).flatten(1).T for layer in (alone, whole))
    first = columns[..., 0] * sizes[:, :1]
    # What is to be added to these columns is as small as may be: those of a channel that is the same everywhere stay.
    left = nn.functional.pad(into, (0, 1), value=1.0).double()
    added = (torch.linalg.pinv(left.T @ left, hermitian=True) @ (left.T @ (out - into @ first).double())).float()
    mixing.weight.copy_((first + added[:-1]).T[..., None, None])
    last_norm.load_state_dict(its_norm.state_dict())
    last_norm.running_mean -= added[-1]


def told(run: Trained, faces: IBugFaces) -> str:
    """What a net does on the validation faces, landmarks averaged with those for the mirror image."""
    found = faces.to_image(both_ways(run, np.array(faces.images))[0])
    errors = (mean_nme(points, faces.truth, run.convention) for points in (run.on_labels_side(found), found))
    return "NME on the labels' side {:.2f} %, without {:.2f} %".format(*errors)


def untrained(net: nn.Module, chosen: Recipe, given: Trained) -> Trained:
    return Trained(net, make_target(chosen, torch.zeros(1, given.convention.size, 2)), chosen, given.convention)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--out", type=Path, help="keep the weights here")
    options = parser.parse_args()
    given, first = load_weights("small68.safetensors"), STAGES[0]
    train, val = faces_for(first, options.real)
    pictures = to_float(torch.from_numpy(np.array(train.first(PICTURES).images)))[:, None]
    net = slim(given.model, new_model(first), pictures)
    print(f"small68: {told(given, val)}; slim, before training: {told(untrained(net, first, given), val)}", flush=True)
    for chosen in STAGES:
        run = fit(net, train, val, chosen, CHECKPOINTS)              # stages differ in neither size nor crop
        net = run.model
        print(f"{chosen.title}: {told(run, val)}", flush=True)
    if options.out:
        save_weights(options.out, run)


if __name__ == "__main__":
    main()
