"""What every face dataset of the project offers to training and plotting."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import Dataset

from .._torchvision import tv_tensors


class FaceDataset(Dataset):
    """Grayscale faces with landmarks, held as arrays.

    Subclasses set

    images : uint8 (N, h, w), in memory or memory-mapped
    landmarks : float32 (N, n, 2), (x, y) in pixels of `images`; NaN where unknown
    names : list of N file names
    transform : None or a function of (image, landmarks), as in torchvision.transforms.v2
    """

    images: np.ndarray
    landmarks: np.ndarray
    names: list[str]
    transform: Callable | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int):
        """One face: tv_tensors.Image uint8 (1, h, w) and tv_tensors.KeyPoints float32 (n, 2)."""
        image = tv_tensors.Image(torch.from_numpy(self.images[index].copy())[None])
        points = tv_tensors.KeyPoints(torch.from_numpy(self.landmarks[index].copy()), canvas_size=self.size)
        return self.transform(image, points) if self.transform else (image, points)

    def batch(self, indices) -> tuple[torch.Tensor, torch.Tensor]:
        """Many faces at once: uint8 (b, 1, h, w) and float32 (b, n, 2), without `transform`."""
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
