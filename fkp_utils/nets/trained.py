"""A net together with all that its answers need: how pictures are cut and scaled, and how outputs become landmarks."""

import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..augment import moved_aside, to_float
from ..datasets import FaceDataset, registered
from ..landmarks import Convention
from .models import he_init, make_net
from .recipe import Recipe
from .targets import Heatmaps, Target
from .threads import adapt_threads


def default_device() -> torch.device:
    """The CUDA GPU if there is one, else the CPU.

    Apple's (MPS) is left alone: PyTorch 2.13 gives wrong gradients there, without a word, for batch normalisation in the
    channels-last layout of our nets (github.com/pytorch/pytorch/issues/175189), and has no float64.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is fast: NVIDIA's GPUs from Ampere on, and CPUs with AVX512-BF16 units (those with AMX have them, too).

    Elsewhere PyTorch emulates it, on CPUs tens of times slower than float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def in_bf16(recipe: Recipe, device: torch.device) -> bool:
    """Whether a recipe's nets compute in bfloat16 on a device."""
    return recipe.bf16 and has_bf16(device)


def forward(model: nn.Module, images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Logits in float32 for float images (b, 1, h, w), in the recipe's layout and precision."""
    if recipe.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=in_bf16(recipe, images.device)):
        return model(images).float()


def laid_out(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The net, its weights in the memory layout of the recipe."""
    return model.to(memory_format=torch.channels_last) if recipe.channels_last else model         # type: ignore[call-overload]


def new_model(recipe: Recipe) -> nn.Module:
    """The recipe's net for the landmarks of its dataset, with the initial weights that its seed and `he_init` give.

    On the CPU, so that a seed means the same on every device.
    """
    torch.manual_seed(recipe.seed)
    with torch.device("cpu"):
        net = make_net(recipe.net, recipe.width, registered(recipe.data).convention.size)
        return he_init(net) if recipe.he_init else net


def fused(model: nn.Module) -> nn.Module:
    """A copy of a net for answering only, whose batch normalisations are part of the convolutions before them.

    In a net of depthwise convolutions they take a third of the time: each reads and writes all of a layer's pictures.
    """
    model = copy.deepcopy(model).eval()
    for part in model.modules():
        if isinstance(part, nn.Sequential):
            for k, (layer, norm) in enumerate(pairwise(list(part))):
                if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    part[k], part[k + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
    return model


@dataclass
class Trained:
    """A trained net, its target, the convention of its landmarks, and a row of numbers for each epoch of its training.

    Pictures may come from any device; answers are on the CPU, whichever the net is on.
    """

    model: nn.Module
    target: Target
    recipe: Recipe
    convention: Convention
    history: Any = None                            # pd.DataFrame, see `fit`; None where a file holds the weights alone

    @property
    def best_epoch(self) -> int:
        """Epoch (from 1) with the smallest validation error; ValueError for a net from a file, which does not say."""
        if self.history is None:
            raise ValueError(f"{self.recipe.title}: no history of its training, only its weights")
        return int(self.history.val_error.idxmin()) + 1

    def on_labels_side(self, landmarks: np.ndarray) -> np.ndarray:
        """Landmarks (N, n, 2) moved to the side of what they mark where the labels lie that the net learned from.

        For scores on their dataset alone: to the eye the landmarks are then a little beside the features (`augment.flip`).
        """
        return moved_aside(landmarks, self.convention, self.recipe.augment.flip_offset)

    @property
    def heatmap_target(self) -> Heatmaps:
        """The target of a net that answers with heatmaps; ValueError for one that does not."""
        if not isinstance(self.target, Heatmaps):
            raise ValueError(f"{self.recipe.title} does not answer with heatmaps of landmarks")
        return self.target

    @torch.no_grad()
    def _on_device(self, images: torch.Tensor) -> torch.Tensor:
        adapt_threads()
        self.model.eval()
        return forward(self.model, to_float(images.to(next(self.model.parameters()).device)), self.recipe)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """What the net puts out for uint8 images (b, 1, h, w) without augmentation: float32 on the CPU, its target's shape."""
        return self._on_device(images).cpu()

    def for_answers(self) -> "Trained":
        """The same with a net for answering only, which is faster: `fused`, its convolutions in the format they compute in.

        Answers are those of `fused`; autocast would convert each weight at each look, a twentieth of the time for one face.
        """
        model = laid_out(fused(self.model), self.recipe)
        if in_bf16(self.recipe, next(model.parameters()).device):
            for part in model.modules():
                if isinstance(part, nn.Conv2d):
                    part.bfloat16()
        return replace(self, model=model)

    def landmarks(self, images: torch.Tensor) -> torch.Tensor:
        """Landmarks of uint8 images (b, 1, h, w), float32 (b, n, 2) on the CPU, in pixels of the images."""
        return self.target.decode(self._on_device(images)).cpu()

    def predict(self, dataset: FaceDataset, batch: int = 64) -> np.ndarray:
        """Landmarks of every face of a dataset in order, float32 (N, n, 2), in pixels of its pictures."""
        starts = range(0, len(dataset), batch)
        return np.concatenate([self.landmarks(dataset.batch(np.arange(k, min(k + batch, len(dataset))))[0]).numpy()
                               for k in starts])
