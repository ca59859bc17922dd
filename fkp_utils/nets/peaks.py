"""Faces out of a finder's maps, which `nets.finder` explains: peaks of the heatmap of centres, each face once."""

import math

import numpy as np

STRIDE, UNIT = 4, 32
SAME_FACE = 0.5                      # centres nearer than this many sides are one face
_AROUND = np.indices((3, 3)).reshape(2, 9, 1) - 1                # rows and columns to a place and the eight around it


def peaks(maps: np.ndarray, min_confidence: float) -> list[np.ndarray]:
    """All faces of each picture that are so sure; `distinct` leaves one of those that are the same face.

    maps : float32 (b, 6, h / 4, w / 4), a finder's output; min_confidence : from 0 to 1 -> for each picture float32 (k, 5):
    centre x, y and side in pixels, roll in degrees, confidence
    """
    found = []
    # Lower than the confidence's logit, whatever is rounded: few places are left that need a sigmoid.
    least = -math.inf if min_confidence <= 0 else math.log(min_confidence / max(1 - min_confidence, 0.01)) - 0.1
    for logits, *rest in maps:
        row, column = np.unravel_index(np.flatnonzero(logits >= least), logits.shape)
        down, right = (np.array([row, column])[:, None] + _AROUND).clip(0, np.array(logits.shape)[:, None, None] - 1)
        heat, highest = _sigmoid(logits[row, column]), _sigmoid(logits[down, right].max(0))
        kept = (heat >= min_confidence) & (heat == highest)
        row, column, heat = row[kept], column[kept], heat[kept]
        dx, dy, size, cos, sin = (values[row, column] for values in rest)
        x, y = (column + dx + 0.5) * STRIDE - 0.5, (row + dy + 0.5) * STRIDE - 0.5
        side = UNIT * 2 ** size.clip(-3, 6)
        found.append(np.stack([x, y, side, np.rad2deg(np.arctan2(sin, cos)), heat], 1).astype(np.float32))
    return found


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits))


def same_face(faces: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Which of faces (k, 3 or more), centre x, y and side first, are another (3 or more,): by the larger side, bool (k,)."""
    return np.linalg.norm(faces[:, :2] - face[:2], axis=1) < SAME_FACE * np.maximum(faces[:, 2], face[2])


def distinct(faces: np.ndarray) -> np.ndarray:
    """Of faces (k, 5), surest first, those whose centre is at least `SAME_FACE` of the larger side from each surer one's."""
    rest, kept = faces[np.argsort(-faces[:, 4], kind="stable")], [faces[:0]]
    while len(rest):
        kept.append(rest[:1])
        rest = rest[1:][~same_face(rest[1:], rest[0])]
    return np.concatenate(kept)
