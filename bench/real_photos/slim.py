"""What a cheaper way up costs: a trained HeatmapLite whose pyramid smooths with separable convolutions instead.

    python bench/real_photos/slim.py DATA [--start small68.safetensors] [--side 160] [--epochs 15] [--out WEIGHTS.safetensors]

Each 3x3 convolution of the pyramid becomes one of each channel by itself (5x5) and one that mixes channels (1x1), as in
MobileNets (Howard et al., 2017). The first begins with the kernel that its channel's weights have most of (the first singular
vector; Jaderberg et al., "Speeding up convolutional neural networks with low rank expansions", BMVC 2014), the second with
what makes the sum nearest to the old one's, on the embedded faces (linear least squares). All other weights stay. Prints the
NME of the validation photos before and after training; three_percent.md has what came of it. 16 minutes in float32; an
interrupted training goes on when the command is given again.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fkp_utils.augment import to_float
from fkp_utils.datasets import EMBEDDED, IBugFaces
from fkp_utils.folders import CHECKPOINTS
from fkp_utils.metrics import mean_nme
from fkp_utils.nets.models import NETS, HeatmapLite
from fkp_utils.nets.targets import make_target
from fkp_utils.nets.trained import Trained, new_model
from fkp_utils.nets.weights import load_weights, save_weights
from fkp_utils.predict import both_ways
from fkp_utils.profiles import recipe
from fkp_utils.train import faces_for
from fkp_utils.training.loop import fit


class HeatmapSlim(HeatmapLite):
    """HeatmapLite with separable convolutions in its pyramid."""

    def __init__(self, n_landmarks: int = 68, features: int = 64):
        super().__init__(n_landmarks, features)
        self.smooth = nn.ModuleList(nn.Sequential(
            nn.Conv2d(features, features, 5, padding=2, groups=features, bias=False), nn.BatchNorm2d(features),
            nn.Conv2d(features, features, 1, bias=False), nn.BatchNorm2d(features), nn.ReLU(inplace=True)) for _ in range(3))


NETS["HeatmapSlim"] = lambda width, n: HeatmapSlim(n, width)


@torch.no_grad()
def replaced(given: HeatmapLite, net: HeatmapLite, k: int, pictures: torch.Tensor) -> None:
    """Set the net's k-th smoothing layer so that it answers nearly as the given net's, for pictures like these."""
    whole, its_norm = given.smooth[k][:2]
    alone, norm, mixing, last_norm = net.smooth[k][:4]
    columns, sizes, kernels = torch.linalg.svd(whole.weight.transpose(0, 1).flatten(2), full_matrices=False)
    alone.weight.zero_()
    alone.weight[:, 0, 1:-1, 1:-1] = kernels[:, 0].reshape(-1, 3, 3)
    seen: dict[nn.Module, torch.Tensor] = {}
    hooks = [layer.register_forward_hook(lambda layer, inputs, answer: seen.update({layer: answer.clone()}))
             for layer in (whole, alone)]
    given(pictures), net(pictures)
    for hook in hooks:
        hook.remove()
    # Normalisation between both changes nothing on these pictures.
    norm.running_var, norm.running_mean = torch.var_mean(seen[alone], (0, 2, 3))
    norm.bias.copy_(norm.running_mean)
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    into, out = (seen[layer].transpose(0, 1).flatten(1).T for layer in (alone, whole))
    first = columns[..., 0] * sizes[:, :1]
    # What is to be added to these columns is as small as may be: those of a channel that is the same everywhere stay.
    added = torch.linalg.lstsq(nn.functional.pad(into, (0, 1), value=1.0), out - into @ first).solution
    mixing.weight.copy_((first + added[:-1]).T[..., None, None])
    last_norm.load_state_dict(its_norm.state_dict())
    last_norm.running_mean -= added[-1]


def slim(given: HeatmapLite, net: HeatmapLite, pictures: torch.Tensor) -> HeatmapLite:
    """The net with the weights of one with a costlier way up, in place; pictures (b, 1, h, w) of faces, floats."""
    others = {name: value for name, value in given.state_dict().items() if not name.startswith("smooth.")}
    net.load_state_dict(others, strict=False)
    given.eval(), net.eval()
    for k in range(len(net.smooth)):
        replaced(given, net, k, pictures)
    return net


def told(run: Trained, faces: IBugFaces) -> str:
    """NME of the answers averaged with those for the mirror image, with the labels' side and without."""
    found = faces.to_image(both_ways(run, np.array(faces.images))[0])
    errors = (mean_nme(points, faces.truth, run.convention) for points in (run.on_labels_side(found), found))
    return "NME on the labels' side {:.2f} %, without {:.2f} %".format(*errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--start", default="small68.safetensors", help="weights of a HeatmapLite")
    parser.add_argument("--side", type=int, default=160, help="of the pictures, in pixels, a multiple of 32")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, help="keep the weights here")
    options = parser.parse_args()
    given = load_weights(options.start)
    chosen = replace(recipe("full", "lite_fine"), title="HeatmapSlim", net="HeatmapSlim", size=(options.side, options.side),
                     epochs=options.epochs, lr=8e-4)
    pictures = to_float(torch.tensor(faces_for(chosen, EMBEDDED)[0].images[:64]))[:, None]
    net = slim(given.model, new_model(chosen), pictures)
    train, val = faces_for(chosen, options.real)
    print("before:", told(Trained(net, make_target(chosen, torch.zeros(1, given.convention.size, 2)), chosen, given.convention),
                          val), flush=True)
    run = fit(net, train, val, chosen, CHECKPOINTS)
    print("after:", told(run, val))
    if options.out:
        save_weights(options.out, run)


if __name__ == "__main__":
    main()
