"""What every face dataset of the project offers to training and plotting, and the datasets' names."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from ..landmarks import Convention
from ..metrics import mae, mean_nme
from .crop import Crop


class FaceDataset:
    """Grayscale faces with landmarks, held as arrays.

    A dataset is a subclass with a `convention` and a name, given by `@register("name")`, whose constructor takes
    (root, split, size) and sets

    images : uint8 (N, h, w), in memory or memory-mapped
    landmarks : float32 (N, n, 2), (x, y) in pixels of `images`; NaN where unknown
    names : list of N file names
    """

    convention: ClassVar[Convention]
    images: np.ndarray
    landmarks: np.ndarray
    names: list[str]

    @classmethod
    def open(cls, root: str | Path, split: str, size: tuple[int, int], crop: Crop) -> "FaceDataset":
        """A split as a recipe wants it: pictures of `size` (height, width), or cut out by `crop` where there are face boxes.

        DatasetError for every fault of a file.
        """
        return cls(root, split, size=size)                # type: ignore[call-arg]

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, indices) -> tuple[torch.Tensor, torch.Tensor]:
        """Many faces at once: uint8 (b, 1, h, w) and float32 (b, n, 2)."""
        indices = np.asarray(indices)
        return torch.from_numpy(self.images[indices])[:, None], torch.from_numpy(self.landmarks[indices])

    def first(self, count: int) -> "FaceDataset":
        """The dataset's first `count` faces, sharing its arrays."""
        part = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, list | np.ndarray) and len(value) == len(self):       # a row a face
                setattr(part, name, value[:count])
        return part

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures in pixels."""
        return tuple(self.images.shape[1:])

    def to_image(self, landmarks: np.ndarray) -> np.ndarray:
        """Map landmarks (N, n, 2) from pixels of `images` to those of the published pictures."""
        return landmarks

    def scores(self, predicted: np.ndarray) -> dict[str, float]:
        """The measures that this dataset is judged by, for landmarks (N, n, 2) in pixels of `images`.

        NME in percent, where the convention has eye corners, and MAE in pixels of the published pictures.
        """
        found = {"mae": mae(self.to_image(predicted), self.to_image(self.landmarks))}
        if self.convention.eye_corners is None:
            return found
        return {"nme": mean_nme(predicted, self.landmarks, self.convention), **found}


_REGISTERED: dict[str, type[FaceDataset]] = {}


def register(name: str) -> Callable[[type[FaceDataset]], type[FaceDataset]]:
    """Make a dataset known by a name, which recipes use: a class decorator."""
    def add(dataset: type[FaceDataset]) -> type[FaceDataset]:
        _REGISTERED[name] = dataset
        return dataset
    return add


def registered(name: str) -> type[FaceDataset]:
    """The dataset of a name; ValueError names those that are known."""
    from . import ibug, imm, scenes  # noqa: F401 (ours get their names when they are imported)
    try:
        return _REGISTERED[name]
    except KeyError:
        raise ValueError(f"no dataset {name!r}; there are {', '.join(_REGISTERED)}") from None
