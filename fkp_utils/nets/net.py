"""What `predict` asks of a net, whether PyTorch computes it (`trained.Trained`) or ONNX Runtime (`quantised.Quantised`)."""

from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from ..datasets.crop import Crop
from ..landmarks import Convention


class Net(Protocol):
    """A net that reads landmarks, or finds faces. Pictures are uint8 (b, 1, h, w), answers on the CPU."""

    title: str                       # of the net, for messages
    size: tuple[int, int]            # (height, width) of the pictures that it takes; a finder also takes other multiples of 64
    crop: Crop                       # how a face is cut out for it
    convention: Convention           # what its landmarks mean
    flip_offset: float               # side of the labels that it learned from, in inter-ocular distances, see `augment.flip`
    finds_faces: bool                # whether it finds faces, and reads no landmarks

    def landmarks(self, images: Any) -> Any:
        """Landmarks, float32 (b, n, 2) in pixels of the images."""

    def heatmaps(self, images: Any) -> Any:
        """Heatmaps, float32 (b, n, h, w); ValueError for a net without."""

    def faces(self, images: Any, min_confidence: float) -> list[np.ndarray]:
        """Faces, float32 (k, 5) for each picture, as `peaks.peaks` gives them; ValueError for a net of landmarks."""

    def apart(self) -> AbstractContextManager[tuple[Executor, int]]:
        """Threads that share out work, and how many: in each the net computes by itself, without waiting for the others."""
