"""Statistics of real face shapes: a mean 68-landmark face in 3-D and its principal modes.

Learned once from the landmarks (no pixels) of iBUG 300-W by `learn_shape_model.py`; the numbers
live in `shape_model.npz`. The 58 IMM points are given as places on the same mean face. Where the drawn
features are seen, beside the vertices that stand for them, was measured by `learn_feature_offset.py`.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class ShapeModel:
    """Mean face and modes; unit: distance between the outer eye corners; x right, y down, z to the camera.

    Attributes
    ----------
    mean : float64 (68, 3)
    modes : float64 (k, 68, 3), each one standard deviation of one principal mode
    imm_points : float64 (58, 2), the 58 IMM landmarks on the frontal mean face
    feature_offset : float64 (68, 3), how far beside each landmark's vertex of the head its feature is seen
    """

    mean: np.ndarray
    modes: np.ndarray
    imm_points: np.ndarray
    feature_offset: np.ndarray


@lru_cache(maxsize=1)
def load_shape_model() -> ShapeModel:
    """Read the committed statistics."""
    with np.load(Path(__file__).with_name("shape_model.npz"), allow_pickle=False) as file:
        return ShapeModel(*(file[name].astype(np.float64) for name in ("mean", "modes", "imm_points", "feature_offset")))
