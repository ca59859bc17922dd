"""Face datasets: `root, split` as in torchvision, one loader a file format."""

import os
from pathlib import Path

from ..folders import EMBEDDED
from .base import FaceDataset, register, registered
from .crop import Crop
from .ibug import IBugFaces, published_landmarks
from .imm import IMMFaces, IMMNoses
from .personal import personal_photos
from .scenes import Scenes


def data_root(folder: str | Path | None = None) -> Path:
    """The folder with the datasets: the one given, else $FKP_DATA, else the embedded faces."""
    chosen = folder or os.environ.get("FKP_DATA")
    return Path(chosen).resolve() if chosen else EMBEDDED


__all__ = ["EMBEDDED", "Crop", "FaceDataset", "IBugFaces", "IMMFaces", "IMMNoses", "Scenes", "data_root", "personal_photos",
           "published_landmarks", "register", "registered"]
