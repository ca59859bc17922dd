"""Faces that are quick to make and to learn, and answers of students that only raise, and how verdicts are shown."""

import base64
import io
import re

import numpy as np
from IPython.core.formatters import DisplayFormatter
from PIL import Image
from torch.utils.data import Dataset

from fkp_utils.datasets import FaceDataset
from fkp_utils.landmarks import NOSE


class ToyFaces(FaceDataset):
    """Dark pictures with one bright blob; the landmark is its centre."""

    convention = NOSE

    def __init__(self, count: int, size=(60, 80), seed: int = 0):
        rng = np.random.default_rng(seed)
        h, w = size
        self.landmarks = (rng.uniform(0.3, 0.7, (count, 1, 2)) * [w, h]).astype(np.float32)
        y, x = np.mgrid[:h, :w]
        d2 = (x - self.landmarks[:, :, :1]) ** 2 + (y - self.landmarks[:, :, 1:]) ** 2
        self.images = (20 + 230 * np.exp(-d2 / 50)).astype(np.uint8)
        self.names = [f"toy{k}" for k in range(count)]


def dataset_of(item, length=len):
    """A student's dataset, which makes its items by a function of (pictures, landmarks, index)."""
    class Faces(Dataset):
        def __init__(self, images, landmarks):
            self.images, self.landmarks = images, landmarks

        def __len__(self):
            return length(self.images)

        def __getitem__(self, index):
            return item(self.images, self.landmarks, index)
    return Faces


def raises(error: BaseException):
    """A student's function, or class, that raises."""
    def raising(*given):
        raise error
    return raising


def shown(verdict):
    """What JupyterLab gets of a check's verdict; the alt text and the pixels of its picture, if there is one."""
    data, _ = DisplayFormatter().format(verdict)
    if "text/html" not in data:
        return data, "", None
    [(words, picture)] = re.findall(r'alt="([^"]+)".*src="data:image/png;base64,([^"]+)"', data["text/html"])
    return data, words, np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA"), dtype=float)[..., :3]
