"""The nets that come with the project as `predict` asks them: in 8-bit integers, by ONNX Runtime, without PyTorch.

They answer as `nets.trained.Trained` does, in less time, and start in a fifth of it; PyTorch alone takes seconds
to import and 200 MB. `bench/shipped_files/quantise.py` makes the files, `bench/speed/predict.py` compares. Weights have 7
bits, so that sums of products are exact on processors without VNNI, too: only rounding in the last layer differs.

Format: https://onnx.ai; quantisation: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html.
"""

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..datasets.crop import Crop
from ..landmarks import Convention, moved_aside
from ..processors import usable
from .peaks import peaks
from .shipped import check_sha256, find_weights, known_sha256

_here = threading.local()            # .alone: whether this thread's nets compute in it alone


def _threads() -> int:
    """How many threads a net takes: those that the user allows, else as many as there are processors."""
    if getattr(_here, "alone", False):
        return 1
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(chosen), usable()) if chosen.isdecimal() and int(chosen) else usable()


def spread(maps: np.ndarray) -> np.ndarray:
    """Root mean square distance from their means of heatmaps (b, n, h, w) that sum to 1: (b, n) in their pixels."""
    y, x = np.indices(maps.shape[2:], np.float32).reshape(2, -1)
    moments = maps.reshape(*maps.shape[:2], -1) @ np.stack([x, y, x * x + y * y], 1)
    return np.sqrt((moments[..., 2] - (moments[..., :2] ** 2).sum(-1)).clip(0))


class Quantised:
    """A net from an `.onnx` file of data/weights, given by name, or of `quantise.py`; other files are a ValueError.

    What it says of itself, from `title` to `finds_faces`, `nets.net.Net` explains.
    """

    def __init__(self, path: str | Path):
        self.path = find_weights(path)
        check_sha256(self.path, known_sha256(self.path))
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}
        self._lock = threading.Lock()
        try:
            about = json.loads(self._session().get_modelmeta().custom_metadata_map["about"])
            self.title, self.finds_faces, self.flip_offset = about["title"], about["finds_faces"], about["flip_offset"]
            self.size, self.crop = tuple(about["size"]), Crop(**about["crop"])
            self.convention = Convention.from_dict(about["convention"])
        except Exception as error:                            # ONNX Runtime has a dozen kinds of its own
            first = (str(error).splitlines() or [""])[0][:300]
            raise ValueError(f"{self.path}: not a net of this project ({type(error).__name__}: {first})") from None

    def _session(self) -> onnxruntime.InferenceSession:
        count = _threads()
        with self._lock:
            if count not in self._sessions:
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads, options.log_severity_level = count, 3
                options.add_session_config_entry("session.intra_op.allow_spinning", "0")
                self._sessions[count] = onnxruntime.InferenceSession(self.path, options, ["CPUExecutionProvider"])
            return self._sessions[count]

    def _run(self, images: Any, *outputs: str) -> list[np.ndarray]:
        return self._session().run(outputs, {"images": np.asarray(images, np.float32) / np.float32(255) - np.float32(0.5)})

    def landmarks(self, images: Any) -> np.ndarray:
        """Landmarks of uint8 images (b, 1, h, w), float32 (b, n, 2) in pixels of the images."""
        return self._run(images, "landmarks")[0]

    def heatmaps(self, images: Any) -> np.ndarray:
        """Heatmaps of uint8 images (b, 1, h, w), float32 (b, n, h / 4, w / 4), as `nets.targets.Heatmaps.heatmaps` has them."""
        return self._run(images, "heatmaps")[0]

    def landmarks_and_spread(self, images: Any) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks, and how far the heatmaps spread about their means, root mean square in pixels of the images (b, n)."""
        landmarks, maps = self._run(images, "landmarks", "heatmaps")
        return landmarks, spread(maps) * (self.size[1] / maps.shape[-1])

    def faces(self, images: Any, min_confidence: float) -> list[np.ndarray]:
        """Faces in uint8 images (b, 1, h, w), float32 (k, 5) each, as `nets.peaks.peaks` gives them."""
        if not self.finds_faces:
            raise ValueError(f"{self.title} finds landmarks, not faces")
        return peaks(self._run(images, "maps")[0], min_confidence)

    def on_labels_side(self, landmarks: np.ndarray) -> np.ndarray:
        """Landmarks (N, n, 2) where the labels lie that the net learned from, as `Trained.on_labels_side` has it."""
        return moved_aside(landmarks, self.convention, self.flip_offset)

    @contextmanager
    def apart(self) -> Iterator[tuple[ThreadPoolExecutor, int]]:
        """Threads that share out work, and how many: in each a net computes by itself, without waiting for the others."""
        count = _threads()
        with ThreadPoolExecutor(count, initializer=partial(setattr, _here, "alone", True)) as pool:
            yield pool, count
