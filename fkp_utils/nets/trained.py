"""A net together with all that its answers need: how pictures are cut and scaled, and how outputs become landmarks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..augment import to_float
from ..datasets import FaceDataset, registered
from ..landmarks import Convention, moved_aside
from .finder import Faces
from .models import NETS, he_init
from .recipe import Recipe
from .targets import Heatmaps, Target
from .threads import adapt_threads, one_thread_each, threads_apart


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


def _layout(model: nn.Module, recipe: Recipe) -> torch.memory_format:
    """The recipe's memory layout; never one in which oneDNN writes gradients past their end (its issue 6035)."""
    narrow = (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) != layer.stride and layer.in_channels < 16
              for layer in model.modules())
    return torch.channels_last if recipe.channels_last and not any(narrow) else torch.contiguous_format


def forward(model: nn.Module, images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Logits in float32 for float images (b, 1, h, w), in the recipe's layout and precision."""
    images = images.contiguous(memory_format=_layout(model, recipe))
    with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.bf16 and has_bf16(images.device)):
        return model(images).float()


def laid_out(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The net, its weights in the memory layout of the recipe."""
    return model.to(memory_format=_layout(model, recipe))         # type: ignore[call-overload]


def new_model(recipe: Recipe) -> nn.Module:
    """The recipe's net for the landmarks of its dataset, with the initial weights that its seed and `he_init` give.

    On the CPU, so that a seed means the same on every device.
    """
    torch.manual_seed(recipe.seed)
    with torch.device("cpu"):
        net = NETS[recipe.net](recipe.width, registered(recipe.data).convention.size)
        return he_init(net) if recipe.he_init else net


@dataclass
class Trained:
    """A trained net, its target, the convention of its landmarks, and a row of numbers for each epoch of its training.

    Pictures may come from any device, or be arrays; answers are on the CPU, whichever the net is on. What `predict` asks of a
    net, see `nets.net.Net`, `nets.quantised.Quantised` has, too.
    """

    model: nn.Module
    target: Target
    recipe: Recipe
    convention: Convention
    history: Any = None                            # pd.DataFrame, see `fit`; None where a file holds the weights alone

    def __post_init__(self):
        self.title, self.size, self.crop = self.recipe.title, self.recipe.size, self.recipe.crop
        self.flip_offset, self.finds_faces = self.recipe.augment.flip_offset, isinstance(self.target, Faces)

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
        return moved_aside(landmarks, self.convention, self.flip_offset)

    @property
    def heatmap_target(self) -> Heatmaps:
        """The target of a net that answers with heatmaps; ValueError for one that does not."""
        if not isinstance(self.target, Heatmaps):
            raise ValueError(f"{self.recipe.title} does not answer with heatmaps of landmarks")
        return self.target

    @torch.no_grad()
    def _on_device(self, images: torch.Tensor | np.ndarray) -> torch.Tensor:
        adapt_threads()
        self.model.eval()
        images = torch.from_numpy(images) if isinstance(images, np.ndarray) else images
        return forward(self.model, to_float(images.to(next(self.model.parameters()).device)), self.recipe)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """What the net puts out for uint8 images (b, 1, h, w) without augmentation: float32 on the CPU, its target's shape."""
        return self._on_device(images).cpu()

    def landmarks(self, images: torch.Tensor | np.ndarray) -> torch.Tensor:
        """Landmarks of uint8 images (b, 1, h, w), float32 (b, n, 2) on the CPU, in pixels of the images."""
        return self.target.decode(self._on_device(images)).cpu()

    def heatmaps(self, images: torch.Tensor | np.ndarray) -> torch.Tensor:
        """Heatmaps of uint8 images (b, 1, h, w), float32 (b, n, h, w) on the CPU; ValueError for a net without."""
        return self.heatmap_target.heatmaps(self._on_device(images)).cpu()

    def faces(self, images: torch.Tensor | np.ndarray, min_confidence: float) -> list[np.ndarray]:
        """Faces in uint8 images (b, 1, h, w), float32 (k, 5) each, see `peaks.peaks`; ValueError for a net of landmarks."""
        if not isinstance(self.target, Faces):
            raise ValueError(f"{self.title} finds landmarks, not faces")
        return self.target.faces(self._on_device(images), min_confidence)

    @contextmanager
    def apart(self) -> Iterator[tuple[ThreadPoolExecutor, int]]:
        """Threads that share out work, and how many: each computes with one of PyTorch's."""
        with threads_apart() as count, one_thread_each(count) as pool:
            yield pool, count

    def predict(self, dataset: FaceDataset, batch: int = 64) -> np.ndarray:
        """Landmarks of every face of a dataset in order, float32 (N, n, 2), in pixels of its pictures."""
        starts = range(0, len(dataset), batch)
        return np.concatenate([self.landmarks(dataset.batch(np.arange(k, min(k + batch, len(dataset))))[0]).numpy()
                               for k in starts])
