"""Label adaptation: from where generated faces have their landmarks to where a real dataset's annotators put them.

Wood et al., "Fake it till you make it", ICCV 2021, section 4.1: a small network moves what a net that saw generated faces only
says of real faces to their labels. It learns from labels of real photos, but sees no picture.
"""

import numpy as np
import torch
from label_offset import in_frame_of_eyes
from torch import nn
from torch.nn.functional import dropout

from fkp_utils.landmarks import IBUG_68

EPOCHS, BATCH, HIDDEN = 120, 64, 256


def to_frame(landmarks: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Landmarks (N, 68, 2) as complex numbers (N, 68), the outer eye corners of `frames` (N, 68, 2) at -1/2 and 1/2."""
    middle = frames[:, list(IBUG_68.eye_corners)].mean(1, keepdims=True)
    return in_frame_of_eyes(landmarks - middle, frames)


def from_frame(points: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The inverse of `to_frame`."""
    left, right = (frames[:, k, None] @ (1, 1j) for k in IBUG_68.eye_corners)
    pixels = points * (right - left) + (left + right) / 2
    return np.stack([pixels.real, pixels.imag], -1)


def adapted(found: np.ndarray, labels: np.ndarray, others: np.ndarray, seed: int = 0) -> np.ndarray:
    """What a net says of `others` (M, 68, 2), moved as `labels` lie of what it has `found` (both (N, 68, 2))."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(136, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 136))
        nn.init.zeros_(net[-1].weight)
        nn.init.zeros_(net[-1].bias)
        x, y, z = (_flat(to_frame(points, frames)) for points, frames in ((found, found), (labels, found), (others, others)))
        mean, spread = x.mean(0), x.std(0) + 1e-3
        optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=.1)
        steps = EPOCHS * (len(x) // BATCH + 1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            k = torch.randint(len(x), (BATCH,))
            loss = (net(dropout((x[k] - mean) / spread, .1)) + x[k] - y[k]).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            moved = (net((z - mean) / spread) + z).double().reshape(-1, 68, 2).numpy()
    return from_frame(moved @ (1, 1j), others)


def _flat(points: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([points.real, points.imag], -1).reshape(len(points), -1)).float()
